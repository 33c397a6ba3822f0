//! Share links in the API.

use async_graphql::{Context, ID, Object, Result, SimpleObject, Union};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::context::{parse_id, to_id};
use super::creators::to_int;
use super::node::require_growth;
use super::scalars::Url;
use super::{Campaign, Creator, Member, Platform, RequestContext, RequestExt};
use crate::base::{Error, Kind};
use crate::creators::Platform as Device;
use crate::links::{self, Owner};

/// Who owns a link or earns a reward.
#[derive(Union)]
pub enum LinkOwner {
    Creator(Creator),
    Member(Member),
}

impl LinkOwner {
    /// The owner that a row points at.
    pub async fn load(request: &RequestContext, owner: Owner) -> Result<Self> {
        Ok(match owner {
            Owner::Creator(id) => Self::Creator(Creator(request.loaders.creators.require(id).await?)),
            Owner::Member(id) => Self::Member(Member(request.loaders.members.require(id).await?)),
        })
    }
}

/// The parameters that analytics tools read from the destination.
#[derive(SimpleObject, Clone, Debug)]
pub struct Utm {
    /// `utm_source`: the creator's handle, or `member`, unless the link was made with another.
    pub source: String,
    /// `utm_medium`: `creator` or `referral`, unless the link was made with another.
    pub medium: String,
    /// `utm_campaign`: the campaign's slug.
    pub campaign: String,
    /// `utm_content`.
    pub content: Option<String>,
    /// `utm_term`.
    pub term: Option<String>,
}

/// A share link.
#[derive(Clone, Debug)]
pub struct Link(pub links::Link);

impl From<links::Link> for Link {
    fn from(link: links::Link) -> Self {
        Self(link)
    }
}

impl Link {
    /// The link of this identifier, if the bearer may see it.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        require_growth(request)?;
        let link = request.loaders.links.load(id).await?;
        Ok(link.filter(|link| request.sees_creator(link.creator_id())).map(Self))
    }
}

/// A share link.
#[Object]
impl Link {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Link, self.0.id)
    }

    /// The unguessable part of the address.
    async fn token(&self) -> &str {
        &self.0.token
    }

    /// The name that people can read in its place, if it has one.
    async fn slug(&self) -> Option<&str> {
        self.0.slug.as_deref()
    }

    /// The destination with the identifier chain, as the redirect leads to it.
    async fn url(&self) -> Url {
        Url(self.0.url(Device::Web, None))
    }

    /// The same for iPhones and iPads; null where they are led to the destination of all.
    async fn ios_url(&self) -> Option<Url> {
        self.0.ios_url.as_ref().map(|_| Url(self.0.url(Device::Ios, None)))
    }

    /// The same for Android devices; null where they are led to the destination of all.
    async fn android_url(&self) -> Option<Url> {
        self.0.android_url.as_ref().map(|_| Url(self.0.url(Device::Android, None)))
    }

    /// The address to share: by its name where it has one, under the brand's first host where it has any.
    async fn short_url(&self, ctx: &Context<'_>) -> Result<Url> {
        let request = ctx.request()?;
        Ok(Url(self.0.short_url(&request.app.settings.public_url, request.home().await?)))
    }

    /// The address that opens the brand's app where it is installed, and leads to its store where it is not; null where the brand has no
    /// app.
    async fn deep_link(&self, ctx: &Context<'_>) -> Result<Option<Url>> {
        let request = ctx.request()?;
        let home = request.home().await?;
        Ok(home.has_app.then(|| Url(self.0.invitation_url(&request.app.settings.public_url, home))))
    }

    /// The QR code of the address to share, as SVG; with `.png?size=512` at its end as an image of so many pixels.
    async fn qr_code_url(&self, ctx: &Context<'_>) -> Result<Url> {
        let request = ctx.request()?;
        Ok(Url(self.0.qr_url(&request.app.settings.public_url, request.home().await?)))
    }

    /// Whose link it is.
    async fn owner(&self, ctx: &Context<'_>) -> Result<LinkOwner> {
        LinkOwner::load(ctx.request()?, self.0.owner).await
    }

    /// The campaign that the link belongs to.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Campaign> {
        Ok(Campaign(ctx.request()?.loaders.campaigns.require(self.0.campaign_id).await?))
    }

    /// Where the link is shared.
    async fn platform(&self) -> Platform {
        self.0.platform.into()
    }

    /// The owner's own mark, for example a placement.
    async fn sub_id(&self) -> Option<&str> {
        self.0.sub_id.as_deref()
    }

    /// What analytics tools read.
    async fn utm(&self) -> Utm {
        let utm = self.0.utm.clone();
        Utm { source: utm.source, medium: utm.medium, campaign: utm.campaign, content: utm.content, term: utm.term }
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Whether the first claim of the link is the only one.
    async fn single_use(&self) -> bool {
        self.0.is_single_use
    }

    /// When a link of a single use was claimed.
    async fn redeemed_at(&self) -> Option<DateTime<Utc>> {
        self.0.redeemed_at
    }

    /// From when on it does not resolve.
    async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.expires_at
    }

    /// When it was revoked.
    async fn revoked_at(&self) -> Option<DateTime<Utc>> {
        self.0.revoked_at
    }

    /// Clicks by people: not by bots, previews or frauds.
    async fn clicks(&self) -> i32 {
        to_int(self.0.click_count)
    }

    /// Looks without a click: previews of messengers, prefetches of browsers, HEAD.
    async fn views(&self) -> i32 {
        to_int(self.0.view_count)
    }

    /// Sign-ups through the link.
    async fn signups(&self) -> i32 {
        to_int(self.0.signup_count)
    }

    /// Conversions of which the link has a share.
    async fn conversions(&self) -> i32 {
        to_int(self.0.conversion_count)
    }
}

#[derive(Default)]
pub struct LinkQuery;

#[Object]
impl LinkQuery {
    /// A link by identifier or by token: pass exactly one. Null if there is none.
    async fn link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The identifier.")] id: Option<ID>,
        #[graphql(desc = "The unguessable part of the address.")] token: Option<String>,
    ) -> Result<Option<Link>> {
        let request = ctx.request()?;
        match (id, token) {
            (Some(id), None) => Link::find(request, parse_id(Kind::Link, &id, &["id"])?).await,
            (None, Some(token)) => {
                require_growth(request)?;
                let found = links::by_token(&mut *request.conn().await?, &request.scope, &token).await?;
                Ok(found.filter(|link| request.sees_creator(link.creator_id())).map(Link))
            }
            _ => Err(Error::invalid(&["id"], "Pass exactly one of id and token.").into()),
        }
    }
}
