//! The generic cell rate algorithm, as pure arithmetic over microseconds. `gcra.lua` is the same in Redis, and a test holds the two
//! together. <https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm>

/// How much may be spent: one unit per interval on average, and up to `burst` units at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub interval_us: i64,
    pub burst: i64,
}

/// What became of a request for units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// So many units were taken; the bucket is full again at this moment.
    Granted { count: i64, due_us: i64 },
    /// Nothing was taken. The least that was asked for is there after this time.
    Refused { wait_us: i64 },
}

impl Quota {
    /// `count` units per `seconds`, all at once after a pause. The interval is rounded up to whole microseconds. `None` for 0: no limit.
    #[must_use]
    pub fn per(count: u32, seconds: u32) -> Option<Self> {
        let (count, period_us) = (i64::from(count), i64::from(seconds) * 1_000_000);
        (count > 0).then(|| Self { interval_us: (period_us + count - 1) / count, burst: count })
    }

    fn window_us(self) -> i64 {
        self.interval_us.saturating_mul(self.burst)
    }

    /// Takes at least `least` and at most `most` units from a bucket that is full again at `due_us` (`None`: it is full). One that would
    /// lack more than it holds was counted by a clock that is ahead of this one: it counts as full, since the other way round the
    /// server whose clock is right would be refused for as long as the other one is busy. `least` must be at most the burst.
    #[must_use]
    pub fn take(self, due_us: Option<i64>, now_us: i64, least: i64, most: i64) -> Verdict {
        let end_us = now_us.saturating_add(self.window_us());
        let due_us = due_us.filter(|due| (now_us..=end_us).contains(due)).unwrap_or(now_us);
        let free = (end_us - due_us) / self.interval_us;
        if free < least {
            return Verdict::Refused { wait_us: least.saturating_mul(self.interval_us) - (end_us - due_us) };
        }
        let count = free.min(most);
        Verdict::Granted { count, due_us: due_us + count * self.interval_us }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_is_granted_then_one_per_interval() {
        let quota = Quota::per(3, 60).unwrap();
        assert_eq!(quota, Quota { interval_us: 20_000_000, burst: 3 });
        assert_eq!(Quota::per(0, 60), None);
        let check = |due: Option<i64>, now: i64, expected: Verdict| assert_eq!(quota.take(due, now, 1, 1), expected);
        check(None, 0, Verdict::Granted { count: 1, due_us: 20_000_000 });
        check(Some(40_000_000), 0, Verdict::Granted { count: 1, due_us: 60_000_000 });
        check(Some(60_000_000), 0, Verdict::Refused { wait_us: 20_000_000 });
        check(Some(60_000_000), 19_999_999, Verdict::Refused { wait_us: 1 });
        check(Some(60_000_000), 20_000_000, Verdict::Granted { count: 1, due_us: 80_000_000 });
        check(Some(60_000_001), 0, Verdict::Granted { count: 1, due_us: 20_000_000 });
        check(Some(i64::MAX), 0, Verdict::Granted { count: 1, due_us: 20_000_000 });
    }

    prop_compose! {
        fn any_quota()(count in 1..100_000_u32, seconds in 1..3_600_u32) -> Quota { Quota::per(count, seconds).unwrap() }
    }

    proptest! {
        #[test]
        fn no_span_of_time_grants_more_than_the_burst_and_what_has_flowed_in(
            quota in any_quota(), calls in prop::collection::vec((0..5_000_000_i64, 1..50_i64, 0..50_i64), 1..60),
        ) {
            let (mut now, mut due, mut granted) = (0, None, Vec::new());
            for (pause, least, more) in calls {
                now += pause;
                let least = least.min(quota.burst);
                if let Verdict::Granted { count, due_us } = quota.take(due, now, least, least + more) {
                    prop_assert!(count >= least && count <= least + more);
                    due = Some(due_us);
                    granted.push((now, count));
                }
            }
            for (first, (start, _)) in granted.iter().enumerate() {
                let mut sum = 0;
                for (at, count) in &granted[first..] {
                    sum += count;
                    prop_assert!(sum <= quota.burst + (at - start) / quota.interval_us, "{sum} from {start} to {at}");
                }
            }
        }

        #[test]
        fn a_refusal_names_the_first_moment_at_which_it_would_be_granted(
            quota in any_quota(), now in 0..2_000_000_000_000_000_i64, owed_ppm in 0..=1_000_000_i64, least in 1..100_000_i64,
        ) {
            let (due, least) = (now + quota.window_us() / 1_000_000 * owed_ppm, least.min(quota.burst));
            let Verdict::Refused { wait_us } = quota.take(Some(due), now, least, least) else { return Ok(()) };
            prop_assert!(wait_us > 0 && wait_us <= quota.window_us());
            let is_granted = |at: i64| matches!(quota.take(Some(due), at, least, least), Verdict::Granted { .. });
            prop_assert!(is_granted(now + wait_us) && !is_granted(now + wait_us - 1));
        }
    }
}
