//! Mutations of links.

use async_graphql::{Context, ID, InputObject, InputType, Object, Result};
use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use super::context::parse_id;
use super::scalars::Url;
use super::{Link, Platform, RequestContext, RequestExt};
use crate::base::{self, Error, Kind};
use crate::links::{self, NewLink, NewOwner, NewUtm};
use crate::payload;

/// What the `utm_*` parameters of a link say in place of the usual; `utm_campaign` is always the campaign's slug.
#[derive(InputObject, Clone, Debug)]
pub struct UtmInput {
    /// `utm_source`; left out: the creator's handle, or `member`.
    source: Option<String>,
    /// `utm_medium`; left out: `creator` or `referral`.
    medium: Option<String>,
    /// `utm_content`.
    content: Option<String>,
    /// `utm_term`.
    term: Option<String>,
}

/// A new link of a campaign. Pass exactly one owner.
#[derive(InputObject, Clone, Debug)]
pub struct GenerateLinkInput {
    /// The campaign.
    campaign_id: ID,
    /// The creator who owns the link.
    creator_id: Option<ID>,
    /// The member who owns the link.
    member_id: Option<ID>,
    /// The member who owns the link, by the brand's own identifier; an unknown one becomes an INVITED member.
    member_external_id: Option<String>,
    /// Where the link is shared.
    #[graphql(default_with = "Platform::Web")]
    platform: Platform,
    /// The owner's own mark, for example a placement.
    sub_id: Option<String>,
    /// Where the link leads: an http or https address; left out: the campaign's own.
    destination_url: Option<Url>,
    /// Where iPhones and iPads are led instead.
    ios_url: Option<Url>,
    /// Where Android devices are led instead.
    android_url: Option<Url>,
    /// A name that people can read, unique in the brand: 3 to 64 lower-case letters, digits and hyphens. No other link ever gets it.
    slug: Option<String>,
    /// What `utm_*` says in place of the usual, or beside it.
    utm: Option<UtmInput>,
    /// Whether the first claim of the link is the only one.
    #[graphql(default)]
    single_use: bool,
    /// The lifetime, from a minute to 5 years; left out: 7 days.
    ttl_seconds: Option<i32>,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

/// Many new links at once: all of them, or none where one is wrong.
#[derive(InputObject, Clone, Debug)]
pub struct GenerateLinksInput {
    /// The links, at most 1000. Their own idempotency keys do not count here.
    links: Vec<GenerateLinkInput>,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

/// The link to revoke.
#[derive(InputObject, Clone, Debug)]
pub struct RevokeLinkInput {
    /// The link.
    link_id: ID,
}

payload! {
    /// The outcome of `generateLink`.
    GenerateLinkPayload {
        /// The new link.
        link: Link
    }
}

payload! {
    /// The outcome of `revokeLink`.
    RevokeLinkPayload {
        /// The link after the change.
        link: Link
    }
}

payload! {
    /// The outcome of `generateLinks`.
    GenerateLinksPayload {
        /// The new links, in the order asked for.
        links: Vec<Link>
    }
}

impl UtmInput {
    fn read(self) -> NewUtm {
        NewUtm { source: self.source, medium: self.medium, content: self.content, term: self.term }
    }
}

#[derive(Default)]
pub struct LinkMutation;

#[Object]
impl LinkMutation {
    /// Makes a share link.
    async fn generate_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new link.")] input: GenerateLinkInput,
    ) -> Result<GenerateLinkPayload> {
        GenerateLinkPayload::of(generate_one(ctx.request()?, input).await)
    }

    /// Makes up to 1000 share links at once: all of them, or none where one is wrong.
    async fn generate_links(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new links.")] input: GenerateLinksInput,
    ) -> Result<GenerateLinksPayload> {
        GenerateLinksPayload::of(generate_many(ctx.request()?, input).await)
    }

