//! Which touches count, and why the others do not. Pure: a policy, a conversion and the person's touches, oldest first, give every touch its
//! verdict. `weights.rs` divides the credit over those that count; definitions are in docs/attribution.md.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::weights::weights;
use crate::base::split_by_weight;
use crate::campaigns::{AttributionModel, AttributionPolicy};
use crate::events::{Hash16, TouchKind};
use crate::journeys::{Decision, Touch};
use crate::text_enum;

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
        EarlierJourney = "EARLIER_JOURNEY",
        OtherDevice = "OTHER_DEVICE",
        ConvertingEvent = "CONVERTING_EVENT",
        NotFirst = "NOT_FIRST",
        NotLast = "NOT_LAST",
        NoShare = "NO_SHARE",
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
            Self::KindDoesNotCount => "Not credited: activations and other sales are not touches that anybody shared.",
            Self::Direct => "Not credited: nobody shared what was touched.",
            Self::NoCampaign => "Not credited: it belongs to no campaign.",
            Self::NoConsent => "Not credited: the person did not consent to attribution.",
            Self::Blocked => "Not credited: it was blocked as fraud.",
            Self::EarlierJourney => "Not credited: it led to an earlier conversion, where the policy splits journeys.",
            Self::OtherDevice => {
                "Not credited: it was on another device than the conversion, where the policy keeps devices apart."
            }
            Self::ConvertingEvent => "Not credited: the policy does not count the conversion itself as a touch.",
            Self::NotFirst => "Not credited: the model credits the first touch only.",
            Self::NotLast => "Not credited: the model credits the last touch only.",
            Self::NoShare => "Not credited: the model leaves it no share.",
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

/// The conversion that touches are judged for.
#[derive(Clone, Copy, Debug)]
pub struct Journey {
    pub conversion_id: Uuid,
    pub converted_at: DateTime<Utc>,
    /// When the person converted before: needed only where the policy splits journeys there.
    pub previous_at: Option<DateTime<Utc>>,
    pub amount_minor: i64,
    /// On what the person converted: needed only where the policy keeps devices apart.
    pub device_hash: Option<Hash16>,
    pub anonymous_hash: Option<Hash16>,
}

