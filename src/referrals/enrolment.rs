//! One batch's view of the members that it touches: events are taken in the order of the log, then all changes are written at once.

use std::collections::{HashMap, HashSet};

use chrono::{TimeDelta, Utc};
use uuid::Uuid;

use super::{Activated, EdgeRefusal, INVITATION_DAYS, Joined, Seat, changes_the_forest};
use crate::base::derived_id;
use crate::events::EventType;
use crate::identity::{Logged, Person};
use crate::journeys::{Decision, Touch};
use crate::members::{MemberChange, MemberStatus, NewMember, Placement, place};

/// The members of a batch, and what the batch did to them.
pub struct Enrolment {
    brand_id: Uuid,
    seats: HashMap<Uuid, Seat>,
    by_external_id: HashMap<String, Uuid>,
    by_person: HashMap<Uuid, Uuid>,
    /// The ancestors of the members that were there before, nearest first.
    ancestry: HashMap<Uuid, Vec<Uuid>>,
    new_ids: Vec<Uuid>,
    changed_ids: HashSet<Uuid>,
    placements: Vec<(Uuid, Placement)>,
    /// Per event of the batch: the member whose event it is.
    pub of_event: Vec<Option<Uuid>>,
    pub joined: Vec<Joined>,
    pub activated: Vec<Activated>,
    /// The canonical people who turned out to be members of whom only the name was known.
    pub recognised: Vec<Uuid>,
}

/// Who invited, as far as a sign-up or an earlier touch says.
#[derive(Default)]
struct Invitation {
    referrer_id: Option<Uuid>,
    creator_id: Option<Uuid>,
    campaign_id: Option<Uuid>,
    pending_referrer: Option<String>,
}

impl Enrolment {
    pub(super) fn new(brand_id: Uuid, seats: Vec<Seat>) -> Self {
        let by_external_id = seats.iter().filter_map(|seat| Some((seat.external_id.clone()?, seat.id))).collect();
        let by_person = seats.iter().filter_map(|seat| Some((seat.canonical_person_id?, seat.id))).collect();
        Self {
            brand_id,
            by_external_id,
            by_person,
            seats: seats.into_iter().map(|seat| (seat.id, seat)).collect(),
            ancestry: HashMap::new(),
            new_ids: Vec::new(),
            changed_ids: HashSet::new(),
            placements: Vec::new(),
            of_event: Vec::new(),
            joined: Vec::new(),
            activated: Vec::new(),
            recognised: Vec::new(),
        }
    }

    /// Only a member that signs up after it got referees can be asked to stand below one of them.
    pub(super) fn may_close_a_cycle(&self, batch: &[Logged], people: &[Person]) -> bool {
        let mut signups = batch.iter().zip(people).filter(|(logged, _)| logged.event.event_type == EventType::Signup);
        signups.any(|(logged, person)| {
            let seat = self.find(logged, *person).and_then(|id| self.seats.get(&id));
            seat.is_some_and(|seat| seat.signed_up_at.is_none() && seat.referee_count > 0)
        })
    }

    pub(super) fn know(&mut self, ancestry: HashMap<Uuid, Vec<Uuid>>) {
        self.ancestry = ancestry;
    }

    pub(super) fn seated_ids(&self) -> Vec<Uuid> {
        self.seats.keys().copied().collect()
    }

    /// The member of this id, if the batch touches it.
    #[must_use]
    pub fn seat(&self, id: Uuid) -> Option<&Seat> {
        self.seats.get(&id)
    }

    pub(super) fn by_external_id(&self, external_id: &str) -> Option<&Seat> {
        self.seats.get(self.by_external_id.get(external_id)?)
    }

    /// Takes the next event of the log.
    pub(super) fn take(&mut self, index: usize, logged: &Logged, person: Person, touches: Option<&Vec<Touch>>) {
        let member = match logged.event.event_type {
            EventType::Signup => self.sign_up(index, logged, person, touches),
            EventType::Activation => self.activate(index, logged, person),
            _ => self.find(logged, person),
        };
        if let Some(id) = member {
            self.recognise(id, logged, person);
        }
        self.of_event.push(member);
    }

