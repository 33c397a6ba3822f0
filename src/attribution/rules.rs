//! The models, exact. Pure: a policy, a moment, an amount and the person's touches, oldest first, give every touch its verdict.
//! Definitions follow the product's design: first touch, last touch, linear, and weighted last touch (the last takes
//! `last_touch_weight`, the prior ones share the rest equally; one touch takes all).

use chrono::{DateTime, TimeDelta, Utc};

use crate::base::split_by_weight;
use crate::campaigns::{AttributionModel, AttributionPolicy};
use crate::events::TouchKind;
use crate::journeys::{Decision, Touch};
use crate::text_enum;

/// What the weights of one conversion and model sum to.
pub const WEIGHT_UNITS: u64 = 1_000_000_000_000;

text_enum! {
    /// Why a touch was credited or not: the closed list of `explainConversion`.
    Reason {
        Credited = "CREDITED",
        AfterConversion = "AFTER_CONVERSION",
        OutsideWindow = "OUTSIDE_WINDOW",
        KindDoesNotCount = "KIND_DOES_NOT_COUNT",
        Direct = "DIRECT",
        NoCampaign = "NO_CAMPAIGN",
        NoConsent = "NO_CONSENT",
        Blocked = "BLOCKED",
        NotFirst = "NOT_FIRST",
        NotLast = "NOT_LAST",
    }
}

impl Reason {
    /// The rule in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Credited => "Credited: the touch counts and the model gives it a share.",
            Self::AfterConversion => "Not credited: it happened after the conversion.",
            Self::OutsideWindow => "Not credited: it is older than the lookback window.",
            Self::KindDoesNotCount => "Not credited: an activation is not a touch that anybody shared.",
            Self::Direct => "Not credited: nobody shared what was touched.",
            Self::NoCampaign => "Not credited: it belongs to no campaign.",
            Self::NoConsent => "Not credited: the person did not consent to attribution.",
            Self::Blocked => "Not credited: it was blocked as fraud.",
            Self::NotFirst => "Not credited: the model credits the first touch only.",
            Self::NotLast => "Not credited: the model credits the last touch only.",
        }
    }
}

/// The verdict on one touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Considered {
    pub reason: Reason,
    /// Parts of [`WEIGHT_UNITS`].
    pub weight_units: u64,
    pub amount_minor: i64,
}

/// Why a touch cannot be credited under any model; `None` if it can.
#[must_use]
pub fn doubt(policy: &AttributionPolicy, converted_at: DateTime<Utc>, touch: &Touch) -> Option<Reason> {
    let age = converted_at - touch.occurred_at;
    if age < TimeDelta::zero() {
        Some(Reason::AfterConversion)
    } else if age > TimeDelta::hours(i64::from(policy.lookback_hours)) {
        Some(Reason::OutsideWindow)
    } else if touch.kind == TouchKind::Activation {
        Some(Reason::KindDoesNotCount)
    } else if !touch.has_owner() {
        Some(Reason::Direct)
    } else if touch.campaign_id.is_none() {
        Some(Reason::NoCampaign)
    } else if !touch.has_consent {
        Some(Reason::NoConsent)
    } else if touch.decision == Decision::Block {
        Some(Reason::Blocked)
    } else {
        None
    }
}

/// The verdict on every touch, in the order given (oldest first). If any touch counts, weights sum to [`WEIGHT_UNITS`] and amounts to
/// `amount_minor`; equal remainders go to the later touch.
#[must_use]
pub fn attribute(
    policy: &AttributionPolicy,
    converted_at: DateTime<Utc>,
    amount_minor: i64,
    touches: &[Touch],
) -> Vec<Considered> {
    let doubts: Vec<Option<Reason>> = touches.iter().map(|touch| doubt(policy, converted_at, touch)).collect();
    let count = doubts.iter().filter(|doubt| doubt.is_none()).count();
    let weights = weights(policy, count);
    let amounts = split_by_weight(amount_minor, &weights);
    let mut shares = weights.into_iter().zip(amounts);
    doubts
        .into_iter()
        .map(|doubt| match doubt {
            Some(reason) => Considered { reason, weight_units: 0, amount_minor: 0 },
            None => {
                let (weight_units, amount_minor) = shares.next().unwrap_or((0, 0));
                let reason = if weight_units > 0 { Reason::Credited } else { without_share(policy.model) };
                Considered { reason, weight_units, amount_minor }
            }
        })
        .collect()
}

fn without_share(model: AttributionModel) -> Reason {
    if model == AttributionModel::FirstTouch { Reason::NotFirst } else { Reason::NotLast }
}

/// The weights of `count` touches that count, oldest first.
fn weights(policy: &AttributionPolicy, count: usize) -> Vec<u64> {
    let mut weights = vec![0; count];
    match policy.model {
        AttributionModel::FirstTouch => {
            if let Some(first) = weights.first_mut() {
                *first = WEIGHT_UNITS;
            }
        }
        AttributionModel::Linear => weights = equal_shares(WEIGHT_UNITS, count),
        AttributionModel::WeightedLastTouch if count > 1 => {
            let last = u64::try_from(policy.last_touch_weight_ppm).unwrap_or(0) * (WEIGHT_UNITS / 1_000_000);
            weights = equal_shares(WEIGHT_UNITS - last, count - 1);
            weights.push(last);
        }
        // The models that are not offered yet cannot be stored in a policy.
        _ => {
            if let Some(last) = weights.last_mut() {
                *last = WEIGHT_UNITS;
            }
        }
    }
    weights
}

