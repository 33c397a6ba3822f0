//! Members and their places in PostgreSQL, as the pipeline writes them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Enrolment, Seat, Wanted};
use crate::access::Scope;
use crate::base::Result;
use crate::base::limits::HOPS_MAX;
use crate::db::{Conn, sql};
use crate::members::{MemberStatus, Placement, count_referees, insert_members, open_segments, place};

#[derive(QueryableByName)]
struct SeatRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Nullable<Text>)]
    external_id: Option<String>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    person_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    canonical_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    referrer_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    creator_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    campaign_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    path: String,
    #[diesel(sql_type = Integer)]
    depth: i32,
    #[diesel(sql_type = Timestamptz)]
    joined_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    signed_up_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    activated_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Integer)]
    activation_count: i32,
    #[diesel(sql_type = Integer)]
    referee_count: i32,
    #[diesel(sql_type = Nullable<Text>)]
    pending_referrer: Option<String>,
}

/// The members that a batch names, by external id, by id or by person, locked so that no other door changes them meanwhile.
pub(super) async fn load(conn: &mut Conn, scope: &Scope, wanted: &Wanted) -> Result<Vec<Seat>> {
    let rows: Vec<SeatRow> = sql("with named as (
             select id from members where brand_id = $1 and external_id = any ($2)
             union select id from members where brand_id = $1 and id = any ($3)
             union select m.id from people p join members m on m.brand_id = p.brand_id and m.person_id = p.id
                   where p.brand_id = $1 and p.canonical_id = any ($4))
         select m.id, m.number, m.external_id, m.person_id, p.canonical_id, m.status, m.referrer_id, m.creator_id, m.campaign_id,
                m.path::text as path, m.depth, m.joined_at, m.signed_up_at, m.activated_at, m.activation_count, m.referee_count,
                m.pending_referrer_external_id as pending_referrer
         from members m left join people p on p.brand_id = m.brand_id and p.id = m.person_id
         where m.brand_id = $1 and m.id in (select id from named)
         order by m.id
         for no key update of m")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(&wanted.external_ids)
    .bind::<Array<SqlUuid>, _>(&wanted.ids)
    .bind::<Array<SqlUuid>, _>(&wanted.canonical_ids)
    .load(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Seat {
                id: row.id,
                number: row.number,
                external_id: row.external_id,
                person_id: row.person_id,
                canonical_person_id: row.canonical_id,
                status: MemberStatus::from_column(&row.status)?,
                referrer_id: row.referrer_id,
                creator_id: row.creator_id,
                campaign_id: row.campaign_id,
                path: row.path,
                depth: row.depth,
                joined_at: row.joined_at,
                signed_up_at: row.signed_up_at,
                activated_at: row.activated_at,
                activation_count: row.activation_count,
                referee_count: row.referee_count,
                pending_referrer: row.pending_referrer,
            })
        })
        .collect()
}

/// An ancestor of a member.
#[derive(Clone, Copy, Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct Upline {
    #[diesel(sql_type = SqlUuid)]
    pub member_id: Uuid,
    /// 1 is the direct referrer.
    #[diesel(sql_type = Integer)]
    pub degree: i32,
    #[diesel(sql_type = SqlUuid)]
    pub ancestor_id: Uuid,
    /// Whether the ancestor is the root of the tree.
    #[diesel(sql_type = diesel::sql_types::Bool)]
    pub is_root: bool,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub creator_id: Option<Uuid>,
}

/// The ancestors of each member up to `degrees` hops, nearest first. One statement, an index look-up per hop.
pub async fn uplines(conn: &mut Conn, scope: &Scope, ids: &[Uuid], degrees: i32) -> Result<Vec<Upline>> {
    if ids.is_empty() || degrees < 1 {
        return Ok(Vec::new());
    }
    let rows = sql("with recursive up as (
             select m.id as member_id, 1 as degree, m.referrer_id as ancestor_id
             from members m where m.brand_id = $1 and m.id = any ($2) and m.referrer_id is not null
             union all
             select up.member_id, up.degree + 1, a.referrer_id
             from up join members a on a.brand_id = $1 and a.id = up.ancestor_id
             where a.referrer_id is not null and up.degree < $3)
         select up.member_id, up.degree, up.ancestor_id, a.referrer_id is null as is_root, a.creator_id
         from up join members a on a.brand_id = $1 and a.id = up.ancestor_id
         order by up.member_id, up.degree")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Integer, _>(degrees)
    .load(conn)
    .await?;
    Ok(rows)
}

