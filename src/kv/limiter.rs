//! Rate limits that all processes share through Redis. Where Redis is away or slow, each process counts for itself: a limiter never
//! holds a request up and never refuses one because it cannot count.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Kv;
use super::gcra::{Quota, Verdict};
use crate::base::limits::LIMITER_SUBJECTS_MAX;
use crate::config::RateLimits;

/// After Redis did not answer it is left alone for so long.
const AWAY_TIME: Duration = Duration::from_secs(1);
/// A busy subject takes so much of its quota at once, so that Redis is asked a few hundred times a second at most, whatever the rate.
/// What a process holds back like this is lost when it ends.
const LEASE_US: i64 = 5_000;
/// How often a full table is searched for subjects that can go.
const SWEEP_US: i64 = 1_000_000;

/// What is limited, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Requests of a webhook source.
    SourceRequests,
    /// GraphQL requests of an API key.
    KeyRequests,
    /// The cost of an API key's documents.
    KeyCost,
    /// Clicks on a brand's links from one address.
    AddressClicks,
}

impl Limit {
    pub const ALL: [Self; 4] = [Self::SourceRequests, Self::KeyRequests, Self::KeyCost, Self::AddressClicks];

    /// The name in metrics and in Redis.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SourceRequests => "source_requests",
            Self::KeyRequests => "key_requests",
            Self::KeyCost => "key_cost",
            Self::AddressClicks => "address_clicks",
        }
    }

    fn quota(self, limits: &RateLimits) -> Option<Quota> {
        match self {
            Self::SourceRequests => Quota::per(limits.source_requests_per_second, 1),
            Self::KeyRequests => Quota::per(limits.key_requests_per_minute, 60),
            Self::KeyCost => Quota::per(limits.key_cost_per_minute, 60),
            Self::AddressClicks => Quota::per(limits.address_clicks_per_minute, 60),
        }
    }
}

/// Over the limit: the same request may be made again after this many seconds, rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub seconds: u64,
}

/// The limits of this process.
pub struct Limiter {
    kv: Kv,
    script: redis::Script,
    wait: Duration,
    rooms: [Room; 4],
    started: Instant,
    /// Until when Redis is left alone, in milliseconds since the start; 0: it answers.
    away_until_ms: AtomicU64,
    local_count: AtomicU64,
}

/// One limit, and its subjects.
struct Room {
    quota: Option<Quota>,
    refused_count: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    subjects: HashMap<[u8; 16], Subject>,
    swept_us: i64,
}

#[derive(Default)]
struct Subject {
    /// When its bucket is full again, as this process counted while Redis was away.
    due_us: i64,
    /// Units that Redis has granted and that are not spent yet.
    leased: i64,
}

impl Limiter {
    #[must_use]
    pub fn new(kv: Kv, limits: &RateLimits) -> Self {
        let room = |limit: Limit| Room {
            quota: limit.quota(limits),
            refused_count: AtomicU64::new(0),
            table: Mutex::default(),
        };
        Self {
            kv,
            script: redis::Script::new(include_str!("gcra.lua")),
            wait: Duration::from_millis(limits.rate_limit_wait_ms.into()),
            rooms: Limit::ALL.map(room),
            started: Instant::now(),
            away_until_ms: AtomicU64::new(0),
            local_count: AtomicU64::new(0),
        }
    }

    /// Spends units of a subject's quota, or says how long to wait. More than a whole burst counts as a whole burst, so that it is
    /// possible at all. Asks Redis at most once.
    pub async fn spend(
        &self,
        limit: Limit,
        brand_id: Uuid,
        subject: [u8; 16],
        count: u64,
        now: DateTime<Utc>,
    ) -> Result<(), Wait> {
        let room = &self.rooms[limit as usize];
        let Some(quota) = room.quota else { return Ok(()) };
        let least = i64::try_from(count).unwrap_or(i64::MAX).clamp(1, quota.burst);
        let now_us = now.timestamp_micros();
        if room.locked(|table| table.spend_lease(subject, least)) {
            return Ok(());
        }
        let most = least + LEASE_US / quota.interval_us;
        let key = self.kv.key(brand_id, &format!("limit:{}:{}", limit.as_str(), hex::encode(subject)));
        let verdict = match self.ask(key, quota, now_us, least, most).await {
            Some(verdict) => verdict,
            None => {
                self.local_count.fetch_add(1, Ordering::Relaxed);
                room.locked(|table| table.take(subject, quota, now_us, least))
            }
        };
        match verdict {
            Verdict::Granted { count, .. } if count > least => {
                room.locked(|table| table.add_lease(subject, count - least, now_us));
                Ok(())
            }
            Verdict::Granted { .. } => Ok(()),
            Verdict::Refused { wait_us } => {
                room.refused_count.fetch_add(1, Ordering::Relaxed);
                Err(Wait { seconds: u64::try_from(wait_us).unwrap_or(0).div_ceil(1_000_000).max(1) })
            }
        }
    }

