//! One shard's batches: effects and position commit together. Every try is counted before its work. What fails, panics or ends the
//! process is tried again in ever smaller company until the one event that is to blame stands alone; that one is buried with its
//! reason, and the line goes on.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::TimeDelta;
use futures_util::FutureExt;
use scoped_futures::ScopedFutureExt;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{PIPELINE, pipeline, unmerge};
use crate::access::brand_scope;
use crate::app::App;
use crate::base::limits::{WORKER_ATTEMPTS_MAX, WORKER_BATCH_MAX};
use crate::base::{Error, Result};
use crate::db::{Conn, PooledConn, is_lost, is_timeout};
use crate::events::{Attempts, Event, Place, Position, Row};
use crate::identity::{self, Logged};

/// Why an event is buried whose tries left no word.
const NEVER_CAME_BACK: &str = "The process or its connection ended while it worked on this event";

/// How far the clocks of those who write the log may lie apart.
const CLOCKS_APART_MAX: TimeDelta = TimeDelta::days(1);

/// How far a reader that has nothing to read may look back before it looks forward.
pub(super) const LOOK_BACK_MAX: TimeDelta = TimeDelta::days(2);

/// Batches of one shard in a row. Where events come faster than they are read, the other shards, escrow and the outbox have their turn too,
/// and a worker that is told to stop hears of it.
const TURNS_MAX: usize = 4;

/// What one turn came to.
enum Turn {
    /// Nothing is left below the horizon, or another worker holds the shard.
    Idle,
    Moved(usize),
}

/// Processes the shard until nothing is left below the horizon, another worker holds it, or it has had its turns. Returns how many events.
pub(super) async fn process(app: &App, shard: i16) -> Result<u64> {
    let mut events_max = WORKER_BATCH_MAX;
    let mut total = 0;
    for _ in 0..TURNS_MAX {
        let tried = AtomicI64::new(0);
        match turn(app, shard, events_max, &tried).await {
            Ok(Turn::Idle) => break,
            Ok(Turn::Moved(count)) => total += u64::try_from(count).unwrap_or(0),
            Err(error) => {
                let tried = tried.into_inner();
                // Too much for one statement: with less it may pass. Nothing is buried for being slow.
                if is_timeout(&error) && tried > 1 {
                    events_max = tried / 2;
                } else if error.is_transient() || tried == 0 {
                    return Err(error);
                }
            }
        }
    }
    Ok(total)
}

/// One batch. `tried` learns how many events it takes at most, once the try is counted.
async fn turn(app: &App, shard: i16, events_max: i64, tried: &AtomicI64) -> Result<Turn> {
    // Taken first: who waits for a connection should hold nothing.
    let counter = &Mutex::new(app.db.conn().await?);
    let work = app.db.transaction(|conn| {
        async move { advance(&Bench { app, shard, events_max, counter, tried }, conn).await }.scope_boxed()
    });
    work.await
}

/// What a turn has in hand.
struct Bench<'a> {
    app: &'a App,
    shard: i16,
    events_max: i64,
    /// The connection on which tries are counted.
    counter: &'a Mutex<PooledConn>,
    tried: &'a AtomicI64,
}

async fn advance(bench: &Bench<'_>, conn: &mut Conn) -> Result<Turn> {
    let shard = bench.shard;
    bench.tried.store(0, Ordering::Relaxed);
    let Some(position) = PIPELINE.take(conn, shard).await? else { return Ok(Turn::Idle) };
    let before = PIPELINE.attempts(conn, shard).await?;
    if before.count >= WORKER_ATTEMPTS_MAX {
        return bury(bench, conn, position, &before).await;
    }
    let taken_max = before.events_max.min(bench.events_max);
    // What somebody ruled between two batches stands between them in a replay too.
    let ruling = identity::next_ruling(conn, shard, bench.app.env.now()).await?;
    let ruled = ruling.filter(|ruling| before.until.is_none_or(|until| ruling.place <= until));
    let read_until = ruled.map(|ruling| ruling.place).or(before.until);
    let rows = PIPELINE.read(conn, shard, position, read_until, taken_max).await;
    if let (Some(ruling), Ok([])) = (&ruled, rows.as_deref()) {
        let scope = brand_scope(conn, ruling.brand_id).await?;
        unmerge::apply(conn, &scope, ruling).await?;
        return Ok(Turn::Moved(0));
    }
    let until = match &rows {
        Ok(rows) if rows.is_empty() && before.until.is_some() => {
            // What was to blame has left the line by another door.
            PIPELINE.settle(conn, shard, before.token, &before.cleared()).await?;
            return Ok(Turn::Moved(0));
        }
        Ok(rows) if rows.is_empty() => {
            let now = bench.app.env.now();
            if position.since < now - LOOK_BACK_MAX {
                PIPELINE.look_forward(conn, shard, position, now - CLOCKS_APART_MAX).await?;
            }
            return Ok(Turn::Idle);
        }
        rows => rows.as_ref().ok().and_then(|rows| rows.last()).map(|row| row.place),
    };
    let begun = before.begun(bench.app.env.new_id(), taken_max, until);
    PIPELINE.begin(&mut *bench.counter.lock().await, shard, bench.app.env.now(), &begun).await?;
    bench.tried.store(taken_max, Ordering::Relaxed);
    let batch = rows.map(|rows| Batch { position: after(position, &rows, read_until, taken_max), rows });
    let worked = AssertUnwindSafe(work(bench, conn, batch, &before, begun.token)).catch_unwind().await;
    let outcome = worked.unwrap_or_else(|panic| Err(Error::fault("processing a batch", said(&*panic))));
    if let Err(error) = &outcome {
        note(bench, &before, &begun, error).await;
    }
    outcome
}

