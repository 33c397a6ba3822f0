//! A member changes its place, with everyone below it: the paths of all, and the sums of those above the old place and the new one.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Date, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::tally::write;
use super::{UPLINE_LEVELS, by_ids, lock_forest};
use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};
use crate::marks;
use crate::members::placement::{above, is_anchor_depth, place};
use crate::members::tally::{Sums, Tally, first_day};
use crate::members::{Member, Placement};

/// What became of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// The member and everyone below it have a new place.
    Moved {
        from_referrer_id: Option<Uuid>,
        member_count: i64,
    },
    /// The member stood there before.
    Unchanged,
    /// The new referrer is the member itself or stands below it.
    Cycle,
    NoMember,
    NoReferrer,
}

#[derive(QueryableByName)]
struct AnswerRow {
    #[diesel(sql_type = Bool)]
    is_so: bool,
}

/// Hangs a member below another one, or makes it a root, with its whole subtree, whatever its size. The caller's transaction holds
/// the brand's forest from here to its end, so that nobody else joins or moves meanwhile.
pub async fn plant(
    conn: &mut Conn,
    scope: &Scope,
    id: Uuid,
    referrer_id: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<Planted> {
    lock_forest(conn, scope).await?;
    let ends: Vec<Uuid> = [Some(id), referrer_id].into_iter().flatten().collect();
    let mut found = by_ids(conn, scope, &ends).await?;
    let referrer = referrer_id.map(|id| found.get(&id).cloned());
    let Some(member) = found.remove(&id) else { return Ok(Planted::NoMember) };
    let referrer = match referrer {
        Some(None) => return Ok(Planted::NoReferrer),
        Some(Some(referrer)) => Some(referrer),
        None => None,
    };
    if member.referrer_id == referrer_id {
        return Ok(Planted::Unchanged);
    }
    if let Some(referrer) = &referrer
        && (referrer.id == id || stands_below(conn, scope, referrer.id, id).await?)
    {
        return Ok(Planted::Cycle);
    }
    let member_count = move_branch(conn, scope, &member, referrer.as_ref(), now).await?;
    marks::mark_buyers(conn, scope, now, &[id], UPLINE_LEVELS).await?;
    Ok(Planted::Moved { from_referrer_id: member.referrer_id, member_count })
}

/// Whether a member stands anywhere below another one. An index look-up per hop.
async fn stands_below(conn: &mut Conn, scope: &Scope, id: Uuid, above_id: Uuid) -> Result<bool> {
    let row: AnswerRow = sql("with recursive up as (
             select referrer_id from members where brand_id = $1 and id = $2
             union all
             select m.referrer_id from up join members m on m.brand_id = $1 and m.id = up.referrer_id
             where up.referrer_id <> $3)
         select exists (select from up where referrer_id = $3) as is_so")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .bind::<SqlUuid, _>(above_id)
    .get_result(conn)
    .await?;
    Ok(row.is_so)
}

async fn move_branch(
    conn: &mut Conn,
    scope: &Scope,
    member: &Member,
    referrer: Option<&Member>,
    now: DateTime<Utc>,
) -> Result<i64> {
    let before = branch(conn, scope, member, member.depth, now).await?;
    take_away(conn, scope, &before.above(&member.path, -1)).await?;

    let new = place(referrer.map(|referrer| (referrer.path.as_str(), referrer.depth)), member.number);
    let had_anchors = has_anchors(conn, scope, member.id).await?;
    let count = rewrite(conn, scope, member.id, referrer.map(|referrer| referrer.id), &new).await?;
    if had_anchors || has_anchors(conn, scope, member.id).await? {
        recount(conn, scope, member.id, now).await?;
    }
    count_referees(conn, scope, member.referrer_id, referrer.map(|referrer| referrer.id)).await?;

    let after = branch(conn, scope, member, new.depth, now).await?;
    write(conn, scope, &after.above(&new.path, 1)).await?;
    Ok(count)
}

/// What a member and those below it add to the sums of everyone above in the same segment.
struct Branch {
    /// By degree below the member, which is 0 itself.
    degrees: Vec<(i32, Sums)>,
    days: BTreeMap<NaiveDate, i32>,
}

impl Branch {
    /// The additions for everyone above this path; `sign` is -1 to take them away.
    fn above(&self, path: &str, sign: i32) -> Tally {
        let mut up: Vec<(i64, i32)> = above(path).collect();
        up.sort_unstable();
        let mut tally = Tally::default();
        for (number, hops) in up {
            tally.degrees.extend(self.degrees.iter().map(|(degree, sums)| ((number, hops + degree), sums.times(sign))));
            tally.days.extend(self.days.iter().map(|(day, count)| ((number, *day), count * sign)));
        }
        tally
    }
}

#[derive(QueryableByName)]
struct DegreeRow {
    #[diesel(sql_type = Integer)]
    degree: i32,
    #[diesel(sql_type = Integer)]
    member_count: i32,
    #[diesel(sql_type = Integer)]
    signed_up_count: i32,
    #[diesel(sql_type = Integer)]
    activated_count: i32,
    #[diesel(sql_type = BigInt)]
    value_minor: i64,
}

#[derive(QueryableByName)]
struct DayRow {
    #[diesel(sql_type = Date)]
    active_on: NaiveDate,
    #[diesel(sql_type = Integer)]
    member_count: i32,
}

/// Reads the branch of a member that stands at this depth. What an anchor keeps is the next segment's, and nobody's above it.
async fn branch(conn: &mut Conn, scope: &Scope, member: &Member, depth: i32, now: DateTime<Utc>) -> Result<Branch> {
    let mut branch = Branch { degrees: vec![(0, member.sums())], days: BTreeMap::new() };
    let first_day = first_day(now);
    if let Some(day) = member.last_active_at.map(|at| at.date_naive()).filter(|day| *day >= first_day) {
        branch.days.insert(day, 1);
    }
    if is_anchor_depth(depth) {
        return Ok(branch);
    }
    let degrees: Vec<DegreeRow> =
        sql("select degree, member_count, signed_up_count, activated_count, value_minor from member_downlines
             where brand_id = $1 and member_number = $2 order by degree")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<BigInt, _>(member.number)
        .load(conn)
        .await?;
    let days: Vec<DayRow> = sql("select active_on, member_count from member_activity_days
             where brand_id = $1 and member_number = $2 and active_on >= $3")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<BigInt, _>(member.number)
    .bind::<Date, _>(first_day)
    .load(conn)
    .await?;
    branch.degrees.extend(degrees.into_iter().map(|row| {
        let DegreeRow { degree, member_count, signed_up_count, activated_count, value_minor } = row;
        (degree, Sums { member_count, signed_up_count, activated_count, value_minor })
    }));
    for row in days {
        *branch.days.entry(row.active_on).or_default() += row.member_count;
    }
    Ok(branch)
}

async fn has_anchors(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<bool> {
    let row: AnswerRow = sql("select exists (
             select from members a
             where a.brand_id = $1 and a.is_anchor and a.path >= m.path and a.path < (m.path::text || '0')::ltree) as is_so
         from members m where m.brand_id = $1 and m.id = $2")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .get_result(conn)
    .await?;
    Ok(row.is_so)
}

/// Gives a member its new referrer and place, and everyone below it theirs; returns how many that are. One statement, so that the
/// checks on depth and referrer hold throughout.
async fn rewrite(
    conn: &mut Conn,
    scope: &Scope,
    id: Uuid,
    referrer_id: Option<Uuid>,
    placement: &Placement,
) -> Result<i64> {
    let count = sql("with recursive branch as (
             select m.id, $4::ltree as path, $5::int4 as depth from members m where m.brand_id = $1 and m.id = $2
             union all
             select m.id, (case when b.depth > 0 and b.depth % 63 = 0 then subpath(b.path, -1) else b.path end) || subpath(m.path, -1),
                    b.depth + 1
             from branch b join members m on m.brand_id = $1 and m.referrer_id = b.id)
         update members m
         set path = b.path, depth = b.depth, referrer_id = case when m.id = $2 then $3 else m.referrer_id end,
             pending_referrer_external_id = case when m.id = $2 then null else m.pending_referrer_external_id end
         from branch b
         where m.brand_id = $1 and m.id = b.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .bind::<Nullable<SqlUuid>, _>(referrer_id)
    .bind::<Text, _>(placement.path.as_str())
    .bind::<Integer, _>(placement.depth)
    .execute(conn)
    .await?;
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Sums that were taken away may leave rows that say nothing.
async fn take_away(conn: &mut Conn, scope: &Scope, tally: &Tally) -> Result<()> {
    if tally.degrees.is_empty() {
        return Ok(());
    }
    let rows = &tally.degrees;
    sql("update member_downlines d
         set member_count = d.member_count + n.member_count, signed_up_count = d.signed_up_count + n.signed_up_count,
             activated_count = d.activated_count + n.activated_count, value_minor = d.value_minor + n.value_minor
         from unnest($2::int8[], $3::int4[], $4::int4[], $5::int4[], $6::int4[], $7::int8[])
              as n (member_number, degree, member_count, signed_up_count, activated_count, value_minor)
         where d.brand_id = $1 and d.member_number = n.member_number and d.degree = n.degree")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<BigInt>, _>(rows.iter().map(|((number, _), _)| *number).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(rows.iter().map(|((_, degree), _)| *degree).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(rows.iter().map(|(_, sums)| sums.member_count).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(rows.iter().map(|(_, sums)| sums.signed_up_count).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(rows.iter().map(|(_, sums)| sums.activated_count).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(rows.iter().map(|(_, sums)| sums.value_minor).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    sql("delete from member_downlines where brand_id = $1 and member_number = any ($2) and member_count = 0")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<BigInt>, _>(rows.iter().map(|((number, _), _)| *number).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    write(conn, scope, &Tally { degrees: Vec::new(), days: tally.days.clone() }).await
}

/// Makes the kept sums of a member and of everyone below it anew, where the move changed which segments they stand in.
async fn recount(conn: &mut Conn, scope: &Scope, id: Uuid, now: DateTime<Utc>) -> Result<()> {
    sql("with recursive branch as (
             select m.id, m.number from members m where m.brand_id = $1 and m.id = $2
             union all
             select m.id, m.number from branch b join members m on m.brand_id = $1 and m.referrer_id = b.id),
         days as (
             delete from member_activity_days d using branch b where d.brand_id = $1 and d.member_number = b.number)
         delete from member_downlines d using branch b where d.brand_id = $1 and d.member_number = b.number")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .execute(conn)
    .await?;
    sql("with recursive branch as (
             select m.id, m.number, m.depth, '{}'::int8[] as above from members m where m.brand_id = $1 and m.id = $2
             union all
             select m.id, m.number, m.depth, case when b.depth > 0 and b.depth % 63 = 0 then array[b.number] else b.above || b.number end
             from branch b join members m on m.brand_id = $1 and m.referrer_id = b.id),
         pairs as materialized (
             select a.number as member_number, (cardinality(b.above) - a.place + 1)::int4 as degree, m.signed_up_at, m.activated_at,
                    m.value_minor, (m.last_active_at at time zone 'UTC')::date as active_on
             from branch b
             cross join lateral unnest(b.above) with ordinality as a (number, place)
             join members m on m.brand_id = $1 and m.id = b.id),
         days as (
             insert into member_activity_days (brand_id, member_number, active_on, member_count)
             select $1, member_number, active_on, count(*) from pairs where active_on >= $3 group by member_number, active_on)
         insert into member_downlines (brand_id, member_number, degree, member_count, signed_up_count, activated_count, value_minor)
         select $1, member_number, degree, count(*), count(signed_up_at), count(activated_at), sum(value_minor)
         from pairs group by member_number, degree")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .bind::<Date, _>(first_day(now))
    .execute(conn)
    .await?;
    Ok(())
}

/// One referee less here, one more there.
async fn count_referees(conn: &mut Conn, scope: &Scope, from: Option<Uuid>, to: Option<Uuid>) -> Result<()> {
    sql("update members set referee_count = referee_count + case when id = $2 then -1 else 1 end
         where brand_id = $1 and id in ($2, $3)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Nullable<SqlUuid>, _>(from)
    .bind::<Nullable<SqlUuid>, _>(to)
    .execute(conn)
    .await?;
    Ok(())
}
