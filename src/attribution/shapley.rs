//! Credit by what each touch of a path changed, over the paths that were seen. Pure, and in whole numbers.
//!
//! The definition is that of Google's Fractribution, as Snowplow publishes it with its data: a touch's marginal contribution is the share of people
//! on the path who converted, less the same share on the path without that touch, and not less than nothing; a path that nobody took
//! converts nobody. Contributions are normalised per path; where all are nothing, the last touch takes all. It is the first-order term of a
//! Shapley value, not the sum over all coalitions: those were never observed.

use super::paths::Summary;
use super::positive::{Positive, to_weights};
use super::weights::{WEIGHT_UNITS, shares};

/// The weights of a path's touches. They sum to [`WEIGHT_UNITS`] unless the path is empty.
#[must_use]
pub fn weights(summary: &Summary, path: &[String]) -> Vec<u64> {
    if path.len() == 1 {
        return vec![WEIGHT_UNITS];
    }
    // All zero: `shares` gives everything to the last.
    let contributions: Vec<Positive> = (0..path.len()).map(|index| contribution(summary, path, index)).collect();
    shares(&to_weights(&contributions))
}

/// `a/b - c/d` as one fraction, cut at zero: of counts, it loses no digit but by the division at the end.
fn contribution(summary: &Summary, path: &[String], index: usize) -> Positive {
    let with = summary.of(path);
    let without = summary.of(&[&path[..index], &path[index + 1..]].concat());
    let whole = |number: u64| u128::from(number);
    let without_count = whole(without.count()).max(1);
    let more = whole(with.conversion_count) * without_count;
    let less = whole(without.conversion_count) * whole(with.count());
    let both = whole(with.count()) * without_count;
    Positive::new(more.saturating_sub(less)).over(Positive::new(both))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_touch_is_worth_what_the_path_loses_without_it() {
        // 1/2 with both; 1/5 without A, 1/4 without B: 3/10 and 1/4.
        let summary = summary(&[("A B", 2, 2), ("B", 1, 4), ("A", 1, 3)]);
        assert_eq!(weights(&summary, &path("A B")), [545_454_545_455, 454_545_454_545]);
        assert_eq!(weights(&summary, &path("A")), [WEIGHT_UNITS]);
    }

    #[test]
    fn a_path_that_nobody_took_converts_nobody() {
        let summary = summary(&[("A B", 1, 1)]);
        assert_eq!(weights(&summary, &path("A B")), [WEIGHT_UNITS / 2, WEIGHT_UNITS / 2]);
    }

    #[test]
    fn where_nothing_was_gained_the_last_takes_all() {
        let summary = summary(&[("A B", 1, 9), ("A", 5, 5), ("B", 5, 5), ("C D", 0, 3)]);
        assert_eq!(weights(&summary, &path("A B")), [0, WEIGHT_UNITS]);
        assert_eq!(weights(&summary, &path("C D")), [0, WEIGHT_UNITS]);
        assert_eq!(weights(&summary, &[]), [0; 0]);
    }

    #[test]
    fn a_channel_that_comes_twice_is_two_touches() {
        let summary = summary(&[("A B A", 1, 1), ("A A", 1, 3), ("A B", 0, 1), ("B A", 1, 2)]);
        // 1/2 less 1/3, less 1/4, less nothing: 2, 3 and 6 of eleven parts.
        assert_eq!(weights(&summary, &path("A B A")), [181_818_181_818, 272_727_272_727, 545_454_545_455]);
    }
}
