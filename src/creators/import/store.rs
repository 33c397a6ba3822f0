//! Imported creators in PostgreSQL, a set at a time.

use diesel::sql_types::{Array, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;

use super::NewRow;
use crate::access::Scope;
use crate::base::Result;
use crate::creators::CreatorStatus;
use crate::db::{Conn, sql};

/// Inserts the creators whose handles are free and returns how many those were.
pub(super) async fn insert(conn: &mut Conn, scope: &Scope, rows: &[NewRow]) -> Result<usize> {
    let mut rows: Vec<&NewRow> = rows.iter().collect();
    // In key order, so that two imports at once cannot deadlock.
    rows.sort_by(|a, b| a.handle.cmp(&b.handle));
    let count = sql("insert into creators (brand_id, id, handle, display_name, tier, created_at, status)
         select $1, id, handle, display_name, tier, created_at, $7
         from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
              as c (id, handle, display_name, tier, created_at)
         on conflict (brand_id, handle) do nothing")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.handle.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.display_name.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(rows.iter().map(|row| row.tier.as_deref()).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(rows.iter().map(|row| row.created_at).collect::<Vec<_>>())
    .bind::<Text, _>(CreatorStatus::Active.as_str())
    .execute(conn)
    .await?;
    Ok(count)
}
