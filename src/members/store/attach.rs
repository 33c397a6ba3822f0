//! Members that waited for their referrers get them, many at once.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::tally::carry;
use super::{Planted, UPLINE_LEVELS, count_referees, lock_forest, plant};
use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};
use crate::marks;
use crate::members::tally::{Gain, Sums};

#[derive(QueryableByName)]
struct LeafRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    referrer_id: Uuid,
    #[diesel(sql_type = Text)]
    path: String,
    #[diesel(sql_type = Integer)]
    signed_up_count: i32,
    #[diesel(sql_type = Integer)]
    activated_count: i32,
    #[diesel(sql_type = BigInt)]
    value_minor: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_active_at: Option<DateTime<Utc>>,
}

/// Hangs roots below referrers, each `(member, referrer)`, with their subtrees, and returns who was attached. A member inherits the
/// creator and the campaign of its referrer where it has none. Who would close a cycle stays a root and waits no more; who has a
/// referrer already keeps it.
pub async fn attach(conn: &mut Conn, scope: &Scope, pairs: &[(Uuid, Uuid)], now: DateTime<Utc>) -> Result<Vec<Uuid>> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    lock_forest(conn, scope).await?;
    // A referrer that moves itself is in its place only after it has moved.
    let moving: HashSet<Uuid> = pairs.iter().map(|(id, _)| *id).collect();
    let (later, now_possible): (Vec<_>, Vec<_>) =
        pairs.iter().copied().partition(|(_, referrer_id)| moving.contains(referrer_id));
    let mut attached = attach_leaves(conn, scope, &now_possible, now).await?;
    marks::mark_buyers(conn, scope, now, &attached, UPLINE_LEVELS).await?;
    let done: HashSet<Uuid> = attached.iter().copied().collect();
    for (id, referrer_id) in now_possible.into_iter().chain(later).filter(|(id, _)| !done.contains(id)) {
        if attach_branch(conn, scope, id, referrer_id, now).await? {
            attached.push(id);
        }
    }
    Ok(attached)
}

/// Those that nobody stands below: all of them in one statement.
async fn attach_leaves(
    conn: &mut Conn,
    scope: &Scope,
    pairs: &[(Uuid, Uuid)],
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>> {
    let (ids, referrer_ids): (Vec<Uuid>, Vec<Uuid>) = pairs.iter().copied().unzip();
    let rows: Vec<LeafRow> = sql("update members m
         set referrer_id = r.id, depth = r.depth + 1, pending_referrer_external_id = null,
             path = (case when r.depth > 0 and r.depth % 63 = 0 then subpath(r.path, -1) else r.path end) || m.path,
             creator_id = coalesce(m.creator_id, r.creator_id), campaign_id = coalesce(m.campaign_id, r.campaign_id)
         from unnest($2::uuid[], $3::uuid[]) as n (id, referrer_id)
         join members r on r.brand_id = $1 and r.id = n.referrer_id
         where m.brand_id = $1 and m.id = n.id and m.referrer_id is null and m.referee_count = 0 and m.id <> r.id
         returning m.id, m.referrer_id, m.path::text as path, (m.signed_up_at is not null)::int4 as signed_up_count,
                   (m.activated_at is not null)::int4 as activated_count, m.value_minor, m.last_active_at")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<SqlUuid>, _>(referrer_ids)
    .load(conn)
    .await?;
    count_referees(conn, scope, &rows.iter().map(|row| row.referrer_id).collect::<Vec<_>>()).await?;
    let ids = rows.iter().map(|row| row.id).collect();
    let gains: Vec<Gain> = rows
        .into_iter()
        .map(|row| Gain {
            path: row.path,
            sums: Sums {
                member_count: 1,
                signed_up_count: row.signed_up_count,
                activated_count: row.activated_count,
                value_minor: row.value_minor,
            },
            active_before: None,
            active_at: row.last_active_at,
        })
        .collect();
    carry(conn, scope, &gains, now).await?;
    Ok(ids)
}

/// One with a subtree of its own. False where it has a referrer, or would get one that stands below it.
async fn attach_branch(
    conn: &mut Conn,
    scope: &Scope,
    id: Uuid,
    referrer_id: Uuid,
    now: DateTime<Utc>,
) -> Result<bool> {
    let is_root = sql("update members set pending_referrer_external_id = null
         where brand_id = $1 and id = $2 and referrer_id is null")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .execute(conn)
    .await?
        > 0;
    if !is_root || !matches!(plant(conn, scope, id, Some(referrer_id), now).await?, Planted::Moved { .. }) {
        return Ok(false);
    }
    sql("update members m set creator_id = coalesce(m.creator_id, r.creator_id), campaign_id = coalesce(m.campaign_id, r.campaign_id)
         from members r where m.brand_id = $1 and m.id = $2 and r.brand_id = m.brand_id and r.id = m.referrer_id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .execute(conn)
    .await?;
    Ok(true)
}
