//! Union-find over identifiers, in log order. Pure.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::base::derived_id;
use crate::base::limits::HISTORIES_PER_PERSON_MAX;
use crate::text_enum;

text_enum! {
    /// What kind of identifier it is.
    IdentifierKind { User = "user", Anonymous = "anonymous", Click = "click" }
}

/// One identifier: a keyed hash, or the id of a click.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identifier {
    pub kind: IdentifierKind,
    pub value: [u8; 16],
}

impl Identifier {
    #[must_use]
    pub fn new(kind: IdentifierKind, value: [u8; 16]) -> Self {
        Self { kind, value }
    }
}

/// What the database knows of an identifier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub identifier: Identifier,
    pub canonical_id: Uuid,
    /// Whether some user id points at this person: two such people are never merged.
    pub has_user: bool,
    /// Of how many histories the person is made, counted as far as matters.
    pub history_count: i64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct NewPerson {
    pub id: Uuid,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Merge {
    pub from_id: Uuid,
    pub into_id: Uuid,
    pub event_id: Uuid,
    pub merged_at: DateTime<Utc>,
}

/// The people of a batch: what was found, and what the batch adds.
#[derive(Default)]
pub(super) struct Register {
    by_identifier: HashMap<Identifier, Uuid>,
    parents: HashMap<Uuid, Uuid>,
    users: HashMap<Uuid, Identifier>,
    known_users: HashMap<Uuid, bool>,
    /// Of how many histories each canonical person is made; one that is new is one.
    history_counts: HashMap<Uuid, i64>,
    pub new_people: Vec<NewPerson>,
    pub new_identifiers: Vec<(Identifier, Uuid, DateTime<Utc>)>,
    pub merges: Vec<Merge>,
    /// Canonical people of whom somebody ruled that they are two.
    barred: Vec<(Uuid, Uuid)>,
}

impl Register {
    pub fn new(found: Vec<Found>) -> Self {
        let mut register = Self::default();
        for row in found {
            register.by_identifier.insert(row.identifier, row.canonical_id);
            register.known_users.insert(row.canonical_id, row.has_user);
            register.history_counts.insert(row.canonical_id, row.history_count);
            if row.identifier.kind == IdentifierKind::User {
                register.users.insert(row.canonical_id, row.identifier);
            }
        }
        register
    }

    /// Keeps these pairs of canonical people apart, whatever events say.
    pub fn bar(&mut self, pairs: Vec<(Uuid, Uuid)>) {
        self.barred = pairs;
    }

    fn is_barred(&self, one: Uuid, other: Uuid) -> bool {
        let mut pairs = self.barred.iter().map(|(a, b)| (self.canonical(*a), self.canonical(*b)));
        pairs.any(|pair| pair == (one, other) || pair == (other, one))
    }

    /// The person at the end of the merges of this batch.
    pub fn canonical(&self, mut id: Uuid) -> Uuid {
        while let Some(parent) = self.parents.get(&id) {
            id = *parent;
        }
        id
    }

    fn has_user(&self, id: Uuid) -> bool {
        self.users.contains_key(&id) || self.known_users.get(&id).copied().unwrap_or(false)
    }

    /// Gives an event its person: the one its identifiers point at, the one they are merged into, or a new one.
    pub fn assign(&mut self, brand_id: Uuid, event_id: Uuid, at: DateTime<Utc>, own: &[Identifier]) -> Uuid {
        let known: Vec<(Identifier, Uuid)> =
            own.iter().filter_map(|one| Some((*one, self.canonical(*self.by_identifier.get(one)?)))).collect();
        let user = known.iter().find(|(one, _)| one.kind == IdentifierKind::User).map(|(_, id)| *id);
        let names_user = own.iter().any(|one| one.kind == IdentifierKind::User);
        // A user id that is new cannot take over somebody else's person: a shared device stays with its first user.
        let mut others: Vec<Uuid> = known.iter().map(|(_, id)| *id).collect();
        others.retain(|id| !(names_user && self.has_user(*id)));
        others.sort_by_key(|id| !self.has_user(*id));
        let person = user.or(others.first().copied()).unwrap_or_else(|| self.new_person(brand_id, event_id, at));
        for (_, other) in &known {
            self.merge(*other, person, event_id, at);
        }
        for one in own {
            if !self.by_identifier.contains_key(one) {
                self.by_identifier.insert(*one, person);
                self.new_identifiers.push((*one, person, at));
            }
            if one.kind == IdentifierKind::User {
                self.users.insert(person, *one);
            }
        }
        person
    }

    fn new_person(&mut self, brand_id: Uuid, event_id: Uuid, at: DateTime<Utc>) -> Uuid {
        let id = derived_id(&[b"person", brand_id.as_bytes(), event_id.as_bytes()]);
        self.new_people.push(NewPerson { id, created_at: at });
        id
    }

    fn merge(&mut self, from_id: Uuid, into_id: Uuid, event_id: Uuid, at: DateTime<Utc>) {
        let from_id = self.canonical(from_id);
        if from_id == into_id || self.has_user(from_id) || self.is_barred(from_id, into_id) {
            return;
        }
        let histories = |id: Uuid| self.history_counts.get(&id).copied().unwrap_or(1);
        let history_count = histories(from_id) + histories(into_id);
        if history_count > HISTORIES_PER_PERSON_MAX {
            return;
        }
        self.history_counts.insert(into_id, history_count);
        self.parents.insert(from_id, into_id);
        self.merges.push(Merge { from_id, into_id, event_id, merged_at: at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRAND: Uuid = Uuid::from_u128(1);

    fn user(value: u8) -> Identifier {
        Identifier::new(IdentifierKind::User, [value; 16])
    }

    fn anonymous(value: u8) -> Identifier {
        Identifier::new(IdentifierKind::Anonymous, [value; 16])
    }

    fn people(events: &[&[Identifier]]) -> Vec<Uuid> {
        let mut register = Register::new(Vec::new());
        let ids: Vec<Uuid> = events
            .iter()
            .enumerate()
            .map(|(index, own)| register.assign(BRAND, Uuid::from_u128(index as u128), DateTime::default(), own))
            .collect();
        ids.into_iter().map(|id| register.canonical(id)).collect()
    }

    #[test]
    fn an_anonymous_history_joins_the_user_who_signs_in() {
        let people = people(&[&[anonymous(1)], &[anonymous(2)], &[user(1), anonymous(1)], &[user(1), anonymous(2)]]);
        assert!(people.iter().all(|person| *person == people[0]), "{people:?}");
    }

    #[test]
    fn a_shared_device_never_makes_one_person_of_two_users() {
        let people = people(&[&[user(1), anonymous(1)], &[user(2), anonymous(1)], &[anonymous(1)]]);
        assert_ne!(people[0], people[1]);
        assert_eq!(people[0], people[2]);
    }

    #[test]
    fn who_was_ruled_to_be_two_stays_two() {
        let mut register = Register::new(Vec::new());
        let tell = |register: &mut Register, number: u128, own: &[Identifier]| {
            register.assign(BRAND, Uuid::from_u128(number), DateTime::default(), own)
        };
        let phone = tell(&mut register, 1, &[anonymous(1)]);
        let tablet = tell(&mut register, 2, &[anonymous(2)]);
        let ann = tell(&mut register, 3, &[user(1)]);
        register.bar(vec![(phone, ann)]);
        tell(&mut register, 4, &[user(1), anonymous(2)]);
        tell(&mut register, 5, &[user(1), anonymous(1)]);
        tell(&mut register, 6, &[anonymous(2), anonymous(1)]);
        assert_eq!(register.canonical(tablet), ann);
        assert_eq!(register.canonical(phone), phone, "neither directly nor by somebody else");
    }

    #[test]
    fn a_user_id_that_many_share_stops_joining_their_histories() {
        let guest = Found { identifier: user(1), canonical_id: BRAND, has_user: true, history_count: 0 };
        let mut register = Register::new(vec![Found { history_count: HISTORIES_PER_PERSON_MAX - 1, ..guest }]);
        let tell = |register: &mut Register, number: u128, own: &[Identifier]| {
            register.assign(BRAND, Uuid::from_u128(number), DateTime::default(), own)
        };
        let last = tell(&mut register, 2, &[anonymous(1)]);
        let later = tell(&mut register, 3, &[anonymous(2)]);
        for device in [1, 2] {
            assert_eq!(tell(&mut register, 4, &[user(1), anonymous(device)]), BRAND, "what it buys is its own");
        }
        assert_eq!(register.canonical(last), BRAND);
        assert_eq!(register.canonical(later), later);
    }

    #[test]
    fn events_without_identifiers_are_people_of_their_own() {
        let people = people(&[&[], &[]]);
        assert_ne!(people[0], people[1]);
    }
}
