//! Which questions may be asked, where intervals begin, and how counts become rates and intervals. Pure; money never comes here.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{CohortInterval, CohortSegment, KFactorCohort, KFactorWindow};
use crate::base::limits::{COHORT_SEGMENTS_MAX, COHORT_WINDOW_DAYS_MAX, COHORT_WINDOWS_MAX, COHORTS_MAX};
use crate::base::{Code, Error, Refusal, Result};

/// The two-sided 95 % quantile of the normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;
/// What each tail of a 95 % interval holds.
const TAIL_95: f64 = 0.025;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub campaign_id: Option<Uuid>,
    pub interval: CohortInterval,
    /// The first interval is the one that holds this day.
    pub from: NaiveDate,
    /// The last interval is the one that holds the day before this one.
    pub to: NaiveDate,
    pub windows_days: Vec<i32>,
    pub segment_by: CohortSegment,
}

/// Whole intervals: from the start of the first (included) to the end of the last (excluded).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

/// What was counted of one cohort and window.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    pub start: NaiveDate,
    pub segment: Option<String>,
    pub days: i32,
    pub size: i64,
    pub inviters: i64,
    pub invites: i64,
    pub converted: i64,
    /// The sum over members of the square of their converted invites: what the variance needs.
    pub converted_squared: i64,
    pub cycle_time_hours: Option<f64>,
}

impl Question {
    /// Refuses what is not allowed, all of it at once, else gives the whole intervals that the days touch.
    pub fn check(&self) -> Result<Span> {
        let mut refusals = self.wrong_windows();
        let span = self.span();
        if self.from >= self.to {
            refusals.push(Refusal::new(Code::Invalid, &["to"], "Pass a day after from: from is included, to is not."));
        } else if span.is_none_or(|_| self.interval_count() > COHORTS_MAX) {
            let message =
                format!("Ask for at most {COHORTS_MAX} intervals: narrow the days or take a longer interval.");
            refusals.push(Refusal::new(Code::LimitReached, &["to"], message));
        }
        match span {
            Some(span) if refusals.is_empty() => Ok(span),
            _ => Err(Error::Refused(refusals)),
        }
    }

    fn wrong_windows(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let mut refuse = |message: String| refusals.push(Refusal::new(Code::Invalid, &["windowsDays"], message));
        if self.windows_days.is_empty() || self.windows_days.len() > COHORT_WINDOWS_MAX {
            refuse(format!("Pass 1 to {COHORT_WINDOWS_MAX} windows."));
        }
        if self.windows_days.iter().any(|days| !(1..=COHORT_WINDOW_DAYS_MAX).contains(days)) {
            refuse(format!("Pass windows of 1 to {COHORT_WINDOW_DAYS_MAX} days."));
        }
        let mut sorted = self.windows_days.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != self.windows_days.len() {
            refuse("Pass each window once.".to_owned());
        }
        refusals
    }

    fn span(&self) -> Option<Span> {
        let last_day = self.to.checked_sub_days(Days::new(1))?;
        let start = self.interval.start_of(self.from)?;
        let end = self.interval.after(self.interval.start_of(last_day)?)?;
        Some(Span { start: midnight(start), end: midnight(end) })
    }

    /// Intervals that the days touch, counted no further than past the cap.
    fn interval_count(&self) -> usize {
        let first = self.interval.start_of(self.from);
        let starts = std::iter::successors(first, |start| self.interval.after(*start));
        starts.take_while(|start| *start < self.to).take(COHORTS_MAX + 1).count()
    }
}