/// Why a touch cannot be credited under any model; `None` if it can.
#[must_use]
pub fn doubt(policy: &AttributionPolicy, journey: &Journey, touch: &Touch) -> Option<Reason> {
    let age = journey.converted_at - touch.occurred_at;
    let is_of_earlier = journey.previous_at.is_some_and(|previous_at| touch.occurred_at <= previous_at);
    let is_own = touch.id == journey.conversion_id;
    if age < TimeDelta::zero() {
        Some(Reason::AfterConversion)
    } else if age > TimeDelta::hours(i64::from(policy.lookback_hours)) {
        Some(Reason::OutsideWindow)
    } else if policy.is_split_at_previous_conversion && is_of_earlier {
        Some(Reason::EarlierJourney)
    } else if !policy.is_cross_device && touch.is_elsewhere(journey.device_hash, journey.anonymous_hash) {
        Some(Reason::OtherDevice)
    } else if touch.kind == TouchKind::Activation || (touch.kind == TouchKind::Conversion && !is_own) {
        Some(Reason::KindDoesNotCount)
    } else if touch.kind == TouchKind::Conversion && !policy.has_converting_event {
        Some(Reason::ConvertingEvent)
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
/// the conversion's; equal remainders go to the later touch.
#[must_use]
pub fn attribute(policy: &AttributionPolicy, journey: &Journey, touches: &[Touch]) -> Vec<Considered> {
    attribute_with(policy, journey, touches, |_, ages| weights(policy, ages))
}

/// The same with another way to divide the credit: `divide` takes the touches that count and their ages, oldest first, and gives weights
/// that sum to [`WEIGHT_UNITS`].
///
/// [`WEIGHT_UNITS`]: super::weights::WEIGHT_UNITS
#[must_use]
pub fn attribute_with(
    policy: &AttributionPolicy,
    journey: &Journey,
    touches: &[Touch],
    divide: impl FnOnce(&[&Touch], &[TimeDelta]) -> Vec<u64>,
) -> Vec<Considered> {
    let doubts: Vec<Option<Reason>> = touches.iter().map(|touch| doubt(policy, journey, touch)).collect();
    let counted = touches.iter().zip(&doubts).filter(|(_, doubt)| doubt.is_none());
    let counted: Vec<&Touch> = counted.map(|(touch, _)| touch).collect();
    let ages: Vec<TimeDelta> = counted.iter().map(|touch| journey.converted_at - touch.occurred_at).collect();
    let weights = divide(&counted, &ages);
    let amounts = split_by_weight(journey.amount_minor, &weights);
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
    match model {
        AttributionModel::FirstTouch => Reason::NotFirst,
        AttributionModel::LastTouch => Reason::NotLast,
        _ => Reason::NoShare,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::attribution::WEIGHT_UNITS;
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
            anonymous_hash: None,
            agent_class: AgentClass::Browser,
            has_consent: true,
            decision: Decision::Allow,
        }
    }

    fn policy(model: AttributionModel) -> AttributionPolicy {
        AttributionPolicy { model, ..AttributionPolicy::for_objective(CampaignObjective::Conversion) }
    }

    fn journey(amount_minor: i64) -> Journey {
        Journey {
            conversion_id: Uuid::from_u128(7),
            converted_at: at(0),
            previous_at: None,
            amount_minor,
            device_hash: None,
            anonymous_hash: None,
        }
    }

    fn check(model: AttributionModel, count: i64, amount: i64, expected: &[i64]) {
        let touches: Vec<Touch> = (0..count).map(|hours| touch(hours - count)).collect();
        let verdicts = attribute(&policy(model), &journey(amount), &touches);
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
        check(AttributionModel::PositionBased, 1, 100, &[100]);
        check(AttributionModel::PositionBased, 2, 101, &[50, 51]);
        check(AttributionModel::PositionBased, 4, 101, &[40, 10, 10, 41]);
        check(AttributionModel::TimeDecay, 2, 1_000_000, &[498_969, 501_031]);
    }

    #[test]
    fn the_window_is_inclusive_at_both_ends() {
        let policy = policy(AttributionModel::Linear);
        let reason = |hours: i64| attribute(&policy, &journey(100), &[touch(hours)])[0].reason;
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
            attribute(&policy, &journey(100), &[one])[0].reason
        };
        assert_eq!(reason(|touch| touch.decision = Decision::Block), Reason::Blocked);
        assert_eq!(reason(|touch| touch.has_consent = false), Reason::NoConsent);
        assert_eq!(reason(|touch| touch.creator_id = None), Reason::Direct);
        assert_eq!(reason(|touch| touch.campaign_id = None), Reason::NoCampaign);
        assert_eq!(reason(|touch| touch.kind = TouchKind::Activation), Reason::KindDoesNotCount);
        assert_eq!(reason(|touch| touch.kind = TouchKind::Conversion), Reason::KindDoesNotCount);
    }

    #[test]
    fn the_converting_event_is_a_touch_where_the_policy_says_so() {
        let mut own = touch(0);
        (own.id, own.kind) = (journey(100).conversion_id, TouchKind::Conversion);
        let touches = [touch(-5), own];
        let mut policy = policy(AttributionModel::LastTouch);
        let reasons = |policy: &AttributionPolicy| {
            attribute(policy, &journey(100), &touches).into_iter().map(|one| one.reason).collect::<Vec<_>>()
        };
        assert_eq!(reasons(&policy), [Reason::Credited, Reason::ConvertingEvent]);
        policy.has_converting_event = true;
        assert_eq!(reasons(&policy), [Reason::NotLast, Reason::Credited]);
    }

    #[test]
    fn a_journey_begins_after_the_conversion_before_where_the_policy_splits() {
        let touches = [touch(-9), touch(-5), touch(-1)];
        let journey = Journey { previous_at: Some(at(-5)), ..journey(100) };
        let mut policy = policy(AttributionModel::Linear);
        let reasons = |policy: &AttributionPolicy| {
            attribute(policy, &journey, &touches).into_iter().map(|one| one.reason).collect::<Vec<_>>()
        };
        assert_eq!(reasons(&policy), [Reason::Credited; 3]);
        policy.is_split_at_previous_conversion = true;
        assert_eq!(reasons(&policy), [Reason::EarlierJourney, Reason::EarlierJourney, Reason::Credited]);
    }

    #[test]
    fn a_touch_on_another_device_counts_unless_the_policy_keeps_devices_apart() {
        let on = |device: Option<u8>, browser: Option<u8>| {
            let hash = |value: Option<u8>| value.map(|value| Hash16([value; 16]));
            Touch { device_hash: hash(device), anonymous_hash: hash(browser), ..touch(-1) }
        };
        let bought_on = on(Some(1), Some(2));
        let (device_hash, anonymous_hash) = (bought_on.device_hash, bought_on.anonymous_hash);
        let journey = Journey { device_hash, anonymous_hash, ..journey(100) };
        let mut policy = policy(AttributionModel::Linear);
        let reason = |policy: &AttributionPolicy, journey: &Journey, touch: Touch| {
            attribute(policy, journey, &[touch])[0].reason
        };
        assert_eq!(reason(&policy, &journey, on(Some(9), Some(9))), Reason::Credited);
        policy.is_cross_device = false;
        assert_eq!(reason(&policy, &journey, on(Some(9), Some(2))), Reason::OtherDevice, "the device decides");
        assert_eq!(reason(&policy, &journey, on(Some(1), Some(9))), Reason::Credited, "another browser of one device");
        assert_eq!(
            reason(&policy, &journey, on(None, Some(9))),
            Reason::OtherDevice,
            "browsers, where one names no device"
        );
        assert_eq!(reason(&policy, &journey, on(None, Some(2))), Reason::Credited);
        assert_eq!(reason(&policy, &journey, on(None, None)), Reason::Credited, "nothing tells them apart");
        let untold = Journey { device_hash: None, anonymous_hash: None, ..journey };
        assert_eq!(reason(&policy, &untold, on(Some(9), Some(9))), Reason::Credited);
    }

    #[test]
    fn a_touch_without_a_share_says_so() {
        let reasons = |policy: &AttributionPolicy, hours: &[i64]| {
            let touches: Vec<Touch> = hours.iter().map(|hours| touch(*hours)).collect();
            attribute(policy, &journey(100), &touches).into_iter().map(|one| one.reason).collect::<Vec<_>>()
        };
        let weighted = AttributionPolicy { last_touch_weight_ppm: 0, ..policy(AttributionModel::WeightedLastTouch) };
        assert_eq!(reasons(&weighted, &[-2, -1]), [Reason::Credited, Reason::NoShare]);
        let decaying = AttributionPolicy { half_life_hours: 1, ..policy(AttributionModel::TimeDecay) };
        assert_eq!(reasons(&decaying, &[-50, -1]), [Reason::NoShare, Reason::Credited]);
    }

    proptest::proptest! {
        #[test]
        fn credit_is_conserved(model in 0..AttributionModel::ALL.len(), hours in proptest::collection::vec(-200..5_i64, 0..40),
                               amount in 0..=i64::MAX, previous in -200..0_i64, is_split in proptest::bool::ANY) {
            let policy = AttributionPolicy { is_split_at_previous_conversion: is_split, ..policy(AttributionModel::ALL[model]) };
            let journey = Journey { previous_at: Some(at(previous)), ..journey(amount) };
            let mut hours = hours;
            hours.sort_unstable();
            let touches: Vec<Touch> = hours.iter().map(|hours| touch(*hours)).collect();
            let verdicts = attribute(&policy, &journey, &touches);
            let any = hours.iter().any(|hours| (-168..=0).contains(hours) && (!is_split || *hours > previous));
            let weights: u64 = verdicts.iter().map(|verdict| verdict.weight_units).sum();
            let amounts: i128 = verdicts.iter().map(|verdict| i128::from(verdict.amount_minor)).sum();
            proptest::prop_assert_eq!(weights, if any { WEIGHT_UNITS } else { 0 });
            proptest::prop_assert_eq!(amounts, if any { i128::from(amount) } else { 0 });
        }
    }
}
