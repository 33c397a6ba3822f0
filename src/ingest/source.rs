//! Webhook sources: who may post, at which unguessable address, with which secret.

use std::fmt;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::store::{self, SourceRow};
use crate::access::{Keyring, Permission, Scope, brand_scope};
use crate::base::{Env, Error, Result, random_bytes};
use crate::db::Conn;
use crate::platforms::Scheme;

const PURPOSE: &str = "webhook secret";

/// A webhook source with its live secrets, newest first.
#[derive(Clone)]
pub struct Source {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub scheme: Scheme,
    pub scope: Scope,
    pub secrets: Vec<Vec<u8>>,
    pub created_at: DateTime<Utc>,
}

impl fmt::Debug for Source {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("id", &self.id).field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// What a new source needs.
#[derive(Clone, Debug)]
pub struct NewSource {
    pub name: String,
    pub scheme: Scheme,
}

/// Makes a source. Its secret (64 hexadecimal digits, the bytes of that text are the key) is returned this once.
pub async fn create_source(
    conn: &mut Conn,
    scope: &Scope,
    env: &Env,
    keyring: &Keyring,
    input: NewSource,
) -> Result<(Source, String)> {
    scope.require(Permission::Administer)?;
    if input.name.trim().is_empty() || input.name.len() > 100 || input.name.chars().any(char::is_control) {
        let message = "Pass a name of 1 to 100 bytes without control characters that says who posts.";
        return Err(Error::invalid(&["name"], message));
    }
    let secret = hex::encode(random_bytes::<32>(&*env.chance));
    let sealed = keyring.seal(scope.brand_id, PURPOSE, secret.as_bytes(), &*env.chance);
    let row = SourceRow {
        brand_id: scope.brand_id,
        id: env.new_id(),
        slug: hex::encode(random_bytes::<16>(&*env.chance)),
        name: input.name,
        scheme: input.scheme.as_str().to_owned(),
        secret_sealed: sealed.map_err(|error| Error::fault("sealing a webhook secret", error))?,
        created_at: env.now(),
    };
    store::insert_source(conn, &row).await?;
    Ok((to_source(scope.clone(), keyring, row)?, secret))
}

/// The source behind an address, whatever its brand. `None`: there is none, or it is disabled.
pub async fn source_by_slug(conn: &mut Conn, keyring: &Keyring, slug: &str) -> Result<Option<Source>> {
    let Some(row) = store::source_by_slug(conn, slug).await? else { return Ok(None) };
    let scope = brand_scope(conn, row.brand_id).await?;
    to_source(scope, keyring, row).map(Some)
}

fn to_source(scope: Scope, keyring: &Keyring, row: SourceRow) -> Result<Source> {
    let secret = keyring.open(row.brand_id, PURPOSE, &row.secret_sealed);
    let secret = secret.map_err(|error| Error::fault("opening a webhook secret", error))?;
    Ok(Source {
        id: row.id,
        slug: row.slug,
        name: row.name,
        scheme: Scheme::from_column(&row.scheme)?,
        scope,
        secrets: vec![secret],
        created_at: row.created_at,
    })
}
