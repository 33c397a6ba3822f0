//! What a referee was worth when its activation paid: what it had bought, and what the members who joined in its week had bought on average.
//! Both as of the place of the activation in the log. Who somebody is, is known for a whole batch: a merge behind the activation brings its
//! sales along. Refunds take nothing off: what comes back later is not known there.

mod store;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::trigger::Trigger;
use crate::access::Scope;
use crate::base::{Currency, Error, Result};
use crate::campaigns::{RewardPolicy, RewardTier};
use crate::db::Conn;
use crate::identity::Logged;
use crate::referrals::Enrolment;

/// What tiers ask for, in minor units of the campaign's currency; conversions in another one count nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Worth {
    /// The referee's conversions.
    pub activation_minor: i64,
    /// The conversions of the campaign's members who signed up in the same week (UTC, from Monday), per member, rounded down.
    pub cohort_minor: i64,
}

impl Worth {
    fn meets(self, tier: &RewardTier) -> bool {
        tier.activation_value_min_minor.is_none_or(|least| self.activation_minor >= least)
            && tier.cohort_value_min_minor.is_none_or(|least| self.cohort_minor >= least)
    }

    /// The tier of one degree that pays an amount: the last that is met, as they are in the order of what they ask for. Where none is, the
    /// first, and that it was not reached. Tiers of a share alone have no say at an activation.
    pub(super) fn choose(self, tiers: &[RewardTier]) -> Option<(&RewardTier, bool)> {
        let pays = |tier: &&RewardTier| tier.amount_minor.is_some_and(|minor| minor > 0);
        let met = tiers.iter().rev().filter(pays).find(|tier| self.meets(tier)).map(|tier| (tier, true));
        met.or_else(|| tiers.iter().find(pays).map(|tier| (tier, false)))
    }
}

/// Whose worth is asked for, and which parts of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<P> {
    pub member_id: Uuid,
    pub campaign_id: Uuid,
    pub currency: Currency,
    pub place: P,
}

/// The place of an activation as far as what is stored tells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub recorded_at: DateTime<Utc>,
    pub occurred_at: DateTime<Utc>,
    pub event_id: Uuid,
}

fn asks_activation(policy: &RewardPolicy) -> bool {
    policy.tiers.iter().any(|tier| tier.activation_value_min_minor.is_some())
}

fn asks_cohort(policy: &RewardPolicy) -> bool {
    policy.tiers.iter().any(|tier| tier.cohort_value_min_minor.is_some())
}

/// The worth of the referees of a batch whose policies ask for it: what comes behind a trigger in the batch is not there yet.
pub(super) async fn of_batch(
    conn: &mut Conn,
    scope: &Scope,
    batch: &[Logged],
    enrolment: &Enrolment,
    triggers: &BTreeMap<Uuid, Trigger<'_>>,
) -> Result<HashMap<Uuid, Worth>> {
    let asks = |policy: &RewardPolicy| asks_activation(policy) || asks_cohort(policy);
    if !triggers.values().any(|trigger| asks(&trigger.policies.reward)) {
        return Ok(HashMap::new());
    }
    let mut places: BTreeMap<Uuid, i32> = BTreeMap::new();
    for (index, logged) in batch.iter().enumerate() {
        places.insert(logged.id, place(index)?);
    }
    for one in enrolment.joined.iter().filter(|one| !one.is_late) {
        places.insert(one.member_id, place(one.index)?);
    }
    let asked = |asks: fn(&RewardPolicy) -> bool| -> Vec<Asked<i32>> {
        let asking = triggers.values().filter(|trigger| asks(&trigger.policies.reward));
        asking
            .map(|trigger| Asked {
                member_id: trigger.member_id,
                campaign_id: trigger.facts.id,
                currency: trigger.facts.currency,
                place: places.get(&trigger.event_id).copied().unwrap_or(i32::MAX),
            })
            .collect()
    };
    let (of_referees, of_cohorts) = (asked(asks_activation), asked(asks_cohort));
    let bought = store::bought_in_batch(conn, scope, &of_referees, &places).await?;
    let averages = store::averages_in_batch(conn, scope, &of_cohorts, &places).await?;
    Ok(together(bought, averages))
}

fn place(index: usize) -> Result<i32> {
    i32::try_from(index).map_err(|error| Error::fault("counting the events of a batch", error))
}

/// The worth of these referees, as it was at moments of the past, as far as the policy asks for it.
pub(super) async fn of_past(
    conn: &mut Conn,
    scope: &Scope,
    policy: &RewardPolicy,
    asked: &[Asked<Moment>],
) -> Result<HashMap<Uuid, Worth>> {
    let (none, all) = (&[][..], asked);
    let bought = store::bought_until(conn, scope, if asks_activation(policy) { all } else { none }).await?;
    let averages = store::averages_until(conn, scope, if asks_cohort(policy) { all } else { none }).await?;
    Ok(together(bought, averages))
}

fn together(bought: Vec<(Uuid, i64)>, averages: Vec<(Uuid, i64)>) -> HashMap<Uuid, Worth> {
    let mut worths: HashMap<Uuid, Worth> = HashMap::new();
    for (member_id, minor) in bought {
        worths.entry(member_id).or_default().activation_minor = minor;
    }
    for (member_id, minor) in averages {
        worths.entry(member_id).or_default().cohort_minor = minor;
    }
    worths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(amount: i64, activation: Option<i64>, cohort: Option<i64>) -> RewardTier {
        RewardTier {
            degree: 1,
            amount_minor: Some(amount),
            share_ppm: None,
            activation_value_min_minor: activation,
            cohort_value_min_minor: cohort,
        }
    }

    /// The amount of the tier that is chosen, and whether it was reached.
    fn check(tiers: &[RewardTier], worth: (i64, i64), expected: Option<(i64, bool)>) {
        let worth = Worth { activation_minor: worth.0, cohort_minor: worth.1 };
        let chosen = worth.choose(tiers).map(|(tier, is_reached)| (tier.amount_minor.unwrap(), is_reached));
        assert_eq!(chosen, expected, "{worth:?} of {tiers:?}");
    }

    #[test]
    fn the_tier_that_asks_for_most_of_those_that_are_met_pays() {
        let tiers = [tier(1, None, None), tier(5, Some(100), None), tier(9, Some(100), Some(50))];
        check(&tiers, (0, 0), Some((1, true)));
        check(&tiers, (99, 1_000), Some((1, true)));
        check(&tiers, (100, 49), Some((5, true)));
        check(&tiers, (100, 50), Some((9, true)));
        check(&tiers[1..], (99, 50), Some((5, false)));
        check(&[], (0, 0), None);
    }
}
