//! Versions of what channels are worth in PostgreSQL, and the paths of those who did not buy.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;

use super::{ChannelWeights, Computed, Newest, Series, Weighing};
use crate::access::Scope;
use crate::base::Result;
use crate::base::limits::{DATA_DRIVEN_PATH_TOUCHES_MAX, DATA_DRIVEN_TOUCHES_MAX};
use crate::campaigns::{DataDrivenMethod, PathTransform};
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct ValueRow {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

/// Counts new conversions of the brand, and returns how many it has had.
pub(super) async fn count_conversions(conn: &mut Conn, scope: &Scope, new_count: usize) -> Result<i64> {
    let row: ValueRow = sql("insert into brand_counters as c (brand_id, name, value) values ($1, 'conversions', $2)
         on conflict (brand_id, name) do update set value = c.value + excluded.value
         returning value")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<BigInt, _>(i64::try_from(new_count).unwrap_or(i64::MAX))
    .get_result(conn)
    .await?;
    Ok(row.value)
}

#[derive(QueryableByName)]
struct NewestRow {
    #[diesel(sql_type = Text)]
    method: String,
    #[diesel(sql_type = Text)]
    transform: String,
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = BigInt)]
    conversion_total: i64,
}

fn series(method: &str, transform: &str) -> Result<Series> {
    Ok((DataDrivenMethod::from_column(method)?, PathTransform::from_column(transform)?))
}

/// The newest version of every series of the brand.
pub(super) async fn newest(conn: &mut Conn, scope: &Scope) -> Result<HashMap<Series, Newest>> {
    let rows: Vec<NewestRow> =
        sql("select distinct on (method, transform) method, transform, version, conversion_total
         from data_driven_models where brand_id = $1 order by method, transform, version desc")
        .bind::<SqlUuid, _>(scope.brand_id)
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|row| {
            let newest = Newest { version: row.version, conversion_total: row.conversion_total };
            Ok((series(&row.method, &row.transform)?, newest))
        })
        .collect()
}

pub(super) async fn insert(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    (method, transform): Series,
    next: Newest,
    computed: &Computed,
) -> Result<()> {
    let weights = &computed.weighing.weights;
    sql("with model as (
             insert into data_driven_models (brand_id, method, transform, version, conversion_total, conversion_count, path_count, computed_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8))
         insert into data_driven_weights (brand_id, method, transform, version, channel, weight_units)
         select $1, $2, $3, $4, channel, weight_units from unnest($9::text[], $10::int8[]) as w (channel, weight_units)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Text, _>(method.as_str())
    .bind::<Text, _>(transform.as_str())
    .bind::<Integer, _>(next.version)
    .bind::<BigInt, _>(next.conversion_total)
    .bind::<BigInt, _>(computed.conversion_count)
    .bind::<BigInt, _>(computed.path_count)
    .bind::<Timestamptz, _>(now)
    .bind::<Array<Text>, _>(weights.keys().map(String::as_str).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(weights.values().map(|units| i64::try_from(*units).unwrap_or(i64::MAX)).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct WeightRow {
    #[diesel(sql_type = Text)]
    method: String,
    #[diesel(sql_type = Text)]
    transform: String,
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = Text)]
    channel: String,
    #[diesel(sql_type = BigInt)]
    weight_units: i64,
}

/// These versions.
pub(super) async fn weighings(
    conn: &mut Conn,
    scope: &Scope,
    wanted: &[(Series, i32)],
) -> Result<HashMap<(Series, i32), Weighing>> {
    let rows: Vec<WeightRow> = sql("select w.method, w.transform, w.version, w.channel, w.weight_units
         from unnest($2::text[], $3::text[], $4::int4[]) as k (method, transform, version)
         join data_driven_weights w on w.brand_id = $1 and w.method = k.method and w.transform = k.transform and w.version = k.version")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Text>, _>(wanted.iter().map(|((method, _), _)| method.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(wanted.iter().map(|((_, transform), _)| transform.as_str()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(wanted.iter().map(|(_, version)| *version).collect::<Vec<_>>())
    .load(conn)
    .await?;
    let mut found: HashMap<(Series, i32), Weighing> = HashMap::new();
    for row in rows {
        let weighing = found.entry((series(&row.method, &row.transform)?, row.version)).or_default();
        weighing.weights.insert(row.channel, row.weight_units.unsigned_abs());
    }
    Ok(found)
}

#[derive(QueryableByName)]
struct KeptRow {
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = BigInt)]
    conversion_count: i64,
    #[diesel(sql_type = BigInt)]
    path_count: i64,
    #[diesel(sql_type = Timestamptz)]
    computed_at: DateTime<Utc>,
}