    /// A member of whom only the name was known, as an import brings it, is the person who comes under that name.
    fn recognise(&mut self, id: Uuid, logged: &Logged, person: Person) {
        let name = &logged.event.user_id;
        let is_told = name.is_some() && changes_the_forest(logged.event.event_type);
        let seat = self.seats.get_mut(&id).filter(|seat| seat.person_id.is_none() && seat.external_id == *name);
        let (true, Some(seat)) = (is_told, seat) else { return };
        seat.person_id = Some(person.recorded_id);
        seat.canonical_person_id = Some(person.canonical_id);
        self.by_person.entry(person.canonical_id).or_insert(id);
        self.changed_ids.insert(id);
        self.recognised.push(person.canonical_id);
    }

    fn find(&self, logged: &Logged, person: Person) -> Option<Uuid> {
        let named = logged.event.user_id.as_ref().and_then(|user_id| self.by_external_id.get(user_id));
        named.or_else(|| self.by_person.get(&person.canonical_id)).copied()
    }

    fn sign_up(&mut self, index: usize, logged: &Logged, person: Person, touches: Option<&Vec<Touch>>) -> Option<Uuid> {
        let member_id = self.find(logged, person).unwrap_or_else(|| self.add(logged, person));
        // The first sign-up counts: a second one changes neither the date nor the referrer.
        if self.seats.get(&member_id).is_none_or(|seat| seat.signed_up_at.is_some()) {
            return Some(member_id);
        }
        let mut invitation = self.invitation(logged, touches);
        let refused = invitation.referrer_id.and_then(|referrer_id| self.refusal(member_id, referrer_id, person));
        if refused.is_some() {
            invitation.referrer_id = None;
        }
        let inherited =
            invitation.referrer_id.and_then(|id| self.seats.get(&id)).map(|seat| (seat.creator_id, seat.campaign_id));
        let (creator_id, campaign_id) = inherited.unwrap_or_default();
        let seat = self.seats.get_mut(&member_id)?;
        seat.signed_up_at = Some(logged.event.occurred_at);
        seat.joined_at = logged.event.occurred_at;
        seat.person_id = seat.person_id.or(Some(person.recorded_id));
        seat.canonical_person_id = Some(person.canonical_id);
        seat.status = if seat.activation_count > 0 { MemberStatus::Activated } else { MemberStatus::SignedUp };
        // A member that was invited before keeps the referrer who invited it.
        if seat.referrer_id.is_none() {
            seat.referrer_id = invitation.referrer_id;
            seat.pending_referrer = invitation.pending_referrer;
        }
        seat.creator_id = seat.creator_id.or(invitation.creator_id).or(creator_id);
        seat.campaign_id = seat.campaign_id.or(invitation.campaign_id).or(campaign_id);
        let joined = Joined {
            index,
            member_id,
            referrer_id: seat.referrer_id,
            creator_id: seat.creator_id,
            campaign_id: seat.campaign_id,
            refused,
            is_late: false,
        };
        self.joined.push(joined);
        self.by_person.insert(person.canonical_id, member_id);
        self.changed_ids.insert(member_id);
        Some(member_id)
    }

    fn activate(&mut self, index: usize, logged: &Logged, person: Person) -> Option<Uuid> {
        let member_id = self.find(logged, person).unwrap_or_else(|| self.add(logged, person));
        let seat = self.seats.get_mut(&member_id)?;
        seat.activation_count += 1;
        seat.activated_at = seat.activated_at.or(Some(logged.event.occurred_at));
        if seat.signed_up_at.is_some() {
            seat.status = MemberStatus::Activated;
        }
        self.activated.push(Activated { index, member_id, count: seat.activation_count });
        self.changed_ids.insert(member_id);
        Some(member_id)
    }

