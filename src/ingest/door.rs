//! The group commit: events that arrive within a few milliseconds share one transaction, and each sender is answered after it.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{Origin, Receipt, commit};
use crate::access::Keyring;
use crate::base::limits::{INGEST_BATCH_MAX, INGEST_QUEUE_MAX, INGEST_WAIT_MS};
use crate::base::{Env, Error, Result};
use crate::db::Db;
use crate::platforms::Submission;

/// Group commits that may be on their way to the disk at once.
const COMMITS_IN_FLIGHT_MAX: usize = 3;

/// The door that all events pass. Cloning shares it.
#[derive(Clone)]
pub struct Door {
    queue: mpsc::UnboundedSender<Waiting>,
    /// One permit per waiting event: this, not the channel, is the bound of the queue.
    room: Arc<Semaphore>,
    grown: Arc<Notify>,
}

/// One call's events, and where its receipts go.
pub(super) struct Waiting {
    pub origin: Origin,
    pub items: Vec<Submission>,
    pub answer: oneshot::Sender<Result<Vec<Receipt>>>,
    _room: OwnedSemaphorePermit,
}

impl Door {
    /// Opens the door: starts the task that commits groups, which ends when the last clone is dropped.
    #[must_use]
    pub fn open(db: Db, env: Env, keyring: Keyring) -> Self {
        let (queue, waiting) = mpsc::unbounded_channel();
        let grown = Arc::new(Notify::new());
        tokio::spawn(collect(
            waiting,
            commit::Committer { db, env, keyring, day_opened: AtomicI64::new(0) },
            Arc::clone(&grown),
        ));
        Self { queue, room: Arc::new(Semaphore::new(INGEST_QUEUE_MAX)), grown }
    }

    /// Takes events and answers after they are committed, one receipt each, in order. A queue that is full or a database that
    /// cannot commit now is a transient fault: the sender is told to come back, and nothing was taken.
    pub async fn accept(&self, origin: &Origin, items: Vec<Submission>) -> Result<Vec<Receipt>> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room)
            .try_acquire_many_owned(count)
            .map_err(|error| Error::transient("finding room in the inbound queue", error))?;
        let (answer, receipts) = oneshot::channel();
        let waiting = Waiting { origin: origin.clone(), items, answer, _room: room };
        let closed = |error: &'static str| Error::transient("handing events to the group commit", error);
        self.queue
            .send(waiting)
            .map_err(|_error: mpsc::error::SendError<Waiting>| closed("the group commit has stopped"))?;
        receipts.await.map_err(|_error: oneshot::error::RecvError| closed("the group commit gave no answer"))?
    }

    /// Events that wait for their commit now.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        INGEST_QUEUE_MAX - self.room.available_permits()
    }

    /// Returns after the next group was committed in this process: what wakes a worker that lives in it.
    pub async fn grown(&self) {
        self.grown.notified().await;
    }
}

async fn collect(mut queue: mpsc::UnboundedReceiver<Waiting>, committer: commit::Committer, grown: Arc<Notify>) {
    let committer = Arc::new(committer);
    let in_flight = Arc::new(Semaphore::new(COMMITS_IN_FLIGHT_MAX));
    while let Some(first) = queue.recv().await {
        let Ok(slot) = Arc::clone(&in_flight).acquire_owned().await else { return };
        let group = gather(first, &mut queue).await;
        let (committer, grown) = (Arc::clone(&committer), Arc::clone(&grown));
        tokio::spawn(async move {
            committer.commit(group).await;
            grown.notify_waiters();
            drop(slot);
        });
    }
}

/// The first call and those that arrive while it waits, up to the size of a group.
async fn gather(first: Waiting, queue: &mut mpsc::UnboundedReceiver<Waiting>) -> Vec<Waiting> {
    let mut count = first.items.len();
    let mut group = vec![first];
    let deadline = tokio::time::sleep(Duration::from_millis(INGEST_WAIT_MS));
    tokio::pin!(deadline);
    while count < INGEST_BATCH_MAX {
        tokio::select! {
            biased;
            next = queue.recv() => match next {
                Some(next) => {
                    count += next.items.len();
                    group.push(next);
                }
                None => break,
            },
            () = &mut deadline => break,
        }
    }
    group
}
