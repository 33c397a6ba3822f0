//! Kept sums in PostgreSQL as the worker writes them: which hours are due, what is there to count in them, and how days follow from hours.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use uuid::Uuid;

use super::rules::{GroupSums, Sums};
use crate::access::Scope;
use crate::attribution::report::dimension::Dimension;
use crate::attribution::report::rules::Total;
use crate::base::limits::REPORT_MARKS_PER_HOUR_MAX;
use crate::base::{Error, Result};
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct TurnRow {
    #[diesel(sql_type = Bool)]
    is_free: bool,
}

/// One snapshot for the whole transaction, and the brand's sums for this worker alone until its end; false where another one has them. Call it
/// first in a transaction.
pub(super) async fn take_turn(conn: &mut Conn, scope: &Scope) -> Result<bool> {
    conn.batch_execute("set transaction isolation level repeatable read").await?;
    let row: TurnRow = sql("select pg_try_advisory_xact_lock(hashtextextended($1::text, 7203817)) as is_free")
        .bind::<SqlUuid, _>(scope.brand_id)
        .get_result(conn)
        .await?;
    Ok(row.is_free)
}

/// Leaves the newest mark of each hour with many: while one stands, the hour is not answered from its sums.
pub(super) async fn thin_marks(conn: &mut Conn, scope: &Scope) -> Result<()> {
    sql("delete from report_marks m
         using (select hour_at, max(id) as newest from report_marks where brand_id = $1 group by hour_at having count(*) > $2) many
         where m.brand_id = $1 and m.hour_at = many.hour_at and m.id < many.newest")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<BigInt, _>(REPORT_MARKS_PER_HOUR_MAX)
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct HourRow {
    #[diesel(sql_type = Timestamptz)]
    hour_at: DateTime<Utc>,
}

/// The hours of the oldest day that has any whose sums are due: those whose marks are all of `quiet_since` or before, and those whose policies are
/// no longer in force.
pub(super) async fn due_hours(
    conn: &mut Conn,
    scope: &Scope,
    quiet_since: DateTime<Utc>,
    lookback_hours: i32,
) -> Result<Vec<DateTime<Utc>>> {
    let rows: Vec<HourRow> = sql("with due as materialized (
             select hour_at from report_marks where brand_id = $1 group by hour_at having max(marked_at) <= $2
             union
             select starts_at from report_spans where brand_id = $1 and span = 'HOUR' and lookback_hours < $3
             union
             select p.starts_at from report_policies p
             join campaigns c on c.brand_id = p.brand_id and c.id = p.campaign_id and c.policy_version <> p.policy_version
             where p.brand_id = $1 and p.span = 'HOUR')
         select hour_at from due
         where date_trunc('day', hour_at, 'UTC') = (select min(date_trunc('day', hour_at, 'UTC')) from due)
         order by hour_at")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(quiet_since)
    .bind::<Integer, _>(lookback_hours)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.hour_at).collect())
}

#[derive(QueryableByName)]
struct TouchRow {
    #[diesel(sql_type = Text)]
    dimension: String,
    #[diesel(sql_type = SqlUuid)]
    campaign_id: Uuid,
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = BigInt)]
    touch_count: i64,
    #[diesel(sql_type = BigInt)]
    click_count: i64,
}

