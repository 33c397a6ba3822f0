//! What channels are worth over paths, and how the touches of one conversion share by it. Pure, and in whole numbers.

use std::collections::{BTreeMap, HashMap};

use super::Weighing;
use crate::attribution::paths::{Path, Summary, Transform, credit};
use crate::attribution::positive::Positive;
use crate::attribution::rules::{Journey, Reason, attribute};
use crate::attribution::{WEIGHT_UNITS, markov, shapley};
use crate::base::Result;
use crate::base::limits::{DATA_DRIVEN_PATH_TOUCHES_MAX, MARKOV_CHANNELS_MAX};
use crate::campaigns::{AttributionModel, AttributionPolicy, DataDrivenMethod, PathTransform};
use crate::journeys::Touch;

/// Whoever has no worth of its own: channels that were not seen, and those that were seen too rarely to be told apart.
pub(super) const OTHERS: &str = "*";

/// What a touch is in a path: its creator, and nothing for members' links, which are one channel together.
fn channel(touch: &Touch) -> String {
    touch.creator_id.map(|id| id.to_string()).unwrap_or_default()
}

impl Weighing {
    /// The weights of touches that count, oldest first: channels share in proportion to their worth, the touches of a channel equally. They
    /// sum to the weights' one.
    pub(super) fn divide(&self, counted: &[&Touch]) -> Vec<u64> {
        let others = self.weights.get(OTHERS).copied().unwrap_or(0);
        let path: Path = counted.iter().map(|touch| channel(touch)).collect();
        let worth = |channel: &String| self.weights.get(channel).copied().unwrap_or(others);
        let effects: BTreeMap<String, Positive> =
            path.iter().map(|channel| (channel.clone(), Positive::new(u128::from(worth(channel))))).collect();
        markov::weights(&effects, &path)
    }
}

/// The paths of a time.
pub(super) struct Paths {
    transform: PathTransform,
    summary: Summary,
}

impl Paths {
    pub(super) fn new(transform: PathTransform) -> Self {
        Self { transform, summary: Summary::default() }
    }

    /// Counts the path of a conversion: its touches that count under the policy which judges it.
    pub(super) fn add_conversion(&mut self, policy: &AttributionPolicy, journey: &Journey, touches: &[Touch]) {
        // Which touches count is the same under every model; one that credits them all shows them.
        let all = AttributionPolicy { model: AttributionModel::Linear, ..policy.clone() };
        let verdicts = attribute(&all, journey, touches);
        let counted = touches.iter().zip(verdicts).filter(|(_, one)| one.reason == Reason::Credited);
        let path: Path = counted.map(|(touch, _)| channel(touch)).collect();
        if !path.is_empty() {
            self.summary.add_conversion(self.changed(path), journey.amount_minor.unsigned_abs());
        }
    }

    /// Counts the path of people who did not convert.
    pub(super) fn add_others(&mut self, path: Path, person_count: u64) {
        self.summary.add_non_conversions(self.changed(path), person_count);
    }

    fn changed(&self, path: Path) -> Path {
        let path = Transform::Trim(DATA_DRIVEN_PATH_TOUCHES_MAX).apply(path);
        match self.transform {
            PathTransform::AsIs => path,
            PathTransform::Unique => Transform::Exposure.apply(path),
            PathTransform::First => Transform::First.apply(path),
        }
    }

    /// How many conversions have a path, and how many different paths there are.
    pub(super) fn counts(&self) -> (i64, i64) {
        let conversions: u64 = self.summary.iter().map(|(_, outcomes)| outcomes.conversion_count).sum();
        (i64::try_from(conversions).unwrap_or(i64::MAX), i64::try_from(self.summary.iter().count()).unwrap_or(i64::MAX))
    }

    /// What each channel is worth, in parts of [`WEIGHT_UNITS`], and what any other is taken to be worth: the mean.
    pub(super) fn worth(&self, method: DataDrivenMethod) -> Result<BTreeMap<String, u64>> {
        let summary = self.with_fewer_channels();
        let mut worth: BTreeMap<String, u64> = match method {
            DataDrivenMethod::Markov => {
                let effects = markov::removal_effects(&summary)?;
                // Rounded, not cut: an effect is right to many more places than are kept.
                let units = |effect: Positive| (effect.parts(WEIGHT_UNITS * 1_000) + 500) / 1_000;
                effects.into_iter().map(|(channel, effect)| (channel, units(effect))).collect()
            }
            DataDrivenMethod::Shapley => {
                let conversions: u64 = summary.iter().map(|(_, outcomes)| outcomes.conversion_count).sum();
                let credits = credit(&summary, |path| shapley::weights(&summary, path));
                let share = |units: u128| u64::try_from(units / u128::from(conversions.max(1))).unwrap_or(u64::MAX);
                credits.into_iter().map(|(channel, credit)| (channel, share(credit.conversion_units))).collect()
            }
        };
        // Nobody is worth nothing only because nobody has bought yet: then all share alike.
        if worth.values().all(|units| *units == 0) {
            worth.clear();
        }
        if !worth.contains_key(OTHERS) {
            let sum: u128 = worth.values().map(|units| u128::from(*units)).sum();
            let mean = sum / worth.len().max(1) as u128;
            worth.insert(OTHERS.to_owned(), u64::try_from(mean).unwrap_or(u64::MAX).max(1));
        }
        Ok(worth)
    }

