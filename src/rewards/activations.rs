//! How many activations a member has had when: those that senders call so, or those that the rule of the campaign's policy makes of
//! what the person did. Counted by the rule, all that we know of the person counts, in the order of the log: whatever the batches
//! were, the same act is the n-th. It never says what an activation pays.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::store;
use crate::access::Scope;
use crate::base::Result;
use crate::base::limits::ACTS_PER_PERSON_MAX;
use crate::campaigns::{ActName, ActivationRule, PolicyBook};
use crate::db::Conn;
use crate::events::{EventType, TouchKind};
use crate::identity::{Logged, Person};
use crate::journeys::{Act, acts_of};
use crate::referrals::{Enrolment, Seat};

/// With this event of the batch, this member has had so many activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub index: usize,
    pub member_id: Uuid,
    pub count: i32,
}

/// What a batch holds of a member whose activations a rule counts.
struct Candidate<'a> {
    canonical_id: Uuid,
    rule: &'a ActivationRule,
    /// The event with which it joined.
    joined: Option<usize>,
}

/// The counts that the batch has changed, or asks for by a sign-up, of each member in the order of the log.
pub(super) async fn reached(
    conn: &mut Conn,
    scope: &Scope,
    book: &PolicyBook,
    batch: &[Logged],
    people: &[Person],
    enrolment: &Enrolment,
) -> Result<Vec<Reached>> {
    let has_rule = |member_id: Uuid| enrolment.seat(member_id).and_then(|seat| rule_of(book, seat)).is_some();
    let told = enrolment.activated.iter().map(|one| (one.index, one.member_id, one.count));
    let joined = enrolment.joined.iter().map(|one| {
        let count = enrolment.seat(one.member_id).map_or(0, |seat| seat.activation_count);
        (one.index, one.member_id, count)
    });
    let counted = told.chain(joined).filter(|(_, member_id, _)| !has_rule(*member_id));
    let mut reached: Vec<Reached> =
        counted.map(|(index, member_id, count)| Reached { index, member_id, count }).collect();
    let mut candidates = candidates(book, batch, people, enrolment);
    let ids: Vec<Uuid> = candidates.keys().copied().collect();
    for answered in store::answered_activations(conn, scope, &ids).await? {
        candidates.remove(&answered);
    }
    if candidates.is_empty() {
        return Ok(reached);
    }
    let kinds = kinds(candidates.values().map(|one| one.rule));
    let mut canonical_ids: Vec<Uuid> = candidates.values().map(|one| one.canonical_id).collect();
    canonical_ids.sort_unstable();
    canonical_ids.dedup();
    let acts = acts_of(conn, scope, &canonical_ids, &kinds, ACTS_PER_PERSON_MAX).await?;
    let indices: HashMap<Uuid, usize> = batch.iter().enumerate().map(|(index, logged)| (logged.id, index)).collect();
    for (member_id, one) in &candidates {
        let own = acts.get(&one.canonical_id).map_or(&[][..], Vec::as_slice);
        let meaningful = own.iter().filter(|act| is_meaningful(one.rule, act));
        let places = meaningful.map(|act| indices.get(&act.id).copied());
        let counts = counts(places, one.joined);
        reached.extend(counts.into_iter().map(|(index, count)| Reached { index, member_id: *member_id, count }));
    }
    Ok(reached)
}

fn rule_of<'a>(book: &'a PolicyBook, seat: &Seat) -> Option<&'a ActivationRule> {
    book.current(seat.campaign_id?)?.reward.activation.as_ref()
}

