//! Sums of conversions as of a place in the log. In a batch a place is an index, and all that came with earlier batches stands before the
//! first; of the past it is when we had an event, and then when it happened.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Asked, Moment};
use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct MinorRow {
    #[diesel(sql_type = SqlUuid)]
    member_id: Uuid,
    #[diesel(sql_type = BigInt)]
    minor: i64,
}

fn pairs(rows: Vec<MinorRow>) -> Vec<(Uuid, i64)> {
    rows.into_iter().map(|row| (row.member_id, row.minor)).collect()
}

fn member_ids<P>(asked: &[Asked<P>]) -> Vec<Uuid> {
    asked.iter().map(|one| one.member_id).collect()
}

fn currencies<P>(asked: &[Asked<P>]) -> Vec<String> {
    asked.iter().map(|one| one.currency.to_string()).collect()
}

fn campaign_ids<P>(asked: &[Asked<P>]) -> Vec<Uuid> {
    asked.iter().map(|one| one.campaign_id).collect()
}

/// What each has bought: what is its own, and what its person bought before it was a member. `$places` is what a conversion's place is
/// told by, `$is_before` whether that is at or before the trigger's.
macro_rules! bought {
    ($wanted:literal, $places:literal, $is_before:literal) => {
        concat!(
            "with wanted as (",
            $wanted,
            ")
             select w.member_id, b.minor from wanted w
             cross join lateral (
                 select coalesce(sum(own.amount_minor), 0)::int8 as minor from (
                     select c.id, c.amount_minor from conversions c ",
            $places,
            "        where c.brand_id = $1 and c.member_id = w.member_id and c.currency = w.currency and ",
            $is_before,
            "        union
                     select c.id, c.amount_minor from members m
                     join people p on p.brand_id = $1 and p.id = m.person_id
                     join people o on o.brand_id = $1 and o.canonical_id = p.canonical_id
                     join conversions c on c.brand_id = $1 and c.person_id = o.id ",
            $places,
            "        where m.brand_id = $1 and m.id = w.member_id and c.currency = w.currency and ",
            $is_before,
            ") own) b"
        )
    };
}

/// What these members have bought up to their triggers in the batch, of whose events and new members `places` are the places.
pub(super) async fn bought_in_batch(
    conn: &mut Conn,
    scope: &Scope,
    asked: &[Asked<i32>],
    places: &BTreeMap<Uuid, i32>,
) -> Result<Vec<(Uuid, i64)>> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<MinorRow> = sql(bought!(
        "select * from unnest($2::uuid[], $3::text[], $4::int4[]) as w (member_id, currency, place)",
        "left join unnest($5::uuid[], $6::int4[]) as l (id, place) on l.id = c.id",
        "coalesce(l.place, -1) <= w.place"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(member_ids(asked))
    .bind::<Array<Text>, _>(currencies(asked))
    .bind::<Array<Integer>, _>(asked.iter().map(|one| one.place).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(places.keys().copied().collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(places.values().copied().collect::<Vec<_>>())
    .load(conn)
    .await?;
    Ok(pairs(rows))
}

/// What these members had bought up to moments of the past.
pub(super) async fn bought_until(conn: &mut Conn, scope: &Scope, asked: &[Asked<Moment>]) -> Result<Vec<(Uuid, i64)>> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<MinorRow> = sql(bought!(
        "select * from unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::uuid[])
             as w (member_id, currency, recorded_at, occurred_at, event_id)",
        "",
        "(c.recorded_at, c.occurred_at, c.id) <= (w.recorded_at, w.occurred_at, w.event_id)"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(member_ids(asked))
    .bind::<Array<Text>, _>(currencies(asked))
    .bind::<Array<Timestamptz>, _>(recorded(asked))
    .bind::<Array<Timestamptz>, _>(occurred(asked))
    .bind::<Array<SqlUuid>, _>(asked.iter().map(|one| one.place.event_id).collect::<Vec<_>>())
    .load(conn)
    .await?;
    Ok(pairs(rows))
}

fn recorded(asked: &[Asked<Moment>]) -> Vec<DateTime<Utc>> {
    asked.iter().map(|one| one.place.recorded_at).collect()
}

fn occurred(asked: &[Asked<Moment>]) -> Vec<DateTime<Utc>> {
    asked.iter().map(|one| one.place.occurred_at).collect()
}

/// What the cohorts of these members have bought per member up to their triggers in the batch. Each cohort is gone through once, however
/// many triggers ask for it: a running sum over its sign-ups and sales, among which the triggers stand.
pub(super) async fn averages_in_batch(
    conn: &mut Conn,
    scope: &Scope,
    asked: &[Asked<i32>],
    places: &BTreeMap<Uuid, i32>,
) -> Result<Vec<(Uuid, i64)>> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<MinorRow> = sql("with wanted as (
             select w.*, date_trunc('week', m.signed_up_at, 'UTC') as week
             from unnest($2::uuid[], $3::uuid[], $4::text[], $5::int4[]) as w (member_id, campaign_id, currency, place)
             join members m on m.brand_id = $1 and m.id = w.member_id),
         later as (select * from unnest($6::uuid[], $7::int4[]) as l (id, place)),
         joined as materialized (
             select k.campaign_id, k.week, k.currency, m.id, coalesce(l.place, -1) as place
             from (select distinct campaign_id, week, currency from wanted) k
             join members m on m.brand_id = $1 and m.campaign_id = k.campaign_id and m.signed_up_at is not null
                  and m.joined_at >= k.week and m.joined_at < k.week + interval '168 hours'
             left join later l on l.id = m.id),
         step as (
             select campaign_id, week, place, 1 as members, 0::int8 as minor, null::uuid as member_id from joined
             union all
             select j.campaign_id, j.week, greatest(j.place, coalesce(l.place, -1)), 0, c.amount_minor, null
             from joined j
             join conversions c on c.brand_id = $1 and c.member_id = j.id and c.currency = j.currency
             left join later l on l.id = c.id
             union all
             select campaign_id, week, place, 0, 0, member_id from wanted)
         select member_id, coalesce(div(minor, nullif(members, 0)::numeric), 0)::int8 as minor
         from (select member_id, sum(members) over so_far as members, sum(minor) over so_far as minor
               from step window so_far as (partition by campaign_id, week order by place)) run
         where member_id is not null")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(member_ids(asked))
    .bind::<Array<SqlUuid>, _>(campaign_ids(asked))
    .bind::<Array<Text>, _>(currencies(asked))
    .bind::<Array<Integer>, _>(asked.iter().map(|one| one.place).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(places.keys().copied().collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(places.values().copied().collect::<Vec<_>>())
    .load(conn)
    .await?;
    Ok(pairs(rows))
}

/// What the cohorts of these members had bought per member up to moments of the past. Who was imported joined when the row was made.
pub(super) async fn averages_until(
    conn: &mut Conn,
    scope: &Scope,
    asked: &[Asked<Moment>],
) -> Result<Vec<(Uuid, i64)>> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<MinorRow> = sql("with wanted as (
             select w.*, date_trunc('week', m.signed_up_at, 'UTC') as week
             from unnest($2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[])
                  as w (member_id, campaign_id, currency, recorded_at, occurred_at)
             join members m on m.brand_id = $1 and m.id = w.member_id),
         joined as materialized (
             select k.campaign_id, k.week, k.currency, m.id, coalesce(s.recorded_at, m.created_at) as recorded_at,
                    coalesce(s.occurred_at, m.joined_at) as occurred_at
             from (select distinct campaign_id, week, currency from wanted) k
             join members m on m.brand_id = $1 and m.campaign_id = k.campaign_id and m.signed_up_at is not null
                  and m.joined_at >= k.week and m.joined_at < k.week + interval '168 hours'
             left join lateral (
                 select t.recorded_at, t.occurred_at from people p
                 join people o on o.brand_id = $1 and o.canonical_id = p.canonical_id
                 join touchpoints t on t.brand_id = $1 and t.person_id = o.id and t.kind = 'SIGNUP'
                 where p.brand_id = $1 and p.id = m.person_id
                 order by t.recorded_at, t.occurred_at, t.id limit 1) s on true),
         step as (
             select campaign_id, week, recorded_at, occurred_at, 1 as members, 0::int8 as minor, null::uuid as member_id from joined
             union all
             select j.campaign_id, j.week, greatest(j.recorded_at, c.recorded_at),
                    case when c.recorded_at > j.recorded_at then c.occurred_at
                         when c.recorded_at < j.recorded_at then j.occurred_at
                         else greatest(j.occurred_at, c.occurred_at) end,
                    0, c.amount_minor, null
             from joined j join conversions c on c.brand_id = $1 and c.member_id = j.id and c.currency = j.currency
             union all
             select campaign_id, week, recorded_at, occurred_at, 0, 0, member_id from wanted)
         select member_id, coalesce(div(minor, nullif(members, 0)::numeric), 0)::int8 as minor
         from (select member_id, sum(members) over so_far as members, sum(minor) over so_far as minor
               from step window so_far as (partition by campaign_id, week order by recorded_at, occurred_at)) run
         where member_id is not null")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(member_ids(asked))
    .bind::<Array<SqlUuid>, _>(campaign_ids(asked))
    .bind::<Array<Text>, _>(currencies(asked))
    .bind::<Array<Timestamptz>, _>(recorded(asked))
    .bind::<Array<Timestamptz>, _>(occurred(asked))
    .load(conn)
    .await?;
    Ok(pairs(rows))
}
