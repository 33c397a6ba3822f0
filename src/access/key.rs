//! API keys: 256 random bits behind `gv_`, stored as their SHA-256 (they cannot be guessed, so they need no slow hash).

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Permission, Role, Scope, store};
use crate::base::{Env, Error, Result, is_plain, random_bytes};
use crate::db::Conn;

/// How long an answer is kept before the database is asked again; a revoked key works no longer than this.
const CACHE_SECONDS: i64 = 5;
const CACHE_ENTRIES_MAX: usize = 10_000;

/// A key as it is stored.
#[derive(Clone, Debug)]
pub struct ApiKey {
    pub id: Uuid,
    pub name: String,
    pub role: Role,
    pub creator_id: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// What a new key needs. `creator_id` goes with the role `creator`, and only with it.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    pub name: String,
    pub role: Role,
    pub creator_id: Option<Uuid>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Makes a key and returns it with its secret, which is shown this once.
pub async fn create_key(conn: &mut Conn, scope: &Scope, env: &Env, input: NewApiKey) -> Result<(ApiKey, String)> {
    scope.require(Permission::Administer)?;
    if (input.role == Role::Creator) != input.creator_id.is_some() {
        return Err(Error::invalid(&["creatorId"], "Pass a creator for the role creator, and for no other role."));
    }
    if input.name.trim().is_empty() || input.name.len() > 100 || input.name.chars().any(char::is_control) {
        let message = "Pass a name of 1 to 100 bytes without control characters that says who uses the key.";
        return Err(Error::invalid(&["name"], message));
    }
    if input.expires_at.is_some_and(|end| !is_plain(end)) {
        return Err(Error::invalid(&["expiresAt"], "Pass a moment of the years 1 to 9999."));
    }
    let secret = format!("gv_{}", URL_SAFE_NO_PAD.encode(random_bytes::<32>(&*env.chance)));
    let key = ApiKey {
        id: env.new_id(),
        name: input.name,
        role: input.role,
        creator_id: input.creator_id,
        created_at: env.now(),
        expires_at: input.expires_at,
        revoked_at: None,
    };
    store::insert_key(conn, scope, &key, &hash(&secret)).await?;
    Ok((key, secret))
}

/// Revokes a key; revoking twice keeps the first moment. `None`: there is no such key.
pub async fn revoke_key(conn: &mut Conn, scope: &Scope, env: &Env, id: Uuid) -> Result<Option<ApiKey>> {
    scope.require(Permission::Administer)?;
    store::revoke_key(conn, scope, id, env.now()).await
}

/// A key of the brand, live or not.
pub async fn key_by_id(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<Option<ApiKey>> {
    store::key_by_id(conn, scope, id).await
}

/// The scope of a live key. `None` for every other string.
pub async fn authenticate(conn: &mut Conn, env: &Env, secret: &str) -> Result<Option<Scope>> {
    if !secret.starts_with("gv_") || secret.len() > 100 {
        return Ok(None);
    }
    store::scope_of_key(conn, &hash(secret), env.now()).await
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Remembers for a few seconds which key has which scope, so that a busy key does not cost a statement per request.
#[derive(Default)]
pub struct KeyCache(Mutex<HashMap<[u8; 32], Remembered>>);

/// A scope, and until when it is believed.
type Remembered = (Scope, DateTime<Utc>);

impl KeyCache {
    /// The remembered scope, if it is fresh.
    #[must_use]
    pub fn find(&self, secret: &str, now: DateTime<Utc>) -> Option<Scope> {
        let entries = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.get(&hash(secret)).filter(|(_, until)| *until > now).map(|(scope, _)| scope.clone())
    }

    pub fn remember(&self, secret: &str, scope: &Scope, now: DateTime<Utc>) {
        let mut entries = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if entries.len() >= CACHE_ENTRIES_MAX {
            entries.retain(|_, (_, until)| *until > now);
        }
        if entries.len() < CACHE_ENTRIES_MAX {
            entries.insert(hash(secret), (scope.clone(), now + TimeDelta::seconds(CACHE_SECONDS)));
        }
    }

    /// Forgets everything: after a key was revoked in this process.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    }
}
