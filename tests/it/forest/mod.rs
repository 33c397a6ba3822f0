//! The forest under attack: everything that it answers is compared with a plain model in memory, whatever happens to it and whoever
//! else writes at the same moment. `model.rs` says what must be so, `random.rs` is the storm.
//!
//! The environment sets how much: `GRAPEVINE_TEST_FOREST_SEED`, `..._FOREST_ROUNDS` and `..._FOREST_STEPS` (the storm),
//! `GRAPEVINE_TEST_RACE_ROUNDS` (the races), `GRAPEVINE_TEST_CHAIN_MEMBERS` and `GRAPEVINE_TEST_STAR_MEMBERS` (`large.rs`, which prints
//! how long each question took).

mod answers;
mod compare;
mod cuts;
mod given;
mod large;
mod migration;
mod model;
mod moves;
mod planting;
mod races;
mod random;
mod replay;
mod shapes;
mod statements;
mod world;

use grapevine::base::{Chance, Kind, SeededChance, random_bytes};
use serde_json::Value;
use uuid::Uuid;

/// A number that the environment may set.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Choices that follow from a seed.
struct Dice(SeededChance);

impl Dice {
    fn of(seed: u64) -> Self {
        Self(SeededChance::from_seed(seed))
    }

    /// A number below `end`, which is not 0.
    fn below(&self, end: usize) -> usize {
        let number = u64::from_be_bytes(random_bytes(&self.0 as &dyn Chance));
        usize::try_from(number % u64::try_from(end).unwrap()).unwrap()
    }

    /// True `percent` times of a hundred.
    fn is_lucky(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// The public identifier of a member.
fn to_id(id: Uuid) -> String {
    Kind::Member.id(id)
}

/// The member that a public identifier names.
fn from_id(id: &Value) -> Uuid {
    Kind::Member.parse(id.as_str().unwrap()).unwrap()
}

/// Minor units as the API writes them.
fn amount(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

/// Asserts that two answers are the same, and shows the part that is not.
fn assert_same(found: &Value, expected: &Value, place: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) if found.keys().eq(expected.keys()) => {
            for (key, value) in found {
                assert_same(value, &expected[key], &format!("{place}.{key}"));
            }
        }
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert_same(found, expected, &format!("{place}[{index}]"));
            }
        }
        _ => assert_eq!(found, expected, "at {place}"),
    }
}
