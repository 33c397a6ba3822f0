//! Paths: the channels that people touched on the way to a conversion, or on no such way. Pure. How a path may be changed before it is counted
//! follows Google's Fractribution as Snowplow publishes it (`tests/fixtures/fractribution`). A channel is any name: a creator, a platform.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::weights::WEIGHT_UNITS;

/// Channels, the oldest first.
pub type Path = Vec<String>;

/// What is done to every path before paths are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transform {
    /// Nothing: every touch is one of its own. Fractribution calls it `unique_path`.
    AsIs,
    /// One touch of several in a row on the same channel: A A B A becomes A B A.
    Exposure,
    /// Only the first touch of each channel: A A B A becomes A B.
    First,
    /// Each channel once, with the number of its touches: A A B A becomes A(3) B(1).
    Frequency,
    /// Only the last so many touches.
    Trim(usize),
    /// Without this channel, unless it is the only one.
    RemoveIfNotAll(String),
    /// Without this channel at the end, unless it is the only one.
    RemoveIfLastAndNotAll(String),
}

impl Transform {
    /// The path after the change.
    #[must_use]
    pub fn apply(&self, mut path: Path) -> Path {
        match self {
            Self::AsIs => {}
            Self::Exposure => path.dedup(),
            Self::First => return firsts(&path).into_iter().map(|(channel, _)| channel.to_owned()).collect(),
            Self::Frequency => {
                return firsts(&path).into_iter().map(|(channel, count)| format!("{channel}({count})")).collect();
            }
            Self::Trim(length_max) => {
                path.drain(..path.len().saturating_sub(*length_max));
            }
            Self::RemoveIfNotAll(channel) => {
                if path.iter().any(|one| one != channel) {
                    path.retain(|one| one != channel);
                }
            }
            Self::RemoveIfLastAndNotAll(channel) => {
                if let Some(last) = path.iter().rposition(|one| one != channel) {
                    path.truncate(last + 1);
                }
            }
        }
        path
    }
}

/// Each channel in the order of its first touch, with the number of its touches.
fn firsts(path: &[String]) -> Vec<(&str, usize)> {
    let mut firsts: Vec<(&str, usize)> = Vec::new();
    for channel in path {
        match firsts.iter_mut().find(|(name, _)| name == channel) {
            Some((_, count)) => *count += 1,
            None => firsts.push((channel, 1)),
        }
    }
    firsts
}

/// The path to a moment: the visits up to it and not older than `lookback`, both ends included. Visits may come in any order.
#[must_use]
pub fn path_to(at: DateTime<Utc>, lookback: TimeDelta, visits: &[(DateTime<Utc>, String)]) -> Path {
    let mut within: Vec<&(DateTime<Utc>, String)> =
        visits.iter().filter(|(visited_at, _)| *visited_at <= at && *visited_at >= at - lookback).collect();
    within.sort_by_key(|(visited_at, _)| *visited_at);
    within.into_iter().map(|(_, channel)| channel.clone()).collect()
}

/// What became of the people who took a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub conversion_count: u64,
    pub non_conversion_count: u64,
    /// What the conversions are worth together.
    pub value_minor: u128,
}

impl Outcomes {
    /// How many people took the path.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.conversion_count + self.non_conversion_count
    }
}

/// Every path that was taken, with what became of it.
#[derive(Clone, Debug, Default)]
pub struct Summary(BTreeMap<Path, Outcomes>);

impl Summary {
    /// Counts a path that led to a conversion of this value.
    pub fn add_conversion(&mut self, path: Path, value_minor: u64) {
        let outcomes = self.0.entry(path).or_default();
        outcomes.conversion_count += 1;
        outcomes.value_minor += u128::from(value_minor);
    }

    /// Counts a path that led nowhere.
    pub fn add_non_conversion(&mut self, path: Path) {
        self.add_non_conversions(path, 1);
    }

    /// Counts a path that led so many people nowhere.
    pub fn add_non_conversions(&mut self, path: Path, count: u64) {
        self.0.entry(path).or_default().non_conversion_count += count;
    }

    /// The paths in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[String], Outcomes)> {
        self.0.iter().map(|(path, outcomes)| (path.as_slice(), *outcomes))
    }

    /// The same paths with other names for their channels; paths that become one are counted together.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(&String) -> String) -> Self {
        let mut renamed: BTreeMap<Path, Outcomes> = BTreeMap::new();
        for (path, outcomes) in &self.0 {
            let sum = renamed.entry(path.iter().map(&name).collect()).or_default();
            sum.conversion_count += outcomes.conversion_count;
            sum.non_conversion_count += outcomes.non_conversion_count;
            sum.value_minor += outcomes.value_minor;
        }
        Self(renamed)
    }

    /// What became of exactly this path.
    #[must_use]
    pub fn of(&self, path: &[String]) -> Outcomes {
        self.0.get(path).copied().unwrap_or_default()
    }
}

/// What a channel has of all conversions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelCredit {
    /// Conversions in parts of [`WEIGHT_UNITS`].
    pub conversion_units: u128,
    /// Their value in parts of [`WEIGHT_UNITS`] of a minor unit.
    pub value_units: u128,
}

/// What each channel has when every path's conversions are divided over its touches by these weights, which sum to [`WEIGHT_UNITS`]. Channels
/// that have nothing are there too. Conversions without a path have no channel.
#[must_use]
pub fn credit(summary: &Summary, weights: impl Fn(&[String]) -> Vec<u64>) -> BTreeMap<String, ChannelCredit> {
    let mut credits: BTreeMap<String, ChannelCredit> = BTreeMap::new();
    for (path, outcomes) in summary.iter() {
        for (channel, weight) in path.iter().zip(weights(path)) {
            let credit = credits.entry(channel.clone()).or_default();
            credit.conversion_units += u128::from(weight) * u128::from(outcomes.conversion_count);
            credit.value_units += u128::from(weight) * outcomes.value_minor;
        }
    }
    credits
}

/// The weights of a path's touches where the last takes all.
#[must_use]
pub fn last_touch(path: &[String]) -> Vec<u64> {
    let last = path.len().saturating_sub(1);
    (0..path.len()).map(|index| if index == last { WEIGHT_UNITS } else { 0 }).collect()
}
