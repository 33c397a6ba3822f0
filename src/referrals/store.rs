//! Members and their places in PostgreSQL, as the pipeline writes them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Enrolment, Seat, Wanted};
use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};
use crate::members::{ALL_HOPS, MemberChange, MemberStatus, attach, change_members, insert_members};

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
    // A look-up per name (`offset 0`), whatever the planner thinks of their number: else it may rather read all members of the brand.
    let rows: Vec<SeatRow> = sql("with named as (
             select m.id from unnest($2::text[]) as w (external_id)
             cross join lateral (select id from members where brand_id = $1 and external_id = w.external_id offset 0) m
             union select unnest($3::uuid[])
             union select m.id from unnest($4::uuid[]) as w (canonical_id)
             cross join lateral (
                 select m.id from people p
                 cross join lateral (select id from members where brand_id = $1 and person_id = p.id offset 0) m
                 where p.brand_id = $1 and p.canonical_id = w.canonical_id offset 0) m)
         select m.* from (select id from named order by id) as named (id)
         cross join lateral (
             select m.id, m.number, m.external_id, m.person_id, p.canonical_id, m.status, m.referrer_id, m.creator_id, m.campaign_id,
                    m.path::text as path, m.depth, m.joined_at, m.signed_up_at, m.activated_at, m.activation_count, m.referee_count,
                    m.pending_referrer_external_id as pending_referrer
             from members m left join people p on p.brand_id = $1 and p.id = m.person_id
             where m.brand_id = $1 and m.id = named.id
             for no key update of m) m")
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
         from up cross join lateral (select referrer_id, creator_id from members where brand_id = $1 and id = up.ancestor_id offset 0) a
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
    let all = uplines(conn, scope, ids, ALL_HOPS).await?;
    for row in all {
        ancestry.entry(row.member_id).or_default().push(row.ancestor_id);
    }
    Ok(ancestry)
}

pub(super) async fn write(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, enrolment: &Enrolment) -> Result<()> {
    insert_members(conn, scope, &enrolment.new_members(), now).await?;
    let changed = enrolment.changed_seats();
    let changes: Vec<MemberChange> = changed.iter().map(|seat| seat.to_change()).collect();
    change_members(conn, scope, &changes, now).await?;
    // A member that was invited before it had a referrer, and may have referees of its own, moves with its whole subtree.
    let found: Vec<(Uuid, Uuid)> =
        changed.iter().filter(|seat| seat.depth == 0).filter_map(|seat| Some((seat.id, seat.referrer_id?))).collect();
    attach(conn, scope, &found, now).await.map(|_| ())
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