    /// How often each limit has refused.
    #[must_use]
    pub fn refused_counts(&self) -> [(&'static str, u64); 4] {
        Limit::ALL.map(|limit| (limit.as_str(), self.rooms[limit as usize].refused_count.load(Ordering::Relaxed)))
    }

    /// How often this process counted for itself because Redis did not answer in time.
    #[must_use]
    pub fn local_count(&self) -> u64 {
        self.local_count.load(Ordering::Relaxed)
    }

    /// What Redis says; `None` where it is away.
    async fn ask(&self, key: String, quota: Quota, now_us: i64, least: i64, most: i64) -> Option<Verdict> {
        let elapsed_ms = || u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let away_until_ms = self.away_until_ms.load(Ordering::Relaxed);
        if away_until_ms > elapsed_ms() {
            return None;
        }
        let mut manager = self.kv.manager.clone();
        let mut call = self.script.key(key);
        call.arg(now_us).arg(quota.interval_us).arg(quota.burst).arg(least).arg(most);
        let failure = match tokio::time::timeout(self.wait, call.invoke_async::<(i64, i64)>(&mut manager)).await {
            Ok(Ok((count, wait_us))) => {
                if away_until_ms > 0 {
                    self.away_until_ms.store(0, Ordering::Relaxed);
                }
                // The moment at which Redis has it full again is its own affair.
                let granted = Verdict::Granted { count, due_us: now_us };
                return Some(if count > 0 { granted } else { Verdict::Refused { wait_us } });
            }
            Ok(Err(error)) => error.to_string(),
            Err(late) => late.to_string(),
        };
        let until_ms = elapsed_ms() + u64::try_from(AWAY_TIME.as_millis()).unwrap_or(u64::MAX);
        if self.away_until_ms.swap(until_ms, Ordering::Relaxed) == 0 {
            tracing::warn!(failure, "Redis does not answer in time: rate limits are counted in this process alone");
        }
        None
    }
}

impl Room {
    fn locked<T>(&self, work: impl FnOnce(&mut Table) -> T) -> T {
        work(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Table {
    fn spend_lease(&mut self, subject: [u8; 16], count: i64) -> bool {
        let leased = self.subjects.get_mut(&subject).map(|subject| &mut subject.leased).filter(|left| **left >= count);
        leased.map(|left| *left -= count).is_some()
    }

    fn add_lease(&mut self, subject: [u8; 16], count: i64, now_us: i64) {
        if let Some(subject) = self.subject(subject, now_us) {
            subject.leased += count;
        }
    }

    /// Counts without Redis. A subject that finds no room goes uncounted: that is better than to refuse it.
    fn take(&mut self, subject: [u8; 16], quota: Quota, now_us: i64, count: i64) -> Verdict {
        let Some(subject) = self.subject(subject, now_us) else {
            return Verdict::Granted { count, due_us: now_us };
        };
        let verdict = quota.take(Some(subject.due_us), now_us, count, count);
        if let Verdict::Granted { due_us, .. } = verdict {
            subject.due_us = due_us;
        }
        verdict
    }

    fn subject(&mut self, subject: [u8; 16], now_us: i64) -> Option<&mut Subject> {
        if self.subjects.len() >= LIMITER_SUBJECTS_MAX && !self.subjects.contains_key(&subject) {
            if now_us.abs_diff(self.swept_us) >= SWEEP_US.unsigned_abs() {
                self.swept_us = now_us;
                self.subjects.retain(|_, subject| subject.due_us > now_us);
            }
            if self.subjects.len() >= LIMITER_SUBJECTS_MAX {
                return None;
            }
        }
        Some(self.subjects.entry(subject).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(number: usize) -> [u8; 16] {
        (number as u128).to_be_bytes()
    }

    #[test]
    fn a_full_table_lets_go_of_full_buckets_and_then_counts_no_one_new() {
        let (mut table, quota) = (Table::default(), Quota::per(1, 60).unwrap());
        let refused = |verdict: Verdict| matches!(verdict, Verdict::Refused { .. });
        for number in 0..LIMITER_SUBJECTS_MAX {
            assert!(!refused(table.take(subject(number), quota, 0, 1)));
        }
        let late = subject(LIMITER_SUBJECTS_MAX);
        for _ in 0..2 {
            assert!(!refused(table.take(late, quota, SWEEP_US, 1)), "there is no room to count it");
        }
        assert!(refused(table.take(subject(0), quota, SWEEP_US, 1)), "those who are in stay counted");
        assert!(!refused(table.take(late, quota, 61_000_000, 1)));
        assert!(refused(table.take(late, quota, 61_000_000, 1)), "the others' buckets were full again");
        assert_eq!(table.subjects.len(), 1);
    }

    #[test]
    fn a_lease_is_spent_to_its_end_and_no_further() {
        let mut table = Table::default();
        assert!(!table.spend_lease(subject(1), 1));
        table.add_lease(subject(1), 3, 0);
        assert!(
            table.spend_lease(subject(1), 2) && !table.spend_lease(subject(1), 2) && table.spend_lease(subject(1), 1)
        );
        assert!(!table.spend_lease(subject(1), 1));
    }
}
