//! The long-running commands: the API, the worker, or both, until they are told to stop; and the migrations before them.

use std::future::Future;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::stop::StopSignal;
use crate::app::App;
use crate::base::{Error, Result};
use crate::config::Draft;
use crate::db::Db;
use crate::{db, events, http, worker};

/// How long requests and batches may take to end once we are told to stop.
const GRACE: Duration = Duration::from_secs(20);

pub async fn serve(context: &Context) -> Result<()> {
    let app = migrated_app(context).await?;
    let listener = listen(&context.draft).await?;
    tracing::info!(url = context.draft.effective_public_url(), "serving");
    run(&app, Some(listener), Work::No, &mut StopSignal::listen()?, std::future::pending()).await
}

pub async fn work(context: &Context) -> Result<()> {
    let app = migrated_app(context).await?;
    tracing::info!("working");
    run(&app, None, Work::Yes, &mut StopSignal::listen()?, std::future::pending()).await
}

pub async fn migrate(context: &Context) -> Result<()> {
    let url = context.database_url().await?;
    let applied = db::migrate(&url).await?;
    events::keep(&Db::connect(&url, 2)?, context.env.now(), None).await?;
    for name in &applied {
        println!("applied {name}");
    }
    println!("the database is up to date ({} applied)", applied.len());
    Ok(())
}

async fn migrated_app(context: &Context) -> Result<App> {
    let app = context.app().await?;
    let pending_count = db::pending_migrations(&app.settings.database_url).await?;
    if pending_count > 0 {
        let message =
            format!("The database lacks {pending_count} migrations of this version: run `grapevine migrate`.");
        return Err(Error::invalid(&[], message));
    }
    Ok(app)
}

/// Opens the port.
pub async fn listen(draft: &Draft) -> Result<TcpListener> {
    TcpListener::bind(draft.listen).await.map_err(|error| {
        let message = format!("{}: {error}. Choose another with --listen or GRAPEVINE_LISTEN", draft.listen);
        Error::fault("opening the port", message)
    })
}

/// Whether this process works on the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Yes,
    No,
}

/// Runs the doors until a signal or until one of them fails, then lets what runs end. `failure` ends when something outside that
/// we cannot do without is gone, and says what.
pub async fn run(
    app: &App,
    listener: Option<TcpListener>,
    work: Work,
    signal: &mut StopSignal,
    failure: impl Future<Output = Error>,
) -> Result<()> {
    let stop = CancellationToken::new();
    let mut doors = JoinSet::new();
    if let Some(listener) = listener {
        doors.spawn(http::serve(app.clone(), listener, stop.clone()));
    }
    if work == Work::Yes {
        doors.spawn(worker::run(app.clone(), stop.clone()));
    }
    let outcome = tokio::select! {
        () = signal.wait() => Ok(()),
        error = failure => Err(error),
        ended = doors.join_next() => flatten(ended),
    };
    stop.cancel();
    tracing::info!("stopping");
    let rest = async {
        let mut outcome = outcome;
        while let Some(ended) = doors.join_next().await {
            outcome = outcome.and(flatten(Some(ended)));
        }
        outcome
    };
    tokio::select! {
        outcome = tokio::time::timeout(GRACE, rest) => outcome.unwrap_or_else(|late| Err(Error::fault("stopping", late))),
        // A second signal: whoever sent it does not want to wait.
        () = signal.wait() => Ok(()),
    }
}

fn flatten(ended: Option<Result<Result<()>, tokio::task::JoinError>>) -> Result<()> {
    match ended {
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) => Err(Error::fault("running the server", error)),
        None => Ok(()),
    }
}
