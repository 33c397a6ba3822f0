//! Channels of which YouTube's hub tells a source: the hub asks whether that is meant, and grants a lease for it.

use chrono::{DateTime, TimeDelta, Utc};

use super::store;
use crate::base::Result;
use crate::base::limits::{LEASE_SECONDS_DEFAULT, LEASE_SECONDS_MAX};
use crate::db::Conn;
use crate::ingest::Source;

/// Agrees to hear of a channel until the lease ends, where a creator of the brand has connected it. False: nobody has.
pub async fn grant(
    conn: &mut Conn,
    source: &Source,
    channel_id: &str,
    lease_seconds: Option<u32>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let lease = lease_seconds.unwrap_or(LEASE_SECONDS_DEFAULT).min(LEASE_SECONDS_MAX);
    let expires_at = now + TimeDelta::seconds(i64::from(lease));
    store::grant(conn, &source.scope, source.id, channel_id, expires_at).await
}
