//! Shares of conversions. What is owed for a conversion follows from its credits, its refunds and its policy; what stands is compared
//! with that, and only the difference moves: a late touch or a refund takes back from one and gives to another. Who stood above the owner of
//! a touch is kept with the first settlement: a move changes nothing of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::lines::{Line, Through, settled_lines};
use super::rules::{net_of_refund, share};
use super::settle::{Reversal, take_back};
use super::{Beneficiary, Claim, RewardReason, RewardState, Standing, grant, store};
use crate::access::Scope;
use crate::attribution::{Attributed, Credit};
use crate::base::{Money, Result};
use crate::campaigns::{CampaignFacts, Policies, PolicyBook, RewardKind, RewardPolicy};
use crate::db::Conn;
use crate::journeys::{Conversion, Decision};
use crate::ledger;

/// Brings the shares of these conversions to what they should be. Returns the rewards that are new or changed. The escrow of those for
/// conversions that are new themselves (`new_ids`) counts from when these were recorded, that of the others from now: who is credited with a
/// sale of long ago waits as long as everybody.
pub async fn settle_commissions(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    book: &PolicyBook,
    attributed: &[Attributed],
    new_ids: &HashSet<Uuid>,
    decisions: &HashMap<Uuid, Decision>,
) -> Result<Vec<Uuid>> {
    if attributed.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = attributed.iter().map(|one| one.conversion.id).collect();
    ledger::hold(conn, scope).await?;
    let mut standing: HashMap<Uuid, Vec<Standing>> = HashMap::new();
    for reward in store::rewards_of_conversions(conn, scope, &ids).await? {
        standing.entry(reward.conversion_id.unwrap_or_default()).or_default().push(reward);
    }
    let lines = settled_lines(conn, scope, attributed, |one| policies_of(book, one)).await?;
    let mut claims = Vec::new();
    let mut reversals = Vec::new();
    for one in attributed {
        let stands = standing.remove(&one.conversion.id).unwrap_or_default();
        let wanted = policies_of(book, one).map(|policies| {
            let parts: Vec<Part> = one.credits.iter().map(Part::of).collect();
            wanted(&policies.reward, &one.conversion, &parts, &lines)
        });
        let wanted = wanted.unwrap_or_default();
        let (more, less) = difference(book, one, &wanted, &stands, decisions);
        let had_at = if new_ids.contains(&one.conversion.id) { one.conversion.recorded_at } else { now };
        claims.extend(more.into_iter().map(|claim| Claim { recorded_at: had_at, ..claim }));
        reversals.extend(less);
    }
    let mut changed = take_back(conn, scope, now, &reversals).await?;
    changed.extend(grant(conn, scope, now, claims).await?);
    Ok(changed)
}

/// What each should have for a conversion, by beneficiary and degree, in minor units.
pub(super) type Wanted = BTreeMap<(Beneficiary, i16), i64>;

/// What a touch is credited with of a conversion, and whose touch it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub conversion_id: Uuid,
    pub creator_id: Option<Uuid>,
    pub referrer_id: Option<Uuid>,
    pub amount_minor: i64,
}

impl Part {
    fn of(credit: &Credit) -> Self {
        Self {
            conversion_id: credit.conversion_id,
            creator_id: credit.touch.creator_id,
            referrer_id: credit.touch.referrer_id,
            amount_minor: credit.amount_minor,
        }
    }
}

fn policies_of<'a>(book: &'a PolicyBook, one: &Attributed) -> Option<&'a Policies> {
    book.version(one.conversion.campaign_id?, one.conversion.policy_version?)
}

/// Who should have what for a conversion. The buyer earns nothing by his own purchase.
pub(super) fn wanted(
    policy: &RewardPolicy,
    conversion: &Conversion,
    parts: &[Part],
    lines: &HashMap<Through, Line>,
) -> Wanted {
    let mut wanted = Wanted::new();
    let buyer = conversion.member_id.map(Beneficiary::Member);
    let mut sums: BTreeMap<(Beneficiary, i16), i64> = BTreeMap::new();
    for part in parts {
        for (beneficiary, degree) in earners(part, lines) {
            *sums.entry((beneficiary, degree)).or_default() += part.amount_minor;
        }
    }
    for ((beneficiary, degree), sum) in sums {
        let share_ppm = policy.tiers.iter().filter(|tier| tier.degree == degree).find_map(|tier| tier.share_ppm);
        let Some(share_ppm) = share_ppm.filter(|_| Some(beneficiary) != buyer) else { continue };
        let net = net_of_refund(sum, conversion.value.minor, conversion.refunded_minor);
        let minor = share(net, share_ppm);
        if minor > 0 {
            wanted.insert((beneficiary, degree), minor);
        }
    }
    wanted
}

