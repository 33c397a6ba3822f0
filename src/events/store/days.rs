//! The log by days: a table per UTC day, made ahead and dropped whole. Attaching a day takes no lock that a writer or a reader of the
//! log would notice; dropping one does, for a moment, and gives up where it would have to wait.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text, Timestamptz};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use uuid::Uuid;

use super::Reader;
use crate::base::{Result, time_of_id};
use crate::db::{Conn, sql};

/// One process at a time makes or drops days; any number that no one else uses.
const LOCK: &str = "select pg_advisory_xact_lock(7203813)";

/// How far an event's recording may lie behind the moment in its identifier: today both are one moment.
const RECORDING_DAYS_MAX: i64 = 1;

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Bool)]
    is_there: bool,
}

#[derive(QueryableByName)]
struct NameRow {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn table_of(day: NaiveDate) -> String {
    format!("events_{}", day.format("%Y%m%d"))
}

/// The moments between which a day lies, the second one excluded.
pub(in crate::events) fn bounds_of(day: NaiveDate) -> (DateTime<Utc>, DateTime<Utc>) {
    let start = day.and_time(NaiveTime::MIN).and_utc();
    (start, start + TimeDelta::days(1))
}

/// The moments between which events of these identifiers were recorded, so that no other day is looked into.
pub(in crate::events) fn span_of(ids: &[Uuid]) -> (DateTime<Utc>, DateTime<Utc>) {
    let times: Option<Vec<DateTime<Utc>>> = ids.iter().map(|id| time_of_id(*id)).collect();
    let times = times.unwrap_or_default();
    match (times.iter().min(), times.iter().max()) {
        (Some(first), Some(last)) => (*first, *last + TimeDelta::days(RECORDING_DAYS_MAX)),
        // An identifier that is none of ours may stand anywhere.
        _ => (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + Days::new(1_000_000)),
    }
}

/// Makes the table of a day where it is missing. Call it inside of a transaction of its own.
pub(in crate::events) async fn make_day(conn: &mut Conn, day: NaiveDate) -> Result<bool> {
    let name = table_of(day);
    if is_there(conn, &name).await? {
        return Ok(false);
    }
    conn.batch_execute(LOCK).await?;
    if is_there(conn, &name).await? {
        return Ok(false);
    }
    let (start, end) = bounds_of(day);
    let (start, end) = (start.to_rfc3339(), end.to_rfc3339());
    let make = format!(
        "create table {name} (like events including all);
         alter table events attach partition {name} for values from ('{start}') to ('{end}')"
    );
    conn.batch_execute(&make).await?;
    Ok(true)
}

async fn is_there(conn: &mut Conn, name: &str) -> Result<bool> {
    let found: Found =
        sql("select to_regclass($1) is not null as is_there").bind::<Text, _>(name).get_result(conn).await?;
    Ok(found.is_there)
}

/// The days that the log has tables of, the oldest first.
pub(in crate::events) async fn days(conn: &mut Conn) -> Result<Vec<NaiveDate>> {
    let rows: Vec<NameRow> =
        sql("select c.relname::text as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'events'::regclass order by c.relname")
        .load(conn)
        .await?;
    let day = |row: NameRow| NaiveDate::parse_from_str(&row.name, "events_%Y%m%d").ok();
    Ok(rows.into_iter().filter_map(day).collect())
}

/// Drops a day. Call it inside of a transaction of its own; a lock that is not to be had at once is a fault of the moment.
pub(in crate::events) async fn drop_day(conn: &mut Conn, day: NaiveDate) -> Result<()> {
    conn.batch_execute(LOCK).await?;
    let name = table_of(day);
    Ok(conn.batch_execute(&format!("set local lock_timeout = '500ms'; drop table {name}")).await?)
}

/// How many shards, over all readers, hold an event of this day that waits.
pub(in crate::events) async fn waiting_count(conn: &mut Conn, day: NaiveDate) -> Result<i64> {
    let (start, end) = bounds_of(day);
    let row: CountRow = sql("select count(*) as count from positions p where exists (
             select from events e
             where e.shard = p.shard and e.state = 'ACCEPTED' and (e.recorded_xid, e.seq) > (p.recorded_xid, p.seq)
                   and e.recorded_at >= $1 and e.recorded_at < $2)")
    .bind::<Timestamptz, _>(start)
    .bind::<Timestamptz, _>(end)
    .get_result(conn)
    .await?;
    Ok(row.count)
}

/// Makes the readers look back to a day in which something waits for them. Returns how many of their shards that were.
pub(in crate::events) async fn look_back(conn: &mut Conn, day: NaiveDate) -> Result<usize> {
    let (start, end) = bounds_of(day);
    let count = sql("update positions p set since = $1
         where p.since > $1 and exists (
             select from events e
             where e.shard = p.shard and e.state = 'ACCEPTED' and (e.recorded_xid, e.seq) > (p.recorded_xid, p.seq)
                   and e.recorded_at >= $1 and e.recorded_at < $2)")
    .bind::<Timestamptz, _>(start)
    .bind::<Timestamptz, _>(end)
    .execute(conn)
    .await?;
    Ok(count)
}

#[derive(QueryableByName)]
struct SinceRow {
    #[diesel(sql_type = Timestamptz)]
    since: DateTime<Utc>,
}

impl Reader {
    /// The moment before which no shard holds an event that waits.
    pub(super) async fn earliest_since(self, conn: &mut Conn) -> Result<DateTime<Utc>> {
        let row: Option<SinceRow> = sql("select since from positions where consumer = $1 order by since limit 1")
            .bind::<Text, _>(self.consumer)
            .get_result(conn)
            .await
            .optional()?;
        Ok(row.map_or(DateTime::UNIX_EPOCH, |row| row.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{SeededChance, time_ordered_id};

    #[test]
    fn identifiers_tell_the_days_to_look_into_and_foreign_ones_may_be_anywhere() {
        let chance = SeededChance::from_seed(1);
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (first, last) = (time("2026-08-15T23:59:59.999Z"), time("2026-08-17T00:00:00Z"));
        let ids = [time_ordered_id(last, &chance), time_ordered_id(first, &chance)];
        assert_eq!(span_of(&ids), (first, time("2026-08-18T00:00:00Z")));
        assert_eq!(span_of(&[ids[0], Uuid::from_u128(7)]).0, DateTime::UNIX_EPOCH);
        let day = NaiveDate::from_ymd_opt(2026, 8, 15).unwrap();
        assert_eq!((table_of(day).as_str(), bounds_of(day).1), ("events_20260815", time("2026-08-16T00:00:00Z")));
    }
}
