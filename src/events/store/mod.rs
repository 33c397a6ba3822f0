//! The log as its readers see it. A place is (transaction, sequence): rows are read only below the oldest running transaction, so that
//! none appears behind a reader (a plain sequence misses rows that commit out of order).

mod attempts;
pub(super) mod days;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Jsonb, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::Result;
use crate::base::limits::SHARD_COUNT;
use crate::db::{Conn, sql, sql_anew};

pub use attempts::Attempts;

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct Place {
    #[diesel(sql_type = BigInt)]
    pub recorded_xid: i64,
    #[diesel(sql_type = BigInt)]
    pub seq: i64,
}

/// One row of the log. The payload is the canonical event, and `None` where somebody has tampered with it.
#[derive(Clone, Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct Row {
    #[diesel(sql_type = SqlUuid)]
    pub brand_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(embed)]
    pub place: Place,
    #[diesel(sql_type = Timestamptz)]
    pub recorded_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Jsonb>)]
    pub payload: Option<serde_json::Value>,
}

/// What stands next in the log, without its content.
#[derive(Clone, Copy, Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct Head {
    #[diesel(sql_type = SqlUuid)]
    pub brand_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(embed)]
    pub place: Place,
    #[diesel(sql_type = Timestamptz)]
    pub recorded_at: DateTime<Utc>,
}

/// How far a consumer has read a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct Position {
    #[diesel(embed)]
    pub place: Place,
    /// No event that was recorded before this moment waits: the days before need not be looked into.
    #[diesel(sql_type = Timestamptz)]
    pub since: DateTime<Utc>,
}

/// A named consumer of the log.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    pub consumer: &'static str,
}

#[derive(QueryableByName)]
struct ShardRow {
    #[diesel(sql_type = SmallInt)]
    shard: i16,
}

