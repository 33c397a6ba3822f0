//! Who gets the credit of a conversion. Weights sum to exactly one and values to exactly the conversion's, per model; a touch that
//! arrives late re-opens the conversion, and the new records supersede the old. It never moves money: `rewards` does.
//! Start with `rules.rs` for one conversion, with `paths.rs` for what many paths say together.

mod data_driven;
mod explain;
pub mod figures;
pub mod markov;
pub mod paths;
pub mod positive;
pub mod reads;
pub mod report;
pub mod rules;
pub mod shapley;
pub mod simulation;
mod store;
mod walk;
pub mod weights;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::access::Scope;
use crate::base::limits::TOUCHPOINTS_PER_PERSON_MAX;
use crate::base::{Result, derived_id};
use crate::campaigns::{AttributionModel, Policies, PolicyBook};
use crate::db::Conn;
use crate::journeys::{Conversion, Touch, previous_conversions, touches_up_to};
use crate::marks;

pub use data_driven::{ChannelWeights, Weighings, channel_weights, conversions_until_due};
pub use explain::{Explanation, explain};
pub use rules::{Considered, Journey, Reason, attribute};
pub use weights::{WEIGHT_UNITS, decimal};

/// A conversion with its canonical person.
#[derive(Clone, Debug)]
pub struct Target {
    pub canonical_id: Uuid,
    pub conversion: Conversion,
    /// Whether another campaign judged it before.
    pub is_moved: bool,
}

/// One credited touch of a conversion.
#[derive(Clone, Debug)]
pub struct Credit {
    pub id: Uuid,
    pub conversion_id: Uuid,
    pub touch: Touch,
    pub campaign_id: Uuid,
    pub model: AttributionModel,
    pub policy_version: i32,
    pub model_version: Option<i32>,
    pub generation: i32,
    pub weight_units: u64,
    pub amount_minor: i64,
}

/// A conversion as it is credited now.
#[derive(Clone, Debug)]
pub struct Attributed {
    pub conversion: Conversion,
    pub credits: Vec<Credit>,
}

/// The touches of the targets' people within the longest window before them, by canonical person, oldest first.
pub async fn touches_of(
    conn: &mut Conn,
    scope: &Scope,
    book: &PolicyBook,
    targets: &[(Uuid, DateTime<Utc>)],
) -> Result<HashMap<Uuid, Vec<Touch>>> {
    let window = TimeDelta::hours(i64::from(book.lookback_hours_max()));
    let mut touches: HashMap<Uuid, Vec<Touch>> = HashMap::new();
    for (person, touch) in touches_up_to(conn, scope, targets, window).await? {
        touches.entry(person).or_default().push(touch);
    }
    Ok(touches)
}

/// Of a person's touches, oldest first, those that a conversion at `at` considers, whatever else was read for their other conversions.
#[must_use]
pub fn considered_at(touches: &[Touch], at: DateTime<Utc>) -> &[Touch] {
    let before = touches.partition_point(|touch| touch.occurred_at <= at);
    let skipped = before.saturating_sub(usize::try_from(TOUCHPOINTS_PER_PERSON_MAX).unwrap_or(usize::MAX));
    touches.get(skipped..before).unwrap_or_default()
}

/// The campaign that judges a conversion which names none: that of the latest touch before it which could count under its own policy,
/// whatever it led to before. The campaign that judges it already is asked by the version that does.
#[must_use]
pub fn judging_campaign(book: &PolicyBook, conversion: &Conversion, touches: &[Touch]) -> Option<Uuid> {
    judging_touch(book, conversion, touches)?.campaign_id
}

/// The campaign to which such a conversion goes from the one that judges it: for a touch that was not there when it was recorded, or where
/// nothing of that campaign counts any more. A policy that has changed since moves nothing by itself.
#[must_use]
pub fn next_campaign(book: &PolicyBook, conversion: &Conversion, touches: &[Touch]) -> Option<Uuid> {
    let touch = judging_touch(book, conversion, touches)?;
    let campaign_id = touch.campaign_id.filter(|id| conversion.campaign_id != Some(*id))?;
    let is_new = touch.recorded_at >= conversion.recorded_at || touch.person_id != conversion.person_id;
    let is_of_judge = |one: &&Touch| one.campaign_id == conversion.campaign_id;
    let mut of_judge = touches.iter().filter(is_of_judge);
    let has_standing = of_judge.any(|one| could_count(book, conversion, one));
    (is_new || !has_standing).then_some(campaign_id)
}

fn judging_touch<'a>(book: &PolicyBook, conversion: &Conversion, touches: &'a [Touch]) -> Option<&'a Touch> {
    touches.iter().rev().find(|touch| could_count(book, conversion, touch))
}