/// Events of the log, and the position after them.
struct Batch {
    rows: Vec<Row>,
    position: Position,
}

/// The position after a batch. One that took all there was below the horizon leaves nothing behind but what others are about to commit,
/// whose clocks are with ours: nothing that was recorded a day before it waits.
fn after(position: Position, rows: &[Row], until: Option<Place>, taken_max: i64) -> Position {
    let took_all = until.is_none() && i64::try_from(rows.len()).is_ok_and(|count| count < taken_max);
    let newest = rows.iter().map(|row| row.recorded_at).max().filter(|_| took_all);
    Position {
        place: rows.last().map_or(position.place, |row| row.place),
        since: newest.map_or(position.since, |newest| position.since.max(newest - CLOCKS_APART_MAX)),
    }
}

/// The effects of a batch, the position after it, and that the try ended well.
async fn work(
    bench: &Bench<'_>,
    conn: &mut Conn,
    batch: Result<Batch>,
    before: &Attempts,
    token: Uuid,
) -> Result<Turn> {
    let app = bench.app;
    let Batch { rows, position } = batch?;
    let count = rows.len();
    for (brand_id, rows) in by_brand(rows) {
        let scope = brand_scope(conn, brand_id).await?;
        let batch = rows.into_iter().map(to_logged).collect::<Result<Vec<_>>>()?;
        pipeline::process(conn, &app.env, &app.keyring, &scope, &batch).await?;
    }
    PIPELINE.moved(conn, bench.shard, position, app.env.now()).await?;
    PIPELINE.settle(conn, bench.shard, token, &before.passed(position.place)).await?;
    Ok(Turn::Moved(count))
}

/// Writes down how a try failed. What is the fault of the moment does not count; a lost connection does, since the event may be what
/// ended it.
async fn note(bench: &Bench<'_>, before: &Attempts, begun: &Attempts, error: &Error) {
    let attempts = if error.is_transient() && !is_lost(error) {
        before.clone()
    } else {
        Attempts { fault: Some(described(error)), ..begun.clone() }
    };
    let noted = PIPELINE.settle(&mut *bench.counter.lock().await, bench.shard, begun.token, &attempts).await;
    if let Err(unnoted) = noted {
        tracing::warn!(error = &unnoted as &dyn std::error::Error, "how a try failed could not be written down");
    }
}

/// Takes the event that stood alone at its last tries out of the line.
async fn bury(bench: &Bench<'_>, conn: &mut Conn, position: Position, attempts: &Attempts) -> Result<Turn> {
    let shard = bench.shard;
    let head = PIPELINE.head(conn, shard, position).await?;
    if let Some(head) = head.filter(|head| attempts.until.is_none_or(|until| head.place <= until)) {
        let reason = attempts.fault.as_deref().unwrap_or(NEVER_CAME_BACK);
        tracing::error!(event.id = %head.id, reason, "an event cannot be processed and was buried");
        PIPELINE.bury(conn, &head, attempts.count, reason).await?;
        let position = Position { place: head.place, ..position };
        PIPELINE.moved(conn, shard, position, bench.app.env.now()).await?;
    }
    PIPELINE.settle(conn, shard, attempts.token, &attempts.buried()).await?;
    Ok(Turn::Moved(0))
}

fn described(error: &Error) -> String {
    let cause = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    format!("{error}{cause}")
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a word"))
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
    let unreadable = |error| Error::fault("reading an event of the log", error);
    let event: Event = serde_json::from_value(row.payload.unwrap_or_default()).map_err(unreadable)?;
    Ok(Logged { id: row.id, recorded_at: row.recorded_at, event })
}
