//! Kept sums in PostgreSQL as reports read them: which spans stand, what they have, and whether a day is what its hours make.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::rules::{GroupSums, Span, Sums};
use super::store::to_sum;
use crate::access::Scope;
use crate::attribution::report::Question;
use crate::attribution::report::dimension::Dimension;
use crate::attribution::report::rules::{Credit, KeptGroup, KeptWhole, Total};
use crate::attribution::report::upline::Degree;
use crate::attribution::walk::Stretch;
use crate::base::Result;
use crate::base::limits::UPLINE_DEGREES_MAX;
use crate::db::{Conn, sql};

/// Whether a span `s` stands: nothing of it is marked, and what decided who judges its conversions is in force ($2: the longest window).
macro_rules! stands {
    () => {
        "(s.lookback_hours is null or s.lookback_hours >= $2)
         and not exists (
             select from report_policies p
             join campaigns c on c.brand_id = p.brand_id and c.id = p.campaign_id and c.policy_version <> p.policy_version
             where p.brand_id = s.brand_id and p.span = s.span and p.starts_at = s.starts_at)
         and not exists (
             select from report_marks m
             where m.brand_id = s.brand_id and m.hour_at >= s.starts_at
                   and m.hour_at < s.starts_at + case s.span when 'DAY' then interval '24 hours' else interval '1 hour' end)"
    };
}

#[derive(QueryableByName)]
struct SpanRow {
    #[diesel(sql_type = Text)]
    span: String,
    #[diesel(sql_type = Timestamptz)]
    starts_at: DateTime<Utc>,
}

fn to_spans(rows: Vec<SpanRow>) -> Result<Vec<(Span, DateTime<Utc>)>> {
    rows.into_iter().map(|row| Ok((Span::from_column(&row.span)?, row.starts_at))).collect()
}

/// The spans that stand and lie in `[from, to)`, the oldest first: days, and hours of the other days.
pub(super) async fn spans_within(
    conn: &mut Conn,
    scope: &Scope,
    lookback_hours: i32,
    (from, to): Stretch,
) -> Result<Vec<(Span, DateTime<Utc>)>> {
    let rows: Vec<SpanRow> = sql(concat!(
        "with days as materialized (
             select s.span, s.starts_at from report_spans s
             where s.brand_id = $1 and s.span = 'DAY' and s.starts_at >= $3 and s.starts_at <= $4::timestamptz - interval '24 hours' and ",
        stands!(),
        ")
         select span, starts_at from days
         union all
         select s.span, s.starts_at from report_spans s
         where s.brand_id = $1 and s.span = 'HOUR' and s.starts_at >= $3 and s.starts_at <= $4::timestamptz - interval '1 hour'
               and not exists (select from days where days.starts_at = date_trunc('day', s.starts_at, 'UTC')) and ",
        stands!(),
        " order by starts_at"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Integer, _>(lookback_hours)
    .bind::<Timestamptz, _>(from)
    .bind::<Timestamptz, _>(to)
    .load(conn)
    .await?;
    to_spans(rows)
}

/// All spans that stand, days and their hours.
pub(super) async fn spans(conn: &mut Conn, scope: &Scope, lookback_hours: i32) -> Result<Vec<(Span, DateTime<Utc>)>> {
    let rows: Vec<SpanRow> =
        sql(concat!("select s.span, s.starts_at from report_spans s where s.brand_id = $1 and ", stands!()))
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<Integer, _>(lookback_hours)
            .load(conn)
            .await?;
    to_spans(rows)
}

#[derive(QueryableByName)]
struct GroupRow {
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = BigInt)]
    touch_count: i64,
    #[diesel(sql_type = BigInt)]
    click_count: i64,
    #[diesel(sql_type = BigInt)]
    reward_count: i64,
    #[diesel(sql_type = Text)]
    cost_minor: String,
    #[diesel(sql_type = Array<Text>)]
    units: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    minors: Vec<String>,
}

fn to_credit(units: &[String], minors: &[String]) -> Result<Credit> {
    let mut credit = Credit::default();
    for ((total, units), minor) in credit.0.iter_mut().zip(units).zip(minors) {
        *total = Total { conversion_units: to_sum(units)?, value_minor: to_sum(minor)? };
    }
    Ok(credit)
}

