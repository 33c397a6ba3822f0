//! Making links, many at a time: all of them, or none where one is wrong.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;
use uuid::Uuid;

use super::token::new_token;
use super::{Link, Owner, Utm, store};
use crate::access::{Keyring, Permission, Scope};
use crate::base::limits::{LINK_TTL_SECONDS_DEFAULT, LINK_TTL_SECONDS_MAX, LINKS_PER_REQUEST_MAX};
use crate::base::{Code, Env, Error, Refusal, Result};
use crate::brands;
use crate::campaigns::{self, Campaign, CampaignStatus};
use crate::creators::{self, Creator, CreatorStatus, Platform};
use crate::db::Conn;
use crate::members::{self, Member, MemberStatus, NewMember};
use crate::urls::{DESTINATION_EXPECTED, NOT_ALLOWED, is_allowed, is_destination};

const TEXT_BYTES_MAX: usize = 200;

/// Who is to own a new link.
#[derive(Clone, Debug)]
pub enum NewOwner {
    Creator(Uuid),
    Member(Uuid),
    /// A member by the brand's own identifier; an unknown one becomes an INVITED member.
    External(String),
}

/// What a new link needs.
#[derive(Clone, Debug)]
pub struct NewLink {
    pub campaign_id: Uuid,
    pub owner: NewOwner,
    pub platform: Platform,
    pub sub_id: Option<String>,
    /// The campaign's own where it is left out.
    pub destination_url: Option<String>,
    /// Where phones are led instead.
    pub ios_url: Option<String>,
    pub android_url: Option<String>,
    /// A name that people can read.
    pub slug: Option<String>,
    pub utm: NewUtm,
    /// Whether the first claim is the only one.
    pub is_single_use: bool,
    pub ttl_seconds: Option<i64>,
}

/// What is said in place of, or beside, the usual `utm_*` parameters.
#[derive(Clone, Debug, Default)]
pub struct NewUtm {
    pub source: Option<String>,
    pub medium: Option<String>,
    pub content: Option<String>,
    pub term: Option<String>,
}

/// Letters of a link's name.
pub(super) const SLUG_LENGTH_MAX: usize = 64;
const SLUG_EXPECTED: &str =
    "Pass 3 to 64 lower-case letters, digits and hyphens, beginning and ending with a letter or digit.";
pub(super) const SLUG_TAKEN: &str =
    "Another link of this brand has this name, or had it before it was revoked: choose another.";

/// Whether a text can be a link's name.
pub(super) fn is_slug(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let ends = [text.as_bytes().first(), text.as_bytes().last()];
    (3..=SLUG_LENGTH_MAX).contains(&text.len())
        && text.bytes().all(is_inner)
        && ends.into_iter().flatten().all(|byte| *byte != b'-')
}

/// What the new links refer to.
struct Referred {
    campaigns: HashMap<Uuid, Campaign>,
    creators: HashMap<Uuid, Creator>,
    members: HashMap<Uuid, Member>,
    externals: HashMap<String, Uuid>,
    allowed_hosts: Vec<String>,
    taken_slugs: HashSet<String>,
}

/// Makes the links, in order. `path` leads to the list in a refusal; the index of the link follows. A single link has no index.
pub async fn generate(
    conn: &mut Conn,
    scope: &Scope,
    env: &Env,
    keyring: &Keyring,
    inputs: &[NewLink],
    path: Option<&str>,
) -> Result<Vec<Uuid>> {
    scope.require(Permission::WriteGrowth)?;
    if inputs.is_empty() || inputs.len() > LINKS_PER_REQUEST_MAX {
        let message = format!("Pass 1 to {LINKS_PER_REQUEST_MAX} links.");
        return Err(Error::invalid(&[path.unwrap_or("links")], message));
    }
    let mut referred = load(conn, scope, inputs).await?;
    let mut refusals = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        let index = index.to_string();
        let prefix: Vec<&str> = path.map_or_else(Vec::new, |path| vec![path, index.as_str()]);
        check(&mut refusals, &prefix, input, &referred);
        check_texts(&mut refusals, &prefix, input);
        check_slug(&mut refusals, &prefix, input, &mut referred.taken_slugs);
    }
    if !refusals.is_empty() {
        return Err(Error::Refused(refusals));
    }
    invite(conn, scope, env, inputs, &mut referred).await?;
    let links = inputs.iter().map(|input| build(env, keyring, input, &referred)).collect::<Result<Vec<Link>>>()?;
    store::insert(conn, scope, &links).await?;
    Ok(links.into_iter().map(|link| link.id).collect())
}

