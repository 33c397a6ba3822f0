//! The life of an event, on one page. Everything here happens for a whole batch of one brand, in a few statements per step, inside the
//! transaction that also moves the position: it all happens once, or not at all.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::sales::{self, Docket};
use crate::access::{Keyring, Scope};
use crate::base::{Env, Result};
use crate::campaigns::PolicyBook;
use crate::db::Conn;
use crate::events::{self, EventType};
use crate::identity::{Logged, Person};
use crate::journeys::Touch;
use crate::outbox::Topic;
use crate::{fraud, identity, journeys, outbox, referrals, rewards};

/// Makes everything that follows from a batch of one brand's events, in the order of the log.
pub(super) async fn process(
    conn: &mut Conn,
    env: &Env,
    keyring: &Keyring,
    scope: &Scope,
    batch: &[Logged],
) -> Result<()> {
    let book = &mut PolicyBook::load(conn, scope).await?;
    let mut rest = batch;
    while !rest.is_empty() {
        let (part, later) = rest.split_at(sales::part(conn, scope, book, rest).await?);
        process_part(conn, env, keyring, scope, book, part).await?;
        rest = later;
    }
    Ok(())
}

/// The same of events that may be worked on together.
async fn process_part(
    conn: &mut Conn,
    env: &Env,
    keyring: &Keyring,
    scope: &Scope,
    book: &mut PolicyBook,
    batch: &[Logged],
) -> Result<()> {
    let now = env.now();

    // Who is it? Identifiers become people; two that are the same are merged.
    let stitched = identity::stitch(conn, scope, keyring, batch).await?;
    let people = &stitched.people;

    // What did they touch, and was that honest?
    let mut touches = touches(batch, people);
    let mut assessments = fraud::assess_touches(conn, scope, book, &mut touches).await?;
    journeys::record_touches(conn, scope, now, &touches).await?;
    journeys::record_properties(conn, scope, &said(batch)).await?;

    // Who joined, and who invited them? Was that honest?
    let enrolment = referrals::enrol(conn, scope, now, batch, people).await?;
    let late = late_referrals(conn, scope, &enrolment).await?;
    journeys::name_referrers(conn, scope, now, &named_referrers(batch, &enrolment, &late)).await?;
    assessments.extend(fraud::assess_signups(conn, scope, book, batch, people, &enrolment).await?);
    fraud::record(conn, scope, &assessments).await?;

    // What was bought and refunded, and who gets the credit? A late touch re-opens what it may have led to.
    let sales = sales::record(conn, scope, now, book, batch, people, &enrolment).await?;
    journeys::record_touches(conn, scope, now, &sales.touches).await?;
    let late: Vec<(Uuid, DateTime<Utc>)> = late.iter().map(|one| one.signup).collect();
    let told: Vec<Uuid> = stitched.merged.iter().chain(&enrolment.recognised).copied().collect();
    let mut reopened = sales::reseated(conn, scope, now, &told).await?;
    reopened.extend(sales::reopened(conn, scope, batch, &stitched, &late).await?);
    let ids = sales.conversion_ids.iter().copied().chain(reopened).collect();

    // What is owed for it?
    let decisions = fraud::decisions_on(conn, scope, &referees(book, &enrolment), &assessments).await?;
    let claims = rewards::activation_claims(conn, scope, book, batch, people, &enrolment, &decisions).await?;
    let mut owed = rewards::grant(conn, scope, now, claims).await?;
    let new_ids = batch.iter().map(|logged| logged.id).collect();
    let (new_count, event_count) = (sales.new_count, batch.len());
    let docket = Docket { ids, new_ids, new_count, event_count, assessments: &assessments };
    let settled = sales::settle(conn, scope, now, book, docket).await?;
    owed.extend(settled.owed);

    // Tell the world, last: the brand's outbox is locked from here to the commit.
    events::quarantine(conn, scope, &sales.refused).await?;
    fraud::raise(conn, scope, now, &assessments).await?;
    let mut changed: Vec<(Topic, Uuid)> = owed.into_iter().map(|id| (Topic::RewardChanged, id)).collect();
    changed.extend(settled.credited.into_iter().map(|id| (Topic::AttributionChanged, id)));
    outbox::append(conn, scope, now, &changed).await?;
    Ok(())
}

/// What the batch touched, but for sales: whether one of those is kept at all is not known yet.
fn touches(batch: &[Logged], people: &[Person]) -> Vec<Touch> {
    let pairs = batch.iter().zip(people).filter(|(logged, _)| logged.event.event_type != EventType::Conversion);
    pairs
        .filter_map(|(logged, person)| {
            Touch::of_event(logged.id, logged.recorded_at, person.recorded_id, &logged.event)
        })
        .collect()
}

/// What the batch says of what people did, beyond our vocabulary.
fn said(batch: &[Logged]) -> Vec<(Uuid, serde_json::Value)> {
    let said = |logged: &Logged| Some((logged.id, logged.event.properties.clone()?));
    batch.iter().filter_map(said).collect()
}

/// A sign-up of before whose referrer came with this batch.
struct LateReferral {
    /// The canonical person who signed up, and when.
    signup: (Uuid, DateTime<Utc>),
    touch_id: Uuid,
    referrer_id: Uuid,
    campaign_id: Option<Uuid>,
}

/// The sign-ups that waited for their referrers until now. The event that brings the referrer is the referrer's own, which is no touch on
/// itself: the touch is the sign-up that named it.
async fn late_referrals(conn: &mut Conn, scope: &Scope, enrolment: &referrals::Enrolment) -> Result<Vec<LateReferral>> {
    let late = enrolment.joined.iter().filter(|one| one.is_late);
    let signups: Vec<_> = late
        .filter_map(|one| {
            let seat = enrolment.seat(one.member_id)?;
            Some(((seat.canonical_person_id?, seat.signed_up_at?), one.referrer_id?, one.campaign_id))
        })
        .collect();
    let moments: Vec<(Uuid, DateTime<Utc>)> = signups.iter().map(|(signup, ..)| *signup).collect();
    let touches = journeys::signup_touches(conn, scope, &moments).await?;
    let found = signups.into_iter().filter_map(|(signup, referrer_id, campaign_id)| {
        Some(LateReferral { signup, touch_id: *touches.get(&signup)?, referrer_id, campaign_id })
    });
    Ok(found.collect())
}

/// Sign-ups that name their referrer by the brand's own id are touches on what that member shared, whenever that one comes.
fn named_referrers(
    batch: &[Logged],
    enrolment: &referrals::Enrolment,
    late: &[LateReferral],
) -> Vec<(Uuid, Uuid, Option<Uuid>)> {
    let named = enrolment.joined.iter().filter(|one| !one.is_late).filter_map(|one| {
        let logged = batch.get(one.index).filter(|logged| logged.event.referrer_user_id.is_some())?;
        Some((logged.id, one.referrer_id?, one.campaign_id))
    });
    named.chain(late.iter().map(|one| (one.touch_id, one.referrer_id, one.campaign_id))).collect()
}

/// The members whose honesty decides about rewards for activations of this batch.
fn referees(book: &PolicyBook, enrolment: &referrals::Enrolment) -> Vec<Uuid> {
    let activated = enrolment.activated.iter().map(|one| one.member_id);
    let mut ids: Vec<Uuid> = activated.chain(enrolment.joined.iter().map(|one| one.member_id)).collect();
    // By a rule, whatever somebody does may be the activation that pays.
    if book.has_activation_rule() {
        ids.extend(enrolment.of_event.iter().flatten());
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}
