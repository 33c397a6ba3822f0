//! Choices of the story: the same for the same seed.

use crate::base::{Chance, SeededChance, random_bytes};

/// A source of choices.
pub(super) struct Dice(SeededChance);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(SeededChance::from_seed(seed))
    }

    /// A number below `end`; 0 where `end` is 0. The bias of the remainder does not matter to a story.
    pub fn below(&self, end: u64) -> u64 {
        u64::from_be_bytes(random_bytes(&self.0 as &dyn Chance)) % end.max(1)
    }

    /// A number from `low` to `high`, both included.
    pub fn within(&self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high - low + 1).unwrap_or(1);
        low + i64::try_from(self.below(span)).unwrap_or(0)
    }

    /// True `percent` times in a hundred.
    pub fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several; the first ones of a list are not preferred.
    pub fn pick<'a, T>(&self, list: &'a [T]) -> Option<&'a T> {
        list.get(usize::try_from(self.below(list.len() as u64)).unwrap_or(0))
    }
}
