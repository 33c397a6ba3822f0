//! The stretches of time, one after the other, in which a list of the log is looked for: a page ends where it is full, so that it costs
//! what it returns, and no statement ever has the tables of all days in hand. Pure.

use chrono::{DateTime, TimeDelta, Utc};

use crate::base::limits::LOG_DAYS_AHEAD;

/// The first stretch holds yesterday's, today's and the days that are made ahead: where most pages end.
const FIRST: TimeDelta = TimeDelta::days(2 + LOG_DAYS_AHEAD.cast_signed());
/// The longest. A statement locks five relations per day, and PostgreSQL has room for some thousands of locks.
const LONGEST: TimeDelta = TimeDelta::days(128);
/// How many times longer each stretch is than the one before.
const GROWTH: i32 = 8;

/// Which end of a time a list begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Oldest,
    Newest,
}

/// The time from `start` to before `end`, in stretches.
#[derive(Debug)]
pub(super) struct Stretches {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    length: TimeDelta,
    from: From,
}

pub(super) fn stretches(start: DateTime<Utc>, end: DateTime<Utc>, from: From) -> Stretches {
    Stretches { start, end, length: FIRST, from }
}

impl Iterator for Stretches {
    type Item = (DateTime<Utc>, DateTime<Utc>);

    fn next(&mut self) -> Option<Self::Item> {
        let left = self.end - self.start;
        if left <= TimeDelta::zero() {
            return None;
        }
        let length = self.length.min(left);
        self.length = (self.length * GROWTH).min(LONGEST);
        let stretch = match self.from {
            From::Oldest => (self.start, self.start + length),
            From::Newest => (self.end - length, self.end),
        };
        match self.from {
            From::Oldest => self.start = stretch.1,
            From::Newest => self.end = stretch.0,
        }
        Some(stretch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths in days, and that the stretches follow each other over the whole time.
    fn check(days: i64, expected: &[i64]) {
        let start = DateTime::UNIX_EPOCH;
        let end = start + TimeDelta::days(days);
        for from in [From::Oldest, From::Newest] {
            let mut all: Vec<_> = stretches(start, end, from).collect();
            let lengths: Vec<i64> = all.iter().map(|(start, end)| (*end - *start).num_days()).collect();
            assert_eq!(lengths, expected, "{from:?}");
            all.sort();
            assert!(all.windows(2).all(|pair| pair[0].1 == pair[1].0), "{all:?}");
            assert_eq!((all.first().map(|one| one.0), all.last().map(|one| one.1)), (Some(start), Some(end)));
        }
    }

    #[test]
    fn stretches_grow_cover_the_whole_time_once_and_hold_128_days_at_most() {
        check(1, &[1]);
        check(50, &[5, 40, 5]);
        check(400, &[5, 40, 128, 128, 99]);
        assert_eq!(stretches(DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH, From::Newest).count(), 0);
    }
}