fn equal_shares(units: u64, count: usize) -> Vec<u64> {
    let parts = split_by_weight(i64::try_from(units).unwrap_or(i64::MAX), &vec![1; count]);
    parts.into_iter().map(i64::unsigned_abs).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::campaigns::CampaignObjective;
    use crate::creators::Platform;
    use crate::events::AgentClass;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + hours * 3_600, 0).unwrap()
    }

    fn touch(hours: i64) -> Touch {
        Touch {
            id: Uuid::from_u128(u128::try_from(hours + 10_000).unwrap()),
            person_id: Uuid::nil(),
            kind: TouchKind::Click,
            occurred_at: at(hours),
            recorded_at: at(hours),
            creator_id: Some(Uuid::nil()),
            referrer_id: None,
            link_id: None,
            campaign_id: Some(Uuid::nil()),
            platform: Platform::Web,
            sub_id: None,
            channel: None,
            ad_clicks: crate::urls::AdClicks::new(),
            ip_hash: None,
            device_hash: None,
            agent_class: AgentClass::Browser,
            has_consent: true,
            decision: Decision::Allow,
        }
    }

    fn policy(model: AttributionModel) -> AttributionPolicy {
        AttributionPolicy { model, ..AttributionPolicy::for_objective(CampaignObjective::Conversion) }
    }

    fn check(model: AttributionModel, count: i64, amount: i64, expected: &[i64]) {
        let touches: Vec<Touch> = (0..count).map(|hours| touch(hours - count)).collect();
        let verdicts = attribute(&policy(model), at(0), amount, &touches);
        let amounts: Vec<i64> = verdicts.iter().map(|verdict| verdict.amount_minor).collect();
        assert_eq!(amounts, expected, "{model:?} over {count}");
    }

    #[test]
    fn each_model_divides_as_defined() {
        check(AttributionModel::FirstTouch, 3, 100, &[100, 0, 0]);
        check(AttributionModel::LastTouch, 3, 100, &[0, 0, 100]);
        check(AttributionModel::Linear, 3, 100, &[33, 33, 34]);
        check(AttributionModel::WeightedLastTouch, 1, 100, &[100]);
        check(AttributionModel::WeightedLastTouch, 2, 100, &[40, 60]);
        check(AttributionModel::WeightedLastTouch, 3, 100, &[20, 20, 60]);
        check(AttributionModel::Linear, 0, 100, &[]);
    }

    #[test]
    fn the_window_is_inclusive_at_both_ends() {
        let policy = policy(AttributionModel::Linear);
        let reason = |hours: i64| attribute(&policy, at(0), 100, &[touch(hours)])[0].reason;
        assert_eq!(reason(0), Reason::Credited);
        assert_eq!(reason(-7 * 24), Reason::Credited);
        assert_eq!(reason(-7 * 24 - 1), Reason::OutsideWindow);
        assert_eq!(reason(1), Reason::AfterConversion);
    }

    #[test]
    fn every_refused_touch_says_why() {
        let policy = policy(AttributionModel::Linear);
        let reason = |change: fn(&mut Touch)| {
            let mut one = touch(-1);
            change(&mut one);
            attribute(&policy, at(0), 100, &[one])[0].reason
        };
        assert_eq!(reason(|touch| touch.decision = Decision::Block), Reason::Blocked);
        assert_eq!(reason(|touch| touch.has_consent = false), Reason::NoConsent);
        assert_eq!(reason(|touch| touch.creator_id = None), Reason::Direct);
        assert_eq!(reason(|touch| touch.campaign_id = None), Reason::NoCampaign);
        assert_eq!(reason(|touch| touch.kind = TouchKind::Activation), Reason::KindDoesNotCount);
    }

    proptest::proptest! {
        #[test]
        fn credit_is_conserved(model in 0..4_usize, hours in proptest::collection::vec(-200..5_i64, 0..40), amount in 0..=i64::MAX) {
            let model = [AttributionModel::FirstTouch, AttributionModel::LastTouch, AttributionModel::Linear,
                         AttributionModel::WeightedLastTouch][model];
            let mut hours = hours;
            hours.sort_unstable();
            let touches: Vec<Touch> = hours.iter().map(|hours| touch(*hours)).collect();
            let verdicts = attribute(&policy(model), at(0), amount, &touches);
            let any = hours.iter().any(|hours| (-168..=0).contains(hours));
            let weights: u64 = verdicts.iter().map(|verdict| verdict.weight_units).sum();
            let amounts: i128 = verdicts.iter().map(|verdict| i128::from(verdict.amount_minor)).sum();
            proptest::prop_assert_eq!(weights, if any { WEIGHT_UNITS } else { 0 });
            proptest::prop_assert_eq!(amounts, if any { i128::from(amount) } else { 0 });
        }
    }
}
