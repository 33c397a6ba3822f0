//! What would be lost without a channel: removal effects in a Markov chain of order 1 over the paths that were seen. Pure.
//!
//! A path is a walk from the start over its channels to a conversion or to nothing; the next step depends on the channel alone. The removal
//! effect of a channel is the share of conversions that is lost when every step onto it leads to nothing. It equals
//! `P(ever on the channel) * P(conversion from it) / P(conversion)`, so that one linear system gives all of them.
//!
//! The system is solved by elimination, not by simulation. The elimination is the one of Grassmann, Taksar and Heyman (*Regenerative analysis and
//! steady state distributions for Markov chains*, Operations Research 33, 1985): what is taken from the diagonal is summed up anew from
//! what leaves a state, so that nothing is ever subtracted. Every entry is then right to a small multiple of `channels^3 / 2^64` of itself, however
//! rare it is (C. O'Cinneide, *Entrywise perturbation theory and error analysis for Markov chains*, Numerische Mathematik 65, 1993).

use std::collections::BTreeMap;

use super::paths::Summary;
use super::positive::{Positive, to_weights};
use super::weights::shares;
use crate::base::limits::MARKOV_CHANNELS_MAX;
use crate::base::{Code, Error, Result};

/// The removal effect of each channel that was seen, from 0 to 1. All are zero where nothing was converted.
pub fn removal_effects(summary: &Summary) -> Result<BTreeMap<String, Positive>> {
    let chain = Chain::of(summary);
    if chain.names.len() > MARKOV_CHANNELS_MAX {
        let message = format!(
            "The paths have more than {MARKOV_CHANNELS_MAX} channels: group them more coarsely, or ask for less."
        );
        return Err(Error::refused(Code::LimitReached, &[], message));
    }
    let names = chain.names.clone();
    Ok(names.into_iter().zip(chain.eliminate().effects()).collect())
}

/// Each channel's part of all conversions, in proportion to its removal effect. They sum to the weights' one, unless there is no channel.
#[must_use]
pub fn channel_shares(effects: &BTreeMap<String, Positive>) -> BTreeMap<String, u64> {
    let weights = to_weights(&effects.values().copied().collect::<Vec<_>>());
    effects.keys().cloned().zip(shares(&weights)).collect()
}

/// The weights of one path's touches: its channels share in proportion to their removal effects, the touches of a channel equally.
#[must_use]
pub fn weights(effects: &BTreeMap<String, Positive>, path: &[String]) -> Vec<u64> {
    // Counted once: a path may hold a thousand touches, and there may be a hundred thousand paths.
    let mut touches: BTreeMap<&str, u128> = BTreeMap::new();
    for channel in path {
        *touches.entry(channel).or_default() += 1;
    }
    let effect = |channel: &String| effects.get(channel).copied().unwrap_or(Positive::ZERO);
    let count = |channel: &String| Positive::new(touches.get(channel.as_str()).copied().unwrap_or(0));
    let parts: Vec<Positive> = path.iter().map(|channel| effect(channel).over(count(channel))).collect();
    shares(&to_weights(&parts))
}

/// How often each step was taken. Steps from a channel to itself say nothing about where it leads.
struct Chain {
    names: Vec<String>,
    starts: Vec<u64>,
    steps: Vec<Vec<u64>>,
    conversions: Vec<u64>,
    losses: Vec<u64>,
}

impl Chain {
    fn of(summary: &Summary) -> Self {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for channel in summary.iter().flat_map(|(path, _)| path) {
            places.entry(channel).or_insert(0);
        }
        for (place, found) in places.values_mut().enumerate() {
            *found = place;
        }
        let count = places.len();
        let mut chain = Self {
            names: places.keys().map(|name| (*name).to_owned()).collect(),
            starts: vec![0; count],
            steps: Vec::new(),
            conversions: vec![0; count],
            losses: vec![0; count],
        };
        // More channels than this are refused: their table is not made.
        if count > MARKOV_CHANNELS_MAX {
            return chain;
        }
        chain.steps = vec![vec![0; count]; count];
        for (path, outcomes) in summary.iter() {
            let walk: Vec<usize> = path.iter().filter_map(|channel| places.get(channel.as_str()).copied()).collect();
            let (Some(first), Some(last)) = (walk.first(), walk.last()) else { continue };
            chain.starts[*first] += outcomes.count();
            for step in walk.windows(2).filter(|step| step[0] != step[1]) {
                chain.steps[step[0]][step[1]] += outcomes.count();
            }
            chain.conversions[*last] += outcomes.conversion_count;
            chain.losses[*last] += outcomes.non_conversion_count;
        }
        chain
    }