/// Members under a rule who did something in the batch that it may count, or joined. Those whom nobody invited earn nobody anything.
fn candidates<'a>(
    book: &'a PolicyBook,
    batch: &[Logged],
    people: &[Person],
    enrolment: &Enrolment,
) -> BTreeMap<Uuid, Candidate<'a>> {
    let mut candidates = BTreeMap::new();
    let acted = enrolment.of_event.iter().enumerate().filter_map(|(index, member_id)| Some((index, (*member_id)?)));
    let acted = acted.map(|(index, member_id)| (index, member_id, None, true));
    let joined = enrolment.joined.iter().map(|one| (one.index, one.member_id, Some(one.index), !one.is_late));
    for (index, member_id, joined, is_own) in acted.chain(joined) {
        let Some(seat) = enrolment.seat(member_id).filter(|seat| seat.signed_up_at.is_some()) else { continue };
        if seat.referrer_id.is_none() && seat.creator_id.is_none() {
            continue;
        }
        let (Some(rule), Some(logged), Some(person)) = (rule_of(book, seat), batch.get(index), people.get(index))
        else {
            continue;
        };
        let is_act = name_of_type(logged.event.event_type).is_some_and(|name| rule.event_names.contains(&name));
        if !is_act && joined.is_none() {
            continue;
        }
        // Where an edge came late, the event is the referrer's, and so is its person.
        let own = is_own.then_some(person.canonical_id);
        let Some(canonical_id) = seat.canonical_person_id.or(own) else { continue };
        let one = candidates.entry(member_id).or_insert(Candidate { canonical_id, rule, joined: None });
        one.joined = one.joined.or(joined);
    }
    candidates
}

/// How many acts there were with which event of the batch. An act of before stands at no place in it; what was reached before the member
/// joined counts from there.
fn counts(places: impl Iterator<Item = Option<usize>>, joined: Option<usize>) -> Vec<(usize, i32)> {
    let mut before = 0;
    let mut within = Vec::new();
    for place in places {
        match place {
            Some(index) => within.push(index.max(joined.unwrap_or(0))),
            None => before += 1,
        }
    }
    within.sort_unstable();
    let on_joining = joined.map(|joined| (joined, before));
    on_joining.into_iter().chain(within.into_iter().zip(before + 1..)).collect()
}

/// Whether a rule counts an act.
pub(super) fn is_meaningful(rule: &ActivationRule, act: &Act) -> bool {
    rule.holds(name_of_kind(act.kind), |property| match (property, act.value) {
        ("conversion_value", Some(value)) => Some(value.amount()),
        ("currency", Some(value)) => Some(value.currency.to_string()),
        _ => act.properties.as_ref()?.get(property)?.as_str().map(str::to_owned),
    })
}

/// The kinds of acts that rules name.
pub(super) fn kinds<'a>(rules: impl Iterator<Item = &'a ActivationRule>) -> Vec<TouchKind> {
    let mut kinds: Vec<TouchKind> = rules.flat_map(|rule| &rule.event_names).map(|name| kind_of(*name)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn kind_of(name: ActName) -> TouchKind {
    match name {
        ActName::Click => TouchKind::Click,
        ActName::View => TouchKind::View,
        ActName::Install => TouchKind::Install,
        ActName::Open => TouchKind::Open,
        ActName::Signup => TouchKind::Signup,
        ActName::Activation => TouchKind::Activation,
        ActName::Conversion => TouchKind::Conversion,
    }
}

fn name_of_kind(kind: TouchKind) -> ActName {
    match kind {
        TouchKind::Click => ActName::Click,
        TouchKind::View => ActName::View,
        TouchKind::Install => ActName::Install,
        TouchKind::Open => ActName::Open,
        TouchKind::Signup => ActName::Signup,
        TouchKind::Activation => ActName::Activation,
        TouchKind::Conversion => ActName::Conversion,
    }
}

fn name_of_type(event_type: EventType) -> Option<ActName> {
    ActName::parse(event_type.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(places: &[Option<usize>], joined: Option<usize>, expected: &[(usize, i32)]) {
        assert_eq!(counts(places.iter().copied(), joined), expected, "{places:?} {joined:?}");
    }

    #[test]
    fn acts_of_before_count_and_those_before_the_sign_up_count_with_it() {
        check(&[None, None], None, &[]);
        check(&[None, Some(4), Some(2)], None, &[(2, 2), (4, 3)]);
        check(&[None, None], Some(3), &[(3, 2)]);
        check(&[None, Some(1), Some(5)], Some(3), &[(3, 1), (3, 2), (5, 3)]);
    }
}
