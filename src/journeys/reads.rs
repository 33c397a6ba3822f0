//! Conversions as judgements look for them: those that something may change the credit of, those before others, those of a time; and
//! what people did, with what was said of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::{Currency, Error, Money, Result};
use crate::db::{Conn, sql};
use crate::events::TouchKind;

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// The ids of the conversions that each canonical person made at or after its moment, in order.
pub async fn conversion_ids_since(
    conn: &mut Conn,
    scope: &Scope,
    since: &[(Uuid, DateTime<Utc>)],
) -> Result<Vec<Uuid>> {
    if since.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<IdRow> = sql("select c.id from unnest($2::uuid[], $3::timestamptz[]) as wanted (id, since)
         join people p on p.brand_id = $1 and p.canonical_id = wanted.id
         join conversions c on c.brand_id = p.brand_id and c.person_id = p.id and c.occurred_at >= wanted.since
         order by c.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(since.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(since.iter().map(|(_, since)| *since).collect::<Vec<_>>())
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

#[derive(QueryableByName)]
struct PreviousRow {
    #[diesel(sql_type = SqlUuid)]
    canonical_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    previous_at: DateTime<Utc>,
}

/// When each canonical person converted last before each moment. Who never did is missing. Conversions of one moment share what led to
/// them: none of them is before the other.
pub async fn previous_conversions(
    conn: &mut Conn,
    scope: &Scope,
    moments: &[(Uuid, DateTime<Utc>)],
) -> Result<HashMap<(Uuid, DateTime<Utc>), DateTime<Utc>>> {
    if moments.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<PreviousRow> =
        sql("select wanted.id as canonical_id, wanted.at, max(earlier.occurred_at) as previous_at
         from (select distinct id, at from unnest($2::uuid[], $3::timestamptz[]) as w (id, at)) wanted
         join people p on p.brand_id = $1 and p.canonical_id = wanted.id
         cross join lateral (
             select c.occurred_at from conversions c
             where c.brand_id = p.brand_id and c.person_id = p.id and c.occurred_at < wanted.at
             order by c.occurred_at desc limit 1) earlier
         group by wanted.id, wanted.at")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<SqlUuid>, _>(moments.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(moments.iter().map(|(_, at)| *at).collect::<Vec<_>>())
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|row| ((row.canonical_id, row.at), row.previous_at)).collect())
}

#[derive(QueryableByName)]
struct SignupRow {
    #[diesel(sql_type = SqlUuid)]
    canonical_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = SqlUuid)]
    touch_id: Uuid,
}

/// The touch that each canonical person's sign-up at its moment is: of several at one moment the one that was recorded first, which is the
/// one that counted.
pub async fn signup_touches(
    conn: &mut Conn,
    scope: &Scope,
    signups: &[(Uuid, DateTime<Utc>)],
) -> Result<HashMap<(Uuid, DateTime<Utc>), Uuid>> {
    if signups.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<SignupRow> =
        sql("select distinct on (wanted.id, wanted.at) wanted.id as canonical_id, wanted.at, t.id as touch_id
         from unnest($2::uuid[], $3::timestamptz[]) as wanted (id, at)
         join people p on p.brand_id = $1 and p.canonical_id = wanted.id
         join touchpoints t on t.brand_id = p.brand_id and t.person_id = p.id and t.occurred_at = wanted.at and t.kind = 'SIGNUP'
         order by wanted.id, wanted.at, t.recorded_at, t.id")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<SqlUuid>, _>(signups.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(signups.iter().map(|(_, at)| *at).collect::<Vec<_>>())
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|row| ((row.canonical_id, row.at), row.touch_id)).collect())
}

