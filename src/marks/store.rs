//! Marks in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, Integer, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};

pub(super) async fn insert(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    hours: Vec<DateTime<Utc>>,
) -> Result<()> {
    sql("insert into report_marks (brand_id, hour_at, marked_at) select $1, hour_at, $2 from unnest($3::timestamptz[]) as h (hour_at)")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Timestamptz, _>(now)
        .bind::<Array<Timestamptz>, _>(hours)
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn insert_of_buyers(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    member_ids: &[Uuid],
    level_count: i32,
) -> Result<()> {
    sql("with recursive below as (
             select id, 1 as level from unnest($3::uuid[]) as m (id)
             union all
             select m.id, below.level + 1 from below join members m on m.brand_id = $1 and m.referrer_id = below.id
             where below.level < $4)
         insert into report_marks (brand_id, hour_at, marked_at)
         select $1, hour_at, $2
         from (select distinct date_trunc('hour', c.occurred_at, 'UTC') as hour_at
               from below join conversions c on c.brand_id = $1 and c.member_id = below.id) hours
         order by hour_at")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(now)
    .bind::<Array<SqlUuid>, _>(member_ids)
    .bind::<Integer, _>(level_count)
    .execute(conn)
    .await?;
    Ok(())
}
