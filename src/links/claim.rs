//! Deferred deep links: the first open after an install exchanges the token for the link. Only a match that is certain is made.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::token::find_token;
use super::{Link, store};
use crate::access::{Keyring, Permission, Scope};
use crate::base::{Code, Env, Error, Result};
use crate::db::Conn;
use crate::text_enum;

const TEXT_BYTES_MAX: usize = 4_096;

text_enum! {
    /// How a claim found its link.
    ClaimMethod { ExactToken = "EXACT_TOKEN", InstallReferrer = "INSTALL_REFERRER", Clipboard = "CLIPBOARD" }
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
}

/// A link that was claimed.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The claim, the same when it is made again.
    pub id: Uuid,
    pub link: Link,
    pub method: ClaimMethod,
    /// When it was first made.
    pub at: DateTime<Utc>,
}

/// Claims the link that the app came through. One claim per link and claimant: making it again gives the first.
pub async fn claim(conn: &mut Conn, scope: &Scope, env: &Env, keyring: &Keyring, input: &Claim) -> Result<Claimed> {
    scope.require(Permission::Ingest)?;
    let claimant = claimant(input)?;
    let (token, method) = token_of(keyring, input)?;
    let link = store::by_token(conn, scope, &token).await?;
    let link = link.ok_or_else(|| Error::not_found(&["token"], "There is no such link."))?;
    if link.revoked_at.is_some() {
        return Err(Error::refused(Code::Conflict, &["token"], "This link was revoked."));
    }
    if link.expires_at.is_some_and(|end| end <= env.now()) {
        return Err(Error::refused(Code::Expired, &["token"], "This link has expired."));
    }
    let hash = keyring.hash(scope.brand_id, "link claimant", &claimant);
    let (id, at) = store::insert_claim(conn, scope, env.new_id(), link.id, &hash, method, env.now()).await?;
    Ok(Claimed { id, link, method, at })
}

/// The strongest identifier names the claimant.
fn claimant(input: &Claim) -> Result<String> {
    let texts = [&input.user_id, &input.anonymous_id, &input.device_id, &input.install_referrer, &input.clipboard];
    if texts.into_iter().flatten().any(|text| text.is_empty() || text.len() > TEXT_BYTES_MAX) {
        let message = format!("Pass texts of 1 to {TEXT_BYTES_MAX} bytes, and leave out what you do not know.");
        return Err(Error::invalid(&[], message));
    }
    let ids = [&input.user_id, &input.anonymous_id, &input.device_id];
    if ids.into_iter().flatten().any(|text| text.chars().any(char::is_control)) {
        return Err(Error::invalid(&[], "Pass userId, anonymousId and deviceId without control characters."));
    }
    let named = [("user", &input.user_id), ("anonymous", &input.anonymous_id), ("device", &input.device_id)];
    let found = named.into_iter().find_map(|(kind, value)| Some(format!("{kind}:{}", value.as_ref()?)));
    found.ok_or_else(|| Error::invalid(&["userId"], "Pass at least one of userId, anonymousId and deviceId."))
}

fn token_of(keyring: &Keyring, input: &Claim) -> Result<(String, ClaimMethod)> {
    let sources = [
        (&input.token, ClaimMethod::ExactToken),
        (&input.install_referrer, ClaimMethod::InstallReferrer),
        (&input.clipboard, ClaimMethod::Clipboard),
    ];
    if sources.iter().all(|(text, _)| text.is_none()) {
        return Err(Error::invalid(&["token"], "Pass at least one of token, installReferrer and clipboard."));
    }
    let found = sources.into_iter().find_map(|(text, method)| Some((find_token(keyring, text.as_ref()?)?, method)));
    found.ok_or_else(|| Error::not_found(&["token"], "What was passed holds no link token of ours."))
}