/// The ids of the brand's conversions in these stretches `[from, to)`, which do not overlap, behind a place in their order, by moment and then by
/// id: at most `count_max`.
pub async fn conversion_ids_between(
    conn: &mut Conn,
    scope: &Scope,
    stretches: &[(DateTime<Utc>, DateTime<Utc>)],
    after: (DateTime<Utc>, Uuid),
    count_max: i64,
) -> Result<Vec<Uuid>> {
    let rows: Vec<IdRow> = sql("select c.id from unnest($2::timestamptz[], $3::timestamptz[]) as s (since, until)
         cross join lateral (
             select c.id, c.occurred_at from conversions c
             where c.brand_id = $1 and c.occurred_at >= s.since and c.occurred_at < s.until and (c.occurred_at, c.id) > ($4, $5)
             order by c.occurred_at, c.id
             limit $6) c
         order by c.occurred_at, c.id
         limit $6")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<Timestamptz>, _>(stretches.iter().map(|(from, _)| *from).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(stretches.iter().map(|(_, to)| *to).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(after.0)
    .bind::<SqlUuid, _>(after.1)
    .bind::<BigInt, _>(count_max)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

#[derive(QueryableByName)]
struct SpanRow {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    first_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_at: Option<DateTime<Utc>>,
}

/// The moments of the first and of the last of the brand's latest conversions, of so many of them; `None` where there is none.
pub async fn latest_conversions_span(
    conn: &mut Conn,
    scope: &Scope,
    count: i64,
) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>> {
    let row: SpanRow = sql("select min(occurred_at) as first_at, max(occurred_at) as last_at from (
             select occurred_at from conversions where brand_id = $1 order by occurred_at desc, id desc limit $2) latest")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<BigInt, _>(count)
    .get_result(conn)
    .await?;
    Ok(row.first_at.zip(row.last_at))
}

/// Something that a person did, and what was said of it.
#[derive(Clone, Debug)]
pub struct Act {
    pub id: Uuid,
    pub kind: TouchKind,
    pub occurred_at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
    /// What a conversion was worth.
    pub value: Option<Money>,
    /// A text per name, where any were kept.
    pub properties: Option<serde_json::Value>,
}

#[derive(QueryableByName)]
struct ActRow {
    #[diesel(sql_type = SqlUuid)]
    canonical_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Timestamptz)]
    occurred_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    recorded_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<BigInt>)]
    amount_minor: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    currency: Option<String>,
    #[diesel(sql_type = Nullable<Jsonb>)]
    properties: Option<serde_json::Value>,
}

/// What each canonical person did of these kinds, the earliest `limit` of each, in the order in which we had it. A conversion counts once,
/// however often its order was sent; what was blocked as fraud does not.
pub async fn acts_of(
    conn: &mut Conn,
    scope: &Scope,
    canonical_ids: &[Uuid],
    kinds: &[TouchKind],
    limit: i64,
) -> Result<HashMap<Uuid, Vec<Act>>> {
    let mut acts: HashMap<Uuid, Vec<Act>> = HashMap::new();
    if canonical_ids.is_empty() || kinds.is_empty() {
        return Ok(acts);
    }
    let rows: Vec<ActRow> = sql("select wanted.id as canonical_id, a.*, e.properties
         from unnest($2::uuid[]) as wanted (id)
         cross join lateral (
             select * from (
                 select t.id, t.kind, t.occurred_at, t.recorded_at, null::int8 as amount_minor, null::text as currency
                 from people p join touchpoints t on t.brand_id = p.brand_id and t.person_id = p.id
                 where p.brand_id = $1 and p.canonical_id = wanted.id and t.kind = any ($3) and t.kind <> 'CONVERSION'
                       and t.decision <> 'BLOCK'
                 union all
                 select c.id, 'CONVERSION', c.occurred_at, c.recorded_at, c.amount_minor, c.currency
                 from people p join conversions c on c.brand_id = p.brand_id and c.person_id = p.id
                 where p.brand_id = $1 and p.canonical_id = wanted.id and 'CONVERSION' = any ($3)) done
             order by recorded_at, occurred_at, id limit $4) a
         left join event_properties e on e.brand_id = $1 and e.id = a.id
         order by wanted.id, a.recorded_at, a.occurred_at, a.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(canonical_ids)
    .bind::<Array<Text>, _>(kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>())
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    for row in rows {
        let currency = row.currency.as_deref().map(str::parse::<Currency>).transpose();
        let currency = currency.map_err(|error| Error::fault("reading a conversion's currency", error))?;
        let act = Act {
            id: row.id,
            kind: TouchKind::from_column(&row.kind)?,
            occurred_at: row.occurred_at,
            recorded_at: row.recorded_at,
            value: row.amount_minor.zip(currency).map(|(minor, currency)| Money::new(minor, currency)),
            properties: row.properties,
        };
        acts.entry(row.canonical_id).or_default().push(act);
    }
    Ok(acts)
}
