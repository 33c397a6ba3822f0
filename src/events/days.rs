//! How long the log is kept, a day at a time: days are made ahead, and dropped once they were kept long enough. The log has no holes:
//! a day that must stay keeps the days after it.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use super::store::days;
use crate::base::Result;
use crate::base::limits::LOG_DAYS_AHEAD;
use crate::db::{Conn, Db};

/// The moments between which events of these identifiers were recorded, the second one excluded: every statement that names events by
/// identifier names these too, so that no other day is looked into.
#[must_use]
pub fn span_of(ids: &[Uuid]) -> (DateTime<Utc>, DateTime<Utc>) {
    days::span_of(ids)
}

/// Makes the log ready for somebody who is about to write into a day: its table is there, and the readers look into it.
pub async fn open_day(db: &Db, day: NaiveDate) -> Result<()> {
    make_day(db, day).await?;
    days::look_back_to(&mut *db.conn().await?, days::bounds_of(day).0).await
}

/// Makes the days ahead, and drops those that were kept for `retention_days`. A day in which an event waits is kept, and so are those
/// after it. Without a number of days all are. Several processes may do this at once.
pub async fn keep(db: &Db, now: DateTime<Utc>, retention_days: Option<u64>) -> Result<()> {
    let today = now.date_naive();
    for offset in 0..=LOG_DAYS_AHEAD {
        make_day(db, today + Days::new(offset)).await?;
    }
    let all = days::days(&mut *db.conn().await?).await?;
    for day in all.iter().copied().filter(|day| *day < today) {
        // A clock that was days behind may have written behind the readers.
        if days::look_back(&mut *db.conn().await?, day).await? > 0 {
            tracing::warn!(%day, "events of this day waited behind their readers, which look back now");
        }
    }
    let Some(first_kept) = retention_days.and_then(|count| today.checked_sub_days(Days::new(count))) else {
        return Ok(());
    };
    for day in all.into_iter().filter(|day| *day < first_kept) {
        if !drop_day(db, day, now).await? {
            break;
        }
    }
    Ok(())
}

/// The moment at which the log begins: what was recorded before is no longer kept. `None` where nothing was dropped.
pub async fn log_begins_at(conn: &mut Conn) -> Result<Option<DateTime<Utc>>> {
    let last_dropped = days::last_dropped(conn).await?;
    Ok(last_dropped.map(|day| (day + Days::new(1)).and_time(NaiveTime::MIN).and_utc()))
}

async fn make_day(db: &Db, day: NaiveDate) -> Result<()> {
    let made = db.transaction(|conn| async move { days::make_day(conn, day).await }.scope_boxed()).await?;
    if made {
        tracing::info!(%day, "the log has a table for this day now");
    }
    Ok(())
}

/// Whether the day is gone. If it is not, the next hour tries again.
async fn drop_day(db: &Db, day: NaiveDate, now: DateTime<Utc>) -> Result<bool> {
    if days::waiting_count(&mut *db.conn().await?, day).await? > 0 {
        tracing::warn!(%day, "the log keeps this day and those after it over their time, since an event of it waits");
        return Ok(false);
    }
    match db.transaction(|conn| async move { days::drop_day(conn, day, now).await }.scope_boxed()).await {
        Ok(is_dropped) => {
            if is_dropped {
                tracing::info!(%day, "the log dropped this day");
            }
            Ok(is_dropped)
        }
        Err(error) if error.is_transient() => {
            tracing::warn!(%day, error = &error as &dyn std::error::Error, "the log could not drop this day now");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
