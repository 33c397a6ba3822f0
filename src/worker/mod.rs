//! Reads the log and makes everything that follows from it; releases rewards whose time has come; sends the outbox on, to Redis and to
//! webhook endpoints; looks at the books; keeps the sums of reports.
//! It never takes events in, and never has an effect outside of the transaction that moves its position.
//! Start with `pipeline.rs`: the life of an event on one page.

mod pipeline;
mod sales;
mod send;
mod shard;
mod unmerge;

use std::time::Duration;

use chrono::TimeDelta;
use scoped_futures::ScopedFutureExt;
use tokio_util::sync::CancellationToken;

use crate::access::{Brand, all_brands};
use crate::app::App;
use crate::base::Result;
use crate::base::limits::REPORT_DAYS_PER_TURN_MAX;
use crate::db::{analyze_grown, is_timeout};
use crate::events::Reader;
use crate::ledger::reads::Extent;
use crate::{attribution, events, identity, ingest, links, members, outbox, rewards, verify};

pub use send::deliver;
pub use unmerge::unmerge;

/// The consumer whose position tells what is processed.
pub const PIPELINE: Reader = Reader { consumer: "pipeline" };

/// How long an idle worker waits before it looks again by itself.
const IDLE: Duration = Duration::from_millis(50);
/// How often escrow and the outbox are looked at where no event asks for it.
const CHORES: Duration = Duration::from_secs(1);
/// How often who was sent to an app store is forgotten, which is promised after minutes.
const FORGETTING_VISITS: Duration = Duration::from_secs(60);
/// How often what was kept long enough is forgotten.
const FORGETTING: Duration = Duration::from_secs(3_600);
/// How often it is looked which platforms want asking.
const ASKING: Duration = Duration::from_secs(60);
/// How often the books are looked at.
const AUDITING: Duration = Duration::from_secs(60);
/// How often every hash of the ledger is taken again; between, only those of transfers that are new.
const AUDITING_WHOLE: Duration = Duration::from_secs(24 * 3_600);
/// How many times as long as a look at the books took nobody looks again: books can grow big.
const AUDITING_RESTS: u32 = 20;
/// How often it is looked which hours' sums of reports are due.
const KEEPING: Duration = Duration::from_secs(5);
/// How many times as long as that took it rests: events come first.
const KEEPING_RESTS: u32 = 4;
/// How long nothing may have changed in an hour before its sums are kept.
const QUIET: TimeDelta = TimeDelta::seconds(10);
/// How long a worker rests after a fault of the moment.
const REST: Duration = Duration::from_millis(250);

/// Works until `stop` is cancelled. A database that is away is waited for.
pub async fn run(app: App, stop: CancellationToken) -> Result<()> {
    // Platforms and endpoints can be slow: they are talked to beside the work, never in its way.
    let (asking, sending) = (ask_on(&app, &stop), send::deliver_on(&app, &stop));
    // The books can be big: nothing waits for the look at them.
    let (auditing, keeping) = (audit_on(&app, &stop), keep_on(&app, &stop));
    let (worked, (), (), (), ()) = tokio::join!(keep_up(app.clone(), stop.clone()), asking, sending, auditing, keeping);
    worked
}

