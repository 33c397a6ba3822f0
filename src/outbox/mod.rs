//! What the world is told, in a dense sequence per brand, written in the transaction that made it true; and the feed that wakes
//! those who wait for it. It never delivers from memory: a reader always reads PostgreSQL.

use std::time::Duration;

use uuid::Uuid;

use crate::kv::Kv;
use crate::text_enum;

text_enum! {
    /// What happened to the subject.
    Topic {
        AlertRaised = "fraud_alert.raised",
        AlertReviewed = "fraud_alert.reviewed",
        RewardChanged = "reward.changed",
        AttributionChanged = "attribution.changed",
    }
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
