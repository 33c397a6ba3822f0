//! Webhook sources: who may post, at which unguessable address, with which secrets. During a rotation two secrets count. It never
//! keeps a secret in clear, and never shows one again.

mod store;

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Origin;
use crate::access::{Keyring, Permission, Scope, brand_scope};
use crate::base::limits::{SECRET_OVERLAP_SECONDS_MAX, WEBHOOK_SOURCES_MAX};
use crate::base::{Code, Cursor, Env, Error, Page, Result, Slice, random_bytes};
use crate::db::Conn;
use crate::platforms::{Scheme, draw_secret, key_of, secret_expected};

const PURPOSE: &str = "webhook secret";

/// A webhook source as the door knows it, with the keys of its secrets.
#[derive(Clone)]
pub struct Source {
    pub id: Uuid,
    pub slug: String,
    pub scheme: Scheme,
    pub scope: Scope,
    pub last_event_at: Option<DateTime<Utc>>,
    /// The version of the platform's format that it last posted in.
    pub schema_version: Option<String>,
    key: Vec<u8>,
    previous: Option<(Vec<u8>, DateTime<Utc>)>,
}

impl fmt::Debug for Source {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("id", &self.id).field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

impl Source {
    /// The origin of what this source posts in a request of this name.
    #[must_use]
    pub fn origin(&self, delivery_id: Option<String>) -> Origin {
        Origin {
            scope: self.scope.clone(),
            source_id: self.id,
            delivery_id,
            names_its_events: self.scheme.names_its_events(),
            is_import: false,
        }
    }

    /// The word that Meta must know before we agree to its posts.
    #[must_use]
    pub fn verify_token(&self, keyring: &Keyring) -> String {
        verify_token(keyring, &self.scope, &self.slug)
    }

    /// The keys that count at this moment, the newest first.
    #[must_use]
    pub fn keys(&self, now: DateTime<Utc>) -> Vec<&[u8]> {
        let previous = self.previous.as_ref().filter(|(_, until)| *until > now).map(|(key, _)| key.as_slice());
        [Some(self.key.as_slice()), previous].into_iter().flatten().collect()
    }
}

/// A webhook source as a brand sees its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceView {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub scheme: Scheme,
    pub created_at: DateTime<Utc>,
    /// When it last posted something authentic, to the minute.
    pub last_event_at: Option<DateTime<Utc>>,
    /// The version of the platform's format that it last posted in.
    pub schema_version: Option<String>,
    /// Until when the secret before the last rotation counts, which may be past.
    pub previous_until: Option<DateTime<Utc>>,
}

impl SourceView {
    /// The source's place in lists, which are oldest first.
    #[must_use]
    pub fn place(&self) -> Cursor {
        Cursor::at(self.created_at, self.id)
    }
}

/// The word that a platform must know before we agree to its posts. It follows from the address, so that a new secret does not change it.
#[must_use]
pub fn verify_token(keyring: &Keyring, scope: &Scope, slug: &str) -> String {
    hex::encode(keyring.hash(scope.brand_id, "verify token", slug))
}

/// What a new source needs.
#[derive(Clone, Debug)]
pub struct NewSource {
    pub name: String,
    pub scheme: Scheme,
    /// The secret that the sender chose; `None` draws one.
    pub secret: Option<String>,
}

/// A rotation of a source's secret.
#[derive(Clone, Debug)]
pub struct Rotation {
    pub source_id: Uuid,
    /// How long the secret before it still counts; 0 ends every earlier secret at once.
    pub overlap_seconds: i64,
    /// The secret that the sender chose; `None` draws one.
    pub secret: Option<String>,
}

/// A source's new secret, still sealed, so that it can be kept as the result of a mutation. [`reveal`] opens it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealedSecret {
    pub source_id: Uuid,
    sealed: String,
}

/// Makes a source at an address of 128 random bits.
pub async fn create_source(
    conn: &mut Conn,
    scope: &Scope,
    env: &Env,
    keyring: &Keyring,
    input: &NewSource,
) -> Result<SealedSecret> {
    scope.require(Permission::Administer)?;
    if input.name.trim().is_empty() || input.name.len() > 100 || input.name.chars().any(char::is_control) {
        let message = "Pass a name of 1 to 100 bytes without control characters that says who posts.";
        return Err(Error::invalid(&["name"], message));
    }
    let sealed = seal(scope, env, keyring, input.scheme, input.secret.as_deref())?;
    let row = store::NewSourceRow {
        id: env.new_id(),
        slug: hex::encode(random_bytes::<16>(&*env.chance)),
        name: &input.name,
        scheme: input.scheme.as_str(),
        secret_sealed: &sealed,
        created_at: env.now(),
    };
    if !store::insert_source(conn, scope, &row, WEBHOOK_SOURCES_MAX).await? {
        let message = format!("A brand has at most {WEBHOOK_SOURCES_MAX} webhook sources.");
        return Err(Error::refused(Code::LimitReached, &[], message));
    }
    Ok(SealedSecret { source_id: row.id, sealed: hex::encode(sealed) })
}

