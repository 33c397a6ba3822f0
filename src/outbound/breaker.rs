//! The circuit breaker of one platform: after several failures in a row it lets nothing through for a while, then one call, and by that
//! call's outcome it closes or waits longer. Pure: moments are handed in.

use chrono::{DateTime, TimeDelta, Utc};

use crate::base::limits::{
    BREAKER_FAILURES_MAX, BREAKER_TRIAL_SECONDS_MAX, BREAKER_WAIT_SECONDS_MAX, BREAKER_WAIT_SECONDS_MIN,
};
use crate::text_enum;

text_enum! {
    /// What the breaker lets through.
    BreakerState {
        /// Everything.
        Closed = "CLOSED",
        /// Nothing, until it has waited.
        Open = "OPEN",
        /// One call, on trial.
        HalfOpen = "HALF_OPEN",
    }
}

/// What a breaker lets through, and since or until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed { failure_count: u32 },
    Open { until: DateTime<Utc> },
    HalfOpen { trial_since: DateTime<Utc> },
}

/// The right to make one call. Its outcome is told under it; what was let through before the breaker opened says nothing about after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// One platform's breaker.
#[derive(Clone, Debug)]
pub struct Breaker {
    phase: Phase,
    /// Changes with every change of phase.
    generation: u64,
    /// How often in a row it opened without having closed.
    opened_count: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { phase: Phase::Closed { failure_count: 0 }, generation: 0, opened_count: 0 }
    }
}

impl Breaker {
    #[must_use]
    pub fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Asks for a call. `None`: not now.
    pub fn admit(&mut self, now: DateTime<Utc>) -> Option<Ticket> {
        let patience = TimeDelta::seconds(BREAKER_TRIAL_SECONDS_MAX);
        match self.phase {
            Phase::Closed { .. } => {}
            Phase::Open { until } if now >= until => self.enter(Phase::HalfOpen { trial_since: now }),
            // A trial whose caller never came back must not keep the door shut.
            Phase::HalfOpen { trial_since } if now >= trial_since + patience => {
                self.enter(Phase::HalfOpen { trial_since: now });
            }
            Phase::Open { .. } | Phase::HalfOpen { .. } => return None,
        }
        Some(Ticket(self.generation))
    }

    /// Tells that the call came to an answer.
    pub fn succeed(&mut self, ticket: Ticket) {
        if ticket.0 != self.generation {
            return;
        }
        match &mut self.phase {
            Phase::Closed { failure_count } => *failure_count = 0,
            Phase::HalfOpen { .. } => {
                self.opened_count = 0;
                self.enter(Phase::Closed { failure_count: 0 });
            }
            Phase::Open { .. } => {}
        }
    }

    /// Tells that the call failed.
    pub fn fail(&mut self, ticket: Ticket, now: DateTime<Utc>) {
        if ticket.0 != self.generation {
            return;
        }
        match &mut self.phase {
            Phase::Closed { failure_count } => {
                *failure_count += 1;
                if *failure_count >= BREAKER_FAILURES_MAX {
                    self.open(now);
                }
            }
            Phase::HalfOpen { .. } => self.open(now),
            Phase::Open { .. } => {}
        }
    }

