//! Deferred deep links: the first open after an install exchanges what the app knows for the link that it came through. What holds the
//! link's token is certain, and counts. Where a brand wants it, an open without any token is matched with who was sent to the store
//! shortly before: that is recorded, tells who probably invited, and never gives the link away, so that nothing can be paid for it.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use url::Url;
use uuid::Uuid;

use super::generate::is_slug;
use super::store::{KeptClaim, NewClaim};
use super::token::{find_click, find_token};
use super::visits::{Likely, likely};
use super::{Link, store};
use crate::access::{Keyring, Permission, Scope};
use crate::base::limits::EVENT_TEXT_BYTES_MAX;
use crate::base::{Code, Env, Error, Result};
use crate::brands;
use crate::creators::Platform;
use crate::db::Conn;
use crate::text_enum;

/// Texts that hold a token are addresses and referrers; identifiers are what an event can carry.
const TEXT_BYTES_MAX: usize = 4_096;
const CERTAIN_PPM: i32 = 1_000_000;

text_enum! {
    /// How a claim found its link.
    ClaimMethod {
        ExactToken = "EXACT_TOKEN",
        InstallReferrer = "INSTALL_REFERRER",
        Clipboard = "CLIPBOARD",
        Probabilistic = "PROBABILISTIC",
    }
}

/// What an app knows at its first open.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    pub token: Option<String>,
    pub user_id: Option<String>,
    pub anonymous_id: Option<String>,
    pub device_id: Option<String>,
    pub install_referrer: Option<String>,
    pub clipboard: Option<String>,
    /// The address that the app calls from, and its kind of device (IOS or ANDROID), for a likely match.
    pub ip: Option<IpAddr>,
    pub device: Option<Platform>,
}

/// A link that was claimed.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The claim, the same when it is made again.
    pub id: Uuid,
    pub link: Link,
    pub method: ClaimMethod,
    pub confidence_ppm: i32,
    /// How many links it could have been.
    pub candidate_count: i32,
    /// The click that led to the install, where what the app knows holds it too.
    pub click_id: Option<Uuid>,
    /// When it was first made.
    pub at: DateTime<Utc>,
}

/// Claims the link that the app came through. One claim per link and claimant: making it again gives the first. Call it inside of a
/// transaction: a link of a single use that somebody else has redeemed takes everything back.
pub async fn claim(conn: &mut Conn, scope: &Scope, env: &Env, keyring: &Keyring, input: &Claim) -> Result<Claimed> {
    scope.require(Permission::Ingest)?;
    let names = claimant(input)?;
    let hash = |name: &String| keyring.hash(scope.brand_id, "link claimant", name).to_vec();
    let claimant = names.iter().map(hash).collect::<Vec<Vec<u8>>>();
    let found = match token_of(keyring, input) {
        Some(found) => Some(found),
        None => opened_by_name(conn, scope, input).await?,
    };
    match found {
        Some((token, method)) => certain(conn, scope, env, &claimant, &token, method, click_of(input)).await,
        None => probable(conn, scope, env, keyring, &claimant, input).await,
    }
}

/// An app that was there already is opened with an address in which the link's name may stand in place of its token.
async fn opened_by_name(conn: &mut Conn, scope: &Scope, input: &Claim) -> Result<Option<(String, ClaimMethod)>> {
    let url = input.token.as_deref().and_then(|token| Url::parse(token).ok());
    let segments: Vec<&str> = url.iter().filter_map(Url::path_segments).flatten().collect();
    match segments.as_slice() {
        ["invite" | "r", name] if is_slug(name) => by_name(conn, scope, name).await,
        ["invite" | "r", brand, name] if is_slug(name) => {
            // Behind another brand's slug it is the name of another link.
            let is_own = brands::home(conn, scope).await?.brand_slug == *brand;
            if is_own { by_name(conn, scope, name).await } else { Ok(None) }
        }
        _ => Ok(None),
    }
}

async fn by_name(conn: &mut Conn, scope: &Scope, name: &str) -> Result<Option<(String, ClaimMethod)>> {
    Ok(store::token_of_slug(conn, scope, name).await?.map(|token| (token, ClaimMethod::ExactToken)))
}

async fn certain(
    conn: &mut Conn,
    scope: &Scope,
    env: &Env,
    claimant: &[Vec<u8>],
    token: &str,
    method: ClaimMethod,
    click_id: Option<Uuid>,
) -> Result<Claimed> {
    let link = store::by_token(conn, scope, token).await?;
    let link = link.ok_or_else(|| Error::not_found(&["token"], "There is no such link."))?;
    if link.revoked_at.is_some() {
        return Err(Error::refused(Code::Conflict, &["token"], "This link was revoked."));
    }
    let mut claimed = Claimed {
        id: env.new_id(),
        link,
        method,
        confidence_ppm: CERTAIN_PPM,
        candidate_count: 1,
        click_id,
        at: env.now(),
    };
    let Some(kept) = keep(conn, scope, claimant, &claimed).await? else {
        open(conn, scope, &claimed).await?;
        return Ok(claimed);
    };
    match kept {
        // What was likely is certain now.
        (id, ClaimMethod::Probabilistic, _) => {
            claimed.id = id;
            open(conn, scope, &claimed).await?;
            store::confirm_claim(conn, scope, id, method, claimed.at).await?;
            Ok(claimed)
        }
        (id, method, at) => Ok(Claimed { id, method, at, ..claimed }),
    }
}

