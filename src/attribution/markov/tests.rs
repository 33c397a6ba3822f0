//! Removal effects against hand-computed ones, and against exact fractions of the definition itself: the chain without the channel.

use super::*;
use crate::attribution::weights::WEIGHT_UNITS;

fn path(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn summary(paths: &[(&str, u64, u64)]) -> Summary {
    let mut summary = Summary::default();
    for (text, conversions, others) in paths {
        (0..*conversions).for_each(|_| summary.add_conversion(path(text), 100));
        (0..*others).for_each(|_| summary.add_non_conversion(path(text)));
    }
    summary
}

fn check(paths: &[(&str, u64, u64)], expected: &[(&str, u64, u64)]) {
    let found = removal_effects(&summary(paths)).unwrap();
    let effects: Vec<(&str, u64, u64)> = expected
        .iter()
        .map(|(name, ..)| (*name, found[*name].parts(1_000_000), channel_shares(&found)[*name]))
        .collect();
    assert_eq!(effects, expected);
}

#[test]
fn what_every_way_leads_over_is_worth_everything() {
    check(&[("A B", 1, 0), ("A", 0, 1)], &[("A", 1_000_000, WEIGHT_UNITS / 2), ("B", 1_000_000, WEIGHT_UNITS / 2)]);
    // Two ways of the same worth: each is half of it.
    check(&[("A", 1, 1), ("B", 1, 1)], &[("A", 500_000, WEIGHT_UNITS / 2), ("B", 500_000, WEIGHT_UNITS / 2)]);
    check(&[("A", 0, 1)], &[("A", 0, WEIGHT_UNITS)]);
}

/// The example of E. Anderl et al., *Mapping the customer journey* (2014), as it is usually told: C1 C2 C3 converts, C1 does not, C2 C3 does not.
#[test]
fn the_textbook_example_comes_out() {
    // P = 1/3; without C1 1/6 is left, without C2 or C3 nothing.
    let expected =
        [("C1", 500_000, 200_000_000_000), ("C2", 1_000_000, 400_000_000_000), ("C3", 1_000_000, 400_000_000_000)];
    check(&[("C1 C2 C3", 1, 0), ("C1", 0, 1), ("C2 C3", 0, 1)], &expected);
}

#[test]
fn repetitions_and_ways_back_change_nothing_that_they_should_not() {
    let plain = removal_effects(&summary(&[("A B", 1, 1), ("B", 1, 2)])).unwrap();
    let repeated = removal_effects(&summary(&[("A A A B B", 1, 1), ("B B", 1, 2)])).unwrap();
    assert_eq!(plain, repeated);
}

#[test]
fn a_path_is_divided_by_the_effects_of_its_channels() {
    let effects = removal_effects(&summary(&[("C1 C2 C3", 1, 0), ("C1", 0, 1), ("C2 C3", 0, 1)])).unwrap();
    let expected = [200_000_000_000, 200_000_000_000, 200_000_000_000, 400_000_000_000];
    assert_eq!(weights(&effects, &path("C2 C1 C2 C3")), expected);
    assert_eq!(weights(&effects, &path("unknown other")), [0, WEIGHT_UNITS], "without effects the last takes all");
}

#[test]
fn too_many_channels_are_refused() {
    let mut summary = Summary::default();
    for channel in 0..=MARKOV_CHANNELS_MAX {
        summary.add_conversion(vec![channel.to_string()], 1);
    }
    assert!(matches!(removal_effects(&summary), Err(Error::Refused(_))));
}

/// An exact fraction, of numbers small enough for 128 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fraction(i128, i128);

impl Fraction {
    fn new(above: i128, below: i128) -> Self {
        let mut divisor = (above.abs(), below.abs());
        while divisor.1 != 0 {
            divisor = (divisor.1, divisor.0 % divisor.1);
        }
        let sign = below.signum();
        Self(sign * above / divisor.0.max(1), sign * below / divisor.0.max(1))
    }

    fn minus(self, other: Self) -> Self {
        Self::new(self.0 * other.1 - other.0 * self.1, self.1 * other.1)
    }

    fn times(self, other: Self) -> Self {
        Self::new(self.0 * other.0, self.1 * other.1)
    }

    fn over(self, other: Self) -> Self {
        Self::new(self.0 * other.1, self.1 * other.0)
    }
}

/// The number of conversions that all walks lead to, in exact fractions, where steps onto `removed` lead to nothing: plain elimination on
/// `leaving * x = steps * x + conversions`.
fn conversions_without(chain: &Chain, removed: Option<usize>) -> Fraction {
    let count = chain.names.len();
    let whole = |number: u64| Fraction::new(i128::from(number), 1);
    let mut rows: Vec<Vec<Fraction>> = (0..count)
        .map(|from| {
            let leaving = chain.steps[from].iter().sum::<u64>() + chain.conversions[from] + chain.losses[from];
            let mut row: Vec<Fraction> = (0..count)
                .map(|to| if Some(to) == removed { whole(0) } else { whole(0).minus(whole(chain.steps[from][to])) })
                .collect();
            row[from] = whole(leaving);
            row.push(whole(chain.conversions[from]));
            row
        })
        .collect();
    for pivot in 0..count {
        for other in (0..count).filter(|other| *other != pivot) {
            let factor = rows[other][pivot].over(rows[pivot][pivot]);
            let taken = rows[pivot].clone();
            for (cell, taken) in rows[other].iter_mut().zip(taken) {
                *cell = cell.minus(factor.times(taken));
            }
        }
    }
    let kept = (0..count).filter(|place| Some(*place) != removed);
    kept.fold(whole(0), |sum, place| {
        let chance = rows[place][count].over(rows[place][place]);
        sum.minus(whole(0).minus(whole(chain.starts[place]).times(chance)))
    })
}

proptest::proptest! {
    #[test]
    fn effects_are_what_is_lost_without_the_channel(
        walks in proptest::collection::vec((proptest::collection::vec(0..4_usize, 1..6), 0..4_u64, 0..4_u64), 1..8),
    ) {
        let mut summary = Summary::default();
        for (walk, conversions, others) in &walks {
            let path: Vec<String> = walk.iter().map(|channel| ["A", "B", "C", "D"][*channel].to_owned()).collect();
            (0..*conversions).for_each(|_| summary.add_conversion(path.clone(), 1));
            (0..*others).for_each(|_| summary.add_non_conversion(path.clone()));
        }
        let chain = Chain::of(&summary);
        let effects = removal_effects(&summary).unwrap();
        let all = conversions_without(&chain, None);
        for (place, name) in chain.names.iter().enumerate() {
            let left = if all.0 == 0 { all } else { conversions_without(&chain, Some(place)).over(all) };
            let lost = if all.0 == 0 { Fraction(0, 1) } else { Fraction(1, 1).minus(left) };
            let expected = lost.0 * i128::from(WEIGHT_UNITS) / lost.1;
            let found = i128::from(effects[name].parts(WEIGHT_UNITS));
            proptest::prop_assert!((found - expected).abs() <= 1, "{name}: {found} is not {expected}");
        }
        let shares: u64 = channel_shares(&effects).values().sum();
        proptest::prop_assert_eq!(shares, if chain.names.is_empty() { 0 } else { WEIGHT_UNITS });
        for (path, _) in summary.iter() {
            proptest::prop_assert_eq!(weights(&effects, path).iter().sum::<u64>(), WEIGHT_UNITS);
        }
    }
}
