//! Activations that pay: the n-th meaningful act of a referee, as the campaign's policy says, claims for the up-line by degree and for
//! the referee's own side. It is asked once: whoever stood above then was paid or denied, and a move or a further act asks nobody else.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::activations::{Reached, reached};
use super::worth::{self, Worth};
use super::{Beneficiary, Claim, store};
use crate::access::Scope;
use crate::base::{Money, Result};
use crate::campaigns::{CampaignFacts, Policies, PolicyBook};
use crate::db::Conn;
use crate::identity::{Logged, Person};
use crate::journeys::Decision;
use crate::referrals::{Enrolment, Upline, uplines};

/// The moment at which a referee's activation pays, and its policy.
pub(super) struct Trigger<'a> {
    pub member_id: Uuid,
    pub event_id: Uuid,
    pub occurred_at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
    pub facts: &'a CampaignFacts,
    pub policies: &'a Policies,
}

/// The claims of a batch: for members that reached the threshold in it, or signed up in it after having reached it.
pub async fn activation_claims(
    conn: &mut Conn,
    scope: &Scope,
    book: &PolicyBook,
    batch: &[Logged],
    people: &[Person],
    enrolment: &Enrolment,
    decisions: &HashMap<Uuid, Decision>,
) -> Result<Vec<Claim>> {
    let reached = reached(conn, scope, book, batch, people, enrolment).await?;
    let mut triggers = triggers(book, batch, enrolment, &reached);
    let asked: Vec<Uuid> = triggers.keys().copied().collect();
    for answered in store::answered_activations(conn, scope, &asked).await? {
        triggers.remove(&answered);
    }
    let degrees = triggers.values().flat_map(|one| &one.policies.reward.tiers).map(|tier| i32::from(tier.degree)).max();
    let ids: Vec<Uuid> = triggers.keys().copied().collect();
    // Where no tier pays, a referee that somebody invited still has a side of its own.
    let above = lines_above(conn, scope, &ids, degrees.unwrap_or(0).max(1)).await?;
    let worths = worth::of_batch(conn, scope, batch, enrolment, &triggers).await?;
    // In the order of the log: what caps and a budget leave goes to who came first, wherever batches end.
    let places: HashMap<Uuid, usize> = batch.iter().enumerate().map(|(index, logged)| (logged.id, index)).collect();
    let mut in_order: Vec<&Trigger<'_>> = triggers.values().collect();
    in_order.sort_by_key(|trigger| (places.get(&trigger.event_id).copied(), trigger.member_id));
    let mut claims = Vec::new();
    for trigger in in_order {
        let own_creator = enrolment.seat(trigger.member_id).and_then(|seat| seat.creator_id);
        let line = beneficiaries(above.get(&trigger.member_id).map_or(&[], Vec::as_slice), own_creator);
        let decision = decisions.get(&trigger.member_id).copied().unwrap_or(Decision::Allow);
        let worth = worths.get(&trigger.member_id).copied().unwrap_or_default();
        claims.extend(claims_of(trigger, &line, decision, worth));
    }
    Ok(claims)
}

/// Who stands above these members now, the nearest first.
pub(super) async fn lines_above(
    conn: &mut Conn,
    scope: &Scope,
    ids: &[Uuid],
    degrees: i32,
) -> Result<HashMap<Uuid, Vec<Upline>>> {
    let mut above: HashMap<Uuid, Vec<Upline>> = HashMap::new();
    for row in uplines(conn, scope, ids, degrees).await? {
        above.entry(row.member_id).or_default().push(row);
    }
    Ok(above)
}

fn triggers<'a>(
    book: &'a PolicyBook,
    batch: &'a [Logged],
    enrolment: &Enrolment,
    reached: &[Reached],
) -> BTreeMap<Uuid, Trigger<'a>> {
    let mut triggers = BTreeMap::new();
    for Reached { index, member_id, count } in reached.iter().copied() {
        let Some(seat) = enrolment.seat(member_id).filter(|seat| seat.signed_up_at.is_some()) else { continue };
        let Some(campaign_id) = seat.campaign_id else { continue };
        let (Some(facts), Some(policies), Some(logged)) =
            (book.campaign(campaign_id), book.current(campaign_id), batch.get(index))
        else {
            continue;
        };
        if count >= policies.reward.activation_threshold {
            let (occurred_at, recorded_at) = (logged.event.occurred_at, logged.recorded_at);
            let trigger = Trigger { member_id, event_id: logged.id, occurred_at, recorded_at, facts, policies };
            triggers.entry(member_id).or_insert(trigger);
        }
    }
    triggers
}

/// Who earns at each degree, nearest first: the referrers, and beyond the root the creator whose tree it is.
pub(super) fn beneficiaries(above: &[Upline], own_creator: Option<Uuid>) -> Vec<Beneficiary> {
    let mut line: Vec<Beneficiary> = above.iter().map(|row| Beneficiary::Member(row.ancestor_id)).collect();
    let creator = match above.last() {
        Some(last) if last.is_root => last.creator_id,
        Some(_) => None,
        None => own_creator,
    };
    line.extend(creator.map(Beneficiary::Creator));
    line
}

pub(super) fn claims_of(trigger: &Trigger<'_>, line: &[Beneficiary], decision: Decision, worth: Worth) -> Vec<Claim> {
    let reward = &trigger.policies.reward;
    let claim = |beneficiary: Beneficiary, degree: i16, minor: i64, is_reached: bool| Claim {
        key: format!("activation:{}:{}:{degree}", trigger.member_id, beneficiary.id()),
        campaign_id: trigger.facts.id,
        policy_version: trigger.policies.version,
        kind: reward.kind,
        beneficiary,
        referee_id: Some(trigger.member_id),
        conversion_id: None,
        cause_event_id: Some(trigger.event_id),
        degree,
        value: Money::new(minor, trigger.facts.currency),
        triggered_at: trigger.occurred_at,
        recorded_at: trigger.recorded_at,
        escrow_days: reward.escrow_days,
        per_day_max: reward.per_member_per_day_max,
        in_campaign_max: reward.per_member_max,
        decision,
        is_running: trigger.facts.is_running(trigger.occurred_at),
        is_limited: trigger.facts.is_limited,
        is_reached,
        reason: None,
    };
    let tiers = reward.tiers.chunk_by(|one, other| one.degree == other.degree).filter_map(|of_degree| {
        let (tier, is_reached) = worth.choose(of_degree)?;
        let index = usize::try_from(tier.degree).ok()?.checked_sub(1)?;
        let minor = tier.amount_minor.filter(|minor| *minor > 0)?;
        Some(claim(*line.get(index)?, tier.degree, minor, is_reached))
    });
    let own = reward.referee_minor.filter(|minor| *minor > 0 && !line.is_empty());
    tiers.chain(own.map(|minor| claim(Beneficiary::Member(trigger.member_id), 0, minor, true))).collect()
}
