//! What the world is told, in a dense sequence per brand, written in the transaction that made it true; and the feed that wakes
//! those who wait for it. It never delivers from memory: a reader always reads PostgreSQL.

mod store;

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::{Brand, Scope};
use crate::base::Result;
use crate::base::limits::STREAM_LENGTH_MAX;
use crate::db::{Conn, Db};
use crate::kv::Kv;
use crate::text_enum;

/// Entries that the relay sends to Redis in one call.
const RELAY_BATCH_MAX: i64 = 500;

text_enum! {
    /// What happened to the subject.
    Topic {
        AlertRaised = "fraud_alert.raised",
        AlertReviewed = "fraud_alert.reviewed",
        RewardChanged = "reward.changed",
        AttributionChanged = "attribution.changed",
    }
}

/// One entry of a brand's outbox.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Dense per brand: 1, 2, 3, ...
    pub seq: i64,
    pub topic: Topic,
    pub subject_id: Uuid,
}

/// Takes the next `count` sequence numbers and returns the first. The brand's counter stays locked to the end of the
/// transaction, so that numbers commit in their order: who reads above `n` misses nothing. Take them last.
pub async fn reserve(conn: &mut Conn, scope: &Scope, count: usize) -> Result<i64> {
    store::reserve(conn, scope, count).await
}

/// Appends entries under numbers that [`reserve`] gave, in the same transaction.
pub async fn append_reserved(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, entries: &[Entry]) -> Result<()> {
    if entries.is_empty() { Ok(()) } else { store::insert(conn, scope, now, entries).await }
}

/// Appends one entry per subject and returns their numbers.
pub async fn append(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    subjects: &[(Topic, Uuid)],
) -> Result<Vec<i64>> {
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let first = reserve(conn, scope, subjects.len()).await?;
    let numbered = (first..).zip(subjects);
    let entries: Vec<Entry> =
        numbered.map(|(seq, (topic, subject_id))| Entry { seq, topic: *topic, subject_id: *subject_id }).collect();
    append_reserved(conn, scope, now, &entries).await?;
    Ok(entries.iter().map(|entry| entry.seq).collect())
}

/// Sends what the brand's stream in Redis does not have yet and returns how much that was. Publishing twice is harmless; a
/// stream that was flushed grows anew from here, and readers find the rest in PostgreSQL.
pub async fn relay(db: &Db, kv: &Kv, brand: &Brand) -> Result<usize> {
    let scope = brand.scope();
    let mut conn = db.conn().await?;
    let entries = store::unpublished(&mut conn, &scope, RELAY_BATCH_MAX).await?;
    let Some(last) = entries.last() else { return Ok(0) };
    let last = last.seq;
    let lines: Vec<(u64, String, String)> = entries
        .iter()
        .map(|entry| (entry.seq.unsigned_abs(), entry.topic.as_str().to_owned(), entry.subject_id.to_string()))
        .collect();
    kv.publish(scope.brand_id, &lines, last.unsigned_abs().saturating_sub(STREAM_LENGTH_MAX)).await?;
    store::mark_published(&mut conn, &scope, last).await?;
    Ok(lines.len())
}

/// Wakes readers when a brand's outbox may have grown. A hint only: readers also look by themselves once a second.
#[derive(Clone)]
pub struct Feed {
    kv: Kv,
}

impl Feed {
    #[must_use]
    pub fn new(kv: Kv) -> Self {
        Self { kv }
    }

    /// Returns when the brand's outbox may hold something above `seq`, or after `wait` at the latest.
    pub async fn wait(&self, brand_id: Uuid, seq: i64, wait: Duration) {
        let place = u64::try_from(seq).unwrap_or(0);
        if self.kv.wait_for_stream(brand_id, place, wait).await.is_err() {
            tokio::time::sleep(wait).await;
        }
    }
}
