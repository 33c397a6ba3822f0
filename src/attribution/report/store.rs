//! What a report reads besides conversions and their touches: one statement each, grouped by the database.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;

use super::Question;
use super::dimension::Dimension;
use super::rules::TouchCount;
use crate::access::Scope;
use crate::attribution::walk::Stretch;
use crate::base::Result;
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct TouchRow {
    #[diesel(sql_type = Nullable<Text>)]
    key: Option<String>,
    #[diesel(sql_type = BigInt)]
    touch_count: i64,
    #[diesel(sql_type = BigInt)]
    click_count: i64,
}

/// Only touches of a campaign can be credited: their index leads to those of the time, stretch by stretch (`offset 0`), whatever the planner
/// thinks of their lengths: else it may rather read all touches of the brand.
macro_rules! touches_by {
    ($key:literal) => {
        concat!(
            "select ",
            $key,
            " as key, count(*) as touch_count, count(*) filter (where t.kind = 'CLICK' and t.decision <> 'BLOCK') as click_count
             from unnest($2::timestamptz[], $3::timestamptz[]) as s (since, until)
             cross join campaigns k
             cross join lateral (
                 select * from touchpoints t
                 where t.brand_id = $1 and t.campaign_id = k.id and t.occurred_at >= s.since and t.occurred_at < s.until offset 0) t
             where k.brand_id = $1 and ($4::uuid is null or k.id = $4) and t.kind not in ('ACTIVATION', 'CONVERSION')
                   and (t.creator_id is not null or t.referrer_id is not null)
             group by 1"
        )
    };
}

/// The touches of these stretches by group.
pub(super) async fn touch_counts(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    stretches: &[Stretch],
) -> Result<Vec<TouchCount>> {
    let text = match question.dimension {
        Dimension::Creator => touches_by!("t.creator_id::text"),
        Dimension::Campaign => touches_by!("t.campaign_id::text"),
        Dimension::Platform => touches_by!("t.platform"),
        Dimension::SubId => touches_by!("t.sub_id"),
        Dimension::Channel => touches_by!("t.channel"),
        Dimension::Day => touches_by!("(t.occurred_at at time zone 'UTC')::date::text"),
    };
    let rows: Vec<TouchRow> = sql(text)
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<Timestamptz>, _>(stretches.iter().map(|(from, _)| *from).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(stretches.iter().map(|(_, to)| *to).collect::<Vec<_>>())
        .bind::<Nullable<SqlUuid>, _>(question.campaign_id)
        .load(conn)
        .await?;
    let count = |row: TouchRow| TouchCount { key: row.key, touch_count: row.touch_count, click_count: row.click_count };
    Ok(rows.into_iter().map(count).collect())
}

#[derive(QueryableByName)]
struct PathRow {
    #[diesel(sql_type = Array<Text>)]
    path: Vec<String>,
    #[diesel(sql_type = BigInt)]
    person_count: i64,
}

/// The touches of the time that could be credited, by person, of those who did not convert in it.
macro_rules! other_paths_by {
    ($key:literal) => {
        concat!(
            "with bought as (
                 select p.canonical_id from conversions c
                 join people p on p.brand_id = c.brand_id and p.id = c.person_id
                 where c.brand_id = $1 and c.occurred_at >= $2 and c.occurred_at < $3)
             select path, count(*) as person_count
             from (select p.canonical_id, array_agg(coalesce(",
            $key,
            ", '') order by t.occurred_at, t.id) as path
                   from campaigns k
                   join touchpoints t on t.brand_id = k.brand_id and t.campaign_id = k.id and t.occurred_at >= $2 and t.occurred_at < $3
                   join people p on p.brand_id = t.brand_id and p.id = t.person_id
                   where k.brand_id = $1 and ($4::uuid is null or k.id = $4) and t.kind not in ('ACTIVATION', 'CONVERSION')
                         and (t.creator_id is not null or t.referrer_id is not null) and t.has_consent and t.decision <> 'BLOCK'
                         and p.canonical_id not in (select canonical_id from bought)
                   group by p.canonical_id) paths
             group by path
             limit $5"
        )
    };
}

/// The paths of those who did not convert, with the number of people on each: at most `count_max`.
pub(super) async fn other_paths(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    count_max: i64,
) -> Result<Vec<(Vec<String>, i64)>> {
    let text = match question.dimension {
        Dimension::Creator | Dimension::Day => other_paths_by!("t.creator_id::text"),
        Dimension::Campaign => other_paths_by!("t.campaign_id::text"),
        Dimension::Platform => other_paths_by!("t.platform"),
        Dimension::SubId => other_paths_by!("t.sub_id"),
        Dimension::Channel => other_paths_by!("t.channel"),
    };
    let rows: Vec<PathRow> = sql(text)
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Timestamptz, _>(question.from)
        .bind::<Timestamptz, _>(question.to)
        .bind::<Nullable<SqlUuid>, _>(question.campaign_id)
        .bind::<BigInt, _>(count_max)
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (row.path, row.person_count)).collect())
}

#[derive(QueryableByName)]
struct CostRow {
    #[diesel(sql_type = Nullable<Text>)]
    key: Option<String>,
    #[diesel(sql_type = BigInt)]
    cost_minor: i64,
}

/// Rewards in money, less what was taken back.
macro_rules! costs_by {
    ($key:literal) => {
        concat!(
            "select ",
            $key,
            " as key, sum(r.amount_minor - r.reversed_minor)::int8 as cost_minor
             from unnest($2::timestamptz[], $3::timestamptz[]) as s (since, until)
             cross join lateral (
                 select * from rewards r where r.brand_id = $1 and r.triggered_at >= s.since and r.triggered_at < s.until offset 0) r
             where ($4::uuid is null or r.campaign_id = $4) and r.currency = $5 and r.kind in ('CREDIT', 'COMMISSION') and r.state <> 'REJECTED'
             group by 1"
        )
    };
}

/// What the rewards of these stretches cost by group, where a reward has one.
pub(super) async fn reward_costs(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    stretches: &[Stretch],
) -> Result<Vec<(Option<String>, i64)>> {
    let text = match question.dimension {
        Dimension::Creator => costs_by!("r.beneficiary_creator_id::text"),
        Dimension::Campaign => costs_by!("r.campaign_id::text"),
        Dimension::Day => costs_by!("(r.triggered_at at time zone 'UTC')::date::text"),
        Dimension::Platform | Dimension::SubId | Dimension::Channel => return Ok(Vec::new()),
    };
    let rows: Vec<CostRow> = sql(text)
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<Timestamptz>, _>(stretches.iter().map(|(from, _)| *from).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(stretches.iter().map(|(_, to)| *to).collect::<Vec<_>>())
        .bind::<Nullable<SqlUuid>, _>(question.campaign_id)
        .bind::<Text, _>(question.currency.to_string())
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (row.key, row.cost_minor)).collect())
}