    /// A member that is heard of for the first time: it has not signed up until a sign-up says so.
    fn add(&mut self, logged: &Logged, person: Person) -> Uuid {
        let id = derived_id(&[b"member", self.brand_id.as_bytes(), logged.id.as_bytes()]);
        let seat = Seat {
            id,
            number: 0,
            external_id: logged.event.user_id.clone(),
            person_id: Some(person.recorded_id),
            canonical_person_id: Some(person.canonical_id),
            status: MemberStatus::Invited,
            referrer_id: None,
            creator_id: None,
            campaign_id: logged.event.campaign_id,
            path: String::new(),
            depth: 0,
            joined_at: logged.event.occurred_at,
            signed_up_at: None,
            activated_at: None,
            activation_count: 0,
            referee_count: 0,
            pending_referrer: None,
        };
        if let Some(external_id) = &seat.external_id {
            self.by_external_id.insert(external_id.clone(), id);
        }
        self.by_person.insert(person.canonical_id, id);
        self.seats.insert(id, seat);
        self.new_ids.push(id);
        id
    }

    /// What the event itself says comes first; a sign-up that says nothing follows the person's last touch.
    fn invitation(&self, logged: &Logged, touches: Option<&Vec<Touch>>) -> Invitation {
        let event = &logged.event;
        let mut invitation = Invitation {
            referrer_id: event.referrer_id.filter(|id| self.seats.contains_key(id)),
            creator_id: event.creator_id,
            campaign_id: event.campaign_id,
            pending_referrer: None,
        };
        if invitation.referrer_id.is_none()
            && let Some(external_id) = &event.referrer_user_id
        {
            invitation.referrer_id = self.by_external_id.get(external_id).copied();
            invitation.pending_referrer = invitation.referrer_id.is_none().then(|| external_id.clone());
        }
        let is_silent = event.referrer_id.is_none() && event.referrer_user_id.is_none() && event.creator_id.is_none();
        let since = event.occurred_at - TimeDelta::days(INVITATION_DAYS);
        let last = touches.into_iter().flatten().rfind(|touch| {
            let counts = touch.has_owner() && touch.has_consent && touch.decision != Decision::Block;
            counts && touch.id != logged.id && (since..=event.occurred_at).contains(&touch.occurred_at)
        });
        if let (true, Some(touch)) = (is_silent, last) {
            invitation.referrer_id = touch.referrer_id.filter(|id| self.seats.contains_key(id));
            invitation.creator_id = touch.creator_id;
            invitation.campaign_id = invitation.campaign_id.or(touch.campaign_id);
        }
        invitation
    }

    fn refusal(&self, member_id: Uuid, referrer_id: Uuid, person: Person) -> Option<EdgeRefusal> {
        let referrer = self.seats.get(&referrer_id);
        let is_same_person = referrer.is_some_and(|seat| seat.canonical_person_id == Some(person.canonical_id));
        if member_id == referrer_id || is_same_person {
            return Some(EdgeRefusal::SelfReferral);
        }
        self.is_below(referrer_id, member_id).then_some(EdgeRefusal::Cycle)
    }

    /// Whether `id` stands below `above`, following the edges of this batch first.
    fn is_below(&self, mut id: Uuid, above: Uuid) -> bool {
        let mut seen = HashSet::new();
        while seen.insert(id) {
            let Some(referrer_id) = self.seats.get(&id).and_then(|seat| seat.referrer_id) else {
                return self.ancestry.get(&id).is_some_and(|ancestors| ancestors.contains(&above));
            };
            if referrer_id == above || self.ancestry.get(&id).is_some_and(|ancestors| ancestors.contains(&above)) {
                return true;
            }
            id = referrer_id;
        }
        true
    }

    pub(super) fn new_count(&self) -> usize {
        self.new_ids.len()
    }

    pub(super) fn known_external_ids(&self) -> Vec<String> {
        self.by_external_id.keys().cloned().collect()
    }

