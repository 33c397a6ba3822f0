//! How long the log is kept, a day at a time: days are made ahead, and dropped once they were kept long enough.

use chrono::{DateTime, Days, NaiveDate, Utc};
use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use super::store::days;
use crate::base::Result;
use crate::base::limits::LOG_DAYS_AHEAD;
use crate::db::Db;

/// The moments between which events of these identifiers were recorded, the second one excluded: every statement that names events by
/// identifier names these too, so that no other day is looked into.
#[must_use]
pub fn span_of(ids: &[Uuid]) -> (DateTime<Utc>, DateTime<Utc>) {
    days::span_of(ids)
}

/// Makes the log's table of one day, where it is missing.
pub async fn make_day(db: &Db, day: NaiveDate) -> Result<()> {
    let made = db.transaction(|conn| async move { days::make_day(conn, day).await }.scope_boxed()).await?;
    if made {
        tracing::info!(%day, "the log has a table for this day now");
    }
    Ok(())
}

/// Makes the days ahead, and drops those that were kept for `retention_days`. A day in which an event still waits is kept. Without a
/// number of days all are.
pub async fn keep(db: &Db, now: DateTime<Utc>, retention_days: Option<u64>) -> Result<()> {
    let today = now.date_naive();
    for offset in 0..=LOG_DAYS_AHEAD {
        make_day(db, today + Days::new(offset)).await?;
    }
    let conn = &mut *db.conn().await?;
    let all = days::days(conn).await?;
    for day in all.iter().copied().filter(|day| *day < today) {
        // A clock that was days behind may have written behind the readers.
        if days::look_back(conn, day).await? > 0 {
            tracing::warn!(%day, "events of this day waited behind their readers, which look back now");
        }
    }
    let Some(first_kept) = retention_days.and_then(|count| today.checked_sub_days(Days::new(count))) else {
        return Ok(());
    };
    for day in all.into_iter().filter(|day| *day < first_kept) {
        if days::waiting_count(conn, day).await? > 0 {
            tracing::warn!(%day, "the log keeps this day over its time, since an event of it waits");
            continue;
        }
        db.transaction(|conn| async move { days::drop_day(conn, day).await }.scope_boxed()).await?;
        tracing::info!(%day, "the log dropped this day");
    }
    Ok(())
}
