//! Migrations, embedded in the binary. Two processes that start at once wait for each other.

use diesel_async::{AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::base::{Error, Result};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The lock that one migrating process holds; any number that no one else uses.
const LOCK: &str = "select pg_advisory_lock(7203811)";

/// Brings the database to the newest version and returns the names of what was applied. Safe to call from several processes at once.
pub async fn migrate(url: &str) -> Result<Vec<String>> {
    with_harness(url, |harness| {
        let applied = harness.run_pending_migrations(MIGRATIONS)?;
        Ok(applied.iter().map(ToString::to_string).collect())
    })
    .await
}

/// Takes every migration back, newest first. For tests of `down.sql`.
pub async fn revert_all(url: &str) -> Result<usize> {
    with_harness(url, |harness| Ok(harness.revert_all_migrations(MIGRATIONS)?.len())).await
}

/// How many migrations this binary knows that the database has not seen.
pub async fn pending_migrations(url: &str) -> Result<usize> {
    with_harness(url, |harness| Ok(harness.pending_migrations(MIGRATIONS)?.len())).await
}

type Harness = AsyncMigrationHarness<AsyncPgConnection>;
type HarnessError = Box<dyn std::error::Error + Send + Sync>;

/// The harness blocks, so it works on a thread of its own with a connection of its own; the lock goes with the connection.
async fn with_harness<T: Send + 'static>(
    url: &str,
    work: impl FnOnce(&mut Harness) -> Result<T, HarnessError> + Send + 'static,
) -> Result<T> {
    let fault = |error: HarnessError| Error::fault("migrating the database", error);
    let mut conn = AsyncPgConnection::establish(url)
        .await
        .map_err(|error| Error::transient("connecting to PostgreSQL to migrate", error))?;
    conn.batch_execute(LOCK).await?;
    let mut harness = AsyncMigrationHarness::new(conn);
    tokio::task::spawn_blocking(move || work(&mut harness).map_err(fault))
        .await
        .map_err(|error| Error::fault("migrating the database", error))?
}
