//! Endpoints and the log of what was sent to them, as they are read. It never shows a secret.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Delivery, DeliveryState, Endpoint};
use crate::access::Scope;
use crate::base::{Page, Result, Slice};
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct EndpointRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    url: String,
    #[diesel(sql_type = Array<Text>)]
    kinds: Vec<String>,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    previous_expires_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    failing_since: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    disabled_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    disabled_reason: Option<String>,
}

impl From<EndpointRow> for Endpoint {
    fn from(row: EndpointRow) -> Self {
        Self {
            id: row.id,
            url: row.url,
            kinds: row.kinds,
            created_at: row.created_at,
            previous_until: row.previous_expires_at,
            failing_since: row.failing_since,
            disabled: row.disabled_at.zip(row.disabled_reason),
        }
    }
}

macro_rules! endpoints {
    ($rest:literal) => {
        concat!(
            "select id, url, kinds, created_at, previous_expires_at, failing_since, disabled_at, disabled_reason
             from webhook_endpoints where brand_id = $1 and ",
            $rest
        )
    };
}

/// The brand's endpoints, the oldest first.
pub async fn endpoint_page(conn: &mut Conn, scope: &Scope, page: &Page) -> Result<Slice<Endpoint>> {
    let text = if page.is_backward {
        endpoints!(
            "(created_at, id) > ($2, $3) and (created_at, id) < ($4, $5) order by created_at desc, id desc limit $6"
        )
    } else {
        endpoints!("(created_at, id) > ($2, $3) and (created_at, id) < ($4, $5) order by created_at, id limit $6")
    };
    let [(low, low_id), (high, high_id)] = page.time_bounds();
    let rows: Vec<EndpointRow> = sql(text)
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Timestamptz, _>(low)
        .bind::<SqlUuid, _>(low_id)
        .bind::<Timestamptz, _>(high)
        .bind::<SqlUuid, _>(high_id)
        .bind::<BigInt, _>(page.fetch_limit())
        .load(conn)
        .await?;
    Ok(page.slice(rows.into_iter().map(Endpoint::from).collect()))
}

/// An endpoint of the brand.
pub async fn endpoint_by_id(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<Option<Endpoint>> {
    let row: Option<EndpointRow> = sql(endpoints!("id = $2"))
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(id)
        .get_result(conn)
        .await
        .optional()?;
    Ok(row.map(Endpoint::from))
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// How many endpoints the brand has.
pub async fn endpoint_count(conn: &mut Conn, scope: &Scope) -> Result<i64> {
    let row: CountRow = sql("select $1 as id, count(*) as count from webhook_endpoints where brand_id = $1")
        .bind::<SqlUuid, _>(scope.brand_id)
        .get_result(conn)
        .await?;
    Ok(row.count)
}

#[derive(QueryableByName)]
struct DeliveryRow {
    #[diesel(sql_type = SqlUuid)]
    endpoint_id: Uuid,
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = SqlUuid)]
    message_id: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    payload: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = SmallInt)]
    attempt_count: i16,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    next_attempt_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_attempt_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<SmallInt>)]
    last_status: Option<i16>,
    #[diesel(sql_type = Nullable<Text>)]
    last_error: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    delivered_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
}

impl DeliveryRow {
    fn into_delivery(self) -> Result<Delivery> {
        Ok(Delivery {
            seq: self.seq,
            message_id: self.message_id,
            kind: self.kind,
            payload: self.payload,
            state: DeliveryState::from_column(&self.state)?,
            attempt_count: self.attempt_count,
            next_attempt_at: self.next_attempt_at,
            last_attempt_at: self.last_attempt_at,
            last_status: self.last_status,
            last_error: self.last_error,
            delivered_at: self.delivered_at,
            created_at: self.created_at,
        })
    }
}

fn texts(states: &[DeliveryState]) -> Vec<&'static str> {
    states.iter().map(|state| state.as_str()).collect()
}

/// The first deliveries after a cursor of each endpoint, the newest first: one statement for all. Without states: in any. `page` is read
/// forwards.
pub async fn deliveries_of_endpoints(
    conn: &mut Conn,
    scope: &Scope,
    endpoint_ids: &[Uuid],
    states: &[DeliveryState],
    page: &Page,
) -> Result<HashMap<Uuid, Slice<Delivery>>> {
    let rows: Vec<DeliveryRow> = sql("select d.* from unnest($2::uuid[]) as endpoint (id)
         cross join lateral (
             select w.endpoint_id, w.seq, w.message_id, w.kind, w.payload, w.state, w.attempt_count, w.next_attempt_at, w.last_attempt_at,
                    w.last_status, w.last_error, w.delivered_at, w.created_at
             from webhook_deliveries w
             where w.brand_id = $1 and w.endpoint_id = endpoint.id and ($3::int8 is null or w.seq < $3)
               and (cardinality($4::text[]) = 0 or w.state = any ($4))
             order by w.seq desc
             limit $5) d")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(endpoint_ids)
    .bind::<Nullable<BigInt>, _>(page.after.map(|cursor| cursor.key))
    .bind::<Array<Text>, _>(texts(states))
    .bind::<BigInt, _>(page.fetch_limit())
    .load(conn)
    .await?;
    let mut of_endpoint: HashMap<Uuid, Vec<Delivery>> = endpoint_ids.iter().map(|id| (*id, Vec::new())).collect();
    for row in rows {
        of_endpoint.entry(row.endpoint_id).or_default().push(row.into_delivery()?);
    }
    Ok(of_endpoint.into_iter().map(|(id, rows)| (id, page.slice(rows))).collect())
}

/// How many deliveries each endpoint has; who has none is missing.
pub async fn delivery_counts(
    conn: &mut Conn,
    scope: &Scope,
    endpoint_ids: &[Uuid],
    states: &[DeliveryState],
) -> Result<HashMap<Uuid, i64>> {
    let rows: Vec<CountRow> = sql("select endpoint_id as id, count(*) as count from webhook_deliveries
         where brand_id = $1 and endpoint_id = any ($2) and (cardinality($3::text[]) = 0 or state = any ($3))
         group by endpoint_id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(endpoint_ids)
    .bind::<Array<Text>, _>(texts(states))
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.count)).collect())
}