/// Adds the touches of an hour, those that a report counts.
pub(super) async fn add_touches(conn: &mut Conn, scope: &Scope, hour: DateTime<Utc>, sums: &mut Sums) -> Result<()> {
    // First by all that a touch has, then by each of it: so that not every touch is taken six times.
    let rows: Vec<TouchRow> = sql("with touched as (
             select t.campaign_id, t.creator_id, t.platform, t.sub_id, t.channel, count(*) as touch_count,
                    count(*) filter (where t.kind = 'CLICK' and t.decision <> 'BLOCK') as click_count
             from campaigns k
             join touchpoints t on t.brand_id = k.brand_id and t.campaign_id = k.id and t.occurred_at >= $2
                                   and t.occurred_at < $2 + interval '1 hour'
             where k.brand_id = $1 and t.kind not in ('ACTIVATION', 'CONVERSION')
                   and (t.creator_id is not null or t.referrer_id is not null)
             group by 1, 2, 3, 4, 5)
         select d.dimension, t.campaign_id, d.key, sum(t.touch_count)::int8 as touch_count, sum(t.click_count)::int8 as click_count
         from touched t
         cross join lateral (values
             ('CREATOR', coalesce(t.creator_id::text, '')), ('CAMPAIGN', t.campaign_id::text), ('PLATFORM', t.platform),
             ('SUB_ID', coalesce(t.sub_id, '')), ('CHANNEL', coalesce(t.channel, '')), ('DAY', '')) as d (dimension, key)
         group by 1, 2, 3")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(hour)
    .load(conn)
    .await?;
    for row in rows {
        let dimension = Dimension::from_column(&row.dimension)?;
        let group = sums.groups.entry((hour, dimension, row.campaign_id, String::new(), row.key)).or_default();
        (group.touch_count, group.click_count) = (row.touch_count, row.click_count);
    }
    Ok(())
}

#[derive(QueryableByName)]
struct CostRow {
    #[diesel(sql_type = Text)]
    dimension: String,
    #[diesel(sql_type = SqlUuid)]
    campaign_id: Uuid,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = BigInt)]
    reward_count: i64,
    #[diesel(sql_type = Text)]
    cost_minor: String,
}

