//! The log by days: a table per UTC day, made ahead and dropped whole. Attaching a day takes no lock that a writer or a reader of the
//! log would notice; dropping one does, for a moment, and gives up where it would have to wait.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Date, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use uuid::Uuid;

use super::{Position, Reader, ShardRow};
use crate::base::limits::SHARD_COUNT;
use crate::base::{Result, time_of_id};
use crate::db::{Conn, sql, sql_anew};

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

#[derive(QueryableByName)]
struct LastRow {
    #[diesel(sql_type = Nullable<Date>)]
    day: Option<NaiveDate>,
}

#[derive(QueryableByName)]
struct SinceRow {
    #[diesel(sql_type = Timestamptz)]
    since: DateTime<Utc>,
}

fn table_of(day: NaiveDate) -> String {
    format!("events_{}", day.format("%Y%m%d"))
}

fn day_of(name: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(name, "events_%Y%m%d").ok()
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

/// Asks the catalogue itself: `to_regclass` locks nothing, and so may not have heard of what another process has just made.
async fn is_there(conn: &mut Conn, name: &str) -> Result<bool> {
    let found: Found = sql("select exists (
             select from pg_class where relname = $1::name and relnamespace = current_schema()::regnamespace) as is_there")
    .bind::<Text, _>(name)
    .get_result(conn)
    .await?;
    Ok(found.is_there)
}

/// The days that the log has tables of, the oldest first.
pub(in crate::events) async fn days(conn: &mut Conn) -> Result<Vec<NaiveDate>> {
    let rows: Vec<NameRow> =
        sql("select c.relname::text as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'events'::regclass order by c.relname")
        .load(conn)
        .await?;
    Ok(rows.iter().filter_map(|row| day_of(&row.name)).collect())
}

/// The first day that the log has a table of, and the last: two probes of a catalogue's index, however many days there are.
pub(in crate::events) async fn first_and_last(conn: &mut Conn) -> Result<Option<(NaiveDate, NaiveDate)>> {
    let ends = sql("(select relname::text as name from pg_class
              where relname >= 'events_0' and relname < 'events_a' and relnamespace = current_schema()::regnamespace
                    and relkind = 'r' and relispartition order by relname limit 1)
         union all
         (select relname::text from pg_class
              where relname >= 'events_0' and relname < 'events_a' and relnamespace = current_schema()::regnamespace
                    and relkind = 'r' and relispartition order by relname desc limit 1)");
    let ends: Vec<NameRow> = ends.load(conn).await?;
    let days: Vec<NaiveDate> = ends.iter().filter_map(|row| day_of(&row.name)).collect();
    Ok(days.iter().min().copied().zip(days.iter().max().copied()))
}

/// Drops a day, unless an event of it waits. Call it inside of a transaction of its own. It waits for nobody: where the log is in use
/// without a pause, the lock is not to be had, which is a transient fault.
pub(in crate::events) async fn drop_day(conn: &mut Conn, day: NaiveDate, now: DateTime<Utc>) -> Result<bool> {
    conn.batch_execute(LOCK).await?;
    // The whole before the part, as everybody locks them.
    conn.batch_execute("set local lock_timeout = '100ms'; lock table only events in access exclusive mode").await?;
    if waiting_count(conn, day).await? > 0 {
        return Ok(false);
    }
    let name = table_of(day);
    conn.batch_execute(&format!("drop table {name}")).await?;
    sql("insert into dropped_days (day, dropped_at) values ($1, $2)
         on conflict (day) do update set dropped_at = excluded.dropped_at")
    .bind::<Date, _>(day)
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await?;
    Ok(true)
}

/// The last day that was dropped.
pub(in crate::events) async fn last_dropped(conn: &mut Conn) -> Result<Option<NaiveDate>> {
    let row: LastRow = sql("select max(day) as day from dropped_days").get_result(conn).await?;
    Ok(row.day)
}

/// How many shards, over all readers, hold an event of this day that waits. A shard that nobody reads yet waits with all it holds.
pub(in crate::events) async fn waiting_count(conn: &mut Conn, day: NaiveDate) -> Result<i64> {
    let (start, end) = bounds_of(day);
    let row: CountRow = sql_anew(
        "select count(*) as count from unnest($1::int2[]) s (shard)
         left join positions p on p.shard = s.shard
         cross join lateral (
             select from events e
             where e.shard = s.shard and e.state = 'ACCEPTED'
                   and (e.recorded_xid, e.seq) > (coalesce(p.recorded_xid, 0), coalesce(p.seq, 0))
                   and e.recorded_at >= $2 and e.recorded_at < $3
             order by e.recorded_xid, e.seq limit 1) next",
    )
    .bind::<Array<SmallInt>, _>((0..SHARD_COUNT).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(start)
    .bind::<Timestamptz, _>(end)
    .get_result(conn)
    .await?;
    Ok(row.count)
}

/// Makes the readers look back to a day in which something waits for them. Returns how many of their shards that were.
pub(in crate::events) async fn look_back(conn: &mut Conn, day: NaiveDate) -> Result<usize> {
    let (start, end) = bounds_of(day);
    let count = sql_anew(
        "update positions p set since = $1
         where p.since > $1 and exists (
             select from events e
             where e.shard = p.shard and e.state = 'ACCEPTED' and (e.recorded_xid, e.seq) > (p.recorded_xid, p.seq)
                   and e.recorded_at >= $1 and e.recorded_at < $2
             order by e.recorded_xid, e.seq limit 1)",
    )
    .bind::<Timestamptz, _>(start)
    .bind::<Timestamptz, _>(end)
    .execute(conn)
    .await?;
    Ok(count)
}

/// Makes the readers look back to a moment from which somebody is about to write. As a rule they do.
pub(in crate::events) async fn look_back_to(conn: &mut Conn, moment: DateTime<Utc>) -> Result<()> {
    sql("update positions set since = $1 where since > $1").bind::<Timestamptz, _>(moment).execute(conn).await?;
    Ok(())
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

    /// Shards whose days before `moment` are still looked into, for want of an event that moved them on.
    pub async fn shards_behind(self, conn: &mut Conn, moment: DateTime<Utc>) -> Result<Vec<i16>> {
        let rows: Vec<ShardRow> = sql("select shard from positions where consumer = $1 and since < $2 order by shard")
            .bind::<Text, _>(self.consumer)
            .bind::<Timestamptz, _>(moment)
            .load(conn)
            .await?;
        Ok(rows.into_iter().map(|row| row.shard).collect())
    }

    /// Leaves the days before `since` behind where nothing waits, not even above the horizon. Ask with the position taken.
    pub async fn look_forward(
        self,
        conn: &mut Conn,
        shard: i16,
        position: Position,
        since: DateTime<Utc>,
    ) -> Result<()> {
        sql_anew("update positions set since = $3
             where consumer = $1 and shard = $2 and not exists (
                 select from events e
                 where e.shard = $2 and e.state = 'ACCEPTED' and (e.recorded_xid, e.seq) > ($4, $5) and e.recorded_at >= $6
                 order by e.recorded_xid, e.seq limit 1)")
        .bind::<Text, _>(self.consumer)
        .bind::<SmallInt, _>(shard)
        .bind::<Timestamptz, _>(since)
        .bind::<BigInt, _>(position.place.recorded_xid)
        .bind::<BigInt, _>(position.place.seq)
        .bind::<Timestamptz, _>(position.since)
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// The moment before which nothing waits in a shard for its pipeline. `None`: nobody reads it yet.
pub(in crate::events) async fn since_of(conn: &mut Conn, shard: i16) -> Result<Option<DateTime<Utc>>> {
    let row: Option<SinceRow> = sql("select since from positions where consumer = 'pipeline' and shard = $1")
        .bind::<SmallInt, _>(shard)
        .get_result(conn)
        .await
        .optional()?;
    Ok(row.map(|row| row.since))
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
