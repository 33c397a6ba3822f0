//! Whether the process lives, and whether it can serve: PostgreSQL and its schema decide, Redis and broken books only degrade.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::answer;
use super::house::House;
use crate::base::Result;
use crate::db::pending_migrations;
use crate::payouts::broken_count;

const TIME: Duration = Duration::from_secs(2);

/// Remembers that the schema was once seen complete: migrations are not taken back under a running process.
#[derive(Default)]
pub(super) struct Readiness {
    is_migrated: AtomicBool,
}

pub(super) async fn healthz() -> Response {
    answer::json(StatusCode::OK, &json!({ "status": "ok" }))
}

pub(super) async fn readyz(State(house): State<House>) -> Response {
    let (database, redis) =
        tokio::join!(tokio::time::timeout(TIME, database(&house)), tokio::time::timeout(TIME, house.app.kv.ping()),);
    let has_redis = matches!(redis, Ok(Ok(())));
    let (has_postgres, found) = match database {
        Ok(Ok(found)) => (true, found),
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "not ready");
            (false, Found::default())
        }
        Err(_) => (false, Found::default()),
    };
    let Found { has_migrations, has_whole_books } = found;
    let (code, status) = match (has_postgres && has_migrations, has_redis && has_whole_books) {
        (true, true) => (StatusCode::OK, "ready"),
        (true, false) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let body = json!({
        "status": status, "postgres": has_postgres, "migrations": has_migrations, "redis": has_redis, "ledger": has_whole_books,
    });
    answer::json(code, &body)
}

/// What PostgreSQL says.
#[derive(Default)]
struct Found {
    has_migrations: bool,
    /// Whether every brand's books added up when they were last looked at.
    has_whole_books: bool,
}

/// Whether the schema is complete and the books are whole. A cheap statement shows that PostgreSQL answers.
async fn database(house: &House) -> Result<Found> {
    let readiness = &house.readiness;
    if !readiness.is_migrated.load(Ordering::Relaxed) {
        let pending = pending_migrations(&house.app.settings.database_url).await?;
        readiness.is_migrated.store(pending == 0, Ordering::Relaxed);
        if pending > 0 {
            return Ok(Found::default());
        }
    }
    let broken_count = broken_count(&mut *house.app.db.conn().await?).await?;
    Ok(Found { has_migrations: true, has_whole_books: broken_count == 0 })
}
