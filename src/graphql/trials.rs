//! Work that a caller can wait for or follow: so much of it at once, each beside its subscriber, and ended with it.

use tokio::sync::{Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::attribution::simulation::Progress;
use crate::base::limits::SIMULATIONS_MAX;
use crate::base::{Error, Result};

/// What a process tries at once: each holds a connection for as long as it takes.
static TURNS: Semaphore = Semaphore::const_new(SIMULATIONS_MAX);

/// Does the work when it is its turn.
pub async fn in_turn<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let turn = TURNS.acquire().await.map_err(|error| Error::fault("waiting for a turn", error))?;
    let done = work.await;
    drop(turn);
    done
}

/// Work that runs beside its subscriber, and ends with it. How far it has come is kept, and not each step, so that nothing piles up for a
/// slow reader.
pub struct Running<T> {
    progress: watch::Receiver<Progress>,
    work: Option<AbortOnDropHandle<Result<T>>>,
}

impl<T: Send + 'static> Running<T> {
    /// Begins. The work tells how far it is by the sender.
    pub fn begin<F>(work: impl FnOnce(watch::Sender<Progress>) -> F) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (sender, progress) = watch::channel(Progress::default());
        Self { progress, work: Some(AbortOnDropHandle::new(tokio::spawn(work(sender)))) }
    }

    /// How far it is, with what it came to in the last step; `None` after that.
    pub async fn next(&mut self) -> Result<Option<(Progress, Option<T>)>> {
        let Some(mut task) = self.work.take() else { return Ok(None) };
        let ended = tokio::select! {
            biased;
            ended = &mut task => Some(ended),
            Ok(()) = self.progress.changed() => None,
        };
        let progress = *self.progress.borrow_and_update();
        let Some(ended) = ended else {
            self.work = Some(task);
            return Ok(Some((progress, None)));
        };
        let found = ended.map_err(|error| Error::fault("waiting for a simulation", error))??;
        Ok(Some((progress, Some(found))))
    }
}
