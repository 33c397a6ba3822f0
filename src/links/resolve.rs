//! From a token to its link: the check first, then Redis, then PostgreSQL, which is the truth.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::generate::{SLUG_LENGTH_MAX, is_slug};
use super::token::check_token;
use super::{Link, store};
use crate::access::{Keyring, Role, Scope};
use crate::base::{Env, Error, Result};
use crate::brands::{self, BrandSettings};
use crate::db::Db;
use crate::kv::Kv;
use crate::urls::{is_allowed, normal_host};

/// How long Redis may answer for a link: the most that a revocation takes when Redis did not hear of it.
const CACHE_SECONDS: i64 = 300;

/// What a token leads to.
#[derive(Clone, Debug)]
pub enum Resolution {
    Found(Box<ResolvedLink>),
    /// Nobody's token, or a forged one.
    Unknown,
    Expired,
    /// Revoked, or it leads to a host that the brand does not allow any more.
    Revoked,
}

/// A live link and the brand that it belongs to.
#[derive(Clone, Debug)]
pub struct ResolvedLink {
    /// Good for sending events of the brand, nothing else.
    pub scope: Scope,
    pub settings: BrandSettings,
    pub link: Link,
}

/// What Redis keeps.
#[derive(Serialize, Deserialize)]
pub(super) struct Cached {
    pub brand_id: Uuid,
    pub shard: i16,
    pub currency: String,
    /// What the brand has set.
    pub settings: BrandSettings,
    pub link: Link,
}

pub(super) fn cache_name(token: &str) -> String {
    format!("link:{token}")
}

/// Where a link's name stands.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// Alone, behind a host as the request names it.
    Host(Option<&'a str>),
    /// Behind the slug of its brand.
    Brand(&'a str),
}

/// Resolves a name where it stands: a token anywhere, a name that people can read in its brand. Redis may be away or empty: that costs
/// a statement or two, nothing else.
pub async fn resolve_at(
    db: &Db,
    kv: &Kv,
    keyring: &Keyring,
    env: &Env,
    place: Place<'_>,
    name: &str,
) -> Result<Resolution> {
    if matches!(place, Place::Host(_)) && check_token(keyring, name) {
        return resolve(db, kv, keyring, env, name).await;
    }
    let is_slug = is_slug(name);
    let home = match place {
        Place::Host(host) => host.and_then(host_of).map(|host| format!("host/{host}")),
        Place::Brand(slug) => is_plain(slug).then(|| format!("brand/{slug}")),
    };
    let Some(home) = home.filter(|_| is_slug) else { return Ok(Resolution::Unknown) };
    match token_of(db, kv, &home, name).await? {
        Some(token) => resolve(db, kv, keyring, env, &token).await,
        None => Ok(Resolution::Unknown),
    }
}

/// Whether a text can be a brand's slug.
fn is_plain(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= SLUG_LENGTH_MAX && text.bytes().all(is_inner)
}

/// The host of a request without its port.
fn host_of(header: &str) -> Option<String> {
    normal_host(header.rsplit_once(':').map_or(header, |(host, _)| host))
}

/// A name never goes over to another link, so that its token may be remembered; who answers for it stands with the token.
async fn token_of(db: &Db, kv: &Kv, home: &str, slug: &str) -> Result<Option<String>> {
    let name = format!("slug:{home}/{slug}");
    if let Some(token) = kv.get_global(&name).await.ok().flatten() {
        return Ok(Some(token));
    }
    let conn = &mut *db.conn().await?;
    let token = match home.split_once('/') {
        Some(("host", host)) => store::token_under_host(conn, host, slug).await?,
        Some((_, brand)) => store::token_of_brand(conn, brand, slug).await?,
        None => None,
    };
    if let Some(token) = &token
        && let Err(error) = kv.set_global(&name, token, CACHE_SECONDS.cast_unsigned()).await
    {
        tracing::debug!(error = &error as &dyn std::error::Error, "a link's name could not be cached");
    }
    Ok(token)
}

/// Resolves a token of any brand. Redis may be away or empty: that costs a statement, nothing else.
pub async fn resolve(db: &Db, kv: &Kv, keyring: &Keyring, env: &Env, token: &str) -> Result<Resolution> {
    if !check_token(keyring, token) {
        return Ok(Resolution::Unknown);
    }
    let kept = kv.get_global(&cache_name(token)).await.ok().flatten();
    if let Some(cached) = kept.and_then(|text| serde_json::from_str::<Cached>(&text).ok()) {
        return judge(env, cached);
    }
    let conn = &mut *db.conn().await?;
    let Some(mut found) = store::by_token_of_any_brand(conn, token).await? else {
        return Ok(Resolution::Unknown);
    };
    found.settings = brands::settings(conn, &scope_of(&found)?).await?;
    keep(kv, env, &found).await;
    judge(env, found)
}

async fn keep(kv: &Kv, env: &Env, found: &Cached) {
    let left = found.link.expires_at.map_or(CACHE_SECONDS, |end| (end - env.now()).num_seconds());
    let Ok(seconds) = u64::try_from(left.min(CACHE_SECONDS)) else { return };
    // What does not lead on is not kept, so that it leads on again as soon as it may.
    if seconds == 0 || is_closed(found) {
        return;
    }
    let Ok(text) = serde_json::to_string(found) else { return };
    if let Err(error) = kv.set_global(&cache_name(&found.link.token), &text, seconds).await {
        tracing::debug!(error = &error as &dyn std::error::Error, "a link could not be cached");
    }
}

fn is_closed(found: &Cached) -> bool {
    let link = &found.link;
    let mut destinations = [&link.ios_url, &link.android_url].into_iter().flatten().chain([&link.destination_url]);
    link.revoked_at.is_some() || destinations.any(|url| !is_allowed(url, &found.settings.allowed_hosts))
}

fn judge(env: &Env, found: Cached) -> Result<Resolution> {
    if is_closed(&found) {
        return Ok(Resolution::Revoked);
    }
    if found.link.expires_at.is_some_and(|end| end <= env.now()) {
        return Ok(Resolution::Expired);
    }
    let scope = scope_of(&found)?;
    Ok(Resolution::Found(Box::new(ResolvedLink { scope, settings: found.settings, link: found.link })))
}

fn scope_of(found: &Cached) -> Result<Scope> {
    let currency = found.currency.parse().map_err(|error| Error::fault("reading a brand's currency", error))?;
    Ok(Scope {
        brand_id: found.brand_id,
        shard: found.shard,
        currency,
        key_id: None,
        role: Role::Ingest,
        creator_id: None,
    })
}
