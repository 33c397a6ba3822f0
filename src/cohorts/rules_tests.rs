//! What the cohort rules promise.

use super::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn question(interval: CohortInterval, from: &str, to: &str) -> Question {
    Question {
        campaign_id: None,
        interval,
        from: day(from),
        to: day(to),
        windows_days: vec![7, 14, 30],
        segment_by: CohortSegment::None,
    }
}

fn check_span(interval: CohortInterval, from: &str, to: &str, expected: (&str, &str)) {
    let span = question(interval, from, to).check().unwrap();
    assert_eq!((span.start, span.end), (midnight(day(expected.0)), midnight(day(expected.1))), "{from} to {to}");
}

fn refused_paths(question: &Question) -> Vec<String> {
    match question.check() {
        Err(Error::Refused(refusals)) => refusals.into_iter().map(|refusal| refusal.path.join(".")).collect(),
        other => panic!("{other:?} was not refused"),
    }
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-4
}

#[test]
fn intervals_are_whole_and_weeks_start_on_monday() {
    check_span(CohortInterval::Day, "2026-03-01", "2026-03-02", ("2026-03-01", "2026-03-02"));
    // 1 March 2026 is a Sunday; the last day asked for is Monday the 9th.
    check_span(CohortInterval::Week, "2026-03-01", "2026-03-10", ("2026-02-23", "2026-03-16"));
    check_span(CohortInterval::Week, "2026-03-02", "2026-03-09", ("2026-03-02", "2026-03-09"));
    check_span(CohortInterval::Month, "2026-01-31", "2026-03-01", ("2026-01-01", "2026-03-01"));
    check_span(CohortInterval::Month, "2026-12-31", "2027-01-02", ("2026-12-01", "2027-02-01"));
}

#[test]
fn what_is_wrong_is_told_at_once() {
    let mut wrong = question(CohortInterval::Week, "2026-03-02", "2026-03-02");
    wrong.windows_days = vec![0, 7, 7];
    assert_eq!(refused_paths(&wrong), ["windowsDays", "windowsDays", "to"]);
    wrong.windows_days = (1..=11).collect();
    wrong.to = day("2026-03-09");
    assert_eq!(refused_paths(&wrong), ["windowsDays"]);
    wrong.windows_days = Vec::new();
    assert_eq!(refused_paths(&wrong), ["windowsDays"]);
    assert_eq!(refused_paths(&question(CohortInterval::Day, "2025-01-01", "2026-02-06")), ["to"]);
    assert!(question(CohortInterval::Day, "2025-01-01", "2026-02-05").check().is_ok(), "400 days are allowed");
    let end = NaiveDate::MAX.to_string();
    assert!(end.parse::<NaiveDate>().is_err() || question(CohortInterval::Month, "2026-01-01", &end).check().is_err());
}

#[test]
fn a_window_is_mature_when_the_youngest_possible_member_has_passed_it() {
    let closed = midnight(day("2026-03-23"));
    let is_mature = |now| is_mature(CohortInterval::Week, day("2026-03-09"), 7, now);
    assert!(is_mature(closed));
    assert!(!is_mature(closed - TimeDelta::microseconds(1)));
}

#[test]
fn the_interval_is_the_normal_one_where_members_differ() {
    // 10 members: five bring 0, three bring 1, two bring 2. Mean 0.7, sample variance 0.6778.
    let (low, high) = k_interval(10, 7, 11);
    assert!(close(low, 0.7 - 1.959_964 * (0.677_78_f64 / 10.0).sqrt()), "{low}");
    assert!(close(high, 0.7 + 1.959_964 * (0.677_78_f64 / 10.0).sqrt()), "{high}");
    let (low, _) = k_interval(10, 1, 1);
    assert!(low.abs() < f64::EPSILON, "the low end is cut at zero");
}

#[test]
fn the_interval_is_exact_poisson_where_members_do_not_differ() {
    // Garwood's table: 0 gives 0 to 3.6889, 1 gives 0.0253 to 5.5716, 10 gives 4.7954 to 18.3904.
    let check = |size, converted, squared, expected: (f64, f64)| {
        let (low, high) = k_interval(size, converted, squared);
        assert!(close(low, expected.0) && close(high, expected.1), "{size} {converted}: {low} {high}");
    };
    check(1, 0, 0, (0.0, 3.6889));
    check(1, 1, 1, (0.0253, 5.5716));
    check(1, 10, 100, (4.7954, 18.3904));
    check(100, 0, 0, (0.0, 0.036_889));
    check(0, 0, 0, (0.0, 0.0));
    let (low, high) = k_interval(1_000, 1_000, 1_000);
    assert!(low > 0.9 && low < 1.0 && high > 1.0 && high < 1.1, "{low} {high}");
}

#[test]
fn tallies_become_cohorts_with_their_windows_and_no_division_by_zero() {
    let tally = |segment: Option<&str>, days, invites, converted| Tally {
        start: day("2026-03-09"),
        segment: segment.map(str::to_owned),
        days,
        size: 4,
        inviters: i64::from(invites > 0),
        invites,
        converted,
        converted_squared: converted * converted,
        cycle_time_hours: None,
    };
    let tallies = vec![tally(None, 7, 0, 0), tally(None, 14, 4, 2), tally(Some("WEB"), 7, 1, 1)];
    let asked = question(CohortInterval::Week, "2026-03-09", "2026-03-16");
    let cohorts = to_cohorts(&asked, midnight(day("2026-04-01")), tallies).unwrap();
    assert_eq!(cohorts.len(), 2);
    let windows = &cohorts[0].windows;
    assert!(windows[0].conversion_rate.abs() < f64::EPSILON && windows[0].k_factor.abs() < f64::EPSILON);
    assert!(close(windows[1].invites_per_member * windows[1].conversion_rate, windows[1].k_factor));
    assert!(windows[0].is_mature && cohorts[1].segment.as_deref() == Some("WEB"));
}

proptest::proptest! {
    #[test]
    fn the_interval_holds_the_mean(counts in proptest::collection::vec(0_i64..20, 1..50)) {
        let size = i64::try_from(counts.len()).unwrap();
        let (sum, squared) = (counts.iter().sum::<i64>(), counts.iter().map(|count| count * count).sum::<i64>());
        let (low, high) = k_interval(size, sum, squared);
        let mean = ratio(sum, size);
        proptest::prop_assert!(0.0 <= low && low <= mean && mean <= high && high.is_finite());
    }
}
