//! Leases of channels in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};

/// Keeps a lease of a channel that is connected. False: it is not.
pub(super) async fn grant(
    conn: &mut Conn,
    scope: &Scope,
    source_id: Uuid,
    channel_id: &str,
    expires_at: DateTime<Utc>,
) -> Result<bool> {
    let count = sql("insert into channel_watches (brand_id, source_id, channel_id, expires_at)
         select $1, $2, external_id, $4 from platform_accounts
         where brand_id = $1 and platform = 'YOUTUBE' and external_id = $3
         on conflict (brand_id, source_id, channel_id) do update set expires_at = excluded.expires_at")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(source_id)
    .bind::<Text, _>(channel_id)
    .bind::<Timestamptz, _>(expires_at)
    .execute(conn)
    .await?;
    Ok(count > 0)
}