    /// Numbers the new members from `first` and finds the places of all that got one in this batch, referrers first.
    pub(super) fn place(&mut self, first: i64) {
        for (number, id) in (first..).zip(self.new_ids.clone()) {
            if let Some(seat) = self.seats.get_mut(&id) {
                seat.number = number;
            }
        }
        let mut placed: HashSet<Uuid> =
            self.seats.values().filter(|seat| !seat.path.is_empty()).map(|seat| seat.id).collect();
        for id in self.new_ids.clone() {
            let mut chain = vec![id];
            while let Some(referrer_id) = chain.last().and_then(|id| self.seats.get(id)?.referrer_id) {
                if placed.contains(&referrer_id) || !self.seats.contains_key(&referrer_id) {
                    break;
                }
                chain.push(referrer_id);
            }
            for id in chain.into_iter().rev() {
                if placed.insert(id) {
                    self.place_one(id);
                }
            }
        }
    }

    fn place_one(&mut self, id: Uuid) {
        let Some(seat) = self.seats.get(&id) else { return };
        let parent = seat.referrer_id.and_then(|referrer_id| self.seats.get(&referrer_id));
        let placement = place(parent.map(|parent| (parent.path.as_str(), parent.depth)), seat.number);
        if let Some(seat) = self.seats.get_mut(&id) {
            seat.path.clone_from(&placement.path);
            seat.depth = placement.depth;
        }
        self.placements.push((id, placement));
    }

    /// New members with their places, referrers first.
    pub(super) fn new_members(&self) -> Vec<NewMember> {
        let rows = self.placements.iter().filter_map(|(id, placement)| Some((self.seats.get(id)?, placement)));
        rows.map(|(seat, placement)| seat.to_new_member(placement)).collect()
    }

    /// Members that were there before and changed.
    pub(super) fn changed_seats(&self) -> Vec<&Seat> {
        let new: HashSet<&Uuid> = self.new_ids.iter().collect();
        let mut ids: Vec<&Uuid> = self.changed_ids.iter().filter(|id| !new.contains(id)).collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|id| self.seats.get(id)).collect()
    }

    /// Members whose referrer arrived after them, by the event that it arrived with: they joined anew, below it.
    pub(super) fn attached(&mut self, attached: &[(usize, Uuid)], seats: Vec<Seat>) {
        self.seats.extend(seats.into_iter().map(|seat| (seat.id, seat)));
        for (index, member_id) in attached {
            let Some(seat) = self.seats.get(member_id) else { continue };
            let late = Joined {
                index: *index,
                member_id: *member_id,
                referrer_id: seat.referrer_id,
                creator_id: seat.creator_id,
                campaign_id: seat.campaign_id,
                refused: None,
                is_late: true,
            };
            self.joined.retain(|one| one.member_id != *member_id || one.refused.is_some());
            self.joined.push(late);
        }
    }

    /// When a member signed up, for windows; `None` if it has not.
    #[must_use]
    pub fn signed_up_at(&self, member_id: Uuid) -> Option<chrono::DateTime<Utc>> {
        self.seats.get(&member_id)?.signed_up_at
    }
}

impl Seat {
    pub(super) fn to_change(&self) -> MemberChange {
        MemberChange {
            id: self.id,
            person_id: self.person_id,
            status: self.status,
            creator_id: self.creator_id,
            campaign_id: self.campaign_id,
            joined_at: self.joined_at,
            signed_up_at: self.signed_up_at,
            activated_at: self.activated_at,
            activation_count: self.activation_count,
            pending_referrer: self.pending_referrer.clone(),
        }
    }

    fn to_new_member(&self, placement: &Placement) -> NewMember {
        NewMember {
            id: self.id,
            number: self.number,
            external_id: self.external_id.clone(),
            person_id: self.person_id,
            status: self.status,
            referrer_id: self.referrer_id,
            creator_id: self.creator_id,
            campaign_id: self.campaign_id,
            placement: placement.clone(),
            joined_at: self.joined_at,
            signed_up_at: self.signed_up_at,
            activated_at: self.activated_at,
            activation_count: self.activation_count,
            pending_referrer: self.pending_referrer.clone(),
        }
    }
}