async fn load(conn: &mut Conn, scope: &Scope, inputs: &[NewLink]) -> Result<Referred> {
    let campaign_ids: Vec<Uuid> = inputs.iter().map(|input| input.campaign_id).collect();
    let pick = |wanted: fn(&NewOwner) -> Option<Uuid>| inputs.iter().filter_map(|input| wanted(&input.owner)).collect();
    let creator_ids: Vec<Uuid> = pick(|owner| if let NewOwner::Creator(id) = owner { Some(*id) } else { None });
    let member_ids: Vec<Uuid> = pick(|owner| if let NewOwner::Member(id) = owner { Some(*id) } else { None });
    let slugs: Vec<String> = inputs.iter().filter_map(|input| input.slug.clone()).collect();
    Ok(Referred {
        campaigns: campaigns::by_ids(conn, scope, &campaign_ids).await?,
        creators: creators::by_ids(conn, scope, &creator_ids).await?,
        members: members::by_ids(conn, scope, &member_ids).await?,
        externals: HashMap::new(),
        allowed_hosts: brands::settings(conn, scope).await?.allowed_hosts,
        taken_slugs: store::taken_slugs(conn, scope, &slugs).await?,
    })
}

fn check(refusals: &mut Vec<Refusal>, prefix: &[&str], input: &NewLink, referred: &Referred) {
    let mut refuse = |code, field: &str, message: &str| {
        refusals.push(Refusal::new(code, &[prefix, &[field]].concat(), message));
    };
    let campaign = referred.campaigns.get(&input.campaign_id);
    match campaign {
        None => refuse(Code::NotFound, "campaignId", "There is no such campaign."),
        Some(campaign) if campaign.status == CampaignStatus::Ended => {
            refuse(Code::Conflict, "campaignId", "This campaign has ended: choose another, or set it to ACTIVE.");
        }
        Some(_) => {}
    }
    match &input.owner {
        NewOwner::Creator(id) => match referred.creators.get(id) {
            None => refuse(Code::NotFound, "creatorId", "There is no such creator."),
            Some(creator) if creator.status == CreatorStatus::Banned => {
                refuse(Code::Conflict, "creatorId", "This creator is banned and gets no new links.");
            }
            Some(_) => {}
        },
        NewOwner::Member(id) => match referred.members.get(id) {
            None => refuse(Code::NotFound, "memberId", "There is no such member."),
            Some(member) if member.status == MemberStatus::Erased => {
                refuse(Code::Conflict, "memberId", "This member was erased and gets no new links.");
            }
            Some(_) => {}
        },
        NewOwner::External(id) if !is_text(id) => {
            refuse(Code::Invalid, "memberExternalId", "Pass 1 to 200 bytes without control characters.");
        }
        NewOwner::External(_) => {}
    }
    match input.destination_url.as_deref().or(campaign.and_then(|campaign| campaign.destination_url.as_deref())) {
        None if campaign.is_some() => {
            refuse(Code::Invalid, "destinationUrl", "Pass a destination: the campaign has none of its own.");
        }
        Some(url) if !is_destination(url) => refuse(Code::Invalid, "destinationUrl", DESTINATION_EXPECTED),
        Some(url) if !is_allowed(url, &referred.allowed_hosts) => refuse(Code::Invalid, "destinationUrl", NOT_ALLOWED),
        _ => {}
    }
    for (url, field) in [(&input.ios_url, "iosUrl"), (&input.android_url, "androidUrl")] {
        match url.as_deref() {
            Some(url) if !is_destination(url) => refuse(Code::Invalid, field, DESTINATION_EXPECTED),
            Some(url) if !is_allowed(url, &referred.allowed_hosts) => refuse(Code::Invalid, field, NOT_ALLOWED),
            _ => {}
        }
    }
    if input.ttl_seconds.is_some_and(|ttl| !(60..=LINK_TTL_SECONDS_MAX).contains(&ttl)) {
        let message = format!("Pass a lifetime from 60 to {LINK_TTL_SECONDS_MAX} seconds.");
        refuse(Code::Invalid, "ttlSeconds", &message);
    }
}

fn check_texts(refusals: &mut Vec<Refusal>, prefix: &[&str], input: &NewLink) {
    let utm = &input.utm;
    for (text, path) in [
        (&input.sub_id, &["subId"] as &[&str]),
        (&utm.source, &["utm", "source"]),
        (&utm.medium, &["utm", "medium"]),
        (&utm.content, &["utm", "content"]),
        (&utm.term, &["utm", "term"]),
    ] {
        if text.as_deref().is_some_and(|text| !is_text(text)) {
            let message = "Pass 1 to 200 bytes without control characters.";
            refusals.push(Refusal::new(Code::Invalid, &[prefix, path].concat(), message));
        }
    }
}

