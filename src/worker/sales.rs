//! The pipeline's middle: conversions and refunds of a batch, and the conversions that the batch re-opens.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::Scope;
use crate::attribution::{
    Attributed, Bench, Target, Weighings, attribute_targets, considered_at, conversions_until_due, next_campaign,
    touches_of,
};
use crate::base::limits::JUDGED_TOGETHER_MIN;
use crate::base::{Error, Money, Result};
use crate::campaigns::{AttributionPolicy, PolicyBook};
use crate::db::Conn;
use crate::events::{Event, EventType};
use crate::fraud::{self, Assessment};
use crate::identity::{Logged, Person, Stitched};
use crate::journeys::{
    Conversion, Refund, Touch, conversion_ids_since, conversions_by_id, record_conversions, record_refunds, reseat,
};
use crate::members::{Sale, lock_forest, record_sales, recount_sales};
use crate::referrals::Enrolment;
use crate::rewards;

/// What a batch sold and gave back.
#[derive(Default)]
pub(super) struct Sales {
    /// Conversions that are new or were refunded.
    pub conversion_ids: Vec<Uuid>,
    /// How many of them are new.
    pub new_count: usize,
    /// The touches that new conversions are themselves: those that say who led to them.
    pub touches: Vec<Touch>,
    /// Events that cannot have an effect, with the reason.
    pub refused: Vec<(Uuid, &'static str, String)>,
}

/// Keeps the conversions and refunds of a batch.
pub(super) async fn record(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    book: &PolicyBook,
    batch: &[Logged],
    people: &[Person],
    enrolment: &Enrolment,
) -> Result<Sales> {
    let mut conversions = Vec::new();
    let mut refunds = Vec::new();
    for (index, (logged, person)) in batch.iter().zip(people).enumerate() {
        match logged.event.event_type {
            EventType::Conversion => {
                let member_id = enrolment.of_event.get(index).copied().flatten();
                conversions.push(conversion(scope, book, logged, person, member_id)?);
            }
            EventType::Refund => refunds.push(refund(scope, logged)?),
            _ => {}
        }
    }
    let new: HashSet<Uuid> = record_conversions(conn, scope, &conversions).await?.into_iter().collect();
    let orders: Vec<String> =
        conversions.iter().filter(|one| new.contains(&one.id)).filter_map(|one| one.order_id.clone()).collect();
    let refunded = record_refunds(conn, scope, &refunds, &orders).await?;
    let bought = conversions.iter().filter(|one| new.contains(&one.id));
    let bought = bought.filter_map(|one| sale(scope, one.member_id, one.value, 1, Some(one.occurred_at)));
    let returned =
        refunded.applied.iter().filter_map(|(_, member_id, value)| sale(scope, *member_id, *value, -1, None));
    record_sales(conn, scope, &bought.chain(returned).collect::<Vec<_>>(), now).await?;
    let own = batch.iter().zip(people).filter(|(logged, _)| new.contains(&logged.id));
    let touches =
        own.filter_map(|(logged, one)| Touch::of_event(logged.id, logged.recorded_at, one.recorded_id, &logged.event));
    let touches = touches.collect();
    let known = conversions.iter().filter(|one| !new.contains(&one.id));
    let mut refused: Vec<(Uuid, &'static str, String)> = known
        .map(|one| {
            (
                one.id,
                "DUPLICATE_ORDER",
                "A conversion with this order_id is there already: the first one counts.".to_owned(),
            )
        })
        .collect();
    let reason = "The refund is in another currency than its order, or nothing is left of that.";
    refused.extend(refunded.refused.into_iter().map(|id| (id, "REFUND_EXCEEDS_ORDER", reason.to_owned())));
    let new_count = new.len();
    let mut conversion_ids: Vec<Uuid> =
        new.into_iter().chain(refunded.applied.into_iter().map(|(id, ..)| id)).collect();
    conversion_ids.sort_unstable();
    conversion_ids.dedup();
    Ok(Sales { conversion_ids, new_count, touches, refused })
}

fn conversion(
    scope: &Scope,
    book: &PolicyBook,
    logged: &Logged,
    person: &Person,
    member_id: Option<Uuid>,
) -> Result<Conversion> {
    let campaign_id = logged.event.campaign_id;
    Ok(Conversion {
        id: logged.id,
        person_id: person.recorded_id,
        member_id,
        campaign_id,
        is_campaign_named: campaign_id.is_some(),
        policy_version: campaign_id.and_then(|id| book.campaign(id)).map(|facts| facts.policy_version),
        model_version: None,
        generation: 0,
        order_id: logged.event.order_id.clone(),
        value: value(scope, &logged.event)?,
        refunded_minor: 0,
        device_hash: logged.event.device_hash,
        anonymous_hash: logged.event.anonymous_hash,
        occurred_at: logged.event.occurred_at,
        recorded_at: logged.recorded_at,
    })
}

/// What a member's sale adds to downlines. Sums are kept in the brand's own currency: what was paid in another one adds its activity.
fn sale(
    scope: &Scope,
    member_id: Option<Uuid>,
    value: Money,
    sign: i64,
    bought_at: Option<DateTime<Utc>>,
) -> Option<Sale> {
    let value_minor = if value.currency == scope.currency { value.minor * sign } else { 0 };
    Some(Sale { member_id: member_id?, value_minor, bought_at })
}

fn refund(scope: &Scope, logged: &Logged) -> Result<Refund> {
    Ok(Refund {
        id: logged.id,
        order_id: logged.event.order_id.clone().unwrap_or_default(),
        conversion_id: None,
        value: value(scope, &logged.event)?,
        occurred_at: logged.event.occurred_at,
    })
}

fn value(scope: &Scope, event: &Event) -> Result<Money> {
    let currency = event.currency.as_deref().map(str::parse).transpose();
    let currency = currency.map_err(|error| Error::fault("reading an event's currency", error))?;
    Ok(Money::new(event.value_minor.unwrap_or(0), currency.unwrap_or(scope.currency)))
}

/// How many of these events may be worked on together: a sale that makes a new version of what channels are worth due stands alone, so that the
/// version follows from what stands before it in the log, wherever batches end.
pub(super) async fn part(conn: &mut Conn, scope: &Scope, book: &PolicyBook, batch: &[Logged]) -> Result<usize> {
    let Some(count) = conversions_until_due(conn, scope, book).await? else { return Ok(batch.len()) };
    let is_sale = |logged: &Logged| logged.event.event_type == EventType::Conversion;
    let sales = batch.iter().enumerate().filter(|(_, logged)| is_sale(logged));
    Ok(sales.map(|(index, _)| index.max(1)).nth(count - 1).unwrap_or(batch.len()))
}

/// Gives the conversions of people who were joined or parted to the members that they are now, and the sums of downlines what follows. They are to
/// be judged again: nobody earns by an own purchase. Returns them.
pub(super) async fn reseated(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    canonical_ids: &[Uuid],
) -> Result<Vec<Uuid>> {
    if canonical_ids.is_empty() {
        return Ok(Vec::new());
    }
    lock_forest(conn, scope).await?;
    let found = reseat(conn, scope, canonical_ids).await?;
    recount_sales(conn, scope, &found.member_ids, now).await?;
    Ok(found.conversion_ids)
}

/// Conversions that a touch, a sale, a merge or a late referrer of this batch may change the credit of: they are judged again. A touch may lead
/// to what comes after it, a sale may end the journey of what comes after it, a merge brings a history from its first act on, and a referrer who comes
/// late becomes the owner of a sign-up of before (`late`: the canonical person and the moment).
pub(super) async fn reopened(
    conn: &mut Conn,
    scope: &Scope,
    batch: &[Logged],
    stitched: &Stitched,
    late: &[(Uuid, DateTime<Utc>)],
) -> Result<Vec<Uuid>> {
    let mut since: BTreeMap<Uuid, DateTime<Utc>> = BTreeMap::new();
    for (logged, person) in batch.iter().zip(&stitched.people) {
        if matches!(logged.event.event_type, EventType::Refund | EventType::Identify) {
            continue;
        }
        let at = logged.event.occurred_at;
        since.entry(person.canonical_id).and_modify(|earliest| *earliest = at.min(*earliest)).or_insert(at);
    }
    for (canonical_id, at) in late.iter().chain(&stitched.joined_since) {
        since.entry(*canonical_id).and_modify(|earliest| *earliest = (*at).min(*earliest)).or_insert(*at);
    }
    conversion_ids_since(conn, scope, &since.into_iter().collect::<Vec<_>>()).await
}

/// Conversions to be judged, and what their judgement follows from.
pub(super) struct Docket<'a> {
    /// The conversions, in any order.
    pub ids: Vec<Uuid>,
    /// The events of the batch: conversions that are among them wait for their rewards from when they were recorded.
    pub new_ids: HashSet<Uuid>,
    /// How many conversions are new.
    pub new_count: usize,
    /// How many events the batch has: a smaller one judges fewer conversions at a time, so that what was too much for a statement once is not for
    /// ever.
    pub event_count: usize,
    pub assessments: &'a [Assessment],
}

/// What judgements came to.
#[derive(Default)]
pub(super) struct Settled {
    /// Rewards that are new or changed.
    pub owed: Vec<Uuid>,
    /// Conversions whose records changed, in order.
    pub credited: Vec<Uuid>,
}

/// Credits conversions and settles what is owed for them, some at a time: a person may have bought any number of times, with any number of
/// touches each.
pub(super) async fn settle(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    book: &mut PolicyBook,
    mut docket: Docket<'_>,
) -> Result<Settled> {
    docket.ids.sort_unstable();
    docket.ids.dedup();
    // What channels are worth follows from the sales up to here: one that makes a version due is judged by it already.
    let mut weighings = Weighings::refresh(conn, scope, now, book, docket.new_count).await?;
    let mut settled = Settled::default();
    for ids in docket.ids.chunks(docket.event_count.max(JUDGED_TOGETHER_MIN)) {
        let (attributed, changed) = attribute(conn, scope, now, book, &mut weighings, ids).await?;
        let decisions = fraud::decisions_on(conn, scope, &buyers(&attributed), docket.assessments).await?;
        let owed =
            rewards::settle_commissions(conn, scope, now, book, &attributed, &docket.new_ids, &decisions).await?;
        settled.owed.extend(owed);
        settled.credited.extend(changed);
    }
    settled.credited.sort_unstable();
    Ok(settled)
}

/// The members who bought.
fn buyers(attributed: &[Attributed]) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = attributed.iter().filter_map(|one| one.conversion.member_id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Attributes these conversions, and returns them with those whose records changed.
async fn attribute(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    book: &mut PolicyBook,
    weighings: &mut Weighings,
    ids: &[Uuid],
) -> Result<(Vec<Attributed>, HashSet<Uuid>)> {
    let found = conversions_by_id(conn, scope, ids).await?;
    let versions: Vec<(Uuid, i32)> =
        found.iter().filter_map(|(_, one)| one.campaign_id.zip(one.policy_version)).collect();
    book.add_versions(conn, scope, &versions).await?;
    let moments: Vec<(Uuid, DateTime<Utc>)> = found.iter().map(|(person, one)| (*person, one.occurred_at)).collect();
    let book = &*book;
    let touches = &touches_of(conn, scope, book, &moments).await?;
    let judge = |(canonical_id, conversion)| judged(book, weighings, canonical_id, conversion, touches);
    let targets: Vec<Target> = found.into_iter().map(judge).collect();
    weighings.learn(conn, scope, targets.iter().filter_map(|target| named_version(book, target))).await?;
    let bench = Bench { book, weighings: &*weighings, touches };
    attribute_targets(conn, scope, now, &bench, targets).await
}

/// A conversion that names no campaign is judged by that of the touch that led to it, whenever that comes; one that a campaign judges for the
/// first time, under its policy in force and what channels are worth now.
fn judged(
    book: &PolicyBook,
    weighings: &Weighings,
    canonical_id: Uuid,
    mut conversion: Conversion,
    touches: &HashMap<Uuid, Vec<Touch>>,
) -> Target {
    let judge_before = conversion.campaign_id;
    if !conversion.is_campaign_named
        && let Some(own) = touches.get(&canonical_id)
        && let Some(campaign_id) = next_campaign(book, &conversion, considered_at(own, conversion.occurred_at))
    {
        conversion.campaign_id = Some(campaign_id);
        conversion.policy_version = book.campaign(campaign_id).map(|facts| facts.policy_version);
        conversion.model_version = None;
    }
    let policy =
        conversion.campaign_id.zip(conversion.policy_version).and_then(|(id, version)| book.version(id, version));
    let version = policy.and_then(|policies| weighings.version_for(&policies.attribution));
    conversion.model_version = conversion.model_version.or(version);
    let is_moved = judge_before.is_some() && conversion.campaign_id != judge_before;
    Target { canonical_id, conversion, is_moved }
}

/// The policy that judges a target, and the version of what channels are worth that it names.
fn named_version<'a>(book: &'a PolicyBook, target: &Target) -> Option<(&'a AttributionPolicy, Option<i32>)> {
    let (id, version) = target.conversion.campaign_id.zip(target.conversion.policy_version)?;
    Some((&book.version(id, version)?.attribution, target.conversion.model_version))
}