/// The owner of a touch at degree 1, and above a member its up-line, with the creator of the tree at the end.
fn earners(part: &Part, lines: &HashMap<Through, Line>) -> Vec<(Beneficiary, i16)> {
    let Some(member_id) = part.referrer_id else {
        return part.creator_id.map(|id| (Beneficiary::Creator(id), 1)).into_iter().collect();
    };
    let above = lines.get(&(part.conversion_id, member_id)).into_iter().flat_map(Line::earners);
    std::iter::once(Beneficiary::Member(member_id)).chain(above).zip(1_i16..).collect()
}

fn difference(
    book: &PolicyBook,
    one: &Attributed,
    wanted: &Wanted,
    stands: &[Standing],
    decisions: &HashMap<Uuid, Decision>,
) -> (Vec<Claim>, Vec<Reversal>) {
    let mut by_earner: BTreeMap<(Beneficiary, i16), Vec<&Standing>> = BTreeMap::new();
    for reward in stands {
        by_earner.entry((reward.beneficiary, reward.degree)).or_default().push(reward);
    }
    let is_own = |reward: &&&Standing| Some(reward.campaign_id) == one.conversion.campaign_id;
    let mut reversals = Vec::new();
    for (earner, rewards) in &by_earner {
        // A campaign that judged it before gets back what it gave: its budget and its policy are not this one's.
        for reward in rewards.iter().filter(|reward| !is_own(reward) && reward.left_minor() > 0) {
            let (amount_minor, reason) = (reward.left_minor(), RewardReason::Reattributed);
            reversals.push(Reversal { reward: (*reward).clone(), amount_minor, reason });
        }
        let target = wanted.get(earner).copied().unwrap_or(0);
        let reason = if wanted.contains_key(earner) || one.credits.is_empty() || one.conversion.refunded_minor > 0 {
            RewardReason::Refunded
        } else {
            RewardReason::Reattributed
        };
        let own = || rewards.iter().filter(is_own);
        let mut surplus = own().map(|reward| reward.left_minor()).sum::<i64>() - target;
        // The latest reward gives back first.
        for reward in own().rev() {
            let amount = surplus.min(reward.left_minor());
            if amount > 0 {
                reversals.push(Reversal { reward: (*reward).clone(), amount_minor: amount, reason });
                surplus -= amount;
            }
        }
    }
    let claims = wanted.iter().filter_map(|(earner, target)| {
        let rewards = by_earner.get(earner).map_or(&[][..], Vec::as_slice);
        // A denial and a person's reversal are answers: it is not asked again for the same amount. What a person took back is answered
        // for whichever campaign judges now.
        let is_final = |reward: &Standing| reward.is_taken_back || reward.state == RewardState::Rejected;
        let asked = rewards.iter().filter(|reward| is_own(reward) || reward.is_taken_back);
        let answers = asked.map(|reward| if is_final(reward) { reward.value.minor } else { reward.left_minor() });
        let answered = answers.fold(0, i64::saturating_add);
        let missing = target - answered;
        let terms = (book.campaign(one.conversion.campaign_id?)?, policies_of(book, one)?);
        let decision = one.conversion.member_id.and_then(|id| decisions.get(&id)).copied().unwrap_or(Decision::Allow);
        (missing > 0).then(|| claim(terms, &one.conversion, *earner, missing, rewards.len(), decision))
    });
    (claims.collect(), reversals)
}

/// The claim of a beneficiary at a degree to an amount, the `ordinal`-th for this conversion.
pub(super) fn claim(
    (facts, policies): (&CampaignFacts, &Policies),
    conversion: &Conversion,
    (beneficiary, degree): (Beneficiary, i16),
    minor: i64,
    ordinal: usize,
    decision: Decision,
) -> Claim {
    Claim {
        key: format!("conversion:{}:{}:{degree}:{ordinal}", conversion.id, beneficiary.id()),
        campaign_id: facts.id,
        policy_version: policies.version,
        kind: RewardKind::Commission,
        beneficiary,
        referee_id: conversion.member_id,
        conversion_id: Some(conversion.id),
        cause_event_id: Some(conversion.id),
        degree,
        value: Money::new(minor, conversion.value.currency),
        triggered_at: conversion.occurred_at,
        recorded_at: conversion.recorded_at,
        escrow_days: policies.reward.escrow_days,
        per_day_max: None,
        in_campaign_max: None,
        decision,
        is_running: facts.is_running(conversion.occurred_at),
        is_limited: facts.is_limited,
        is_reached: true,
        reason: None,
    }
}
