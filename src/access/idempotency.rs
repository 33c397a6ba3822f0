//! A mutation that is sent twice under one key takes effect once. The key, what was asked and the result are kept in the
//! transaction of the effect itself, so that there is no moment in which one is there without the other.

use scoped_futures::ScopedBoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{Scope, store};
use crate::base::{Code, Env, Error, Result};
use crate::db::Conn;

const KEY_BYTES_MAX: usize = 255;

/// Runs `work` once per brand, operation and key. A replay returns the first result; the same key with another request is
/// IDEMPOTENCY_KEY_REUSED; two at once: the second waits for the first. Without a key, `work` simply runs. Must be called inside
/// of a transaction.
pub async fn once<'a, T, W>(
    conn: &mut Conn,
    scope: &Scope,
    env: &Env,
    operation: &str,
    key: Option<&str>,
    request: &impl Serialize,
    work: W,
) -> Result<T>
where
    W: for<'c> FnOnce(&'c mut Conn) -> ScopedBoxFuture<'a, 'c, Result<T>>,
    T: Serialize + DeserializeOwned,
{
    let Some(key) = key else { return work(conn).await };
    if key.is_empty() || key.len() > KEY_BYTES_MAX || key.chars().any(char::is_control) {
        let message = format!("Pass an idempotency key of 1 to {KEY_BYTES_MAX} bytes without control characters.");
        return Err(Error::invalid(&["idempotencyKey"], message));
    }
    let request = serde_json::to_vec(request).map_err(|error| Error::fault("writing a request", error))?;
    let hash: [u8; 32] = Sha256::digest(&request).into();
    if !store::claim_key(conn, scope, operation, key, &hash, env.now()).await? {
        let (first_hash, result) = store::kept_result(conn, scope, operation, key).await?;
        if first_hash != hash {
            let message = "This key was used before with other arguments: pass a new key, or the same arguments.";
            return Err(Error::refused(Code::IdempotencyKeyReused, &["idempotencyKey"], message));
        }
        return serde_json::from_value(result).map_err(|error| Error::fault("reading a kept result", error));
    }
    let value = work(conn).await?;
    let result = serde_json::to_value(&value).map_err(|error| Error::fault("writing a result", error))?;
    store::keep_result(conn, scope, operation, key, &result).await?;
    Ok(value)
}
