//! New members in PostgreSQL, a set at a time.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::{Error, Result};
use crate::db::{Conn, sql};
use crate::members::{MemberStatus, Placement};

/// A member with its place in the forest, found by [`crate::members::place`].
#[derive(Clone, Debug)]
pub struct NewMember {
    pub id: Uuid,
    pub number: i64,
    pub external_id: Option<String>,
    pub person_id: Option<Uuid>,
    pub status: MemberStatus,
    pub referrer_id: Option<Uuid>,
    pub creator_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    pub placement: Placement,
    pub joined_at: DateTime<Utc>,
    pub signed_up_at: Option<DateTime<Utc>>,
    pub activated_at: Option<DateTime<Utc>>,
    pub activation_count: i32,
    /// The referrer as its sign-up named it, where that one has not been seen yet.
    pub pending_referrer: Option<String>,
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct CounterRow {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

/// Takes the next `count` member numbers of the brand and returns the first. The counter stays locked to the end of the transaction.
pub async fn next_numbers(conn: &mut Conn, scope: &Scope, count: usize) -> Result<i64> {
    let count = i64::try_from(count).map_err(|error| Error::fault("numbering members", error))?;
    let row: CounterRow =
        sql("update brand_counters set value = value + $2 where brand_id = $1 and name = 'members' returning value")
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<BigInt, _>(count)
            .get_result(conn)
            .await?;
    Ok(row.value - count + 1)
}

/// Inserts members whose referrers are already there or are in the same set, opens their segments and counts them with their
/// referrers. A taken external id is a fault: look before.
pub async fn insert_members(conn: &mut Conn, scope: &Scope, members: &[NewMember], now: DateTime<Utc>) -> Result<()> {
    if members.is_empty() {
        return Ok(());
    }
    fn all<'a, T>(members: &'a [NewMember], field: impl Fn(&'a NewMember) -> T) -> Vec<T> {
        members.iter().map(field).collect()
    }
    sql("insert into members (brand_id, id, number, external_id, status, referrer_id, creator_id, campaign_id, path, depth,
                              joined_at, signed_up_at, activated_at, activation_count, created_at, person_id,
                              pending_referrer_external_id)
         select $1, id, number, external_id, status, referrer_id, creator_id, campaign_id, path::ltree, depth, joined_at,
                signed_up_at, activated_at, activation_count, $15, person_id, pending_referrer
         from unnest($2::uuid[], $3::int8[], $4::text[], $5::text[], $6::uuid[], $7::uuid[], $8::uuid[], $9::text[], $10::int4[],
                     $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::int4[], $16::uuid[], $17::text[])
              as m (id, number, external_id, status, referrer_id, creator_id, campaign_id, path, depth, joined_at, signed_up_at,
                    activated_at, activation_count, person_id, pending_referrer)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(all(members, |m| m.id))
    .bind::<Array<BigInt>, _>(all(members, |m| m.number))
    .bind::<Array<Nullable<Text>>, _>(all(members, |m| m.external_id.as_deref()))
    .bind::<Array<Text>, _>(all(members, |m| m.status.as_str()))
    .bind::<Array<Nullable<SqlUuid>>, _>(all(members, |m| m.referrer_id))
    .bind::<Array<Nullable<SqlUuid>>, _>(all(members, |m| m.creator_id))
    .bind::<Array<Nullable<SqlUuid>>, _>(all(members, |m| m.campaign_id))
    .bind::<Array<Text>, _>(all(members, |m| m.placement.path.as_str()))
    .bind::<Array<Integer>, _>(all(members, |m| m.placement.depth))
    .bind::<Array<Timestamptz>, _>(all(members, |m| m.joined_at))
    .bind::<Array<Nullable<Timestamptz>>, _>(all(members, |m| m.signed_up_at))
    .bind::<Array<Nullable<Timestamptz>>, _>(all(members, |m| m.activated_at))
    .bind::<Array<Integer>, _>(all(members, |m| m.activation_count))
    .bind::<Timestamptz, _>(now)
    .bind::<Array<Nullable<SqlUuid>>, _>(all(members, |m| m.person_id))
    .bind::<Array<Nullable<Text>>, _>(all(members, |m| m.pending_referrer.as_deref()))
    .execute(conn)
    .await?;
    open_segments(conn, scope, members.iter().map(|member| (member.id, &member.placement))).await?;
    count_referees(conn, scope, &members.iter().filter_map(|member| member.referrer_id).collect::<Vec<_>>()).await
}

/// Keeps the path of the referrer for every placement that opens a segment.
pub async fn open_segments<'a>(
    conn: &mut Conn,
    scope: &Scope,
    placements: impl Iterator<Item = (Uuid, &'a Placement)>,
) -> Result<()> {
    let opened = placements.filter_map(|(id, placement)| Some((id, placement.segment_parent_path.as_deref()?)));
    let (ids, paths): (Vec<Uuid>, Vec<&str>) = opened.unzip();
    if ids.is_empty() {
        return Ok(());
    }
    sql("insert into member_segments (brand_id, root_member_id, parent_path)
         select $1, id, path::ltree from unnest($2::uuid[], $3::text[]) as s (id, path)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Text>, _>(paths)
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds the new referees to their referrers' counts, in the order of the identifiers so that two batches cannot deadlock.
pub async fn count_referees(conn: &mut Conn, scope: &Scope, referrer_ids: &[Uuid]) -> Result<()> {
    if referrer_ids.is_empty() {
        return Ok(());
    }
    sql("with new as (select id, count(*)::int4 as count from unnest($2::uuid[]) as r (id) group by id),
              locked as (select m.id from members m where m.brand_id = $1 and m.id in (select id from new)
                         order by m.id for no key update)
         update members m set referee_count = m.referee_count + new.count
         from new join locked on locked.id = new.id
         where m.brand_id = $1 and m.id = new.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(referrer_ids)
    .execute(conn)
    .await?;
    Ok(())
}