    /// Each time in a row it waits twice as long, up to its cap.
    fn open(&mut self, now: DateTime<Utc>) {
        let doubled = BREAKER_WAIT_SECONDS_MIN.saturating_mul(1_i64 << self.opened_count.min(20));
        self.opened_count = self.opened_count.saturating_add(1);
        self.enter(Phase::Open { until: now + TimeDelta::seconds(doubled.min(BREAKER_WAIT_SECONDS_MAX)) });
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Wait(i64),
        Ask,
        /// The outcome of one of the calls that are out, by its place.
        Succeed(usize),
        Fail(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_i64..200).prop_map(Step::Wait),
            Just(Step::Ask),
            any::<usize>().prop_map(Step::Succeed),
            any::<usize>().prop_map(Step::Fail),
            any::<usize>().prop_map(Step::Fail),
        ]
    }

    /// What a caller can know of a breaker from outside.
    #[derive(Default)]
    struct Watcher {
        out: Vec<(Ticket, BreakerState)>,
        failures_in_a_row: u32,
        opened_at: Option<DateTime<Utc>>,
        trial_since: Option<DateTime<Utc>>,
    }

    proptest! {
        #[test]
        fn it_lets_through_what_it_should_and_nothing_else(steps in prop::collection::vec(step(), 0..200)) {
            let (mut breaker, mut watcher) = (Breaker::default(), Watcher::default());
            let mut now = DateTime::from_timestamp(1_786_795_200, 0).unwrap();
            for step in steps {
                let before = breaker.state();
                match step {
                    Step::Wait(seconds) => {
                        now += TimeDelta::seconds(seconds);
                        prop_assert_eq!(breaker.state(), before, "time alone changes nothing");
                    }
                    Step::Ask => {
                        let ticket = breaker.admit(now);
                        let waited = watcher.opened_at.map(|at| (now - at).num_seconds());
                        let is_forgotten = watcher.trial_since.is_some_and(|at| (now - at).num_seconds() >= BREAKER_TRIAL_SECONDS_MAX);
                        match before {
                            BreakerState::Closed => prop_assert!(ticket.is_some()),
                            BreakerState::Open => {
                                let waited = waited.unwrap();
                                prop_assert!(ticket.is_none() || waited >= BREAKER_WAIT_SECONDS_MIN, "let through after {} s", waited);
                                prop_assert!(ticket.is_some() || waited < BREAKER_WAIT_SECONDS_MAX, "still shut after {} s", waited);
                            }
                            BreakerState::HalfOpen => prop_assert_eq!(ticket.is_some(), is_forgotten, "one call on trial"),
                        }
                        if let Some(ticket) = ticket {
                            if before != BreakerState::Closed {
                                watcher.trial_since = Some(now);
                            }
                            watcher.out.push((ticket, breaker.state()));
                        }
                    }
                    Step::Succeed(place) | Step::Fail(place) => {
                        if watcher.out.is_empty() {
                            continue;
                        }
                        let (ticket, admitted_in) = watcher.out.remove(place % watcher.out.len());
                        let is_current = ticket.0 == breaker.generation;
                        if matches!(step, Step::Succeed(_)) {
                            breaker.succeed(ticket);
                            match (is_current, admitted_in) {
                                (false, _) => prop_assert_eq!(breaker.state(), before, "an answer of before says nothing of now"),
                                (true, _) => {
                                    prop_assert_eq!(breaker.state(), BreakerState::Closed);
                                    watcher.failures_in_a_row = 0;
                                }
                            }
                        } else {
                            breaker.fail(ticket, now);
                            match (is_current, admitted_in) {
                                (false, _) => prop_assert_eq!(breaker.state(), before),
                                (true, BreakerState::HalfOpen) => prop_assert_eq!(breaker.state(), BreakerState::Open),
                                (true, _) => {
                                    watcher.failures_in_a_row += 1;
                                    let is_enough = watcher.failures_in_a_row >= BREAKER_FAILURES_MAX;
                                    prop_assert_eq!(breaker.state() == BreakerState::Open, is_enough);
                                }
                            }
                        }
                        if before != BreakerState::Open && breaker.state() == BreakerState::Open {
                            (watcher.opened_at, watcher.trial_since, watcher.failures_in_a_row) = (Some(now), None, 0);
                        }
                    }
                }
            }
            // However it was treated, it lets a call through again, and one that succeeds closes it.
            now += TimeDelta::seconds(BREAKER_WAIT_SECONDS_MAX + BREAKER_TRIAL_SECONDS_MAX);
            let ticket = breaker.admit(now);
            prop_assert!(ticket.is_some());
            breaker.succeed(ticket.unwrap());
            prop_assert_eq!(breaker.state(), BreakerState::Closed);
        }
    }

    #[test]
    fn it_waits_twice_as_long_each_time_until_it_has_closed() {
        let (mut breaker, mut now) = (Breaker::default(), DateTime::from_timestamp(0, 0).unwrap());
        for _ in 0..BREAKER_FAILURES_MAX {
            let ticket = breaker.admit(now).unwrap();
            breaker.fail(ticket, now);
        }
        let mut wait = BREAKER_WAIT_SECONDS_MIN;
        for _ in 0..12 {
            assert_eq!(breaker.admit(now + TimeDelta::seconds(wait - 1)), None, "after {wait} s");
            now += TimeDelta::seconds(wait);
            let ticket = breaker.admit(now).unwrap();
            assert_eq!((breaker.state(), breaker.admit(now)), (BreakerState::HalfOpen, None));
            breaker.fail(ticket, now);
            wait = (wait * 2).min(BREAKER_WAIT_SECONDS_MAX);
        }
        now += TimeDelta::seconds(wait);
        let ticket = breaker.admit(now).unwrap();
        breaker.succeed(ticket);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
