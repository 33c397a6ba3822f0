//! Sign-ups become members, and invitations become edges of the forest: one referrer at most, first wins, never a cycle.
//! It never judges whether a referral is honest: it says what was refused, and `fraud` reads that.
//! Start with [`enrol`].

mod enrolment;
mod store;

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::access::Scope;
use crate::base::Result;
use crate::db::Conn;
use crate::events::EventType;
use crate::identity::{Logged, Person};
use crate::journeys::{Touch, touches_up_to};
use crate::members::{MemberStatus, attach, lock_forest, next_numbers};

pub use enrolment::Enrolment;
pub use store::{Upline, creators_of_roots, uplines};

/// How far back a touch may be to name the referrer of a sign-up that names none.
const INVITATION_DAYS: i64 = 30;

/// A member as the batch knows it.
#[derive(Clone, Debug)]
pub struct Seat {
    pub id: Uuid,
    pub number: i64,
    pub external_id: Option<String>,
    pub person_id: Option<Uuid>,
    pub canonical_person_id: Option<Uuid>,
    pub status: MemberStatus,
    pub referrer_id: Option<Uuid>,
    pub creator_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    pub path: String,
    pub depth: i32,
    pub joined_at: DateTime<Utc>,
    pub signed_up_at: Option<DateTime<Utc>>,
    pub activated_at: Option<DateTime<Utc>>,
    pub activation_count: i32,
    pub referee_count: i32,
    pub pending_referrer: Option<String>,
}

/// Why a referral was not taken into the forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeRefusal {
    /// The referrer and the referee are the same person.
    SelfReferral,
    /// The referrer stands below the referee.
    Cycle,
}

/// A member that signed up in this batch.
#[derive(Clone, Copy, Debug)]
pub struct Joined {
    /// Index of the event in the batch.
    pub index: usize,
    pub member_id: Uuid,
    pub referrer_id: Option<Uuid>,
    pub creator_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    pub refused: Option<EdgeRefusal>,
    /// Whether it signed up before and only its edge is new: the event is that of its referrer then.
    pub is_late: bool,
}

/// An activation of this batch: `count` is the how-manieth of its member.
#[derive(Clone, Copy, Debug)]
pub struct Activated {
    pub index: usize,
    pub member_id: Uuid,
    pub count: i32,
}

/// Makes the members and edges of a batch. The batch's own touches must be recorded before: they may name referrers.
pub async fn enrol(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    batch: &[Logged],
    people: &[Person],
) -> Result<Enrolment> {
    if batch.iter().any(|logged| changes_the_forest(logged.event.event_type)) {
        lock_forest(conn, scope).await?;
    }
    let invitations = invitations(conn, scope, batch, people).await?;
    let seats = store::load(conn, scope, &wanted(batch, people, &invitations)).await?;
    let mut enrolment = Enrolment::new(scope.brand_id, seats);
    if enrolment.may_close_a_cycle(batch, people) {
        enrolment.know(store::ancestry(conn, scope, &enrolment.seated_ids()).await?);
    }
    for (index, (logged, person)) in batch.iter().zip(people).enumerate() {
        enrolment.take(index, logged, *person, invitations.get(&person.canonical_id));
    }
    if enrolment.new_count() > 0 {
        let first = next_numbers(conn, scope, enrolment.new_count()).await?;
        enrolment.place(first);
    }
    store::write(conn, scope, now, &enrolment).await?;
    attach_waiting(conn, scope, now, batch, &mut enrolment).await?;
    Ok(enrolment)
}

/// Whether an event of this type may make, move or change members, who they are, or what they are worth.
fn changes_the_forest(event_type: EventType) -> bool {
    matches!(
        event_type,
        EventType::Signup | EventType::Activation | EventType::Conversion | EventType::Refund | EventType::Identify
    )
}

/// Members who were invited by somebody that nobody had heard of get their edge once that one is heard of, by whatever door it was made.
async fn attach_waiting(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    batch: &[Logged],
    enrolment: &mut Enrolment,
) -> Result<()> {
    let mut indices: HashMap<&str, usize> = HashMap::new();
    for (index, logged) in batch.iter().enumerate() {
        for name in [&logged.event.user_id, &logged.event.referrer_user_id].into_iter().flatten() {
            indices.entry(name).or_insert(index);
        }
    }
    let mut pairs = Vec::new();
    let mut events: HashMap<Uuid, usize> = HashMap::new();
    for (member_id, external_id) in store::waiting_for(conn, scope, &enrolment.known_external_ids()).await? {
        let referrer_id = enrolment.by_external_id(&external_id).map(|seat| seat.id);
        if let (Some(referrer_id), Some(index)) = (referrer_id, indices.get(external_id.as_str())) {
            pairs.push((member_id, referrer_id));
            events.insert(member_id, *index);
        }
    }
    let attached = attach(conn, scope, &pairs, now).await?;
    if attached.is_empty() {
        return Ok(());
    }
    let ids = attached.clone();
    let attached: Vec<(usize, Uuid)> = attached.into_iter().filter_map(|id| Some((*events.get(&id)?, id))).collect();
    let seats = store::load(conn, scope, &Wanted { ids, ..Wanted::default() }).await?;
    enrolment.attached(&attached, seats);
    Ok(())
}

/// What the batch asks the forest for.
#[derive(Default)]
pub(crate) struct Wanted {
    pub external_ids: Vec<String>,
    pub ids: Vec<Uuid>,
    pub canonical_ids: Vec<Uuid>,
}

fn wanted(batch: &[Logged], people: &[Person], invitations: &HashMap<Uuid, Vec<Touch>>) -> Wanted {
    let events = || batch.iter().map(|logged| &logged.event);
    let mut external_ids: Vec<String> =
        events().flat_map(|event| event.user_id.iter().chain(&event.referrer_user_id)).cloned().collect();
    // A sign-up that names nobody may hang below the owner of any of its touches.
    let owners = invitations.values().flatten().filter_map(|touch| touch.referrer_id);
    let mut ids: Vec<Uuid> = events().filter_map(|event| event.referrer_id).chain(owners).collect();
    let mut canonical_ids: Vec<Uuid> = people.iter().map(|person| person.canonical_id).collect();
    external_ids.sort_unstable();
    external_ids.dedup();
    ids.sort_unstable();
    ids.dedup();
    canonical_ids.sort_unstable();
    canonical_ids.dedup();
    Wanted { external_ids, ids, canonical_ids }
}

/// For sign-ups that name no inviter: the latest touch of the person on somebody's link, before the sign-up.
async fn invitations(
    conn: &mut Conn,
    scope: &Scope,
    batch: &[Logged],
    people: &[Person],
) -> Result<HashMap<Uuid, Vec<Touch>>> {
    let silent = batch.iter().zip(people).filter(|(logged, _)| {
        let event = &logged.event;
        let is_named = event.referrer_id.is_some() || event.referrer_user_id.is_some() || event.creator_id.is_some();
        event.event_type == EventType::Signup && !is_named
    });
    let moments: Vec<(Uuid, DateTime<Utc>)> =
        silent.map(|(logged, person)| (person.canonical_id, logged.event.occurred_at)).collect();
    let mut touches: HashMap<Uuid, Vec<Touch>> = HashMap::new();
    for (person, touch) in touches_up_to(conn, scope, &moments, TimeDelta::days(INVITATION_DAYS)).await? {
        touches.entry(person).or_default().push(touch);
    }
    Ok(touches)
}
