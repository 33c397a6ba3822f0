//! Connections: accepted up to a cap, each with deadlines for its headers and body, and ended gently when the process stops.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::house::House;
use super::router::router;
use crate::app::App;
use crate::base::Result;
use crate::base::limits::{
    BODY_READ_SECONDS, CONNECTIONS_MAX, HEADER_READ_SECONDS, KEY_CHECK_SECONDS, SHUTDOWN_GRACE_SECONDS,
    SOCKET_INIT_SECONDS, SOCKET_PING_SECONDS,
};

/// Deadlines and caps of the door. The defaults are those of `base::limits`; tests shorten them.
#[derive(Clone, Debug)]
pub struct Options {
    pub header_read: Duration,
    pub body_read: Duration,
    pub socket_init: Duration,
    pub socket_ping: Duration,
    pub key_check: Duration,
    pub shutdown_grace: Duration,
    pub connections_max: usize,
    /// How many proxies in front of us write `X-Forwarded-For`; 0 trusts the peer address only.
    pub trusted_proxy_count: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(HEADER_READ_SECONDS),
            body_read: Duration::from_secs(BODY_READ_SECONDS),
            socket_init: Duration::from_secs(SOCKET_INIT_SECONDS),
            socket_ping: Duration::from_secs(SOCKET_PING_SECONDS),
            key_check: Duration::from_secs(KEY_CHECK_SECONDS),
            shutdown_grace: Duration::from_secs(SHUTDOWN_GRACE_SECONDS),
            connections_max: CONNECTIONS_MAX,
            trusted_proxy_count: 0,
        }
    }
}

/// The address at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The same paths without a socket, for who asks from within this process. The deadlines and caps of connections are not there: there are
/// none.
pub fn in_process(app: App, stop: CancellationToken) -> Router {
    let options = Options { trusted_proxy_count: app.settings.trusted_proxy_count, ..Options::default() };
    router(House::new(app, options, stop))
}

/// The connection's place under the cap; an upgraded socket keeps it.
#[derive(Clone)]
pub(super) struct Seat(#[expect(dead_code, reason = "held for its drop")] Arc<OwnedSemaphorePermit>);

/// Serves until `stop` is cancelled, then lets running requests end.
pub async fn serve(app: App, listener: TcpListener, stop: CancellationToken) -> Result<()> {
    let options = Options { trusted_proxy_count: app.settings.trusted_proxy_count, ..Options::default() };
    serve_with(app, listener, stop, options).await
}

/// [`serve`] with deadlines and caps of the caller's choice.
pub async fn serve_with(app: App, listener: TcpListener, stop: CancellationToken, options: Options) -> Result<()> {
    let seats = Arc::new(Semaphore::new(options.connections_max));
    let house = House::new(app, options, stop.clone());
    let router = router(house.clone());
    while let Some(seat) = take_seat(&seats, &stop).await {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                house.tasks.spawn(connection(house.clone(), router.clone(), stream, Peer(peer), seat));
            }
            Err(error) => {
                // Out of file descriptors, mostly: those that are open will end.
                tracing::warn!(error = &error as &dyn std::error::Error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    house.tasks.close();
    let grace = house.options.shutdown_grace + Duration::from_secs(1);
    if tokio::time::timeout(grace, house.tasks.wait()).await.is_err() {
        tracing::warn!("some connections did not end in time and are cut");
    }
    Ok(())
}

async fn take_seat(seats: &Arc<Semaphore>, stop: &CancellationToken) -> Option<Seat> {
    tokio::select! {
        permit = Arc::clone(seats).acquire_owned() => permit.ok().map(|permit| Seat(Arc::new(permit))),
        () = stop.cancelled() => None,
    }
}

async fn connection(house: House, router: Router, stream: TcpStream, peer: Peer, seat: Seat) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection keeps its delay");
    }
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(seat.clone());
        let router = router.clone();
        async move { router.oneshot(request).await.map_err(|error: Infallible| error) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(house.options.header_read)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = house.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(house.options.shutdown_grace, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended early");
    }
}