impl Reader {
    /// Makes the consumer's positions where they are missing: at the start of the log.
    pub async fn prepare(self, conn: &mut Conn, now: DateTime<Utc>) -> Result<()> {
        self.prepare_attempts(conn, now).await?;
        sql("insert into positions (consumer, shard, recorded_xid, seq, since, moved_at)
             select $1, shard, 0, 0, $2, $3 from unnest($4::int2[]) as s (shard) on conflict do nothing")
        .bind::<Text, _>(self.consumer)
        .bind::<Timestamptz, _>(DateTime::UNIX_EPOCH)
        .bind::<Timestamptz, _>(now)
        .bind::<Array<SmallInt>, _>((0..SHARD_COUNT).collect::<Vec<_>>())
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Shards that hold events which the consumer has not read, committed or about to be.
    pub async fn shards_with_work(self, conn: &mut Conn) -> Result<Vec<i16>> {
        // A value, not the column of each shard: so the days before are left out before they are opened.
        let since = self.earliest_since(conn).await?;
        // Laterally: so that each shard is one probe of an index, whatever the planner thinks of the day's size.
        let rows: Vec<ShardRow> = sql_anew(
            "select p.shard from positions p
             cross join lateral (
                 select from events e
                 where e.shard = p.shard and e.state = 'ACCEPTED' and (e.recorded_xid, e.seq) > (p.recorded_xid, p.seq)
                       and e.recorded_at >= $2
                 order by e.recorded_xid, e.seq limit 1) next
             where p.consumer = $1
             order by p.shard",
        )
        .bind::<Text, _>(self.consumer)
        .bind::<Timestamptz, _>(since)
        .load(conn)
        .await?;
        Ok(rows.into_iter().map(|row| row.shard).collect())
    }

    /// Takes the shard for this transaction and returns its position. `None`: another worker holds it.
    pub async fn take(self, conn: &mut Conn, shard: i16) -> Result<Option<Position>> {
        let position = sql("select recorded_xid, seq, since from positions where consumer = $1 and shard = $2
             for update skip locked")
        .bind::<Text, _>(self.consumer)
        .bind::<SmallInt, _>(shard)
        .get_result(conn)
        .await
        .optional()?;
        Ok(position)
    }

    /// Takes the shard for this transaction, after whoever holds it, and returns its position; `None` before the consumer has worked at all.
    pub async fn hold(self, conn: &mut Conn, shard: i16) -> Result<Option<Position>> {
        let position =
            sql("select recorded_xid, seq, since from positions where consumer = $1 and shard = $2 for update")
                .bind::<Text, _>(self.consumer)
                .bind::<SmallInt, _>(shard)
                .get_result(conn)
                .await
                .optional()?;
        Ok(position)
    }

    /// The next events above a position and, where `until` is given, up to that one, in the order of the log.
    pub async fn read(
        self,
        conn: &mut Conn,
        shard: i16,
        above: Position,
        until: Option<Place>,
        limit: i64,
    ) -> Result<Vec<Row>> {
        let until = until.unwrap_or(Place { recorded_xid: i64::MAX, seq: i64::MAX });
        let rows = sql_anew("select brand_id, id, recorded_xid, seq, recorded_at, payload from events
             where shard = $1 and state = 'ACCEPTED' and (recorded_xid, seq) > ($2, $3) and (recorded_xid, seq) <= ($4, $5)
                   and recorded_at >= $6 and recorded_xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
             order by recorded_xid, seq limit $7")
        .bind::<SmallInt, _>(shard)
        .bind::<BigInt, _>(above.place.recorded_xid)
        .bind::<BigInt, _>(above.place.seq)
        .bind::<BigInt, _>(until.recorded_xid)
        .bind::<BigInt, _>(until.seq)
        .bind::<Timestamptz, _>(above.since)
        .bind::<BigInt, _>(limit)
        .load(conn)
        .await?;
        Ok(rows)
    }

    /// The event next above a position, found without reading its content: that may be what cannot be read.
    pub async fn head(self, conn: &mut Conn, shard: i16, above: Position) -> Result<Option<Head>> {
        let head = sql_anew(
            "select brand_id, id, recorded_xid, seq, recorded_at from events
             where shard = $1 and state = 'ACCEPTED' and (recorded_xid, seq) > ($2, $3)
                   and recorded_at >= $4 and recorded_xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
             order by recorded_xid, seq limit 1",
        )
        .bind::<SmallInt, _>(shard)
        .bind::<BigInt, _>(above.place.recorded_xid)
        .bind::<BigInt, _>(above.place.seq)
        .bind::<Timestamptz, _>(above.since)
        .get_result(conn)
        .await
        .optional()?;
        Ok(head)
    }

    /// Moves the position, in the transaction that holds the effects.
    pub async fn moved(self, conn: &mut Conn, shard: i16, position: Position, now: DateTime<Utc>) -> Result<()> {
        sql("update positions set recorded_xid = $3, seq = $4, since = $5, moved_at = $6 where consumer = $1 and shard = $2")
            .bind::<Text, _>(self.consumer)
            .bind::<SmallInt, _>(shard)
            .bind::<BigInt, _>(position.place.recorded_xid)
            .bind::<BigInt, _>(position.place.seq)
            .bind::<Timestamptz, _>(position.since)
            .bind::<Timestamptz, _>(now)
            .execute(conn)
            .await?;
        Ok(())
    }

    /// Buries an event that fails whatever is tried: it leaves the line and can be replayed after a fix.
    pub async fn bury(self, conn: &mut Conn, head: &Head, attempt_count: i16, reason: &str) -> Result<()> {
        sql_anew(
            "update events set state = 'DEAD', code = 'PIPELINE_FAULT', reason = $3, attempt_count = $4
             where brand_id = $1 and id = $2 and recorded_at = $5",
        )
        .bind::<SqlUuid, _>(head.brand_id)
        .bind::<SqlUuid, _>(head.id)
        .bind::<Text, _>(reason)
        .bind::<SmallInt, _>(attempt_count)
        .bind::<Timestamptz, _>(head.recorded_at)
        .execute(conn)
        .await?;
        Ok(())
    }
}

pub(super) async fn quarantine(conn: &mut Conn, scope: &Scope, refused: &[(Uuid, &'static str, String)]) -> Result<()> {
    let (first, end) = days::span_of(&refused.iter().map(|row| row.0).collect::<Vec<_>>());
    sql_anew(
        "update events e set state = 'QUARANTINED', code = n.code, reason = n.reason
         from unnest($2::uuid[], $3::text[], $4::text[]) as n (id, code, reason)
         where e.brand_id = $1 and e.id = n.id and e.recorded_at >= $5 and e.recorded_at < $6",
    )
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(refused.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(refused.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(refused.iter().map(|row| row.2.as_str()).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(first)
    .bind::<Timestamptz, _>(end)
    .execute(conn)
    .await?;
    Ok(())
}