/// Whether the link can be claimed by one more.
async fn open(conn: &mut Conn, scope: &Scope, claimed: &Claimed) -> Result<()> {
    if claimed.link.expires_at.is_some_and(|end| end <= claimed.at) {
        return Err(Error::refused(Code::Expired, &["token"], "This link has expired."));
    }
    if claimed.link.is_single_use && !store::redeem(conn, scope, claimed.link.id, claimed.at).await? {
        let message = "This link is for one person, and somebody else has claimed it.";
        return Err(Error::refused(Code::Conflict, &["token"], message));
    }
    Ok(())
}

async fn probable(
    conn: &mut Conn,
    scope: &Scope,
    env: &Env,
    keyring: &Keyring,
    claimant: &[Vec<u8>],
    input: &Claim,
) -> Result<Claimed> {
    let has_text = [&input.token, &input.install_referrer, &input.clipboard].into_iter().any(Option::is_some);
    let is_wanted = brands::settings(conn, scope).await?.is_probabilistic;
    let found = match (input.ip, input.device) {
        (Some(ip), Some(device)) if is_wanted => likely(conn, scope, env, keyring, ip, device).await?,
        _ if !has_text => {
            let message = "Pass at least one of token, installReferrer and clipboard; or, with `probabilisticClaims` of the brand, ip and userAgent.";
            return Err(Error::invalid(&["token"], message));
        }
        _ => None,
    };
    let nothing =
        || Error::not_found(&["token"], "What was passed holds no link token of ours, and no likely link was found.");
    let Likely { link_id, confidence_ppm, candidate_count } = found.ok_or_else(nothing)?;
    let link = store::by_ids(conn, scope, &[link_id]).await?.remove(&link_id).ok_or_else(nothing)?;
    let (id, at) = (env.new_id(), env.now());
    let method = ClaimMethod::Probabilistic;
    let claimed = Claimed { id, link, method, confidence_ppm, candidate_count, click_id: None, at };
    match keep(conn, scope, claimant, &claimed).await? {
        None => Ok(claimed),
        Some((id, ClaimMethod::Probabilistic, at)) => Ok(Claimed { id, at, ..claimed }),
        // It was certain before, and still is.
        Some((id, method, at)) => {
            Ok(Claimed { id, method, at, confidence_ppm: CERTAIN_PPM, candidate_count: 1, ..claimed })
        }
    }
}

/// Keeps a claim, unless the claimant has one on this link already, which is returned. Who has claimed it by another identifier that is
/// passed again, before signing in for instance, is the same person.
async fn keep(conn: &mut Conn, scope: &Scope, claimant: &[Vec<u8>], claimed: &Claimed) -> Result<Option<KeptClaim>> {
    if let Some(kept) = store::claim_of(conn, scope, claimed.link.id, claimant).await? {
        return Ok(Some(kept));
    }
    if insert(conn, scope, claimant, claimed).await? {
        return Ok(None);
    }
    let kept = store::claim_of(conn, scope, claimed.link.id, claimant).await?;
    kept.map(Some).ok_or_else(|| Error::transient("claiming a link", "a claim that was there is gone"))
}

async fn insert(conn: &mut Conn, scope: &Scope, claimant: &[Vec<u8>], claimed: &Claimed) -> Result<bool> {
    let strongest = claimant.first().ok_or_else(|| Error::fault("claiming a link", "nobody claims it"))?;
    let claim = NewClaim {
        id: claimed.id,
        link_id: claimed.link.id,
        claimant_hash: strongest,
        method: claimed.method,
        confidence_ppm: claimed.confidence_ppm,
        candidate_count: claimed.candidate_count,
        claimed_at: claimed.at,
    };
    store::insert_claim(conn, scope, &claim).await
}

/// All that names the claimant, the strongest first.
fn claimant(input: &Claim) -> Result<Vec<String>> {
    let texts = [&input.token, &input.install_referrer, &input.clipboard];
    if texts.into_iter().flatten().any(|text| text.is_empty() || text.len() > TEXT_BYTES_MAX) {
        let message = format!("Pass texts of 1 to {TEXT_BYTES_MAX} bytes, and leave out what you do not know.");
        return Err(Error::invalid(&[], message));
    }
    let ids = [&input.user_id, &input.anonymous_id, &input.device_id];
    let is_id = |text: &String| (1..=EVENT_TEXT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    if !ids.into_iter().flatten().all(is_id) {
        // Else the link would be redeemed, and the open that says by whom could not be used.
        let message = format!(
            "Pass userId, anonymousId and deviceId as 1 to {EVENT_TEXT_BYTES_MAX} bytes without control characters, and leave out what you do not know."
        );
        return Err(Error::invalid(&[], message));
    }
    let named = [("user", &input.user_id), ("anonymous", &input.anonymous_id), ("device", &input.device_id)];
    let names = named.into_iter().filter_map(|(kind, value)| Some(format!("{kind}:{}", value.as_ref()?)));
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        return Err(Error::invalid(&["userId"], "Pass at least one of userId, anonymousId and deviceId."));
    }
    Ok(names)
}

/// The first token of ours, the surest way first.
fn token_of(keyring: &Keyring, input: &Claim) -> Option<(String, ClaimMethod)> {
    let sources = [
        (&input.token, ClaimMethod::ExactToken),
        (&input.install_referrer, ClaimMethod::InstallReferrer),
        (&input.clipboard, ClaimMethod::Clipboard),
    ];
    sources.into_iter().find_map(|(text, method)| Some((find_token(keyring, text.as_ref()?)?, method)))
}

fn click_of(input: &Claim) -> Option<Uuid> {
    [&input.token, &input.install_referrer, &input.clipboard].into_iter().flatten().find_map(|text| find_click(text))
}
