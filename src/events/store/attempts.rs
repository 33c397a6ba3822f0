//! How often a reader has tried what stands next. A try is written down before its work, on a connection of its own, while the
//! reader holds its position: so it counts although the work is rolled back, and although the process may end with it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Place, Reader};
use crate::base::limits::{SHARD_COUNT, WORKER_BATCH_MAX, WORKER_NARROWING};
use crate::base::{Error, Result};
use crate::db::{Conn, sql};

/// What the last tries of a shard came to, and so what the next one may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// The try that wrote this.
    pub token: Uuid,
    /// Tries since the last one that ended well.
    pub count: i16,
    pub events_max: i64,
    /// What is to blame stands at or before this place.
    pub until: Option<Place>,
    /// What went wrong last; `None` after a try that never came back.
    pub fault: Option<String>,
}

impl Attempts {
    /// What stands once a try of `taken_max` events, the last of them at `until`, has begun: should it fail or never come back, less
    /// is taken next.
    #[must_use]
    pub fn begun(&self, token: Uuid, taken_max: i64, until: Option<Place>) -> Self {
        let events_max = (taken_max / WORKER_NARROWING).max(1);
        Self { token, count: self.count.saturating_add(1), events_max, until: until.or(self.until), fault: None }
    }

    /// What stands once a try that began from here has ended well at `last`. Where the blame lies beyond, it is still looked for;
    /// else the line grows back to its full width.
    #[must_use]
    pub fn passed(&self, last: Place) -> Self {
        if self.until.is_some_and(|until| last < until) { self.clone() } else { self.cleared() }
    }

    /// What stands once nothing is to blame any more.
    #[must_use]
    pub fn cleared(&self) -> Self {
        let events_max = self.events_max.saturating_mul(WORKER_NARROWING).min(WORKER_BATCH_MAX);
        Self { token: self.token, count: 0, events_max, until: None, fault: None }
    }

    /// What stands once the event that stood alone was buried: the next one stands alone too, since trouble comes in swarms.
    #[must_use]
    pub fn buried(&self) -> Self {
        Self { count: 0, events_max: 1, until: None, fault: None, ..*self }
    }
}

#[derive(QueryableByName)]
struct AttemptRow {
    #[diesel(sql_type = SqlUuid)]
    token: Uuid,
    #[diesel(sql_type = SmallInt)]
    attempt_count: i16,
    #[diesel(sql_type = Integer)]
    events_max: i32,
    #[diesel(sql_type = Nullable<BigInt>)]
    until_xid: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    until_seq: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    fault: Option<String>,
}

impl Reader {
    pub(super) async fn prepare_attempts(self, conn: &mut Conn, now: DateTime<Utc>) -> Result<()> {
        sql("insert into attempts (consumer, shard, token, attempt_count, events_max, begun_at)
             select $1, shard, $2, 0, $3, $4 from unnest($5::int2[]) as s (shard) on conflict do nothing")
        .bind::<Text, _>(self.consumer)
        .bind::<SqlUuid, _>(Uuid::nil())
        .bind::<Integer, _>(to_column(WORKER_BATCH_MAX)?)
        .bind::<Timestamptz, _>(now)
        .bind::<Array<SmallInt>, _>((0..SHARD_COUNT).collect::<Vec<_>>())
        .execute(conn)
        .await?;
        Ok(())
    }

    /// What the tries so far came to. Ask with the position taken.
    pub async fn attempts(self, conn: &mut Conn, shard: i16) -> Result<Attempts> {
        let row: AttemptRow = sql("select token, attempt_count, events_max, until_xid, until_seq, fault from attempts
             where consumer = $1 and shard = $2")
        .bind::<Text, _>(self.consumer)
        .bind::<SmallInt, _>(shard)
        .get_result(conn)
        .await?;
        let until = row.until_xid.zip(row.until_seq).map(|(recorded_xid, seq)| Place { recorded_xid, seq });
        Ok(Attempts {
            token: row.token,
            count: row.attempt_count,
            events_max: i64::from(row.events_max),
            until,
            fault: row.fault,
        })
    }

    /// Writes a try down before its work. `conn` must be another connection than the one that holds the position. It does not wait
    /// for the disk: a count that a power cut takes back is only one try more.
    pub async fn begin(self, conn: &mut Conn, shard: i16, now: DateTime<Utc>, begun: &Attempts) -> Result<()> {
        sql("with quick as materialized (select set_config('synchronous_commit', 'off', true))
             update attempts set token = $3, attempt_count = $4, events_max = $5, until_xid = $6, until_seq = $7, fault = $8, begun_at = $9
             from quick where consumer = $1 and shard = $2")
        .bind::<Text, _>(self.consumer)
        .bind::<SmallInt, _>(shard)
        .bind::<SqlUuid, _>(begun.token)
        .bind::<SmallInt, _>(begun.count)
        .bind::<Integer, _>(to_column(begun.events_max)?)
        .bind::<Nullable<BigInt>, _>(begun.until.map(|place| place.recorded_xid))
        .bind::<Nullable<BigInt>, _>(begun.until.map(|place| place.seq))
        .bind::<Nullable<Text>, _>(begun.fault.as_deref())
        .bind::<Timestamptz, _>(now)
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Changes what the tries came to: in the transaction of the effects where a try ended well, on the other connection where it
    /// did not. Nothing happens where another try than `token` has begun since.
    pub async fn settle(self, conn: &mut Conn, shard: i16, token: Uuid, attempts: &Attempts) -> Result<()> {
        sql("update attempts set attempt_count = $4, events_max = $5, until_xid = $6, until_seq = $7, fault = $8
             where consumer = $1 and shard = $2 and token = $3")
        .bind::<Text, _>(self.consumer)
        .bind::<SmallInt, _>(shard)
        .bind::<SqlUuid, _>(token)
        .bind::<SmallInt, _>(attempts.count)
        .bind::<Integer, _>(to_column(attempts.events_max)?)
        .bind::<Nullable<BigInt>, _>(attempts.until.map(|place| place.recorded_xid))
        .bind::<Nullable<BigInt>, _>(attempts.until.map(|place| place.seq))
        .bind::<Nullable<Text>, _>(attempts.fault.as_deref())
        .execute(conn)
        .await?;
        Ok(())
    }
}

fn to_column(events_max: i64) -> Result<i32> {
    i32::try_from(events_max).map_err(|error| Error::fault("writing the size of a batch", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(seq: i64) -> Place {
        Place { recorded_xid: 1, seq }
    }

    fn fresh() -> Attempts {
        Attempts { token: Uuid::nil(), count: 0, events_max: WORKER_BATCH_MAX, until: None, fault: None }
    }

    #[test]
    fn an_event_stands_alone_at_its_fourth_and_fifth_try() {
        let mut taken = Vec::new();
        let mut attempts = fresh();
        while attempts.count < 5 {
            taken.push(attempts.events_max);
            attempts = attempts.begun(Uuid::nil(), attempts.events_max, Some(place(7)));
        }
        assert_eq!(taken, [1_000, 100, 10, 1, 1]);
    }

    #[test]
    fn what_passes_before_the_blame_keeps_the_count_and_what_passes_it_widens_the_line() {
        let failed = fresh().begun(Uuid::nil(), 1_000, Some(place(1_000)));
        assert_eq!(failed.passed(place(100)), failed);
        let found = failed.begun(Uuid::nil(), 100, Some(place(200))).passed(place(200));
        assert_eq!((found.count, found.events_max, found.until), (0, 100, None));
        assert_eq!(found.passed(place(300)).events_max, 1_000);
    }
}