    fn eliminate(self) -> Eliminated {
        let numbers = |row: &[u64]| row.iter().map(|count| Positive::new(u128::from(*count))).collect::<Vec<_>>();
        let mut steps: Vec<Vec<Positive>> = self.steps.iter().map(|row| numbers(row)).collect();
        let (mut conversions, mut losses) = (numbers(&self.conversions), numbers(&self.losses));
        let mut pivots = Vec::with_capacity(steps.len());
        for place in 0..steps.len() {
            let (above, below) = steps.split_at_mut(place + 1);
            let row = &above[place];
            let leaving = row[place + 1..].iter().fold(conversions[place] + losses[place], |sum, step| sum + *step);
            pivots.push(leaving);
            for (offset, other) in below.iter_mut().enumerate() {
                let index = place + 1 + offset;
                let factor = other[place].over(leaving);
                other[place] = factor;
                if factor.is_zero() {
                    continue;
                }
                for next in (place + 1..row.len()).filter(|next| *next != index && !row[*next].is_zero()) {
                    other[next] = other[next] + factor * row[next];
                }
                conversions[index] = conversions[index] + factor * conversions[place];
                losses[index] = losses[index] + factor * losses[place];
            }
        }
        Eliminated { starts: numbers(&self.starts), steps, pivots, conversions }
    }
}

/// The system `(diagonal - steps) x = y` in triangles: above the diagonal what is left of the steps, below it the factors.
struct Eliminated {
    starts: Vec<Positive>,
    steps: Vec<Vec<Positive>>,
    pivots: Vec<Positive>,
    conversions: Vec<Positive>,
}

impl Eliminated {
    fn effects(&self) -> Vec<Positive> {
        let chances = self.solve_upwards(&self.conversions, 0);
        let visits = self.visits();
        let total =
            self.starts.iter().zip(&chances).fold(Positive::ZERO, |sum, (starts, chance)| sum + *starts * *chance);
        let effect = |place: usize| {
            // Visits over visits from the channel itself: how likely it is to be visited at all.
            (visits[place] * chances[place]).over(self.returns(place) * total)
        };
        (0..self.pivots.len()).map(effect).collect()
    }

    /// From the last place up to `top`: what the triangle above the diagonal makes of a right-hand side.
    fn solve_upwards(&self, right: &[Positive], top: usize) -> Vec<Positive> {
        let mut found = vec![Positive::ZERO; right.len()];
        for place in (top..right.len()).rev() {
            let later = (place + 1..right.len()).map(|next| self.steps[place][next] * found[next]);
            found[place] = later.fold(right[place], |sum, one| sum + one).over(self.pivots[place]);
        }
        found
    }

    /// How often each channel is left in all walks, over how often one is left that was counted once.
    fn visits(&self) -> Vec<Positive> {
        let count = self.pivots.len();
        let mut visits = vec![Positive::ZERO; count];
        for place in 0..count {
            let earlier = (0..place).map(|from| visits[from] * self.steps[from][place]);
            visits[place] = earlier.fold(self.starts[place], |sum, one| sum + one).over(self.pivots[place]);
        }
        for place in (0..count).rev() {
            let later = (place + 1..count).map(|from| visits[from] * self.steps[from][place]);
            visits[place] = later.fold(visits[place], |sum, one| sum + one);
        }
        visits
    }

    /// The same for walks that start on this channel.
    fn returns(&self, channel: usize) -> Positive {
        let mut right = vec![Positive::ZERO; self.pivots.len()];
        right[channel] = Positive::new(1);
        for place in channel + 1..right.len() {
            right[place] =
                (channel..place).fold(Positive::ZERO, |sum, from| sum + self.steps[place][from] * right[from]);
        }
        self.solve_upwards(&right, channel)[channel]
    }
}

#[cfg(test)]
mod tests;
