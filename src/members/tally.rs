//! What an event of one member adds to the kept sums of those above it. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::placement::above;
use crate::base::limits::ACTIVITY_DAYS_KEPT;

/// What happened to one member, as far as the downlines that it is part of are concerned.
#[derive(Clone, Debug, Default)]
pub(super) struct Gain {
    /// The member's path: whose sums change follows from it.
    pub path: String,
    pub sums: Sums,
    /// When it was last active before.
    pub active_before: Option<DateTime<Utc>>,
    /// When it was last active, now.
    pub active_at: Option<DateTime<Utc>>,
}

/// Sums over members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub member_count: i32,
    pub signed_up_count: i32,
    pub activated_count: i32,
    /// Sales less refunds in the brand's currency.
    pub value_minor: i64,
}

/// What to add to the kept sums, in the order of their keys, so that two writers cannot deadlock.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// By the number of the member whose downline it is, and the degree.
    pub degrees: Vec<((i64, i32), Sums)>,
    /// Members by the day of their last activity, by the number of the member whose downline it is. What is added may be negative.
    pub days: Vec<((i64, NaiveDate), i32)>,
}

/// Folds gains into one addition per kept row. Days before the first kept one are left out.
pub(super) fn tally(gains: &[Gain], now: DateTime<Utc>) -> Tally {
    let first_day = first_day(now);
    let mut degrees: BTreeMap<(i64, i32), Sums> = BTreeMap::new();
    let mut days: BTreeMap<(i64, NaiveDate), i32> = BTreeMap::new();
    for gain in gains {
        let day = |at: Option<DateTime<Utc>>| at.map(|at| at.date_naive()).filter(|day| *day >= first_day);
        let (before, after) = (day(gain.active_before), day(gain.active_at));
        for (number, degree) in above(&gain.path) {
            if gain.sums != Sums::default() {
                degrees.entry((number, degree)).or_default().add(gain.sums);
            }
            if before != after {
                for (day, change) in before.map(|day| (day, -1)).into_iter().chain(after.map(|day| (day, 1))) {
                    *days.entry((number, day)).or_default() += change;
                }
            }
        }
    }
    Tally {
        degrees: degrees.into_iter().collect(),
        days: days.into_iter().filter(|(_, change)| *change != 0).collect(),
    }
}

/// The first day whose activity is still kept.
pub(super) fn first_day(now: DateTime<Utc>) -> NaiveDate {
    (now - TimeDelta::days(ACTIVITY_DAYS_KEPT)).date_naive()
}

impl Sums {
    /// The same taken `count` times; -1 to take it away.
    pub fn times(self, count: i32) -> Self {
        Self {
            member_count: self.member_count * count,
            signed_up_count: self.signed_up_count * count,
            activated_count: self.activated_count * count,
            value_minor: self.value_minor * i64::from(count),
        }
    }

    fn add(&mut self, other: Self) {
        self.member_count += other.member_count;
        self.signed_up_count += other.signed_up_count;
        self.activated_count += other.activated_count;
        self.value_minor = self.value_minor.saturating_add(other.value_minor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: &str) -> DateTime<Utc> {
        day.parse::<NaiveDate>().unwrap().and_hms_opt(12, 0, 0).unwrap().and_utc()
    }

    fn gain(path: &str, before: Option<&str>, active: &str) -> Gain {
        let sums = Sums { member_count: 1, signed_up_count: 1, activated_count: 0, value_minor: 100 };
        Gain { path: path.to_owned(), sums, active_before: before.map(at), active_at: Some(at(active)) }
    }

    #[test]
    fn one_addition_per_kept_row_whatever_the_number_of_events() {
        let gains =
            [gain("1.2.3", None, "2026-05-01"), gain("1.2.4", None, "2026-05-01"), gain("1.5", None, "2026-05-02")];
        let found = tally(&gains, at("2026-05-02"));
        let counts: Vec<_> =
            found.degrees.iter().map(|(key, sums)| (*key, sums.member_count, sums.value_minor)).collect();
        assert_eq!(counts, [((1, 1), 1, 100), ((1, 2), 2, 200), ((2, 1), 2, 200)]);
        let (first, second) = (at("2026-05-01").date_naive(), at("2026-05-02").date_naive());
        assert_eq!(found.days, [((1, first), 2), ((1, second), 1), ((2, first), 2)]);
    }

    #[test]
    fn activity_moves_from_its_day_to_the_next_and_old_days_are_not_kept() {
        let now = at("2026-05-02");
        let moved = tally(&[gain("1.2", Some("2026-05-01"), "2026-05-02")], now);
        assert_eq!(moved.days, [((1, at("2026-05-01").date_naive()), -1), ((1, now.date_naive()), 1)]);
        let stays = tally(&[gain("1.2", Some("2026-05-02"), "2026-05-02")], now);
        assert_eq!(stays.days, []);
        let old = tally(&[gain("1.2", Some("2020-01-01"), "2020-01-02")], now);
        assert_eq!(old.days, []);
    }
}