/// The work on the log alone, until `stop` is cancelled: no platform is asked anything, and no webhook goes out. For imports, which work while they read.
pub async fn keep_up(app: App, stop: CancellationToken) -> Result<()> {
    let mut chores_at = tokio::time::Instant::now();
    let (mut forgetting_at, mut forgetting_visits_at) = (chores_at, chores_at);
    let mut is_prepared = false;
    let mut has_worked = true;
    while !stop.is_cancelled() {
        let round = async {
            if !is_prepared {
                prepare(&app).await?;
                is_prepared = true;
            }
            // What holds up one shard holds up nothing else: it is told when everything had its turn.
            let processed = process_shards(&app).await;
            let count = *processed.as_ref().unwrap_or(&0);
            has_worked |= count > 0;
            let is_due = tokio::time::Instant::now() >= chores_at;
            if count > 0 || is_due {
                relay(&app).await?;
            }
            if is_due {
                settle(&app).await?;
                if std::mem::take(&mut has_worked) {
                    analyze_grown(&app.db).await?;
                }
                chores_at = tokio::time::Instant::now() + CHORES;
            }
            if tokio::time::Instant::now() >= forgetting_visits_at {
                forget_visits(&app).await?;
                forgetting_visits_at = tokio::time::Instant::now() + FORGETTING_VISITS;
            }
            if tokio::time::Instant::now() >= forgetting_at {
                forget(&app).await?;
                forgetting_at = tokio::time::Instant::now() + FORGETTING;
            }
            processed
        };
        match round.await {
            Ok(0) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = app.door.grown() => {}
                    () = tokio::time::sleep(IDLE) => {}
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, cause = ?std::error::Error::source(&error).map(ToString::to_string), "a round of work failed and will be tried again");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(REST) => {}
                }
            }
        }
    }
    Ok(())
}

async fn ask_on(app: &App, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            asked = ask_platforms(app) => if let Err(error) = asked {
                tracing::warn!(error = &error as &dyn std::error::Error, "platforms were not asked, and will be later");
            },
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(ASKING) => {}
        }
    }
}

async fn audit_on(app: &App, stop: &CancellationToken) {
    let mut whole_at = tokio::time::Instant::now();
    while !stop.is_cancelled() {
        let began_at = tokio::time::Instant::now();
        let extent = if began_at >= whole_at { Extent::Whole } else { Extent::New };
        tokio::select! {
            () = stop.cancelled() => return,
            audited = audit(app, extent) => match audited {
                Ok(_) if extent == Extent::Whole => whole_at = began_at + AUDITING_WHOLE,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the books were not looked at, and will be later");
                }
            },
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(AUDITING.max(began_at.elapsed() * AUDITING_RESTS)) => {}
        }
    }
}

async fn keep_on(app: &App, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let began_at = tokio::time::Instant::now();
        tokio::select! {
            () = stop.cancelled() => return,
            kept = keep_reports(app, QUIET) => if let Err(error) = kept {
                tracing::warn!(error = &error as &dyn std::error::Error, "sums of reports were not kept, and will be later");
            },
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(KEEPING.max(began_at.elapsed() * KEEPING_RESTS)) => {}
        }
    }
}