impl CohortInterval {
    /// The first day of the interval that holds a day.
    #[must_use]
    pub fn start_of(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => Some(day),
            Self::Week => day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into())),
            Self::Month => day.with_day(1),
        }
    }

    /// The first day of the next interval.
    #[must_use]
    pub fn after(self, start: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => start.succ_opt(),
            Self::Week => start.checked_add_days(Days::new(7)),
            Self::Month => start.checked_add_months(Months::new(1)),
        }
    }
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// Turns tallies, in the order of cohorts and windows, into what is shown.
pub fn to_cohorts(question: &Question, now: DateTime<Utc>, tallies: Vec<Tally>) -> Result<Vec<KFactorCohort>> {
    let mut cohorts: Vec<KFactorCohort> = Vec::new();
    for tally in tallies {
        let window = to_window(question.interval, now, &tally);
        match cohorts.last_mut() {
            Some(last) if last.start == tally.start && last.segment == tally.segment => last.windows.push(window),
            _ => cohorts.push(KFactorCohort {
                start: tally.start,
                segment: tally.segment,
                size: tally.size,
                windows: vec![window],
            }),
        }
    }
    if cohorts.len() > COHORT_SEGMENTS_MAX {
        let message =
            format!("This gives more than {COHORT_SEGMENTS_MAX} cohorts: narrow the days or pass a campaign.");
        return Err(Error::refused(Code::LimitReached, &["segmentBy"], message));
    }
    Ok(cohorts)
}

fn to_window(interval: CohortInterval, now: DateTime<Utc>, tally: &Tally) -> KFactorWindow {
    let (k_factor_low, k_factor_high) = k_interval(tally.size, tally.converted, tally.converted_squared);
    KFactorWindow {
        days: tally.days,
        is_mature: is_mature(interval, tally.start, tally.days, now),
        inviters: tally.inviters,
        invites: tally.invites,
        invites_per_member: ratio(tally.invites, tally.size),
        converted_invites: tally.converted,
        conversion_rate: ratio(tally.converted, tally.invites),
        k_factor: ratio(tally.converted, tally.size),
        k_factor_low,
        k_factor_high,
        cycle_time_hours: tally.cycle_time_hours,
    }
}

/// A member may sign up until the very end of the interval: only `days` after that is its window closed.
fn is_mature(interval: CohortInterval, start: NaiveDate, days: i32, now: DateTime<Utc>) -> bool {
    let end = interval.after(start).map(midnight);
    end.and_then(|end| end.checked_add_signed(TimeDelta::days(days.into()))).is_some_and(|closed| closed <= now)
}

#[expect(clippy::cast_precision_loss, reason = "counts of people stay far below 2^53")]
fn float(count: i64) -> f64 {
    count as f64
}

fn ratio(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

/// The 95 % interval of the mean of converted invites per member: normal approximation from the sample variance, the low end cut at
/// zero. Where a sample has no variance (one member, or all alike) that would claim certainty, so the exact Poisson interval of the
/// total is taken instead.
fn k_interval(size: i64, converted: i64, converted_squared: i64) -> (f64, f64) {
    let members = float(size);
    if size == 0 {
        return (0.0, 0.0);
    }
    // In whole numbers, so that equal counts give a variance of exactly zero: n * sum(x^2) - (sum x)^2.
    let spread = i128::from(size) * i128::from(converted_squared) - i128::from(converted) * i128::from(converted);
    if size < 2 || spread <= 0 {
        let (low, high) = poisson_interval(converted);
        return (low / members, high / members);
    }
    #[expect(clippy::cast_precision_loss, reason = "a standard error needs no more than 53 bits")]
    let variance = spread as f64 / (members * (members - 1.0));
    let margin = Z_95 * (variance / members).sqrt();
    let mean = float(converted) / members;
    ((mean - margin).max(0.0), mean + margin)
}

/// The exact (Garwood) 95 % interval of a Poisson mean of which `count` was seen, found by halving.
fn poisson_interval(count: i64) -> (f64, f64) {
    let far = float(count) + 10.0 * (float(count) + 1.0).sqrt() + 10.0;
    let low = if count == 0 { 0.0 } else { crossing(far, |mean| 1.0 - poisson_at_most(count - 1, mean) < TAIL_95) };
    let high = crossing(far, |mean| poisson_at_most(count, mean) > TAIL_95);
    (low, high)
}

/// Where a test that holds near zero stops to hold, between zero and `far`.
fn crossing(far: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, far);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if holds(middle) { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The chance of at most `count` under a Poisson distribution. Terms are summed by their logarithms, so that a large mean does not
/// underflow at zero.
fn poisson_at_most(count: i64, mean: f64) -> f64 {
    let mut log_term = -mean;
    let mut sum = log_term.exp();
    for index in 1..=count {
        log_term += mean.ln() - float(index).ln();
        sum += log_term.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
