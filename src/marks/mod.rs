//! Which hours of a brand have changed since the sums of its reports were kept: whatever changes what a report says of an hour marks it in the
//! same transaction. It never says what changed, and keeps no sums: `attribution` does. Start with [`mark`].

mod store;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::Scope;
use crate::base::Result;
use crate::db::Conn;

const HOUR_SECONDS: i64 = 3_600;

/// The hour, UTC, that a moment is in.
#[must_use]
pub fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(at.timestamp().div_euclid(HOUR_SECONDS) * HOUR_SECONDS, 0).unwrap_or(at)
}

/// The day, UTC, that a moment is in, as the moment when it begins.
#[must_use]
pub fn day_of(at: DateTime<Utc>) -> DateTime<Utc> {
    let day_seconds = 24 * HOUR_SECONDS;
    DateTime::from_timestamp(at.timestamp().div_euclid(day_seconds) * day_seconds, 0).unwrap_or(at)
}

/// Marks the hours of these moments: of conversions whose credit may differ, of touches that are new or have another owner, of causes of rewards
/// that cost something else. Marks are only added, so that nobody waits for anybody.
pub async fn mark(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, moments: &[DateTime<Utc>]) -> Result<()> {
    let hours: BTreeSet<DateTime<Utc>> = moments.iter().map(|at| hour_of(*at)).collect();
    if hours.is_empty() { Ok(()) } else { store::insert(conn, scope, now, hours.into_iter().collect()).await }
}

/// Marks the hours in which these members bought, or those who stand up to so many levels below them: whoever they were referred by has
/// changed, and with it who is above the buyers.
pub async fn mark_buyers(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    member_ids: &[Uuid],
    level_count: i32,
) -> Result<()> {
    if member_ids.is_empty() {
        Ok(())
    } else {
        store::insert_of_buyers(conn, scope, now, member_ids, level_count).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_days_begin_at_or_before_their_moments() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(hour_of(at("2026-03-01T10:59:59.999999Z")), at("2026-03-01T10:00:00Z"));
        assert_eq!(hour_of(at("2026-03-01T10:00:00Z")), at("2026-03-01T10:00:00Z"));
        assert_eq!(hour_of(at("1969-12-31T23:30:00.5Z")), at("1969-12-31T23:00:00Z"));
        assert_eq!(day_of(at("2026-03-01T23:59:59Z")), at("2026-03-01T00:00:00Z"));
    }
}