    /// Revokes a link: it does not resolve any more.
    async fn revoke_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link.")] input: RevokeLinkInput,
    ) -> Result<RevokeLinkPayload> {
        RevokeLinkPayload::of(revoke(ctx.request()?, input).await)
    }
}

async fn generate_one(request: &RequestContext, input: GenerateLinkInput) -> base::Result<links::Link> {
    let arguments = input.to_value();
    let key = input.idempotency_key.clone();
    let new = [to_new(input, &[])?];
    let ids = generate(request, "generateLink", key.as_deref(), &arguments, &new, None).await?;
    let found = reload(request, &ids).await?.pop();
    found.ok_or_else(|| Error::fault("reading a link back", "it is gone"))
}

async fn generate_many(request: &RequestContext, input: GenerateLinksInput) -> base::Result<Vec<Link>> {
    let arguments = input.to_value();
    let mut new = Vec::with_capacity(input.links.len());
    let mut refusals = Vec::new();
    for (index, link) in input.links.into_iter().enumerate() {
        match to_new(link, &["links", &index.to_string()]) {
            Ok(link) => new.push(link),
            Err(Error::Refused(reasons)) => refusals.extend(reasons),
            Err(fault) => return Err(fault),
        }
    }
    if !refusals.is_empty() {
        return Err(Error::Refused(refusals));
    }
    let key = input.idempotency_key.as_deref();
    let ids = generate(request, "generateLinks", key, &arguments, &new, Some("links")).await?;
    Ok(reload(request, &ids).await?.into_iter().map(Link).collect())
}

async fn generate(
    request: &RequestContext,
    operation: &str,
    key: Option<&str>,
    arguments: &async_graphql::Value,
    new: &[NewLink],
    path: Option<&str>,
) -> base::Result<Vec<Uuid>> {
    let (scope, env, keyring) = (&request.scope, &request.app.env, &request.app.keyring);
    let work = request.once(operation, key, arguments, |conn| {
        async move { links::generate(conn, scope, env, keyring, new, path).await }.scope_boxed()
    });
    work.await
}

fn to_new(input: GenerateLinkInput, prefix: &[&str]) -> base::Result<NewLink> {
    let at = |field| [prefix, &[field]].concat();
    let owner = match (&input.creator_id, &input.member_id, input.member_external_id) {
        (Some(id), None, None) => NewOwner::Creator(parse_id(Kind::Creator, id, &at("creatorId"))?),
        (None, Some(id), None) => NewOwner::Member(parse_id(Kind::Member, id, &at("memberId"))?),
        (None, None, Some(external_id)) => NewOwner::External(external_id),
        _ => {
            let message = "Pass exactly one of creatorId, memberId and memberExternalId.";
            return Err(Error::invalid(&at("creatorId"), message));
        }
    };
    Ok(NewLink {
        campaign_id: parse_id(Kind::Campaign, &input.campaign_id, &at("campaignId"))?,
        owner,
        platform: input.platform.into(),
        sub_id: input.sub_id,
        destination_url: input.destination_url.map(|url| url.0),
        ios_url: input.ios_url.map(|url| url.0),
        android_url: input.android_url.map(|url| url.0),
        slug: input.slug,
        utm: input.utm.map(UtmInput::read).unwrap_or_default(),
        is_single_use: input.single_use,
        ttl_seconds: input.ttl_seconds.map(i64::from),
    })
}

async fn revoke(request: &RequestContext, input: RevokeLinkInput) -> base::Result<links::Link> {
    let id = parse_id(Kind::Link, &input.link_id, &["linkId"])?;
    let token = links::revoke(&mut *request.conn().await?, &request.scope, &request.app.env, id).await?;
    links::forget(&request.app.kv, &token).await;
    let found = reload(request, &[id]).await?.pop();
    found.ok_or_else(|| Error::fault("reading a link back", "it is gone"))
}

async fn reload(request: &RequestContext, ids: &[Uuid]) -> base::Result<Vec<links::Link>> {
    let mut found = links::by_ids(&mut *request.conn().await?, &request.scope, ids).await?;
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}
