//! Everybody whom a file names, as numbers: a name is kept once, and what is known of its member stands beside it. Pure.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The names of a file in the order of their first appearance.
#[derive(Debug, Default)]
pub(super) struct Roster<'a> {
    numbers: HashMap<&'a str, usize>,
    names: Vec<&'a str>,
    known: Vec<Option<Box<Known>>>,
}

/// A member that was in the database before the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    pub id: Uuid,
    pub referrer_id: Option<Uuid>,
    pub joined_at: DateTime<Utc>,
    /// In the order in which members were made: those of one tree were often made together.
    pub number: i64,
    pub depth: i32,
    /// Whom a root waits for.
    pub pending_referrer: Option<String>,
}

impl<'a> Roster<'a> {
    /// The number of a name, a new one if nobody named it before.
    pub fn number(&mut self, name: &'a str) -> usize {
        let next = self.names.len();
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.names.push(name);
            self.known.push(None);
        }
        number
    }

    pub fn names(&self) -> &[&'a str] {
        &self.names
    }

    pub fn name(&self, number: usize) -> &'a str {
        self.names.get(number).copied().unwrap_or_default()
    }

    pub fn known(&self, number: usize) -> Option<&Known> {
        self.known.get(number)?.as_deref()
    }

    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// Takes down what the database knows of a name.
    pub fn know(&mut self, name: &str, known: Known) {
        if let Some(seat) = self.numbers.get(name).and_then(|number| self.known.get_mut(*number)) {
            *seat = Some(Box::new(known));
        }
    }
}