/// This version of a series, or its newest.
pub(super) async fn kept(
    conn: &mut Conn,
    scope: &Scope,
    (method, transform): Series,
    version: Option<i32>,
) -> Result<Option<ChannelWeights>> {
    let row: Option<KeptRow> = sql("select version, conversion_count, path_count, computed_at from data_driven_models
         where brand_id = $1 and method = $2 and transform = $3 and version = coalesce($4, version)
         order by version desc limit 1")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Text, _>(method.as_str())
    .bind::<Text, _>(transform.as_str())
    .bind::<Nullable<Integer>, _>(version)
    .get_result(conn)
    .await
    .optional()?;
    let Some(row) = row else { return Ok(None) };
    let key = ((method, transform), row.version);
    let weighing = weighings(conn, scope, &[key]).await?.remove(&key).unwrap_or_default();
    Ok(Some(ChannelWeights {
        version: row.version,
        conversion_count: row.conversion_count,
        path_count: row.path_count,
        computed_at: row.computed_at,
        weights: weighing.weights.into_iter().collect(),
    }))
}

#[derive(QueryableByName)]
struct PathRow {
    #[diesel(sql_type = Array<Text>)]
    path: Vec<String>,
    #[diesel(sql_type = BigInt)]
    person_count: i64,
}

/// The paths of people who touched something in `[from, to)` and did not buy in it, those that most people took first: at most `count_max`. Of
/// each campaign the latest touches are read, of each person the latest of those.
pub(super) async fn other_paths(
    conn: &mut Conn,
    scope: &Scope,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    count_max: i64,
) -> Result<Vec<(Vec<String>, i64)>> {
    let rows: Vec<PathRow> = sql("with touched as (
             select p.canonical_id, t.id, t.occurred_at, coalesce(t.creator_id::text, '') as channel
             from campaigns k
             cross join lateral (
                 select t.id, t.person_id, t.occurred_at, t.creator_id from touchpoints t
                 where t.brand_id = k.brand_id and t.campaign_id = k.id and t.occurred_at >= $2 and t.occurred_at < $3
                       and t.kind not in ('ACTIVATION', 'CONVERSION') and (t.creator_id is not null or t.referrer_id is not null)
                       and t.has_consent and t.decision <> 'BLOCK'
                 order by t.occurred_at desc, t.id desc
                 limit $4) t
             join people p on p.brand_id = k.brand_id and p.id = t.person_id
             where k.brand_id = $1),
         bought as (
             select p.canonical_id from conversions c join people p on p.brand_id = c.brand_id and p.id = c.person_id
             where c.brand_id = $1 and c.occurred_at >= $2 and c.occurred_at < $3),
         paths as (
             select array_agg(channel order by occurred_at, id) as path
             from (select *, row_number() over (partition by canonical_id order by occurred_at desc, id desc) as place from touched
                   where canonical_id not in (select canonical_id from bought)) latest
             where place <= $5
             group by canonical_id)
         select path, count(*) as person_count from paths group by path order by 2 desc, 1 limit $6")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(from)
    .bind::<Timestamptz, _>(to)
    .bind::<BigInt, _>(DATA_DRIVEN_TOUCHES_MAX)
    .bind::<BigInt, _>(i64::try_from(DATA_DRIVEN_PATH_TOUCHES_MAX).unwrap_or(i64::MAX))
    .bind::<BigInt, _>(count_max)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.path, row.person_count)).collect())
}
