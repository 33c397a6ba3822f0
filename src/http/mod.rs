//! The HTTP door.

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::base::Result;

/// Serves until `stop` is cancelled, then lets running requests end.
pub async fn serve(_app: App, _listener: TcpListener, stop: CancellationToken) -> Result<()> {
    stop.cancelled().await;
    Ok(())
}