#[derive(QueryableByName)]
struct RootRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    creator_id: Uuid,
}

/// The creators of those of these members who are the roots of their trees.
pub async fn creators_of_roots(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Uuid>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<RootRow> = sql("select id, creator_id from members
         where brand_id = $1 and id = any ($2) and referrer_id is null and creator_id is not null")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.creator_id)).collect())
}

/// All ancestors of each member, nearest first.
pub(super) async fn ancestry(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<Uuid>>> {
    let mut ancestry: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    let all = uplines(conn, scope, ids, HOPS_MAX * 1_000).await?;
    for row in all {
        ancestry.entry(row.member_id).or_default().push(row.ancestor_id);
    }
    Ok(ancestry)
}

pub(super) async fn write(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, enrolment: &Enrolment) -> Result<()> {
    insert_members(conn, scope, &enrolment.new_members(), now).await?;
    let changed = enrolment.changed_seats();
    update_changed(conn, scope, &changed).await?;
    // A member that was invited before it had a referrer, and may have referees of its own, moves with its whole subtree.
    for seat in changed {
        if seat.referrer_id.is_some() && seat.depth == 0 {
            replant(conn, scope, seat.id).await?;
        }
    }
    Ok(())
}

async fn update_changed(conn: &mut Conn, scope: &Scope, seats: &[&Seat]) -> Result<()> {
    if seats.is_empty() {
        return Ok(());
    }
    sql("update members m
         set person_id = n.person_id, status = n.status, creator_id = n.creator_id, campaign_id = n.campaign_id, joined_at = n.joined_at,
             signed_up_at = n.signed_up_at, activated_at = n.activated_at, activation_count = n.activation_count,
             pending_referrer_external_id = n.pending_referrer
         from unnest($2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[],
                     $10::int4[], $11::text[])
              as n (id, person_id, status, creator_id, campaign_id, joined_at, signed_up_at, activated_at, activation_count, pending_referrer)
         where m.brand_id = $1 and m.id = n.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(seats.iter().map(|seat| seat.id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(seats.iter().map(|seat| seat.person_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(seats.iter().map(|seat| seat.status.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(seats.iter().map(|seat| seat.creator_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(seats.iter().map(|seat| seat.campaign_id).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(seats.iter().map(|seat| seat.joined_at).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(seats.iter().map(|seat| seat.signed_up_at).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(seats.iter().map(|seat| seat.activated_at).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(seats.iter().map(|seat| seat.activation_count).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(seats.iter().map(|seat| seat.pending_referrer.as_deref()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    // Only a root can get a referrer here; the check on depth and referrer holds at every statement, so both change in `replant`.
    for seat in seats.iter().filter(|seat| seat.referrer_id.is_some() && seat.depth == 0) {
        set_referrer(conn, scope, seat.id, seat.referrer_id).await?;
    }
    Ok(())
}

/// Gives a root its referrer, at depth 1 until `replant` finds the true place.
async fn set_referrer(conn: &mut Conn, scope: &Scope, id: Uuid, referrer_id: Option<Uuid>) -> Result<()> {
    sql("update members set referrer_id = $3, depth = 1, pending_referrer_external_id = null where brand_id = $1 and id = $2")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(id)
        .bind::<Nullable<SqlUuid>, _>(referrer_id)
        .execute(conn)
        .await?;
    count_referees(conn, scope, &referrer_id.into_iter().collect::<Vec<_>>()).await
}

#[derive(QueryableByName)]
struct WaitingRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    external_id: String,
}

/// Members that wait for one of these external ids to appear.
pub(super) async fn waiting_for(
    conn: &mut Conn,
    scope: &Scope,
    external_ids: &[String],
) -> Result<Vec<(Uuid, String)>> {
    if external_ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<WaitingRow> = sql("select id, pending_referrer_external_id as external_id from members
         where brand_id = $1 and pending_referrer_external_id = any ($2) and referrer_id is null order by id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(external_ids)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.external_id)).collect())
}

/// Hangs a root below its referrer, with its whole subtree. False, and nothing done, where that would close a cycle.
pub(super) async fn attach(conn: &mut Conn, scope: &Scope, id: Uuid, referrer_id: Uuid) -> Result<bool> {
    let above = uplines(conn, scope, &[referrer_id], HOPS_MAX * 1_000).await?;
    let closes_cycle = id == referrer_id || above.iter().any(|row| row.ancestor_id == id);
    if closes_cycle {
        sql("update members set pending_referrer_external_id = null where brand_id = $1 and id = $2")
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<SqlUuid, _>(id)
            .execute(conn)
            .await?;
        return Ok(false);
    }
    set_referrer(conn, scope, id, Some(referrer_id)).await?;
    // What the invitation says is inherited, as by a sign-up that comes in order.
    sql("update members m set creator_id = coalesce(m.creator_id, r.creator_id), campaign_id = coalesce(m.campaign_id, r.campaign_id)
         from members r where m.brand_id = $1 and m.id = $2 and r.brand_id = m.brand_id and r.id = m.referrer_id")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(id)
        .execute(conn)
        .await?;
    replant(conn, scope, id).await?;
    Ok(true)
}

#[derive(QueryableByName)]
struct BranchRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = SqlUuid)]
    referrer_id: Uuid,
    #[diesel(sql_type = Text)]
    parent_path: String,
    #[diesel(sql_type = Integer)]
    parent_depth: i32,
    #[diesel(sql_type = SmallInt)]
    is_top: i16,
}

/// Finds the places of a member and of everybody below it anew, after its referrer changed.
async fn replant(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<()> {
    let branch: Vec<BranchRow> = sql("with recursive branch as (
             select m.id, m.number, m.referrer_id, 0 as level from members m where m.brand_id = $1 and m.id = $2
             union all
             select m.id, m.number, m.referrer_id, branch.level + 1
             from branch join members m on m.brand_id = $1 and m.referrer_id = branch.id)
         select b.id, b.number, b.referrer_id, p.path::text as parent_path, p.depth as parent_depth,
                (b.level = 0)::int::int2 as is_top
         from branch b join members p on p.brand_id = $1 and p.id = b.referrer_id
         order by b.level, b.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .load(conn)
    .await?;
    let mut placed: HashMap<Uuid, Placement> = HashMap::new();
    let mut rows: Vec<(Uuid, Placement)> = Vec::with_capacity(branch.len());
    for row in branch {
        let fresh = placed.get(&row.referrer_id).map(|parent| (parent.path.as_str(), parent.depth));
        let parent = if row.is_top == 1 {
            (row.parent_path.as_str(), row.parent_depth)
        } else {
            fresh.unwrap_or((&row.parent_path, row.parent_depth))
        };
        let placement = place(Some(parent), row.number);
        placed.insert(row.id, placement.clone());
        rows.push((row.id, placement));
    }
    let ids: Vec<Uuid> = rows.iter().map(|(id, _)| *id).collect();
    sql("delete from member_segments where brand_id = $1 and root_member_id = any ($2)")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<SqlUuid>, _>(&ids)
        .execute(conn)
        .await?;
    sql("update members m set path = n.path::ltree, depth = n.depth
         from unnest($2::uuid[], $3::text[], $4::int4[]) as n (id, path, depth)
         where m.brand_id = $1 and m.id = n.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(&ids)
    .bind::<Array<Text>, _>(rows.iter().map(|(_, placement)| placement.path.as_str()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(rows.iter().map(|(_, placement)| placement.depth).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    open_segments(conn, scope, rows.iter().map(|(id, placement)| (*id, placement))).await
}