/// The groups of these spans by a dimension. Money is that of the question's currency.
pub(super) async fn groups(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    dimension: Dimension,
    spans: &[(Span, DateTime<Utc>)],
) -> Result<Vec<KeptGroup>> {
    let rows: Vec<GroupRow> =
        sql("select case when $2 = 'DAY' then (s.starts_at at time zone 'UTC')::date::text else s.key end as key,
                sum(s.touch_count)::int8 as touch_count, sum(s.click_count)::int8 as click_count,
                coalesce(sum(s.reward_count) filter (where s.currency = $6), 0)::int8 as reward_count,
                coalesce(sum(s.cost_minor) filter (where s.currency = $6), 0)::text as cost_minor,
                array[sum(s.first_touch_units), sum(s.last_touch_units), sum(s.linear_units), sum(s.time_decay_units),
                      sum(s.position_based_units), sum(s.weighted_last_touch_units)]::text[] as units,
                array[coalesce(sum(s.first_touch_minor) filter (where s.currency = $6), 0),
                      coalesce(sum(s.last_touch_minor) filter (where s.currency = $6), 0),
                      coalesce(sum(s.linear_minor) filter (where s.currency = $6), 0),
                      coalesce(sum(s.time_decay_minor) filter (where s.currency = $6), 0),
                      coalesce(sum(s.position_based_minor) filter (where s.currency = $6), 0),
                      coalesce(sum(s.weighted_last_touch_minor) filter (where s.currency = $6), 0)]::text[] as minors
         from unnest($3::text[], $4::timestamptz[]) as k (span, starts_at)
         join report_sums s on s.brand_id = $1 and s.span = k.span and s.starts_at = k.starts_at and s.dimension = $2
         where $5::uuid is null or s.campaign_id = $5
         group by 1")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Text, _>(dimension.as_str())
        .bind::<Array<Text>, _>(spans.iter().map(|(span, _)| span.as_str()).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(spans.iter().map(|(_, starts_at)| *starts_at).collect::<Vec<_>>())
        .bind::<Nullable<SqlUuid>, _>(question.campaign_id)
        .bind::<Text, _>(question.currency.to_string())
        .load(conn)
        .await?;
    let group = |row: GroupRow| {
        Ok(KeptGroup {
            credit: to_credit(&row.units, &row.minors)?,
            key: row.key,
            touch_count: row.touch_count,
            click_count: row.click_count,
            reward_count: row.reward_count,
            cost_minor: to_sum(&row.cost_minor)?,
        })
    };
    rows.into_iter().map(group).collect()
}

#[derive(QueryableByName)]
struct WholeRow {
    #[diesel(sql_type = BigInt)]
    conversion_count: i64,
    #[diesel(sql_type = Text)]
    value_minor: String,
}

/// All conversions of these spans, credited or not; `days` are the groups of the same spans by day.
pub(super) async fn whole(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    spans: &[(Span, DateTime<Utc>)],
    days: &[KeptGroup],
) -> Result<KeptWhole> {
    let row: WholeRow = sql("select coalesce(sum(t.conversion_count), 0)::int8 as conversion_count,
                coalesce(sum(t.value_minor) filter (where t.currency = $5), 0)::text as value_minor
         from unnest($2::text[], $3::timestamptz[]) as k (span, starts_at)
         join report_totals t on t.brand_id = $1 and t.span = k.span and t.starts_at = k.starts_at
         where $4::uuid is null or t.campaign_id = $4")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(spans.iter().map(|(span, _)| span.as_str()).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(spans.iter().map(|(_, starts_at)| *starts_at).collect::<Vec<_>>())
    .bind::<Nullable<SqlUuid>, _>(question.campaign_id)
    .bind::<Text, _>(question.currency.to_string())
    .get_result(conn)
    .await?;
    let mut credit = Credit::default();
    days.iter().for_each(|day| credit.add(&day.credit));
    Ok(KeptWhole {
        conversion_count: row.conversion_count.unsigned_abs(),
        value_minor: to_sum(&row.value_minor)?,
        credit,
        degrees: Vec::new(),
    })
}

#[derive(QueryableByName)]
struct DegreeRow {
    #[diesel(sql_type = SmallInt)]
    degree: i16,
    #[diesel(sql_type = Text)]
    weight_units: String,
    #[diesel(sql_type = Text)]
    value_minor: String,
    #[diesel(sql_type = BigInt)]
    member_count: i64,
}

/// The degrees above the buyers of these spans, the nearest first, each with the number of members who are not among `counted` (the place of the
/// degree, 0 for the nearest, and the member).
pub(super) async fn degrees(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    spans: &[(Span, DateTime<Utc>)],
    counted: &[(usize, Uuid)],
) -> Result<Vec<Degree>> {
    let places = counted.iter().map(|(place, _)| i16::try_from(place + 1).unwrap_or(i16::MAX));
    let rows: Vec<DegreeRow> = sql("select u.degree, sum(u.weight_units)::text as weight_units,
                coalesce(sum(u.value_minor) filter (where u.currency = $5), 0)::text as value_minor,
                count(distinct u.member_id) filter (where n.member_id is null) as member_count
         from unnest($2::text[], $3::timestamptz[]) as k (span, starts_at)
         join report_uplines u on u.brand_id = $1 and u.span = k.span and u.starts_at = k.starts_at
         left join unnest($6::int2[], $7::uuid[]) as n (degree, member_id) on n.degree = u.degree and n.member_id = u.member_id
         where $4::uuid is null or u.campaign_id = $4
         group by u.degree")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(spans.iter().map(|(span, _)| span.as_str()).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(spans.iter().map(|(_, starts_at)| *starts_at).collect::<Vec<_>>())
    .bind::<Nullable<SqlUuid>, _>(question.campaign_id)
    .bind::<Text, _>(question.currency.to_string())
    .bind::<Array<SmallInt>, _>(places.collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(counted.iter().map(|(_, id)| *id).collect::<Vec<_>>())
    .load(conn)
    .await?;
    let mut degrees = vec![Degree::default(); UPLINE_DEGREES_MAX];
    for row in rows {
        let place = usize::try_from(row.degree - 1).unwrap_or(usize::MAX);
        let Some(degree) = degrees.get_mut(place) else { continue };
        degree.total = Total { conversion_units: to_sum(&row.weight_units)?, value_minor: to_sum(&row.value_minor)? };
        degree.member_count = row.member_count.unsigned_abs();
    }
    Ok(degrees)
}

#[derive(QueryableByName)]
struct HourGroupRow {
    #[diesel(sql_type = Timestamptz)]
    starts_at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    dimension: String,
    #[diesel(sql_type = SqlUuid)]
    campaign_id: Uuid,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(embed)]
    group: GroupRow,
}

#[derive(QueryableByName)]
struct HourWholeRow {
    #[diesel(sql_type = Timestamptz)]
    starts_at: DateTime<Utc>,
    #[diesel(sql_type = SqlUuid)]
    campaign_id: Uuid,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(embed)]
    whole: WholeRow,
}

#[derive(QueryableByName)]
struct HourUplineRow {
    #[diesel(sql_type = Timestamptz)]
    starts_at: DateTime<Utc>,
    #[diesel(sql_type = SqlUuid)]
    campaign_id: Uuid,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = SmallInt)]
    degree: i16,
    #[diesel(sql_type = SqlUuid)]
    member_id: Uuid,
    #[diesel(sql_type = Text)]
    weight_units: String,
    #[diesel(sql_type = Text)]
    value_minor: String,
}

/// What is kept of these hours, as it was written.
pub(super) async fn sums(conn: &mut Conn, scope: &Scope, hours: &[DateTime<Utc>]) -> Result<Sums> {
    let mut sums = Sums::default();
    let rows: Vec<HourGroupRow> =
        sql("select starts_at, dimension, campaign_id, currency, key, touch_count, click_count, reward_count,
                cost_minor::text as cost_minor,
                array[first_touch_units, last_touch_units, linear_units, time_decay_units, position_based_units,
                      weighted_last_touch_units]::text[] as units,
                array[first_touch_minor, last_touch_minor, linear_minor, time_decay_minor, position_based_minor,
                      weighted_last_touch_minor]::text[] as minors
         from report_sums where brand_id = $1 and span = 'HOUR' and starts_at = any ($2)")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<Timestamptz>, _>(hours)
        .load(conn)
        .await?;
    for HourGroupRow { starts_at, dimension, campaign_id, currency, group } in rows {
        let kept = GroupSums {
            touch_count: group.touch_count,
            click_count: group.click_count,
            reward_count: group.reward_count,
            cost_minor: to_sum(&group.cost_minor)?,
            credit: to_credit(&group.units, &group.minors)?,
        };
        let dimension = Dimension::from_column(&dimension)?;
        sums.groups.insert((starts_at, dimension, campaign_id, currency, group.key), kept);
    }
    let rows: Vec<HourWholeRow> =
        sql("select starts_at, campaign_id, currency, conversion_count, value_minor::text as value_minor
         from report_totals where brand_id = $1 and span = 'HOUR' and starts_at = any ($2)")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<Timestamptz>, _>(hours)
        .load(conn)
        .await?;
    for HourWholeRow { starts_at, campaign_id, currency, whole } in rows {
        let kept = (whole.conversion_count, to_sum(&whole.value_minor)?);
        sums.wholes.insert((starts_at, campaign_id, currency), kept);
    }
    sums.uplines = uplines(conn, scope, hours).await?;
    Ok(sums)
}

async fn uplines(
    conn: &mut Conn,
    scope: &Scope,
    hours: &[DateTime<Utc>],
) -> Result<BTreeMap<super::rules::UplineKey, Total>> {
    let rows: Vec<HourUplineRow> =
        sql("select starts_at, campaign_id, currency, degree, member_id, weight_units::text as weight_units,
                value_minor::text as value_minor
         from report_uplines where brand_id = $1 and span = 'HOUR' and starts_at = any ($2)")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<Timestamptz>, _>(hours)
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|row| {
            let key = (row.starts_at, row.campaign_id, row.currency, row.degree, row.member_id);
            let total = Total { conversion_units: to_sum(&row.weight_units)?, value_minor: to_sum(&row.value_minor)? };
            Ok((key, total))
        })
        .collect::<Result<BTreeMap<_, _>>>()
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

/// How many days that stand are not what their hours make.
pub(super) async fn broken_days(conn: &mut Conn, scope: &Scope, lookback_hours: i32) -> Result<i64> {
    let row: CountRow = sql(concat!(
        "with standing as materialized (
             select s.starts_at from report_spans s where s.brand_id = $1 and s.span = 'DAY' and ",
        stands!(),
        "),
         sums as (
             select s.span, date_trunc('day', s.starts_at, 'UTC') as day, 'sum' as part, s.dimension, s.campaign_id, s.currency, s.key,
                    sum(s.touch_count) as a, sum(s.click_count) as b, sum(s.reward_count) as c, sum(s.cost_minor) as d,
                    sum(s.first_touch_units) as e, sum(s.first_touch_minor) as f, sum(s.last_touch_units) as g, sum(s.last_touch_minor) as h,
                    sum(s.linear_units) as i, sum(s.linear_minor) as j, sum(s.time_decay_units) as k, sum(s.time_decay_minor) as l,
                    sum(s.position_based_units) as m, sum(s.position_based_minor) as n, sum(s.weighted_last_touch_units) as o,
                    sum(s.weighted_last_touch_minor) as p
             from report_sums s join standing on standing.starts_at = date_trunc('day', s.starts_at, 'UTC')
             where s.brand_id = $1 group by 1, 2, 4, 5, 6, 7
             union all
             select t.span, date_trunc('day', t.starts_at, 'UTC'), 'total', '', t.campaign_id, t.currency, '',
                    sum(t.conversion_count), sum(t.value_minor), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
             from report_totals t join standing on standing.starts_at = date_trunc('day', t.starts_at, 'UTC')
             where t.brand_id = $1 group by 1, 2, 5, 6
             union all
             select u.span, date_trunc('day', u.starts_at, 'UTC'), 'upline', u.degree::text, u.campaign_id, u.currency, u.member_id::text,
                    sum(u.weight_units), sum(u.value_minor), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
             from report_uplines u join standing on standing.starts_at = date_trunc('day', u.starts_at, 'UTC')
             where u.brand_id = $1 group by 1, 2, 4, 5, 6, 7)
         select count(distinct day) as value from (
             select day from sums
             group by day, part, dimension, campaign_id, currency, key, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p
             having count(*) <> 2) broken"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Integer, _>(lookback_hours)
    .get_result(conn)
    .await?;
    Ok(row.value)
}