/// Adds what the rewards of an hour cost, where a reward has a group.
pub(super) async fn add_costs(conn: &mut Conn, scope: &Scope, hour: DateTime<Utc>, sums: &mut Sums) -> Result<()> {
    let rows: Vec<CostRow> = sql("select d.dimension, r.campaign_id, r.currency, d.key, count(*) as reward_count,
                sum(r.amount_minor - r.reversed_minor)::text as cost_minor
         from rewards r
         cross join lateral (values
             ('CREATOR', coalesce(r.beneficiary_creator_id::text, '')), ('CAMPAIGN', r.campaign_id::text), ('DAY', '')) as d (dimension, key)
         where r.brand_id = $1 and r.triggered_at >= $2 and r.triggered_at < $2 + interval '1 hour'
               and r.kind in ('CREDIT', 'COMMISSION') and r.state <> 'REJECTED'
         group by 1, 2, 3, 4")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(hour)
    .load(conn)
    .await?;
    for row in rows {
        let dimension = Dimension::from_column(&row.dimension)?;
        let group = sums.groups.entry((hour, dimension, row.campaign_id, row.currency, row.key)).or_default();
        (group.reward_count, group.cost_minor) = (row.reward_count, to_sum(&row.cost_minor)?);
    }
    Ok(())
}

/// A sum that has no bound, and travels as text.
pub(super) fn to_sum(text: &str) -> Result<u128> {
    text.parse().map_err(|error| Error::fault("reading a sum", error))
}

/// Takes the marks off that this snapshot sees on the hours, and forgets what was kept of them and of their day.
pub(super) async fn clear(conn: &mut Conn, scope: &Scope, day: DateTime<Utc>, hours: &[DateTime<Utc>]) -> Result<()> {
    sql("delete from report_marks where brand_id = $1 and hour_at = any ($2)")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<Timestamptz>, _>(hours)
        .execute(conn)
        .await?;
    sql("delete from report_spans
         where brand_id = $1 and (span = 'HOUR' and starts_at = any ($2) or span = 'DAY' and starts_at = $3)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Timestamptz>, _>(hours)
    .bind::<Timestamptz, _>(day)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the sums of these hours.
pub(super) async fn insert(
    conn: &mut Conn,
    scope: &Scope,
    hours: &[DateTime<Utc>],
    lookback_hours: i32,
    sums: &Sums,
) -> Result<()> {
    let lookbacks = hours.iter().map(|hour| sums.open_hours.contains(hour).then_some(lookback_hours));
    sql("insert into report_spans (brand_id, span, starts_at, lookback_hours)
         select $1, 'HOUR', starts_at, lookback_hours from unnest($2::timestamptz[], $3::int4[]) as s (starts_at, lookback_hours)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Timestamptz>, _>(hours)
    .bind::<Array<Nullable<Integer>>, _>(lookbacks.collect::<Vec<_>>())
    .execute(conn)
    .await?;
    sql("insert into report_policies (brand_id, span, starts_at, campaign_id, policy_version)
         select $1, 'HOUR', starts_at, campaign_id, policy_version
         from unnest($2::timestamptz[], $3::uuid[], $4::int4[]) as p (starts_at, campaign_id, policy_version)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Timestamptz>, _>(sums.policies.keys().map(|key| key.0).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(sums.policies.keys().map(|key| key.1).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(sums.policies.values().copied().collect::<Vec<_>>())
    .execute(conn)
    .await?;
    insert_groups(conn, scope, sums).await?;
    insert_wholes(conn, scope, sums).await?;
    insert_uplines(conn, scope, sums).await
}

/// One figure of each model, as a statement takes them apart again.
fn listed(group: &GroupSums, figure: fn(&Total) -> u128) -> String {
    group.credit.0.iter().map(|total| figure(total).to_string()).collect::<Vec<_>>().join(",")
}

async fn insert_groups(conn: &mut Conn, scope: &Scope, sums: &Sums) -> Result<()> {
    let (keys, groups) = (|| sums.groups.keys(), || sums.groups.values());
    sql("insert into report_sums (brand_id, span, starts_at, dimension, campaign_id, currency, key, touch_count, click_count, reward_count, cost_minor,
                                  first_touch_units, first_touch_minor, last_touch_units, last_touch_minor, linear_units, linear_minor,
                                  time_decay_units, time_decay_minor, position_based_units, position_based_minor,
                                  weighted_last_touch_units, weighted_last_touch_minor)
         select $1, 'HOUR', starts_at, dimension, campaign_id, currency, key, touch_count, click_count, reward_count, cost_minor::numeric,
                n.units[1], n.minors[1], n.units[2], n.minors[2], n.units[3], n.minors[3], n.units[4], n.minors[4], n.units[5], n.minors[5],
                n.units[6], n.minors[6]
         from unnest($2::timestamptz[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::int8[], $8::int8[], $9::int8[], $10::text[],
                     $11::text[], $12::text[])
              as s (starts_at, dimension, campaign_id, currency, key, touch_count, click_count, reward_count, cost_minor, units, minors)
         cross join lateral (
             select string_to_array(s.units, ',')::numeric[] as units, string_to_array(s.minors, ',')::numeric[] as minors) n")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Timestamptz>, _>(keys().map(|key| key.0).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(keys().map(|key| key.1.as_str()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(keys().map(|key| key.2).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(keys().map(|key| key.3.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(keys().map(|key| key.4.as_str()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(groups().map(|group| group.touch_count).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(groups().map(|group| group.click_count).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(groups().map(|group| group.reward_count).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(groups().map(|group| group.cost_minor.to_string()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(groups().map(|group| listed(group, |total| total.conversion_units)).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(groups().map(|group| listed(group, |total| total.value_minor)).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_wholes(conn: &mut Conn, scope: &Scope, sums: &Sums) -> Result<()> {
    let keys = || sums.wholes.keys();
    sql("insert into report_totals (brand_id, span, starts_at, campaign_id, currency, conversion_count, value_minor)
         select $1, 'HOUR', starts_at, campaign_id, currency, conversion_count, value_minor::numeric
         from unnest($2::timestamptz[], $3::uuid[], $4::text[], $5::int8[], $6::text[])
              as t (starts_at, campaign_id, currency, conversion_count, value_minor)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Timestamptz>, _>(keys().map(|key| key.0).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(keys().map(|key| key.1).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(keys().map(|key| key.2.as_str()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(sums.wholes.values().map(|(count, _)| *count).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(sums.wholes.values().map(|(_, minor)| minor.to_string()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_uplines(conn: &mut Conn, scope: &Scope, sums: &Sums) -> Result<()> {
    let (keys, totals) = (|| sums.uplines.keys(), || sums.uplines.values());
    sql("insert into report_uplines (brand_id, span, starts_at, campaign_id, currency, degree, member_id, weight_units, value_minor)
         select $1, 'HOUR', starts_at, campaign_id, currency, degree, member_id, weight_units::numeric, value_minor::numeric
         from unnest($2::timestamptz[], $3::uuid[], $4::text[], $5::int2[], $6::uuid[], $7::text[], $8::text[])
              as u (starts_at, campaign_id, currency, degree, member_id, weight_units, value_minor)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Timestamptz>, _>(keys().map(|key| key.0).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(keys().map(|key| key.1).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(keys().map(|key| key.2.as_str()).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(keys().map(|key| key.3).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(keys().map(|key| key.4).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(totals().map(|total| total.conversion_units.to_string()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(totals().map(|total| total.value_minor.to_string()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Statements that make a part of a day ($2) of its hours.
const ROLL_UP: [&str; 4] = [
    "insert into report_policies (brand_id, span, starts_at, campaign_id, policy_version)
     select brand_id, 'DAY', $2, campaign_id, max(policy_version) from report_policies
     where brand_id = $1 and span = 'HOUR' and starts_at >= $2 and starts_at < $2 + interval '24 hours'
     group by brand_id, campaign_id",
    "insert into report_sums (brand_id, span, starts_at, dimension, campaign_id, currency, key, touch_count, click_count, reward_count, cost_minor,
                              first_touch_units, first_touch_minor, last_touch_units, last_touch_minor, linear_units, linear_minor,
                              time_decay_units, time_decay_minor, position_based_units, position_based_minor,
                              weighted_last_touch_units, weighted_last_touch_minor)
     select brand_id, 'DAY', $2, dimension, campaign_id, currency, key, sum(touch_count), sum(click_count), sum(reward_count), sum(cost_minor),
            sum(first_touch_units), sum(first_touch_minor), sum(last_touch_units), sum(last_touch_minor), sum(linear_units), sum(linear_minor),
            sum(time_decay_units), sum(time_decay_minor), sum(position_based_units), sum(position_based_minor),
            sum(weighted_last_touch_units), sum(weighted_last_touch_minor)
     from report_sums
     where brand_id = $1 and span = 'HOUR' and starts_at >= $2 and starts_at < $2 + interval '24 hours'
     group by brand_id, dimension, campaign_id, currency, key",
    "insert into report_totals (brand_id, span, starts_at, campaign_id, currency, conversion_count, value_minor)
     select brand_id, 'DAY', $2, campaign_id, currency, sum(conversion_count), sum(value_minor) from report_totals
     where brand_id = $1 and span = 'HOUR' and starts_at >= $2 and starts_at < $2 + interval '24 hours'
     group by brand_id, campaign_id, currency",
    "insert into report_uplines (brand_id, span, starts_at, campaign_id, currency, degree, member_id, weight_units, value_minor)
     select brand_id, 'DAY', $2, campaign_id, currency, degree, member_id, sum(weight_units), sum(value_minor) from report_uplines
     where brand_id = $1 and span = 'HOUR' and starts_at >= $2 and starts_at < $2 + interval '24 hours'
     group by brand_id, campaign_id, currency, degree, member_id",
];

/// Makes the sums of a day of those of its hours, where none of them is marked. An hour without sums and without marks has nothing.
pub(super) async fn roll_up(conn: &mut Conn, scope: &Scope, day: DateTime<Utc>) -> Result<()> {
    let count = sql("insert into report_spans (brand_id, span, starts_at, lookback_hours)
         select $1, 'DAY', $2, (select min(lookback_hours) from report_spans
                                where brand_id = $1 and span = 'HOUR' and starts_at >= $2 and starts_at < $2 + interval '24 hours')
         where not exists (
             select from report_marks where brand_id = $1 and hour_at >= $2 and hour_at < $2 + interval '24 hours')")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(day)
    .execute(conn)
    .await?;
    if count == 0 {
        return Ok(());
    }
    for statement in ROLL_UP {
        sql(statement).bind::<SqlUuid, _>(scope.brand_id).bind::<Timestamptz, _>(day).execute(conn).await?;
    }
    Ok(())
}