/// Gives a source a new secret; the one before it counts on for the overlap. Call it inside of a transaction. While an earlier secret
/// still counts, a further rotation is a CONFLICT, since it would end that one before its time; only an overlap of 0 does so.
pub async fn rotate_secret(
    conn: &mut Conn,
    scope: &Scope,
    env: &Env,
    keyring: &Keyring,
    input: &Rotation,
) -> Result<SealedSecret> {
    scope.require(Permission::Administer)?;
    if !(0..=SECRET_OVERLAP_SECONDS_MAX).contains(&input.overlap_seconds) {
        let message = format!("Pass an overlap of 0 to {SECRET_OVERLAP_SECONDS_MAX} seconds.");
        return Err(Error::invalid(&["overlapSeconds"], message));
    }
    let (now, has_overlap) = (env.now(), input.overlap_seconds > 0);
    let missing = || Error::not_found(&["sourceId"], "There is no such webhook source.");
    let held = store::lock_source(conn, scope, input.source_id).await?.ok_or_else(missing)?;
    if let Some(until) = held.previous_expires_at.filter(|until| has_overlap && *until > now) {
        let message = format!(
            "The secret before the last rotation counts until {}: wait for that, or pass overlapSeconds 0, which ends every earlier secret at once.",
            until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        );
        return Err(Error::refused(Code::Conflict, &["overlapSeconds"], message));
    }
    let scheme = Scheme::from_column(&held.scheme)?;
    let sealed = seal(scope, env, keyring, scheme, input.secret.as_deref())?;
    let until = now + TimeDelta::seconds(input.overlap_seconds);
    let previous = has_overlap.then_some((held.secret_sealed.as_slice(), until));
    store::replace_secret(conn, scope, input.source_id, &sealed, previous).await?;
    if scheme == Scheme::Youtube {
        // The hub knows the secret only from our last request: it is asked anew within a minute, and not when the lease ends.
        store::end_leases(conn, scope, input.source_id).await?;
    }
    tracing::info!(source.id = %input.source_id, overlap_seconds = input.overlap_seconds, "a webhook secret was rotated");
    Ok(SealedSecret { source_id: input.source_id, sealed: hex::encode(sealed) })
}

/// The secret as people write it down.
pub fn reveal(scope: &Scope, keyring: &Keyring, made: &SealedSecret) -> Result<String> {
    let sealed = hex::decode(&made.sealed).map_err(|error| Error::fault("reading a sealed secret", error))?;
    open(scope.brand_id, keyring, &sealed)
}

/// The brand's sources, the oldest first.
pub async fn source_page(conn: &mut Conn, scope: &Scope, page: &Page) -> Result<Slice<SourceView>> {
    let rows = store::source_page(conn, scope, page).await?;
    Ok(page.slice(rows.into_iter().map(to_view).collect::<Result<_>>()?))
}

/// How many sources the brand has.
pub async fn source_count(conn: &mut Conn, scope: &Scope) -> Result<i64> {
    store::source_count(conn, scope).await
}

/// A source of the brand.
pub async fn source_by_id(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<Option<SourceView>> {
    store::source_by_id(conn, scope, id).await?.map(to_view).transpose()
}

/// The source behind an address, whatever its brand. `None`: there is none, or it is disabled.
pub async fn source_by_slug(conn: &mut Conn, keyring: &Keyring, slug: &str) -> Result<Option<Source>> {
    let Some(row) = store::source_by_slug(conn, slug).await? else { return Ok(None) };
    let scheme = Scheme::from_column(&row.scheme)?;
    let key = |sealed: &[u8]| {
        let key = key_of(scheme, &open(row.brand_id, keyring, sealed)?);
        key.ok_or_else(|| Error::fault("reading a webhook secret", "it is none of its scheme"))
    };
    let previous = row.previous_secret_sealed.as_deref().map(key).transpose()?.zip(row.previous_expires_at);
    let key = key(&row.secret_sealed)?;
    let scope = brand_scope(conn, row.brand_id).await?;
    let (last_event_at, schema_version) = (row.last_event_at, row.schema_version);
    Ok(Some(Source { id: row.id, slug: row.slug, scheme, scope, last_event_at, schema_version, key, previous }))
}

/// Notes that a source has posted something authentic, and in which version of its format.
pub async fn note_event(
    conn: &mut Conn,
    scope: &Scope,
    id: Uuid,
    at: DateTime<Utc>,
    version: Option<&str>,
) -> Result<()> {
    store::note_event(conn, scope, id, at, version).await
}

fn seal(scope: &Scope, env: &Env, keyring: &Keyring, scheme: Scheme, chosen: Option<&str>) -> Result<Vec<u8>> {
    let secret = match chosen {
        Some(secret) if key_of(scheme, secret).is_none() => {
            return Err(Error::invalid(&["secret"], secret_expected(scheme)));
        }
        Some(secret) => secret.to_owned(),
        None => draw_secret(scheme, &*env.chance),
    };
    let sealed = keyring.seal(scope.brand_id, PURPOSE, secret.as_bytes(), &*env.chance);
    sealed.map_err(|error| Error::fault("sealing a webhook secret", error))
}

fn open(brand_id: Uuid, keyring: &Keyring, sealed: &[u8]) -> Result<String> {
    let secret = keyring.open(brand_id, PURPOSE, sealed);
    let secret = secret.map_err(|error| Error::fault("opening a webhook secret", error))?;
    String::from_utf8(secret).map_err(|error| Error::fault("reading a webhook secret", error))
}

fn to_view(row: store::ViewRow) -> Result<SourceView> {
    let (id, slug, name, scheme, created_at, last_event_at, previous_until, schema_version) = row;
    let scheme = Scheme::from_column(&scheme)?;
    Ok(SourceView { id, slug, name, scheme, created_at, last_event_at, schema_version, previous_until })
}
