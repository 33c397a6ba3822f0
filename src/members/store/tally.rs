//! The kept sums of downlines: written in the transaction of what changes them, a statement or two per batch.
//! Whoever writes them holds the brand's forest ([`super::lock_forest`]), so that no path changes meanwhile.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Date, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};
use crate::members::tally::{Gain, Sums, Tally, first_day, tally};

/// Adds what happened to members to the sums of those above them.
pub(in crate::members) async fn carry(
    conn: &mut Conn,
    scope: &Scope,
    gains: &[Gain],
    now: DateTime<Utc>,
) -> Result<()> {
    write(conn, scope, &tally(gains, now)).await
}

/// Adds to kept rows. Rows are made where they are missing; what is taken away from a row that is not there was never kept.
pub(super) async fn write(conn: &mut Conn, scope: &Scope, tally: &Tally) -> Result<()> {
    add_degrees(conn, scope, &tally.degrees).await?;
    let (more, less): (Vec<_>, Vec<_>) = tally.days.iter().copied().partition(|(_, change)| *change > 0);
    add_days(conn, scope, &more, &less).await
}

async fn add_degrees(conn: &mut Conn, scope: &Scope, rows: &[((i64, i32), Sums)]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sql("insert into member_downlines as d (brand_id, member_number, degree, member_count, signed_up_count, activated_count, value_minor)
         select $1, n.* from unnest($2::int8[], $3::int4[], $4::int4[], $5::int4[], $6::int4[], $7::int8[]) as n
         on conflict (brand_id, member_number, degree) do update
         set member_count = d.member_count + excluded.member_count, signed_up_count = d.signed_up_count + excluded.signed_up_count,
             activated_count = d.activated_count + excluded.activated_count, value_minor = d.value_minor + excluded.value_minor")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<BigInt>, _>(rows.iter().map(|((number, _), _)| *number).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(rows.iter().map(|((_, degree), _)| *degree).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(rows.iter().map(|(_, sums)| sums.member_count).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(rows.iter().map(|(_, sums)| sums.signed_up_count).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(rows.iter().map(|(_, sums)| sums.activated_count).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(rows.iter().map(|(_, sums)| sums.value_minor).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

type Day = ((i64, NaiveDate), i32);

async fn add_days(conn: &mut Conn, scope: &Scope, more: &[Day], less: &[Day]) -> Result<()> {
    if more.is_empty() && less.is_empty() {
        return Ok(());
    }
    fn split(rows: &[Day]) -> (Vec<i64>, Vec<NaiveDate>, Vec<i32>) {
        let numbers = rows.iter().map(|((number, _), _)| *number).collect();
        let days = rows.iter().map(|((_, day), _)| *day).collect();
        (numbers, days, rows.iter().map(|(_, change)| *change).collect())
    }
    let (more_numbers, more_days, more_counts) = split(more);
    let (less_numbers, less_days, less_counts) = split(less);
    sql("with less as (
             update member_activity_days d set member_count = d.member_count + n.change
             from unnest($5::int8[], $6::date[], $7::int4[]) as n (member_number, active_on, change)
             where d.brand_id = $1 and d.member_number = n.member_number and d.active_on = n.active_on)
         insert into member_activity_days as d (brand_id, member_number, active_on, member_count)
         select $1, n.* from unnest($2::int8[], $3::date[], $4::int4[]) as n
         on conflict (brand_id, member_number, active_on) do update set member_count = d.member_count + excluded.member_count")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<BigInt>, _>(more_numbers)
    .bind::<Array<Date>, _>(more_days)
    .bind::<Array<Integer>, _>(more_counts)
    .bind::<Array<BigInt>, _>(less_numbers)
    .bind::<Array<Date>, _>(less_days)
    .bind::<Array<Integer>, _>(less_counts)
    .execute(conn)
    .await?;
    Ok(())
}

/// A sale of a member, or what was given back of one, in the brand's currency.
#[derive(Clone, Copy, Debug)]
pub struct Sale {
    pub member_id: Uuid,
    /// Below zero for a refund.
    pub value_minor: i64,
    /// When it was bought; a refund is no activity.
    pub bought_at: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct BuyerRow {
    #[diesel(sql_type = Text)]
    path: String,
    #[diesel(sql_type = BigInt)]
    value_minor: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    active_before: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    active_at: Option<DateTime<Utc>>,
}

/// Adds sales to the members and to the downlines that they are part of.
pub async fn record_sales(conn: &mut Conn, scope: &Scope, sales: &[Sale], now: DateTime<Utc>) -> Result<()> {
    let mut members: BTreeMap<Uuid, (i64, Option<DateTime<Utc>>)> = BTreeMap::new();
    for sale in sales {
        let (value_minor, bought_at) = members.entry(sale.member_id).or_default();
        *value_minor = value_minor.saturating_add(sale.value_minor);
        *bought_at = (*bought_at).max(sale.bought_at);
    }
    if members.is_empty() {
        return Ok(());
    }
    let rows: Vec<BuyerRow> = sql("with old as (
             select m.id, m.last_active_at, n.value_minor, n.bought_at
             from unnest($2::uuid[], $3::int8[], $4::timestamptz[]) as n (id, value_minor, bought_at)
             join members m on m.brand_id = $1 and m.id = n.id)
         update members m
         set value_minor = m.value_minor + old.value_minor, last_active_at = greatest(m.last_active_at, old.bought_at)
         from old where m.brand_id = $1 and m.id = old.id
         returning m.path::text as path, old.value_minor, old.last_active_at as active_before, m.last_active_at as active_at")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(members.keys().copied().collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(members.values().map(|(value_minor, _)| *value_minor).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(members.values().map(|(_, bought_at)| *bought_at).collect::<Vec<_>>())
    .load(conn)
    .await?;
    carry(conn, scope, &to_gains(rows), now).await
}

fn to_gains(rows: Vec<BuyerRow>) -> Vec<Gain> {
    let gain = |row: BuyerRow| Gain {
        path: row.path,
        sums: Sums { value_minor: row.value_minor, ..Sums::default() },
        active_before: row.active_before,
        active_at: row.active_at,
    };
    rows.into_iter().map(gain).collect()
}

/// Counts the sales of these members anew, after conversions went from one to another, and carries the difference to the downlines that they are
/// part of. The caller holds the brand's forest.
pub async fn recount_sales(conn: &mut Conn, scope: &Scope, ids: &[Uuid], now: DateTime<Utc>) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let rows: Vec<BuyerRow> = sql("with old as (
             select m.id, m.last_active_at, m.value_minor, s.minor, s.bought_at
             from unnest($2::uuid[]) as n (id)
             join members m on m.brand_id = $1 and m.id = n.id
             cross join lateral (
                 select coalesce(sum(c.amount_minor - c.refunded_minor) filter (where c.currency = $3), 0)::int8 as minor,
                        max(c.occurred_at) as bought_at
                 from conversions c where c.brand_id = $1 and c.member_id = n.id) s)
         update members m
         set value_minor = old.minor, last_active_at = greatest(m.signed_up_at, m.activated_at, old.bought_at)
         from old where m.brand_id = $1 and m.id = old.id
         returning m.path::text as path, old.minor - old.value_minor as value_minor, old.last_active_at as active_before,
                   m.last_active_at as active_at")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Text, _>(scope.currency.to_string())
    .load(conn)
    .await?;
    carry(conn, scope, &to_gains(rows), now).await
}

/// Forgets activity of days that nobody asks for any more.
pub async fn forget_activity(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>) -> Result<()> {
    sql("delete from member_activity_days where brand_id = $1 and active_on < $2")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Date, _>(first_day(now))
        .execute(conn)
        .await?;
    Ok(())
}