/// Takes the name, so that no other link of the request can have it.
fn check_slug(refusals: &mut Vec<Refusal>, prefix: &[&str], input: &NewLink, taken: &mut HashSet<String>) {
    let Some(slug) = &input.slug else { return };
    let path = [prefix, &["slug"]].concat();
    if !is_slug(slug) {
        refusals.push(Refusal::new(Code::Invalid, &path, SLUG_EXPECTED));
    } else if !taken.insert(slug.clone()) {
        refusals.push(Refusal::new(Code::Conflict, &path, SLUG_TAKEN));
    }
}

fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

/// Finds the members that are named by the brand's own identifiers, and makes the missing ones INVITED.
async fn invite(conn: &mut Conn, scope: &Scope, env: &Env, inputs: &[NewLink], referred: &mut Referred) -> Result<()> {
    let mut wanted: Vec<(String, Uuid)> = Vec::new();
    for input in inputs {
        if let NewOwner::External(id) = &input.owner {
            wanted.push((id.clone(), input.campaign_id));
        }
    }
    wanted.sort_unstable();
    wanted.dedup_by(|a, b| a.0 == b.0);
    if wanted.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
    let mut known = members::by_external_ids(conn, scope, &names).await?;
    let missing = wanted.iter().filter(|(name, _)| !known.contains_key(name)).count();
    if missing > 0 {
        // Whoever makes members holds the counter, so what is still missing once it is ours is nobody else's.
        let first = members::next_numbers(conn, scope, missing).await?;
        known = members::by_external_ids(conn, scope, &names).await?;
        let missing = wanted.iter().filter(|(name, _)| !known.contains_key(name));
        let new: Vec<NewMember> =
            missing.zip(first..).map(|((name, campaign), number)| invited(env, name, *campaign, number)).collect();
        members::insert_members(conn, scope, &new, env.now()).await?;
        referred.externals.extend(new.into_iter().filter_map(|member| Some((member.external_id?, member.id))));
    }
    referred.externals.extend(known.into_iter().map(|(name, member)| (name, member.id)));
    Ok(())
}

fn invited(env: &Env, external_id: &str, campaign_id: Uuid, number: i64) -> NewMember {
    NewMember {
        id: env.new_id(),
        number,
        external_id: Some(external_id.to_owned()),
        status: MemberStatus::Invited,
        referrer_id: None,
        creator_id: None,
        campaign_id: Some(campaign_id),
        placement: members::place(None, number),
        joined_at: env.now(),
        signed_up_at: None,
        activated_at: None,
        activation_count: 0,
        person_id: None,
        pending_referrer: None,
    }
}

fn build(env: &Env, keyring: &Keyring, input: &NewLink, referred: &Referred) -> Result<Link> {
    let gone = |what: &'static str| Error::fault("making a link", what);
    let campaign = referred.campaigns.get(&input.campaign_id).ok_or_else(|| gone("the campaign is gone"))?;
    let (owner, source, medium) = match &input.owner {
        NewOwner::Creator(id) => {
            let creator = referred.creators.get(id).ok_or_else(|| gone("the creator is gone"))?;
            (Owner::Creator(*id), creator.handle.clone(), "creator")
        }
        NewOwner::Member(id) => (Owner::Member(*id), "member".to_owned(), "referral"),
        NewOwner::External(name) => {
            let id = referred.externals.get(name).ok_or_else(|| gone("the member is gone"))?;
            (Owner::Member(*id), "member".to_owned(), "referral")
        }
    };
    let destination_url = input.destination_url.clone().or_else(|| campaign.destination_url.clone());
    let ttl_seconds = input.ttl_seconds.unwrap_or(LINK_TTL_SECONDS_DEFAULT);
    Ok(Link {
        id: env.new_id(),
        token: new_token(keyring, &*env.chance),
        slug: input.slug.clone(),
        campaign_id: campaign.id,
        owner,
        platform: input.platform,
        sub_id: input.sub_id.clone(),
        destination_url: destination_url.ok_or_else(|| gone("the destination is gone"))?,
        ios_url: input.ios_url.clone(),
        android_url: input.android_url.clone(),
        utm: Utm {
            source: input.utm.source.clone().unwrap_or(source),
            medium: input.utm.medium.clone().unwrap_or_else(|| medium.to_owned()),
            campaign: campaign.slug.clone(),
            content: input.utm.content.clone(),
            term: input.utm.term.clone(),
        },
        is_single_use: input.is_single_use,
        redeemed_at: None,
        expires_at: Some(env.now() + TimeDelta::seconds(ttl_seconds)),
        revoked_at: None,
        click_count: 0,
        view_count: 0,
        signup_count: 0,
        conversion_count: 0,
        created_at: env.now(),
    })
}
