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
use crate::kv::{Gap, Kv};
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
        PayoutCreated = "payout.created",
        PayoutApproved = "payout.approved",
        PayoutPaid = "payout.paid",
        PayoutFailed = "payout.failed",
        PayoutCanceled = "payout.canceled",
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

/// An entry as it was told, for those who read behind a number.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub seq: i64,
    pub topic: Topic,
    pub subject_id: Uuid,
    pub recorded_at: DateTime<Utc>,
}

/// The next entries above a number, in their order. None appears behind what was read.
pub async fn told_above(conn: &mut Conn, scope: &Scope, seq: i64, limit: i64) -> Result<Vec<Told>> {
    store::told_above(conn, scope, seq, limit).await
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

/// Sends what the brand's stream in Redis does not have yet and returns how much that was. Publishing twice is harmless. A stream
/// that was flushed, or came back older than it was, is filled again from here, as far back as streams are kept.
pub async fn relay(db: &Db, kv: &Kv, brand: &Brand) -> Result<usize> {
    let scope = brand.scope();
    let mut conn = db.conn().await?;
    let (published, entries) = store::unpublished(&mut conn, &scope, RELAY_BATCH_MAX).await?;
    let last = entries.last().map_or(published, |entry| entry.seq);
    if last == 0 {
        return Ok(0);
    }
    let held = publish(kv, &scope, &entries, published, Gap::Refused).await?;
    if held < published {
        return refill(&mut conn, kv, &scope, held, published).await;
    }
    if last > published {
        store::mark_published(&mut conn, &scope, last).await?;
    }
    Ok(entries.len())
}

/// Publishes again what a stream that ends at `held` lacks up to `published`.
async fn refill(conn: &mut Conn, kv: &Kv, scope: &Scope, held: i64, published: i64) -> Result<usize> {
    let first_kept = published.saturating_sub_unsigned(STREAM_LENGTH_MAX).max(0);
    // What is too old to be kept is not sent again: the stream begins anew behind the gap.
    let mut gap = if held < first_kept { Gap::BeginsAnew } else { Gap::Refused };
    let mut place = held.max(first_kept);
    let mut count = 0;
    tracing::info!(brand.id = %scope.brand_id, held, published, "the stream in Redis lacks entries and is filled again");
    while place < published {
        let entries = store::above(conn, scope, place, RELAY_BATCH_MAX).await?;
        let Some(last) = entries.last() else { break };
        if publish(kv, scope, &entries, place, gap).await? < place {
            // Flushed once more meanwhile: the next round begins where it ends now.
            break;
        }
        (place, gap, count) = (last.seq, Gap::Refused, count + entries.len());
    }
    Ok(count)
}

/// Adds entries to a stream that holds everything up to `after`, and returns up to where it holds everything now.
async fn publish(kv: &Kv, scope: &Scope, entries: &[Entry], after: i64, gap: Gap) -> Result<i64> {
    let line =
        |entry: &Entry| (entry.seq.unsigned_abs(), entry.topic.as_str().to_owned(), entry.subject_id.to_string());
    let lines: Vec<(u64, String, String)> = entries.iter().map(line).collect();
    let held = kv.publish(scope.brand_id, &lines, after.unsigned_abs(), gap).await?;
    Ok(i64::try_from(held).unwrap_or(i64::MAX))
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
