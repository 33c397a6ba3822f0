//! Who was sent to an app store shortly ago, in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::Result;
use crate::base::limits::{LIKELY_LINKS_MAX, VISITS_PRUNED_MAX};
use crate::creators::Platform;
use crate::db::{Conn, sql};
use crate::links::visits::Visit;

/// Keeps a visit, and deletes some that are older than `since`.
pub async fn insert_visit(conn: &mut Conn, scope: &Scope, id: Uuid, visit: &Visit, since: DateTime<Utc>) -> Result<()> {
    sql("with old as (
             delete from link_visits where brand_id = $1 and id in (
                 select id from link_visits where brand_id = $1 and visited_at < $7 order by visited_at limit $8 for update skip locked))
         insert into link_visits (brand_id, id, link_id, network_hash, device, visited_at) values ($1, $2, $3, $4, $5, $6)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .bind::<SqlUuid, _>(visit.link_id)
    .bind::<Binary, _>(visit.network_hash.as_slice())
    .bind::<Text, _>(visit.device.as_str())
    .bind::<Timestamptz, _>(visit.visited_at)
    .bind::<Timestamptz, _>(since)
    .bind::<BigInt, _>(VISITS_PRUNED_MAX)
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes visits that are older than `since`.
pub async fn delete_visits(conn: &mut Conn, scope: &Scope, since: DateTime<Utc>) -> Result<()> {
    sql("delete from link_visits where brand_id = $1 and visited_at < $2")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Timestamptz, _>(since)
        .execute(conn)
        .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct VisitedRow {
    #[diesel(sql_type = SqlUuid)]
    link_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    visited_at: DateTime<Utc>,
}

/// The links that devices of this kind visited from this network since a moment, each with its latest visit, the latest first.
pub async fn visited_links(
    conn: &mut Conn,
    scope: &Scope,
    network_hash: &[u8],
    device: Platform,
    since: DateTime<Utc>,
) -> Result<Vec<(Uuid, DateTime<Utc>)>> {
    let rows: Vec<VisitedRow> = sql("select link_id, max(visited_at) as visited_at from link_visits
         where brand_id = $1 and network_hash = $2 and device = $3 and visited_at >= $4
         group by link_id order by max(visited_at) desc, link_id limit $5")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Binary, _>(network_hash)
    .bind::<Text, _>(device.as_str())
    .bind::<Timestamptz, _>(since)
    .bind::<BigInt, _>(LIKELY_LINKS_MAX)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.link_id, row.visited_at)).collect())
}
