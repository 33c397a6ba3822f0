//! Webhook sources as the door remembers them for a few seconds, so that a busy one does not cost two statements per request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::house::House;
use crate::base::Result;
use crate::ingest::{Source, note_event, source_by_slug};

/// How long a source is remembered: a source that is taken away, or a secret that is ended, works no longer than this.
const CACHE_TIME: Duration = Duration::from_secs(10);
const CACHE_ENTRIES_MAX: usize = 1_000;
const SLUG_LENGTH_MAX: usize = 100;
/// Versions of one source that are noted at once; further ones are noted within a minute.
const VERSIONS_MAX: usize = 8;
/// The sender waits for its answer no longer than this for that moment to be kept.
const NOTE_TIME: Duration = Duration::from_secs(1);
/// How exactly the moment of the last event is kept.
const NOTE_US: i64 = 60 * 1_000_000;

/// A source, and since when it is remembered.
pub(super) struct Known {
    pub(super) source: Source,
    read_at: Instant,
    noted_us: AtomicI64,
    told_us: AtomicI64,
    /// The versions of the platform's format that were noted since.
    versions: Mutex<Vec<String>>,
}

/// The sources that are remembered.
#[derive(Default)]
pub(super) struct SourceCache(Mutex<HashMap<String, Arc<Known>>>);

impl SourceCache {
    pub(super) async fn find(&self, house: &House, slug: &str) -> Result<Option<Arc<Known>>> {
        if slug.len() > SLUG_LENGTH_MAX {
            return Ok(None);
        }
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(slug).map(Arc::clone);
        match remembered.filter(|known| known.read_at.elapsed() < CACHE_TIME) {
            Some(known) => Ok(Some(known)),
            None => self.read(house, slug).await,
        }
    }

    /// The source as it is now, where it was read before this moment: a new secret counts at once. So a wrong signature costs as much
    /// as an address that does not exist. `None`: what we know is as new, or the source is gone.
    pub(super) async fn read_again(
        &self,
        house: &House,
        slug: &str,
        known: &Known,
        since: Instant,
    ) -> Result<Option<Arc<Known>>> {
        if known.read_at >= since { Ok(None) } else { self.read(house, slug).await }
    }

    async fn read(&self, house: &House, slug: &str) -> Result<Option<Arc<Known>>> {
        let (app, read_at) = (&house.app, Instant::now());
        let source = source_by_slug(&mut *app.db.conn().await?, &app.keyring, slug).await?;
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(source) = source else {
            sources.remove(slug);
            return Ok(None);
        };
        let noted_us = AtomicI64::new(source.last_event_at.map_or(i64::MIN, |at| at.timestamp_micros()));
        let told_us = sources.get(slug).map_or(i64::MIN, |before| before.told_us.load(Ordering::Relaxed));
        let versions = Mutex::new(source.schema_version.iter().cloned().collect());
        let known = Arc::new(Known { source, read_at, noted_us, told_us: AtomicI64::new(told_us), versions });
        if sources.len() >= CACHE_ENTRIES_MAX {
            sources.retain(|_, known| known.read_at.elapsed() < CACHE_TIME);
        }
        if sources.len() < CACHE_ENTRIES_MAX {
            sources.insert(slug.to_owned(), Arc::clone(&known));
        }
        Ok(Some(known))
    }
}

impl Known {
    /// Keeps the moment of this event, unless that was done within the last minute, and the version that it was written in, where that is
    /// another than before. That they cannot be kept now harms nothing.
    pub(super) async fn note_event(&self, house: &House, version: Option<&str>) {
        let (app, now) = (&house.app, house.app.env.now());
        let noted_us = self.noted_us.load(Ordering::Relaxed);
        let is_due = now.timestamp_micros().saturating_sub(noted_us) >= NOTE_US;
        let exchange = |new: i64| self.noted_us.compare_exchange(noted_us, new, Ordering::Relaxed, Ordering::Relaxed);
        if !self.is_news(version) && (!is_due || exchange(now.timestamp_micros()).is_err()) {
            return;
        }
        let (scope, id) = (&self.source.scope, self.source.id);
        let note = async { note_event(&mut *app.db.conn().await?, scope, id, now, version).await };
        match tokio::time::timeout(NOTE_TIME, note).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a source's last event was not noted");
            }
            Err(_) => tracing::debug!("a source's last event was not noted in time"),
        }
    }

    /// Whether it is time to say in the log that something of this source could not be used: once a minute is enough to wake somebody.
    pub(super) fn is_worth_telling(&self, now: DateTime<Utc>) -> bool {
        let (told_us, now_us) = (self.told_us.load(Ordering::Relaxed), now.timestamp_micros());
        let is_due = now_us.saturating_sub(told_us) >= NOTE_US;
        is_due && self.told_us.compare_exchange(told_us, now_us, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether a version was not seen yet; from now on it was. A source that posts in two of them in turn is not noted each time.
    fn is_news(&self, version: Option<&str>) -> bool {
        let Some(version) = version else { return false };
        let mut seen = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = seen.len() < VERSIONS_MAX && !seen.iter().any(|one| one == version);
        if is_news {
            seen.push(version.to_owned());
        }
        is_news
    }
}
