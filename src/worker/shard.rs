//! One shard's batches: effects and position commit together. A batch that fails is halved until the one event that fails stands
//! alone; that one is buried with its reason, and the line goes on.

use scoped_futures::ScopedFutureExt;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{PIPELINE, pipeline};
use crate::access::brand_scope;
use crate::app::App;
use crate::base::limits::WORKER_BATCH_MAX;
use crate::base::{Error, Result};
use crate::db::{Conn, is_timeout};
use crate::events::{Event, Row};
use crate::identity::Logged;

/// How often an event that fails alone is tried before it is buried.
const ATTEMPTS_ALONE_MAX: u32 = 3;

/// Processes the shard until nothing is left below the horizon, or another worker holds it. Returns how many events.
pub(super) async fn process(app: &App, shard: i16) -> Result<u64> {
    let mut limit = WORKER_BATCH_MAX;
    let mut limit_max = WORKER_BATCH_MAX;
    let mut attempts_alone = 0;
    let mut total = 0;
    loop {
        let first = &Mutex::new(None);
        match batch(app, shard, limit, first).await {
            Ok(0) => return Ok(total),
            Ok(count) => {
                total += u64::try_from(count).unwrap_or(0);
                limit = (limit * 2).min(limit_max);
                attempts_alone = 0;
            }
            // Too much for one statement: with less it may pass. Nothing is buried for being slow.
            Err(error) if is_timeout(&error) && limit > 1 => {
                limit /= 2;
                limit_max = limit;
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(_) if limit > 1 => limit /= 2,
            Err(error) => {
                attempts_alone += 1;
                if attempts_alone >= ATTEMPTS_ALONE_MAX {
                    bury(app, shard, *first.lock().await, &error).await?;
                    attempts_alone = 0;
                }
            }
        }
    }
}

/// One batch. `first` learns which event it starts with, also where it fails.
async fn batch(app: &App, shard: i16, limit: i64, first: &Mutex<Option<Uuid>>) -> Result<usize> {
    app.db.transaction(|conn| async move { advance(app, conn, shard, limit, first).await }.scope_boxed()).await
}

async fn advance(app: &App, conn: &mut Conn, shard: i16, limit: i64, first: &Mutex<Option<Uuid>>) -> Result<usize> {
    let Some(place) = PIPELINE.take(conn, shard).await? else { return Ok(0) };
    let rows = PIPELINE.read(conn, shard, place, limit).await?;
    let Some(last) = rows.last() else { return Ok(0) };
    let (last, count) = (last.place, rows.len());
    *first.lock().await = rows.first().map(|row| row.id);
    for (brand_id, rows) in by_brand(rows) {
        let scope = brand_scope(conn, brand_id).await?;
        let batch = rows.into_iter().map(to_logged).collect::<Result<Vec<_>>>()?;
        pipeline::process(conn, &app.env, &app.keyring, &scope, &batch).await?;
    }
    PIPELINE.moved(conn, shard, last, app.env.now()).await?;
    Ok(count)
}

fn by_brand(rows: Vec<Row>) -> Vec<(Uuid, Vec<Row>)> {
    let mut groups: Vec<(Uuid, Vec<Row>)> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|(brand_id, _)| *brand_id == row.brand_id) {
            Some((_, group)) => group.push(row),
            None => groups.push((row.brand_id, vec![row])),
        }
    }
    groups
}

fn to_logged(row: Row) -> Result<Logged> {
    let event: Event =
        serde_json::from_value(row.payload).map_err(|error| Error::fault("reading an event of the log", error))?;
    Ok(Logged { id: row.id, recorded_at: row.recorded_at, event })
}

/// Buries the event that failed, if it still stands first: another worker may have buried it since, and the next one is good.
async fn bury(app: &App, shard: i16, failed_id: Option<Uuid>, error: &Error) -> Result<()> {
    let cause = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    let reason = &format!("{error}{cause}");
    app.db
        .transaction(|conn| {
            async move {
                let Some(place) = PIPELINE.take(conn, shard).await? else { return Ok(()) };
                let Some(row) = PIPELINE.read(conn, shard, place, 1).await?.into_iter().next() else { return Ok(()) };
                if Some(row.id) != failed_id {
                    return Ok(());
                }
                tracing::error!(event.id = %row.id, reason, "an event cannot be processed and was buried");
                PIPELINE.bury(conn, &row, reason).await?;
                PIPELINE.moved(conn, shard, row.place, app.env.now()).await
            }
            .scope_boxed()
        })
        .await
}
