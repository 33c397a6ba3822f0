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
use crate::urls::{is_allowed, is_host_of, normal_host};

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
    /// Hosts of the brand's own under which its links stand.
    pub link_hosts: Vec<String>,
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
    #[serde(default)]
    pub link_hosts: Vec<String>,
    pub link: Link,
}

pub(super) fn cache_name(token: &str) -> String {
    format!("link:{token}")
}

/// Where a link's name stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The host, as the request names it.
    pub host: Option<&'a str>,
    /// The slug of the brand before the name; `None`: the name stands alone.
    pub brand: Option<&'a str>,
    /// The installation's own address.
    pub public_url: &'a str,
}

/// Resolves a name where it stands: a token alone, a name that people can read in its brand, and neither under another brand's host. Redis
/// may be away or empty: that costs a statement or two, nothing else.
pub async fn resolve_at(
    db: &Db,
    kv: &Kv,
    keyring: &Keyring,
    env: &Env,
    place: Place<'_>,
    name: &str,
) -> Result<Resolution> {
    if place.brand.is_none() && check_token(keyring, name) {
        return at_home(db, place, resolve(db, kv, keyring, env, name).await?).await;
    }
    let is_slug = is_slug(name);
    let home = match place.brand {
        None => place.host.and_then(host_of).map(|host| format!("host/{host}")),
        Some(slug) => is_plain(slug).then(|| format!("brand/{slug}")),
    };
    let Some(home) = home.filter(|_| is_slug) else { return Ok(Resolution::Unknown) };
    match token_of(db, kv, &home, name).await? {
        Some(token) => at_home(db, place, resolve(db, kv, keyring, env, &token).await?).await,
        None => Ok(Resolution::Unknown),
    }
}

/// What was found, if it may stand under this host. A brand's name in an address must not lead where the brand never led: so under a host
/// that another brand has named, there is no such link. A host that nobody has named is the operator's.
async fn at_home(db: &Db, place: Place<'_>, found: Resolution) -> Result<Resolution> {
    let Resolution::Found(link) = &found else { return Ok(found) };
    let Some(host) = place.host.and_then(host_of) else { return Ok(found) };
    if link.link_hosts.contains(&host) || is_host_of(place.public_url, &host) {
        return Ok(found);
    }
    let owner = brands::brand_under_host(&mut *db.conn().await?, &host).await?;
    let is_anothers = owner.is_some_and(|brand_id| brand_id != link.scope.brand_id);
    Ok(if is_anothers { Resolution::Unknown } else { found })
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
    let Cached { settings, link_hosts, link, .. } = found;
    Ok(Resolution::Found(Box::new(ResolvedLink { scope, settings, link_hosts, link })))
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
