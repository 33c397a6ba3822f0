//! Reads the log and makes everything that follows from it. Start with `pipeline.rs`.

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::base::Result;

/// Works until `stop` is cancelled: shards of the log, releases of rewards, the outbox relay.
pub async fn run(_app: App, stop: CancellationToken) -> Result<()> {
    stop.cancelled().await;
    Ok(())
}

/// Works until nothing is left to do, then returns how many events were processed. For tests, imports and the demo.
pub async fn drain(_app: &App) -> Result<u64> {
    Ok(0)
}