/// Keeps the sums of hours that nothing has changed for so long, of some days of each brand, the oldest first. Returns how many hours those
/// were. Where one brand's fail, the others are kept all the same.
pub async fn keep_reports(app: &App, quiet: TimeDelta) -> Result<usize> {
    let (mut total, mut outcome) = (0, Ok(()));
    for brand in brands(app).await? {
        match keep_reports_of(app, &brand, quiet).await {
            Ok(count) => total += count,
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    outcome.map(|()| total)
}

async fn keep_reports_of(app: &App, brand: &Brand, quiet: TimeDelta) -> Result<usize> {
    let (scope, quiet_since) = (&brand.scope(), app.env.now() - quiet);
    let mut total = 0;
    for _ in 0..REPORT_DAYS_PER_TURN_MAX {
        let work = app.db.transaction(|conn| {
            async move { attribution::report::kept::keep(conn, scope, quiet_since).await }.scope_boxed()
        });
        match work.await? {
            0 => break,
            count => total += count,
        }
    }
    Ok(total)
}

/// Looks at the books of every brand, their chains as far as `extent` says, and keeps what it finds: those that do not add up pay nothing
/// out. Returns how many rows are in breach.
pub async fn audit(app: &App, extent: Extent) -> Result<i64> {
    let mut breach_count = 0;
    for brand in brands(app).await? {
        breach_count += verify::audit(&mut *app.db.conn().await?, &brand, app.env.now(), extent).await?;
    }
    Ok(breach_count)
}

/// Asks platforms about the accounts whose answers are old, and the hub for the channels whose leases end. Returns how many were asked
/// about.
pub async fn ask_platforms(app: &App) -> Result<usize> {
    let mut total = Ok(0);
    for brand in brands(app).await? {
        // One brand's trouble is not another's.
        let count = ask_for(app, &brand).await;
        total = total.and_then(|total: usize| Ok(total + count?));
    }
    total
}

async fn ask_for(app: &App, brand: &Brand) -> Result<usize> {
    let scope = brand.scope();
    let count = app.desk().refresh_due(&scope).await?;
    Ok(count + app.desk().renew_watches(&scope, &app.settings.public_url).await?)
}

/// Forgets who was sent to an app store longer ago than a likely match looks back.
pub async fn forget_visits(app: &App) -> Result<()> {
    for brand in brands(app).await? {
        links::forget_visits(&mut *app.db.conn().await?, &brand.scope(), app.env.now()).await?;
    }
    Ok(())
}

/// Works until nothing is left to do now, then returns how many events were processed. For tests, imports and the demo.
pub async fn drain(app: &App) -> Result<u64> {
    prepare(app).await?;
    let mut total = 0;
    loop {
        let count = process_shards(app).await?;
        total += count;
        if count == 0 {
            if shards_with_work(app).await?.is_empty() {
                break;
            }
            // What is left is above the horizon of a transaction that still runs.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    settle(app).await?;
    relay(app).await?;
    Ok(total)
}

async fn prepare(app: &App) -> Result<()> {
    PIPELINE.prepare(&mut *app.db.conn().await?, app.env.now()).await
}

/// The shards that hold events which were not read, or a ruling that a replay has come to.
async fn shards_with_work(app: &App) -> Result<Vec<i16>> {
    let conn = &mut *app.db.conn().await?;
    let mut shards = PIPELINE.shards_with_work(conn).await?;
    shards.extend(identity::shards_waiting(conn, app.env.now()).await?);
    shards.sort_unstable();
    shards.dedup();
    Ok(shards)
}

/// Every shard has its turn before a fault of one is told, unless it is the database that is away.
async fn process_shards(app: &App) -> Result<u64> {
    let mut outcome = Ok(0);
    for shard in shards_with_work(app).await? {
        match shard::process(app, shard).await {
            Err(error) if error.is_transient() && !is_timeout(&error) => return Err(error),
            processed => outcome = outcome.and_then(|count: u64| Ok(count + processed?)),
        }
    }
    outcome
}

async fn brands(app: &App) -> Result<Vec<Brand>> {
    all_brands(&mut *app.db.conn().await?).await
}

/// One brand's trouble is not another's: every brand has its turn before a fault is told.
async fn settle(app: &App) -> Result<()> {
    let mut outcome = Ok(());
    for brand in brands(app).await? {
        outcome = outcome.and(settle_brand(app, &brand).await);
    }
    outcome
}

async fn settle_brand(app: &App, brand: &Brand) -> Result<()> {
    let (scope, now) = (&brand.scope(), app.env.now());
    loop {
        let work = app.db.transaction(|conn| async move { rewards::settle_due(conn, scope, now).await }.scope_boxed());
        if work.await? == 0 {
            return Ok(());
        }
    }
}

/// The log's days are made ahead, and what is kept for a time only is forgotten after it.
async fn forget(app: &App) -> Result<()> {
    let now = app.env.now();
    let behind = PIPELINE.shards_behind(&mut *app.db.conn().await?, now - shard::LOOK_BACK_MAX).await?;
    for shard in behind {
        shard::process(app, shard).await?;
    }
    events::keep(&app.db, now, app.settings.events_retention_days).await?;
    ingest::forget_keys(&app.db, now).await?;
    for brand in brands(app).await? {
        members::forget_activity(&mut *app.db.conn().await?, &brand.scope(), now).await?;
        app.courier.forget(&brand.scope()).await?;
    }
    Ok(())
}

/// Redis may be away: what it did not get stays in the outbox, and readers look there by themselves.
async fn relay(app: &App) -> Result<()> {
    for brand in brands(app).await? {
        match outbox::relay(&app.db, &app.kv, &brand).await {
            Ok(_) => {}
            Err(error) if error.is_transient() => {
                tracing::debug!(error = &error as &dyn std::error::Error, "the outbox was not relayed");
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
