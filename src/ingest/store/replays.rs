//! Refused and dead events on their way back into the line, or out of it for good.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::{Error, Result};
use crate::db::schema::{event_rulings, webhook_sources};
use crate::db::{Conn, sql, sql_anew};
use crate::events::span_of;
use crate::platforms::Scheme;

/// An event that is not in the line, locked for this transaction.
#[derive(Clone, Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub(in crate::ingest) struct RefusedRow {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub source_id: Uuid,
    /// Why it is not in the line.
    #[diesel(sql_type = Text)]
    pub code: String,
    #[diesel(sql_type = Bool)]
    pub is_import: bool,
    #[diesel(sql_type = Timestamptz)]
    pub recorded_at: DateTime<Utc>,
    /// Whether it was understood once: then its content stands, and what came in is gone.
    #[diesel(sql_type = Bool)]
    pub is_canonical: bool,
    #[diesel(sql_type = Nullable<Binary>)]
    pub raw_sealed: Option<Vec<u8>>,
}

/// Those of these events that are not in the line, in the order of the log.
pub(in crate::ingest) async fn lock_refused(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<Vec<RefusedRow>> {
    let (first, end) = span_of(ids);
    let rows =
        sql_anew("select id, source_id, code, is_import, recorded_at, payload is not null as is_canonical, raw_sealed from events
         where brand_id = $1 and id = any ($2) and state <> 'ACCEPTED' and recorded_at >= $3 and recorded_at < $4
         order by recorded_xid, seq
         for update")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Timestamptz, _>(first)
        .bind::<Timestamptz, _>(end)
        .load(conn)
        .await?;
    Ok(rows)
}

/// How each of these sources writes its events.
pub(in crate::ingest) async fn schemes(
    conn: &mut Conn,
    scope: &Scope,
    source_ids: &[Uuid],
) -> Result<HashMap<Uuid, Scheme>> {
    let rows: Vec<(Uuid, String)> = webhook_sources::table
        .filter(webhook_sources::brand_id.eq(scope.brand_id))
        .filter(webhook_sources::id.eq_any(source_ids))
        .select((webhook_sources::id, webhook_sources::scheme))
        .load(conn)
        .await?;
    rows.into_iter().map(|(id, scheme)| Ok((id, Scheme::from_column(&scheme)?))).collect()
}

/// What was understood of an event that is taken in again.
#[derive(Clone, Debug)]
pub(in crate::ingest) struct Understood {
    pub event_type: &'static str,
    pub occurred_at: DateTime<Utc>,
    pub payload: serde_json::Value,
}

#[derive(QueryableByName)]
struct SeqRow {
    #[diesel(sql_type = BigInt)]
    seq: i64,
}

/// Gives events new places at the end of the log, in the order given, with what was understood of them now; `None` keeps what they
/// hold. What came in is not kept beside what was understood of it.
pub(in crate::ingest) async fn requeue(
    conn: &mut Conn,
    scope: &Scope,
    rows: &[(Uuid, Option<Understood>)],
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = rows.iter().map(|(id, _)| *id).collect();
    let (first, end) = span_of(&ids);
    let count = i32::try_from(rows.len()).map_err(|error| Error::fault("numbering events", error))?;
    let seqs: Vec<SeqRow> =
        sql("select nextval(pg_get_serial_sequence('events', 'seq')) as seq from generate_series(1, $1)")
            .bind::<Integer, _>(count)
            .load(conn)
            .await?;
    let mut seqs: Vec<i64> = seqs.into_iter().map(|row| row.seq).collect();
    seqs.sort_unstable();
    let understood = || rows.iter().map(|(_, understood)| understood.as_ref());
    sql_anew("update events e
         set state = 'ACCEPTED', code = null, reason = null, recorded_xid = pg_current_xact_id()::text::bigint, seq = n.seq,
             event_type = coalesce(n.event_type, e.event_type), occurred_at = coalesce(n.occurred_at, e.occurred_at),
             payload = coalesce(n.payload, e.payload), raw_sealed = null, attempt_count = 0, replay_count = e.replay_count + 1,
             discarded_at = null
         from unnest($2::uuid[], $3::int8[], $4::text[], $5::timestamptz[], $6::jsonb[]) as n (id, seq, event_type, occurred_at, payload)
         where e.brand_id = $1 and e.id = n.id and e.recorded_at >= $7 and e.recorded_at < $8")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(&ids)
    .bind::<Array<BigInt>, _>(seqs)
    .bind::<Array<Nullable<Text>>, _>(understood().map(|one| Some(one?.event_type)).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(understood().map(|one| Some(one?.occurred_at)).collect::<Vec<_>>())
    .bind::<Array<Nullable<Jsonb>>, _>(understood().map(|one| Some(one?.payload.clone())).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(first)
    .bind::<Timestamptz, _>(end)
    .execute(conn)
    .await?;
    // Those who read the log look back to the day of the oldest, once they have done what they are at.
    sql("update positions set since = least(since, $2) where shard = $1")
        .bind::<SmallInt, _>(scope.shard)
        .bind::<Timestamptz, _>(first)
        .execute(conn)
        .await?;
    Ok(())
}

/// Says anew why events cannot be used: `(event, code, reason, type)`.
pub(in crate::ingest) async fn refuse_again(
    conn: &mut Conn,
    scope: &Scope,
    rows: &[(Uuid, &'static str, String, Option<&'static str>)],
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.0).collect();
    let (first, end) = span_of(&ids);
    sql_anew("update events e
         set code = n.code, reason = n.reason, event_type = n.event_type, replay_count = e.replay_count + 1, discarded_at = null
         from unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) as n (id, code, reason, event_type)
         where e.brand_id = $1 and e.id = n.id and e.recorded_at >= $6 and e.recorded_at < $7")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(&ids)
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.2.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(rows.iter().map(|row| row.3).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(first)
    .bind::<Timestamptz, _>(end)
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives events up. Returns how many were not given up before.
pub(in crate::ingest) async fn discard(
    conn: &mut Conn,
    scope: &Scope,
    ids: &[Uuid],
    now: DateTime<Utc>,
) -> Result<usize> {
    let (first, end) = span_of(ids);
    let count = sql_anew(
        "update events set discarded_at = $3
         where brand_id = $1 and id = any ($2) and state <> 'ACCEPTED' and discarded_at is null
               and recorded_at >= $4 and recorded_at < $5",
    )
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Timestamptz, _>(now)
    .bind::<Timestamptz, _>(first)
    .bind::<Timestamptz, _>(end)
    .execute(conn)
    .await?;
    Ok(count)
}

/// A ruling as it is kept.
#[derive(Insertable)]
#[diesel(table_name = event_rulings)]
pub(in crate::ingest) struct RulingRow<'a> {
    pub brand_id: Uuid,
    pub id: Uuid,
    pub verb: &'static str,
    pub reason: &'a str,
    pub selection: serde_json::Value,
    pub api_key_id: Option<Uuid>,
    pub ruled_at: DateTime<Utc>,
    pub changed_count: i32,
    pub refused_count: i32,
    pub unchanged_count: i32,
}

pub(in crate::ingest) async fn insert_ruling(conn: &mut Conn, row: &RulingRow<'_>) -> Result<()> {
    diesel::insert_into(event_rulings::table).values(row).execute(conn).await?;
    Ok(())
}
