//! The outbox and its counters in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Entry, Told, Topic};
use crate::access::Scope;
use crate::base::{Error, Result};
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct CounterRow {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

pub(super) async fn reserve(conn: &mut Conn, scope: &Scope, count: usize) -> Result<i64> {
    let count = i64::try_from(count).map_err(|error| Error::fault("numbering outbox entries", error))?;
    let row: CounterRow =
        sql("update brand_counters set value = value + $2 where brand_id = $1 and name = 'outbox' returning value")
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<BigInt, _>(count)
            .get_result(conn)
            .await?;
    Ok(row.value - count + 1)
}

pub(super) async fn insert(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, entries: &[Entry]) -> Result<()> {
    sql("insert into outbox (brand_id, seq, topic, subject_id, recorded_at)
         select $1, seq, topic, subject_id, $2 from unnest($3::int8[], $4::text[], $5::uuid[]) as e (seq, topic, subject_id)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(now)
    .bind::<Array<BigInt>, _>(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(entries.iter().map(|entry| entry.topic.as_str()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(entries.iter().map(|entry| entry.subject_id).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct EntryRow {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Text)]
    topic: String,
    #[diesel(sql_type = SqlUuid)]
    subject_id: Uuid,
}

/// Up to where the brand's outbox was published, and what stands above that.
pub(super) async fn unpublished(conn: &mut Conn, scope: &Scope, limit: i64) -> Result<(i64, Vec<Entry>)> {
    let row: Option<CounterRow> =
        sql("select value from brand_counters where brand_id = $1 and name = 'outbox_published'")
            .bind::<SqlUuid, _>(scope.brand_id)
            .get_result(conn)
            .await
            .optional()?;
    let published = row.map_or(0, |row| row.value);
    Ok((published, above(conn, scope, published, limit).await?))
}

/// The next entries above a number.
pub(super) async fn above(conn: &mut Conn, scope: &Scope, seq: i64, limit: i64) -> Result<Vec<Entry>> {
    let rows: Vec<EntryRow> =
        sql("select seq, topic, subject_id from outbox where brand_id = $1 and seq > $2 order by seq limit $3")
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<BigInt, _>(seq)
            .bind::<BigInt, _>(limit)
            .load(conn)
            .await?;
    let entry =
        |row: EntryRow| Ok(Entry { seq: row.seq, topic: Topic::from_column(&row.topic)?, subject_id: row.subject_id });
    rows.into_iter().map(entry).collect()
}

#[derive(QueryableByName)]
struct ToldRow {
    #[diesel(sql_type = Timestamptz)]
    recorded_at: DateTime<Utc>,
    #[diesel(embed)]
    entry: EntryRow,
}

/// The same with their moments.
pub(super) async fn told_above(conn: &mut Conn, scope: &Scope, seq: i64, limit: i64) -> Result<Vec<Told>> {
    let rows: Vec<ToldRow> = sql(
        "select seq, topic, subject_id, recorded_at from outbox where brand_id = $1 and seq > $2 order by seq limit $3",
    )
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<BigInt, _>(seq)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    let told = |ToldRow { recorded_at, entry }: ToldRow| {
        let topic = Topic::from_column(&entry.topic)?;
        Ok(Told { seq: entry.seq, topic, subject_id: entry.subject_id, recorded_at })
    };
    rows.into_iter().map(told).collect()
}

pub(super) async fn mark_published(conn: &mut Conn, scope: &Scope, seq: i64) -> Result<()> {
    sql("update brand_counters set value = greatest(value, $2) where brand_id = $1 and name = 'outbox_published'")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<BigInt, _>(seq)
        .execute(conn)
        .await?;
    Ok(())
}