    /// The same paths with the rarest channels as one, where there are more than can be worked out together.
    fn with_fewer_channels(&self) -> Summary {
        let mut counts: HashMap<&str, u64> = HashMap::new();
        for (path, outcomes) in self.summary.iter() {
            for channel in path {
                *counts.entry(channel).or_default() += outcomes.count();
            }
        }
        if counts.len() < MARKOV_CHANNELS_MAX {
            return self.summary.clone();
        }
        let mut ranked: Vec<(&str, u64)> = counts.into_iter().collect();
        ranked.sort_unstable_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then(a.cmp(b)));
        ranked.truncate(MARKOV_CHANNELS_MAX - 1);
        let kept: BTreeMap<&str, u64> = ranked.into_iter().collect();
        self.summary.renamed(|channel| {
            let name = if kept.contains_key(channel.as_str()) { channel.as_str() } else { OTHERS };
            name.to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn paths(transform: PathTransform, bought: &[&str], others: &[&str]) -> Paths {
        let mut paths = Paths::new(transform);
        for text in bought {
            paths.summary.add_conversion(paths.changed(path(text)), 100);
        }
        others.iter().for_each(|text| paths.add_others(path(text), 1));
        paths
    }

    fn check(method: DataDrivenMethod, paths: &Paths, expected: &[(&str, u64)]) {
        let expected: BTreeMap<String, u64> =
            expected.iter().map(|(name, units)| ((*name).to_owned(), *units)).collect();
        assert_eq!(paths.worth(method).unwrap(), expected);
    }

    #[test]
    fn removal_effects_are_those_of_the_textbook() {
        let paths = paths(PathTransform::AsIs, &["A B C"], &["A", "B C"]);
        let mean = (500_000_000_000 + 1_000_000_000_000 * 2) / 3;
        check(
            DataDrivenMethod::Markov,
            &paths,
            &[("A", 500_000_000_000), ("B", WEIGHT_UNITS), ("C", WEIGHT_UNITS), (OTHERS, mean)],
        );
        assert_eq!(paths.counts(), (1, 3));
    }

    #[test]
    fn contributions_are_shares_of_all_conversions() {
        // 1/2 with both, 1/4 with A alone, none with B alone: of A B, A gains 1/2 and B 1/4.
        let paths = paths(PathTransform::AsIs, &["A B", "A"], &["A B", "A", "A", "A", "B"]);
        check(
            DataDrivenMethod::Shapley,
            &paths,
            &[("A", 833_333_333_333), ("B", 166_666_666_666), (OTHERS, 499_999_999_999)],
        );
    }

    #[test]
    fn transforms_change_what_is_counted() {
        let lengths = |transform| {
            let paths = paths(transform, &["A A B A"], &[]);
            paths.summary.iter().map(|(path, _)| path.join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(lengths(PathTransform::AsIs), ["A A B A"]);
        assert_eq!(lengths(PathTransform::Unique), ["A B A"]);
        assert_eq!(lengths(PathTransform::First), ["A B"]);
    }

    #[test]
    fn where_nobody_has_bought_all_share_alike() {
        check(DataDrivenMethod::Markov, &paths(PathTransform::AsIs, &[], &[]), &[(OTHERS, 1)]);
        check(DataDrivenMethod::Shapley, &paths(PathTransform::AsIs, &[], &[]), &[(OTHERS, 1)]);
    }

    #[test]
    fn the_rarest_channels_are_one_where_there_are_too_many() {
        let names: Vec<String> = (0..MARKOV_CHANNELS_MAX + 20).map(|number| format!("c{number:04}")).collect();
        let mut texts: Vec<&str> = names.iter().map(String::as_str).collect();
        texts.push("c0519");
        let worth = paths(PathTransform::AsIs, &texts, &[]).worth(DataDrivenMethod::Shapley).unwrap();
        assert_eq!(worth.len(), MARKOV_CHANNELS_MAX);
        assert!(worth.contains_key("c0519") && worth.contains_key(OTHERS) && !worth.contains_key("c0518"));
    }
}
