//! New members in PostgreSQL, a set at a time.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::tally::carry;
use crate::access::Scope;
use crate::base::{Error, Result};
use crate::db::{Conn, sql};
use crate::members::tally::{Gain, Sums};
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

/// Holds the brand's forest to the end of the transaction: until then nobody else joins it, moves in it or changes its sums. Whoever
/// locks members takes this first, so that two writers cannot deadlock.
pub async fn lock_forest(conn: &mut Conn, scope: &Scope) -> Result<()> {
    next_numbers(conn, scope, 0).await.map(|_| ())
}

/// Inserts members whose referrers are already there or are in the same set, and counts them with their referrers and in the
/// downlines that they join. A taken external id is a fault: look before.
pub async fn insert_members(conn: &mut Conn, scope: &Scope, members: &[NewMember], now: DateTime<Utc>) -> Result<()> {
    if members.is_empty() {
        return Ok(());
    }
    fn all<'a, T>(members: &'a [NewMember], field: impl Fn(&'a NewMember) -> T) -> Vec<T> {
        members.iter().map(field).collect()
    }
    sql("insert into members (brand_id, id, number, external_id, status, referrer_id, creator_id, campaign_id, path, depth,
                              joined_at, signed_up_at, activated_at, activation_count, created_at, person_id,
                              pending_referrer_external_id, last_active_at)
         select $1, id, number, external_id, status, referrer_id, creator_id, campaign_id, path::ltree, depth, joined_at,
                signed_up_at, activated_at, activation_count, $15, person_id, pending_referrer, greatest(signed_up_at, activated_at)
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
    count_referees(conn, scope, &members.iter().filter_map(|member| member.referrer_id).collect::<Vec<_>>()).await?;
    let gains: Vec<Gain> = members.iter().map(NewMember::gain).collect();
    carry(conn, scope, &gains, now).await
}

impl NewMember {
    fn last_active_at(&self) -> Option<DateTime<Utc>> {
        self.signed_up_at.max(self.activated_at)
    }

    /// What it adds to the downlines that it joins.
    fn gain(&self) -> Gain {
        Gain {
            path: self.placement.path.clone(),
            sums: Sums {
                member_count: 1,
                signed_up_count: i32::from(self.signed_up_at.is_some()),
                activated_count: i32::from(self.activated_at.is_some()),
                value_minor: 0,
            },
            active_before: None,
            active_at: self.last_active_at(),
        }
    }
}

/// Adds the new referees to their referrers' counts, in the order of the identifiers so that two batches cannot deadlock.
pub(super) async fn count_referees(conn: &mut Conn, scope: &Scope, referrer_ids: &[Uuid]) -> Result<()> {
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
