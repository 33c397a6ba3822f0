//! Time as an argument. Nothing else in the crate may read the system clock.

use std::sync::Mutex;

use chrono::{DateTime, Datelike, DurationRound, TimeDelta, Utc};

/// Tells the time, in UTC, cut to whole microseconds (what a `timestamptz` keeps).
pub trait Clock: Send + Sync {
    fn now(&self) -> DateTime<Utc>;
}

/// Whether a moment is one that RFC 3339 can write: of the years 1 to 9999. Calendars go further, and PostgreSQL not as far back.
#[must_use]
pub fn is_plain(time: DateTime<Utc>) -> bool {
    (1..=9999).contains(&time.year())
}

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that may read the system clock")]
    fn now(&self) -> DateTime<Utc> {
        to_microsecond(Utc::now())
    }
}

/// A clock that stands still until it is moved.
pub struct FixedClock(Mutex<DateTime<Utc>>);

impl FixedClock {
    #[must_use]
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(Mutex::new(to_microsecond(now)))
    }

    /// Moves the clock forward, or back where `by` is negative.
    pub fn advance(&self, by: TimeDelta) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now += by;
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn to_microsecond(time: DateTime<Utc>) -> DateTime<Utc> {
    time.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(time)
}
