//! Endpoints and deliveries in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::DeliveryState;
use super::courier::Try;
use super::message::Message;
use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};

/// An endpoint that is to be made.
pub(super) struct NewEndpointRow<'a> {
    pub id: Uuid,
    pub url: &'a str,
    pub kinds: &'a [String],
    pub secret_sealed: &'a [u8],
    pub created_at: DateTime<Utc>,
}

/// Holds the brand to the end of the transaction: endpoints are counted and made one after the other.
pub(super) async fn hold_brand(conn: &mut Conn, scope: &Scope) -> Result<()> {
    sql("select from brands where id = $1 for no key update").bind::<SqlUuid, _>(scope.brand_id).execute(conn).await?;
    Ok(())
}

/// Adds an endpoint that hears of everything from now on. False: the brand has as many as it may. Call [`hold_brand`] before.
pub(super) async fn insert_endpoint(
    conn: &mut Conn,
    scope: &Scope,
    row: &NewEndpointRow<'_>,
    count_max: i64,
) -> Result<bool> {
    let count = sql("insert into webhook_endpoints (brand_id, id, url, kinds, secret_sealed, taken_seq, created_at)
         select $1, $2, $3, $4, $5, c.value, $6 from brand_counters c
         where c.brand_id = $1 and c.name = 'outbox' and (select count(*) from webhook_endpoints where brand_id = $1) < $7")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(row.id)
    .bind::<Text, _>(row.url)
    .bind::<Array<Text>, _>(row.kinds)
    .bind::<Binary, _>(row.secret_sealed)
    .bind::<Timestamptz, _>(row.created_at)
    .bind::<BigInt, _>(count_max)
    .execute(conn)
    .await?;
    Ok(count == 1)
}

/// What a change needs to know of an endpoint, held until the end of the transaction.
#[derive(QueryableByName)]
pub(super) struct HeldRow {
    #[diesel(sql_type = Binary)]
    pub secret_sealed: Vec<u8>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub previous_expires_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    pub is_disabled: bool,
}

pub(super) async fn lock_endpoint(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<Option<HeldRow>> {
    let row = sql("select secret_sealed, previous_expires_at, disabled_at is not null as is_disabled
         from webhook_endpoints where brand_id = $1 and id = $2 for no key update")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .get_result(conn)
    .await
    .optional()?;
    Ok(row)
}

pub(super) async fn change_endpoint(
    conn: &mut Conn,
    scope: &Scope,
    id: Uuid,
    url: Option<&str>,
    kinds: Option<&[String]>,
) -> Result<()> {
    sql("update webhook_endpoints set url = coalesce($3, url), kinds = coalesce($4, kinds) where brand_id = $1 and id = $2")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(id)
        .bind::<Nullable<Text>, _>(url)
        .bind::<Nullable<Array<Text>>, _>(kinds)
        .execute(conn)
        .await?;
    Ok(())
}

/// Turns an endpoint on: what waits for it is due at once and has all its tries again.
pub(super) async fn enable(conn: &mut Conn, scope: &Scope, id: Uuid, now: DateTime<Utc>) -> Result<()> {
    sql("with enabled as (
             update webhook_endpoints set disabled_at = null, disabled_reason = null, failing_since = null
             where brand_id = $1 and id = $2
             returning id)
         update webhook_deliveries d set attempt_count = 0, next_attempt_at = $3 from enabled
         where d.brand_id = $1 and d.endpoint_id = enabled.id and d.state = 'PENDING'")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Turns an endpoint off; where `failing_until` is given, only if every try has failed since then.
pub(super) async fn disable(
    conn: &mut Conn,
    scope: &Scope,
    id: Uuid,
    now: DateTime<Utc>,
    reason: &str,
    failing_until: Option<DateTime<Utc>>,
) -> Result<()> {
    let count = sql("update webhook_endpoints set disabled_at = $3, disabled_reason = $4
         where brand_id = $1 and id = $2 and disabled_at is null and ($5::timestamptz is null or failing_since <= $5)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .bind::<Timestamptz, _>(now)
    .bind::<Text, _>(reason)
    .bind::<Nullable<Timestamptz>, _>(failing_until)
    .execute(conn)
    .await?;
    if count > 0 {
        tracing::warn!(endpoint.id = %id, reason, "a webhook endpoint was disabled");
    }
    Ok(())
}

pub(super) async fn replace_secret(
    conn: &mut Conn,
    scope: &Scope,
    id: Uuid,
    sealed: &[u8],
    previous: Option<(&[u8], DateTime<Utc>)>,
) -> Result<()> {
    let (previous_sealed, previous_until) = previous.unzip();
    sql("update webhook_endpoints set secret_sealed = $3, previous_secret_sealed = $4, previous_expires_at = $5
         where brand_id = $1 and id = $2")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .bind::<Binary, _>(sealed)
    .bind::<Nullable<Binary>, _>(previous_sealed)
    .bind::<Nullable<Timestamptz>, _>(previous_until)
    .execute(conn)
    .await?;
    Ok(())
}

/// An endpoint that has not heard of everything yet.
#[derive(QueryableByName)]
pub(super) struct BehindRow {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Array<Text>)]
    pub kinds: Vec<String>,
    #[diesel(sql_type = BigInt)]
    pub taken_seq: i64,
}

/// The endpoints behind the outbox, locked, but for those for which enough waits and those that another worker holds.
pub(super) async fn lock_behind(conn: &mut Conn, scope: &Scope, pending_max: i64) -> Result<Vec<BehindRow>> {
    let rows = sql("select e.id, e.kinds, e.taken_seq from webhook_endpoints e
         join brand_counters c on c.brand_id = e.brand_id and c.name = 'outbox'
         where e.brand_id = $1 and e.disabled_at is null and e.taken_seq < c.value
               and (select count(*) from (select from webhook_deliveries d
                                          where d.brand_id = e.brand_id and d.endpoint_id = e.id and d.state = 'PENDING'
                                          limit $2) waiting) < $2
         order by e.id for no key update of e skip locked")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<BigInt, _>(pending_max)
    .load(conn)
    .await?;
    Ok(rows)
}

/// Adds deliveries that are due at once. One that is there already stays as it is.
pub(super) async fn insert_deliveries(
    conn: &mut Conn,
    scope: &Scope,
    endpoint_id: Uuid,
    now: DateTime<Utc>,
    messages: &[Message],
) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    sql("insert into webhook_deliveries (brand_id, endpoint_id, seq, message_id, kind, payload, state, attempt_count, next_attempt_at, created_at)
         select $1, $2, seq, message_id, kind, payload, 'PENDING', 0, $3, $3
         from unnest($4::int8[], $5::uuid[], $6::text[], $7::text[]) as m (seq, message_id, kind, payload)
         on conflict do nothing")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(endpoint_id)
    .bind::<Timestamptz, _>(now)
    .bind::<Array<BigInt>, _>(messages.iter().map(|message| message.seq).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(messages.iter().map(|message| message.id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(messages.iter().map(|message| message.kind).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(messages.iter().map(|message| message.payload.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn move_on(conn: &mut Conn, scope: &Scope, endpoint_id: Uuid, seq: i64) -> Result<()> {
    sql("update webhook_endpoints set taken_seq = $3 where brand_id = $1 and id = $2")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(endpoint_id)
        .bind::<BigInt, _>(seq)
        .execute(conn)
        .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

pub(super) async fn endpoints_due(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>) -> Result<Vec<Uuid>> {
    let rows: Vec<IdRow> = sql("select e.id from webhook_endpoints e
         where e.brand_id = $1 and e.disabled_at is null
               and exists (select from webhook_deliveries d
                           where d.brand_id = e.brand_id and d.endpoint_id = e.id and d.state = 'PENDING' and d.next_attempt_at <= $2)
         order by e.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(now)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// A delivery on its way, and what it is signed with.
#[derive(QueryableByName)]
pub(super) struct Parcel {
    #[diesel(sql_type = BigInt)]
    pub seq: i64,
    #[diesel(sql_type = SqlUuid)]
    pub message_id: Uuid,
    #[diesel(sql_type = Text)]
    pub payload: String,
    /// With the try that begins now.
    #[diesel(sql_type = SmallInt)]
    pub attempt_count: i16,
    #[diesel(sql_type = Text)]
    pub url: String,
    #[diesel(sql_type = Binary)]
    pub secret_sealed: Vec<u8>,
    #[diesel(sql_type = Nullable<Binary>)]
    pub previous_secret_sealed: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub previous_expires_at: Option<DateTime<Utc>>,
}

/// Claims the first delivery that is due to an endpoint: until `lost_at` it is nobody else's. The try counts from here, so that one which
/// ends the process counts too.
pub(super) async fn claim_next(
    conn: &mut Conn,
    scope: &Scope,
    endpoint_id: Uuid,
    now: DateTime<Utc>,
    lost_at: DateTime<Utc>,
) -> Result<Option<Parcel>> {
    let row = sql("with next as (
             select seq from webhook_deliveries
             where brand_id = $1 and endpoint_id = $2 and state = 'PENDING' and next_attempt_at <= $3
             order by seq limit 1 for no key update skip locked)
         update webhook_deliveries d
         set attempt_count = d.attempt_count + 1, next_attempt_at = $4, last_attempt_at = $3
         from next, webhook_endpoints e
         where d.brand_id = $1 and d.endpoint_id = $2 and d.seq = next.seq
               and e.brand_id = $1 and e.id = $2 and e.disabled_at is null
         returning d.seq, d.message_id, d.payload, d.attempt_count, e.url, e.secret_sealed, e.previous_secret_sealed,
                   e.previous_expires_at")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(endpoint_id)
    .bind::<Timestamptz, _>(now)
    .bind::<Timestamptz, _>(lost_at)
    .get_result(conn)
    .await
    .optional()?;
    Ok(row)
}

/// What came of a try.
pub(super) struct SettledRow<'a> {
    pub state: DeliveryState,
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub status: Option<i16>,
    pub error: Option<&'a str>,
    pub now: DateTime<Utc>,
}

/// Writes it down, with whether the endpoint is failing. A try that was overtaken by a later one settles nothing.
pub(super) async fn settle(conn: &mut Conn, scope: &Scope, made: &Try, row: &SettledRow<'_>) -> Result<()> {
    sql("with settled as (
             update webhook_deliveries
             set state = $5, next_attempt_at = $6, last_status = $7, last_error = $8, delivered_at = case when $9 then $10 end
             where brand_id = $1 and endpoint_id = $2 and seq = $3 and state = 'PENDING' and attempt_count = $4
             returning seq)
         update webhook_endpoints
         set failing_since = case when not $9 then $10 end
         where brand_id = $1 and id = $2 and exists (select from settled) and (failing_since is null) <> $9")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(made.endpoint_id)
    .bind::<BigInt, _>(made.seq)
    .bind::<SmallInt, _>(made.attempt_count)
    .bind::<Text, _>(row.state.as_str())
    .bind::<Nullable<Timestamptz>, _>(row.next_attempt_at)
    .bind::<Nullable<SmallInt>, _>(row.status)
    .bind::<Nullable<Text>, _>(row.error)
    .bind::<Bool, _>(row.state == DeliveryState::Delivered)
    .bind::<Timestamptz, _>(row.now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Which deliveries are sent again.
pub(super) struct ReplayQuery {
    pub endpoint_id: Uuid,
    pub after_seq: i64,
    pub is_failed_only: bool,
    pub now: DateTime<Utc>,
    pub limit: i64,
}

#[derive(QueryableByName)]
struct SeqRow {
    #[diesel(sql_type = BigInt)]
    seq: i64,
}

/// The numbers of those that are done with, the oldest first.
pub(super) async fn done_after(conn: &mut Conn, scope: &Scope, query: &ReplayQuery) -> Result<Vec<i64>> {
    let rows: Vec<SeqRow> = sql("select seq from webhook_deliveries
         where brand_id = $1 and endpoint_id = $2 and seq > $3 and (state = 'FAILED' or (state = 'DELIVERED' and not $4))
         order by seq limit $5")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(query.endpoint_id)
    .bind::<BigInt, _>(query.after_seq)
    .bind::<Bool, _>(query.is_failed_only)
    .bind::<BigInt, _>(query.limit)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.seq).collect())
}

pub(super) async fn send_again(conn: &mut Conn, scope: &Scope, query: &ReplayQuery, seqs: &[i64]) -> Result<()> {
    if seqs.is_empty() {
        return Ok(());
    }
    sql("update webhook_deliveries set state = 'PENDING', attempt_count = 0, next_attempt_at = $3, delivered_at = null
         where brand_id = $1 and endpoint_id = $2 and seq = any ($4)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(query.endpoint_id)
    .bind::<Timestamptz, _>(query.now)
    .bind::<Array<BigInt>, _>(seqs)
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns how many it was.
pub(super) async fn forget(conn: &mut Conn, scope: &Scope, before: DateTime<Utc>, limit: i64) -> Result<usize> {
    let count = sql("delete from webhook_deliveries
         where brand_id = $1 and (endpoint_id, seq) in (
             select endpoint_id, seq from webhook_deliveries
             where brand_id = $1 and created_at < $2 and state <> 'PENDING' order by created_at limit $3)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(before)
    .bind::<BigInt, _>(limit)
    .execute(conn)
    .await?;
    Ok(count)
}