/// Whether a touch could count for a conversion under the policy of its own campaign.
fn could_count(book: &PolicyBook, conversion: &Conversion, touch: &Touch) -> bool {
    let is_judge = touch.campaign_id == conversion.campaign_id;
    let policies = touch.campaign_id.and_then(|id| match conversion.policy_version.filter(|_| is_judge) {
        Some(version) => book.version(id, version),
        None => book.current(id),
    });
    let journey = journey(conversion, None);
    policies.is_some_and(|policies| rules::doubt(&policies.attribution, &journey, touch).is_none())
}

/// What judges: the policies, what channels are worth under them, and the touches of each canonical person.
pub struct Bench<'a> {
    pub book: &'a PolicyBook,
    pub weighings: &'a Weighings,
    pub touches: &'a HashMap<Uuid, Vec<Touch>>,
}

/// Attributes the targets, and supersedes the records of those that come out differently than before. Returns every target with its
/// credits now, and the ids of those whose records changed.
pub async fn attribute_targets(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    bench: &Bench<'_>,
    targets: Vec<Target>,
) -> Result<(Vec<Attributed>, HashSet<Uuid>)> {
    // Whether or not its records change: under another model it may come out differently.
    let moments: Vec<DateTime<Utc>> = targets.iter().map(|target| target.conversion.occurred_at).collect();
    marks::mark(conn, scope, now, &moments).await?;
    let ids: Vec<Uuid> = targets.iter().map(|target| target.conversion.id).collect();
    let standing = store::standing(conn, scope, &ids).await?;
    let previous = previous_conversions(conn, scope, &split_moments(bench.book, &targets)).await?;
    let none = Vec::new();
    let mut changed = HashSet::new();
    let mut attributed = Vec::with_capacity(targets.len());
    for Target { canonical_id, mut conversion, is_moved } in targets {
        let own = considered_at(bench.touches.get(&canonical_id).unwrap_or(&none), conversion.occurred_at);
        let previous_at = previous.get(&(canonical_id, conversion.occurred_at)).copied();
        let journey = journey(&conversion, previous_at);
        let mut credits = credits(scope, bench, &conversion, &journey, own);
        let shape: HashSet<(Uuid, i64)> = credits.iter().map(|credit| (credit.touch.id, credit.amount_minor)).collect();
        let is_as_before = standing.get(&conversion.id).unwrap_or(&HashSet::new()) == &shape;
        if is_as_before && !is_moved {
            credits.iter_mut().for_each(|credit| credit.generation -= 1);
        } else {
            conversion.generation += 1;
            changed.insert(conversion.id);
        }
        attributed.push(Attributed { conversion, credits });
    }
    let fresh: Vec<&Attributed> = attributed.iter().filter(|one| changed.contains(&one.conversion.id)).collect();
    store::supersede(conn, scope, now, &fresh).await?;
    Ok((attributed, changed))
}

fn journey(conversion: &Conversion, previous_at: Option<DateTime<Utc>>) -> Journey {
    Journey {
        conversion_id: conversion.id,
        converted_at: conversion.occurred_at,
        previous_at,
        amount_minor: conversion.value.minor,
        device_hash: conversion.device_hash,
        anonymous_hash: conversion.anonymous_hash,
    }
}

/// The policies that judge a conversion, if a campaign's do.
fn policies_of<'a>(book: &'a PolicyBook, conversion: &Conversion) -> Option<&'a Policies> {
    let (id, version) = conversion.campaign_id.zip(conversion.policy_version)?;
    book.version(id, version)
}

/// The people and moments of the targets whose policy asks what the person bought before.
fn split_moments(book: &PolicyBook, targets: &[Target]) -> Vec<(Uuid, DateTime<Utc>)> {
    let is_split = |target: &&Target| {
        policies_of(book, &target.conversion)
            .is_some_and(|policies| policies.attribution.is_split_at_previous_conversion)
    };
    targets.iter().filter(is_split).map(|target| (target.canonical_id, target.conversion.occurred_at)).collect()
}

/// The credits of a conversion as its next generation would have them.
fn credits(
    scope: &Scope,
    bench: &Bench<'_>,
    conversion: &Conversion,
    journey: &Journey,
    touches: &[Touch],
) -> Vec<Credit> {
    let Some(policies) = policies_of(bench.book, conversion) else { return Vec::new() };
    let model = policies.attribution.model;
    let generation = conversion.generation + 1;
    let considered = bench.weighings.attribute(&policies.attribution, conversion.model_version, journey, touches);
    let credited = considered.into_iter().zip(touches).filter(|(one, _)| one.reason == Reason::Credited);
    credited
        .filter_map(|(one, touch)| {
            let id = derived_id(&[
                b"attribution",
                scope.brand_id.as_bytes(),
                conversion.id.as_bytes(),
                model.as_str().as_bytes(),
                &generation.to_be_bytes(),
                touch.id.as_bytes(),
            ]);
            Some(Credit {
                id,
                conversion_id: conversion.id,
                touch: touch.clone(),
                campaign_id: touch.campaign_id?,
                model,
                policy_version: policies.version,
                model_version: conversion.model_version,
                generation,
                weight_units: one.weight_units,
                amount_minor: one.amount_minor,
            })
        })
        .collect()
}
