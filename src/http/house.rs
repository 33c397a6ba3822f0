//! What every handler holds: the app, the schema, the counters, and who has long connections open.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::metrics::Metrics;
use super::serve::Options;
use super::sources::SourceCache;
use crate::app::App;
use crate::base::limits::SOCKETS_PER_KEY_MAX;
use crate::graphql::{Schema, schema};

/// The state of the door. Cloning shares it.
#[derive(Clone)]
pub(super) struct House(Arc<Rooms>);

pub(super) struct Rooms {
    pub(super) app: App,
    pub(super) schema: Schema,
    pub(super) metrics: Metrics,
    pub(super) sources: SourceCache,
    pub(super) long_lived: LongLived,
    pub(super) options: Options,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
    pub(super) readiness: super::health::Readiness,
}

impl Deref for House {
    type Target = Rooms;

    fn deref(&self) -> &Rooms {
        &self.0
    }
}

impl House {
    pub(super) fn new(app: App, options: Options, stop: CancellationToken) -> Self {
        Self(Arc::new(Rooms {
            schema: schema(app.clone()),
            app,
            metrics: Metrics::default(),
            sources: SourceCache::default(),
            long_lived: LongLived::default(),
            options,
            stop,
            tasks: TaskTracker::new(),
            readiness: super::health::Readiness::default(),
        }))
    }
}

/// Counts the WebSockets and event streams that each key has open.
#[derive(Clone, Default)]
pub(super) struct LongLived(Arc<Mutex<HashMap<Uuid, usize>>>);

/// One open socket or stream of a key; gives its place back when dropped.
pub(super) struct Place {
    key_id: Uuid,
    counts: LongLived,
}

impl LongLived {
    /// A place for one more, or `None` where the key has as many as it may.
    pub(super) fn enter(&self, key_id: Option<Uuid>) -> Option<Place> {
        let key_id = key_id.unwrap_or_default();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key_id).or_insert(0);
        if *count >= SOCKETS_PER_KEY_MAX {
            return None;
        }
        *count += 1;
        Some(Place { key_id, counts: self.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key_id) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key_id);
            }
        }
    }
}
