//! The three policies of a campaign in the API, shown and drafted.

use async_graphql::{Enum, InputObject, MaybeUndefined, SimpleObject};

use super::campaign_changes::to_change;
use super::scalars::{Money, MoneyInput, from_ppm, to_ppm_32};
use super::{AttributionModel, DataDrivenMethod, PathTransform, RewardKind};
use crate::base::limits::{REWARD_TIERS_MAX, UPLINE_DEGREES_MAX};
use crate::base::{self, Currency, Error, Result};
use crate::campaigns::{
    self, ActivationDraft, AttributionDraft, ConditionDraft, FraudDraft, PoliciesDraft, RewardDraft, TierDraft,
};
use crate::fraud::SignalName;

/// How conversions are attributed.
#[derive(SimpleObject, Clone, Debug)]
pub struct AttributionPolicy {
    /// The version: a change makes the next.
    pub version: i32,
    /// How credit is divided over the touches.
    pub model: AttributionModel,
    /// A touch counts if it is not older than this at the conversion.
    pub lookback_hours: i32,
    /// The share of the last touch under WEIGHTED_LAST_TOUCH, from 0 to 1; null under the other models.
    pub last_touch_weight: Option<f64>,
    /// The age at which a touch counts half as much under TIME_DECAY; null under the other models.
    pub half_life_hours: Option<i32>,
    /// Whether a touch counts for a conversion on another device: by the device where both name one, else by the browser or installation.
    pub cross_device: bool,
    /// Whether a touch counts only for the person's first conversion after it.
    pub split_at_previous_conversion: bool,
    /// Whether a conversion that names a creator or a link is a touch itself.
    pub count_converting_event: bool,
    /// How paths say what a channel is worth under DATA_DRIVEN; null under the other models.
    pub data_driven_method: Option<DataDrivenMethod>,
    /// What is done to paths before they are compared under DATA_DRIVEN; null under the other models.
    pub path_transform: Option<PathTransform>,
    /// New conversions of the brand after which what channels are worth is computed anew, at least, under DATA_DRIVEN; null under the other
    /// models.
    pub model_conversions_min: Option<i32>,
    /// What the members above the buyer are credited with, from 0 to 1, the nearest first; empty: nothing.
    pub upline: Vec<f64>,
}

impl AttributionPolicy {
    /// The policy of a version.
    #[must_use]
    pub fn new(version: i32, policy: &campaigns::AttributionPolicy) -> Self {
        let model = AttributionModel::from(policy.model);
        let is_weighted = model == AttributionModel::WeightedLastTouch;
        let data_driven = Some(policy.data_driven).filter(|_| model == AttributionModel::DataDriven);
        Self {
            version,
            model,
            lookback_hours: policy.lookback_hours,
            last_touch_weight: is_weighted.then(|| from_ppm(policy.last_touch_weight_ppm)),
            half_life_hours: (model == AttributionModel::TimeDecay).then_some(policy.half_life_hours),
            cross_device: policy.is_cross_device,
            split_at_previous_conversion: policy.is_split_at_previous_conversion,
            count_converting_event: policy.has_converting_event,
            data_driven_method: data_driven.map(|one| one.method.into()),
            path_transform: data_driven.map(|one| one.transform.into()),
            model_conversions_min: data_driven.map(|one| one.conversions_min),
            upline: policy.upline_ppm.iter().copied().map(from_ppm).collect(),
        }
    }
}

/// What is owed for a referral or a sale.
#[derive(SimpleObject, Clone, Debug)]
pub struct RewardPolicy {
    /// The version: a change makes the next.
    pub version: i32,
    /// What a reward is.
    pub kind: RewardKind,
    /// The activation of a referee that pays: 1 is the first.
    pub activation_threshold: i32,
    /// Which events count as activations; null: those that senders call so.
    pub activation: Option<ActivationRule>,
    /// What each degree earns, the nearest first. Empty: nothing.
    pub tiers: Vec<RewardTier>,
    /// What the referee gets at the same activation.
    pub referee_reward: Option<Money>,
    /// Rewards for activations that one member can earn in one UTC day; null is no cap.
    pub max_per_member_per_day: Option<i32>,
    /// Rewards for activations that one member can earn from the campaign in all; null is no cap.
    pub max_per_member: Option<i32>,
    /// The least that a payout must send, in all, for it to pay rewards of this campaign; null is no minimum.
    pub minimum_payout: Option<Money>,
    /// Days between the reward and its release; 0 releases at once.
    pub escrow_days: i32,
}

/// What one degree of the up-line earns.
#[derive(SimpleObject, Clone, Debug)]
pub struct RewardTier {
    /// 1 is the direct referrer, 2 theirs, and so on.
    pub degree: i32,
    /// The amount at the activation; zero where only a share is owed.
    pub amount: Money,
    /// The share of each conversion's value, from 0 to 1.
    pub share_of_conversion: Option<f64>,
    /// The least that the referee must have bought by its activation; null is anything.
    pub minimum_activation_value: Option<Money>,
    /// The least that the campaign's members who signed up in the referee's week must have bought by then, on average; null is anything.
    pub minimum_cohort_value: Option<Money>,
}

impl RewardPolicy {
    /// The policy of a version, in the campaign's currency.
    #[must_use]
    pub fn new(version: i32, policy: &campaigns::RewardPolicy, currency: Currency) -> Self {
        let money = |minor: i64| Money::from(base::Money::new(minor, currency));
        let tiers = policy.tiers.iter().map(|tier| RewardTier {
            degree: i32::from(tier.degree),
            amount: money(tier.amount_minor.unwrap_or(0)),
            share_of_conversion: tier.share_ppm.map(from_ppm),
            minimum_activation_value: tier.activation_value_min_minor.map(money),
            minimum_cohort_value: tier.cohort_value_min_minor.map(money),
        });
        Self {
            version,
            kind: policy.kind.into(),
            activation_threshold: policy.activation_threshold,
            activation: policy.activation.as_ref().map(ActivationRule::new),
            tiers: tiers.collect(),
            referee_reward: policy.referee_minor.map(money),
            max_per_member_per_day: policy.per_member_per_day_max,
            max_per_member: policy.per_member_max,
            minimum_payout: policy.payout_minimum_minor.map(money),
            escrow_days: policy.escrow_days,
        }
    }
}

/// Which events of a referee count as activations.
#[derive(SimpleObject, Clone, Debug)]
pub struct ActivationRule {
    /// The names under which they are sent: any of them.
    pub event_names: Vec<String>,
    /// What they must say: all of it.
    #[graphql(name = "where")]
    pub conditions: Vec<PropertyCondition>,
}

/// What a property of an event must be.
#[derive(SimpleObject, Clone, Debug)]
pub struct PropertyCondition {
    /// The property's name: one of the event's `properties`, or of a conversion `conversion_value` or `currency`.
    pub property: String,
    /// How it is compared.
    pub operator: PropertyOperator,
    /// What with; null where nothing is compared.
    pub value: Option<String>,
}

impl ActivationRule {
    fn new(rule: &campaigns::ActivationRule) -> Self {
        let condition = |condition: &campaigns::PropertyCondition| PropertyCondition {
            property: condition.property.clone(),
            operator: condition.operator.into(),
            value: condition.value.clone(),
        };
        Self {
            event_names: rule.event_names.iter().map(|name| name.as_str().to_owned()).collect(),
            conditions: rule.conditions.iter().map(condition).collect(),
        }
    }
}

/// How a property is compared. Of one that is not there, ABSENT alone holds.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "campaigns::PropertyOperator")]
pub enum PropertyOperator {
    /// The same number, where both are numbers, or the same text.
    Equals,
    /// There, and not the same.
    NotEquals,
    /// A number that is not less.
    AtLeast,
    /// A number that is not more.
    AtMost,
    /// There, whatever it is.
    Exists,
    /// Not there.
    Absent,
}

/// What counts as fraud.
#[derive(SimpleObject, Clone, Debug)]
pub struct FraudPolicy {
    /// The version: a change makes the next.
    pub version: i32,
    /// Touches per creator or referrer and address in a sliding hour before VELOCITY speaks.
    pub velocity_per_hour: i32,
    /// Sign-ups per referrer in the window before REFERRAL_VELOCITY speaks.
    pub referrals_per_window: i32,
    /// The length of the window.
    pub window_hours: i32,
    /// Distinct people on one address in the window before SHARED_ADDRESS speaks.
    pub ip_correlation_limit: i32,
    /// The score, from 0 to 1, from which on something is blocked.
    pub block_score: f64,
    /// The score, from 0 to 1, from which on people review.
    pub review_score: f64,
    /// Changes to single signals.
    pub signals: Vec<SignalPolicy>,
}

/// A change to one named signal.
#[derive(SimpleObject, Clone, Debug)]
pub struct SignalPolicy {
    /// The signal, for example VELOCITY.
    pub name: String,
    /// What it adds to the score, from 0 to 1.
    pub weight: f64,
    /// Whether it counts.
    pub mode: SignalMode,
}

impl FraudPolicy {
    /// The policy of a version.
    #[must_use]
    pub fn new(version: i32, policy: &campaigns::FraudPolicy) -> Self {
        let signals = policy.signals.iter().map(|signal| SignalPolicy {
            name: signal.name.clone(),
            weight: from_ppm(signal.weight_ppm),
            mode: signal.mode.into(),
        });
        Self {
            version,
            velocity_per_hour: policy.velocity_per_hour,
            referrals_per_window: policy.referrals_per_window,
            window_hours: policy.window_hours,
            ip_correlation_limit: policy.ip_correlation_limit,
            block_score: from_ppm(policy.block_score_ppm),
            review_score: from_ppm(policy.review_score_ppm),
            signals: signals.collect(),
        }
    }
}

/// Whether a fraud signal counts.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "campaigns::SignalMode")]
pub enum SignalMode {
    /// It counts.
    On,
    /// It is recorded and does not count.
    Shadow,
    /// It is not computed.
    Off,
}

/// How conversions are attributed; what is left out stays, or is the default of the objective.
#[derive(InputObject, Clone, Debug)]
pub struct AttributionPolicyInput {
    /// How credit is divided over the touches; the default is LAST_TOUCH.
    model: Option<AttributionModel>,
    /// A touch counts if it is not older than this at the conversion: 1 to 8760.
    lookback_hours: Option<i32>,
    /// The share of the last touch under WEIGHTED_LAST_TOUCH, from 0 to 1; the default is 0.6.
    last_touch_weight: Option<f64>,
    /// The age at which a touch counts half as much under TIME_DECAY: 1 to 8760; the default is 168.
    half_life_hours: Option<i32>,
    /// Whether a touch counts for a conversion on another device; the default is true. Devices are told apart by `deviceId` where both
    /// name one, else by `anonymousId`; what names neither counts.
    cross_device: Option<bool>,
    /// Whether a touch counts only for the person's first conversion after it; the default is false: it counts for every conversion that
    /// is within the window.
    split_at_previous_conversion: Option<bool>,
    /// Whether a conversion that names a creator or a link is a touch itself, at the moment of the conversion; the default is false.
    count_converting_event: Option<bool>,
    /// How paths say what a channel is worth under DATA_DRIVEN; the default is MARKOV.
    data_driven_method: Option<DataDrivenMethod>,
    /// What is done to paths before they are compared under DATA_DRIVEN; the default is AS_IS.
    path_transform: Option<PathTransform>,
    /// New conversions of the brand after which what channels are worth is computed anew, at least, under DATA_DRIVEN: 1 to 1000000; the default
    /// is 100. It is also at least a tenth of the conversions that were read for the version before.
    model_conversions_min: Option<i32>,
    /// What the members above the buyer are credited with in reports, apart from touches: at most 3 shares from 0 to 1, the nearest first,
    /// which make at most 1 together. The default is none.
    upline: Option<Vec<f64>>,
}

/// What is owed; what is left out stays, or is the default: nothing is owed.
#[derive(InputObject, Clone, Debug)]
pub struct RewardPolicyInput {
    /// What a reward is; the default is CREDIT.
    kind: Option<RewardKind>,
    /// The activation of a referee that pays: 1 is the first, and the default.
    activation_threshold: Option<i32>,
    /// Which events count as activations; null: those that senders call so, which is the default.
    activation: MaybeUndefined<ActivationRuleInput>,
    /// What each degree earns, at most 50. A degree may have several tiers if each asks for more than the one before: the last that is met
    /// pays.
    tiers: Option<Vec<RewardTierInput>>,
    /// What the referee gets at the same activation; null takes it away.
    referee_reward: MaybeUndefined<MoneyInput>,
    /// Rewards for activations that one member can earn in one UTC day: 1 to 1000000; null takes the cap away.
    max_per_member_per_day: MaybeUndefined<i32>,
    /// Rewards for activations that one member can earn from the campaign in all, those of before included: 1 to 1000000; null takes the
    /// cap away.
    max_per_member: MaybeUndefined<i32>,
    /// The least that a payout must send, in all, for it to pay rewards of this campaign, above zero in its currency; until then they wait.
    /// Of this and of the `minimum` of `createPayout` the larger holds. Null takes it away.
    minimum_payout: MaybeUndefined<MoneyInput>,
    /// Days between the reward and its release, 0 to 365; the default is 14.
    escrow_days: Option<i32>,
}

/// Which events of a referee count as activations.
#[derive(InputObject, Clone, Debug)]
pub struct ActivationRuleInput {
    /// The names under which they are sent, any of them: `click`, `view`, `install`, `open`, `signup`, `activation`, `conversion`. The
    /// default is `activation`.
    event_names: Option<Vec<String>>,
    /// What they must say, all of it: at most 10 conditions. The default is nothing.
    #[graphql(name = "where")]
    conditions: Option<Vec<PropertyConditionInput>>,
}

/// What a property of an event must be.
#[derive(InputObject, Clone, Debug)]
pub struct PropertyConditionInput {
    /// The property's name, in 1 to 64 bytes: one of the event's `properties`, or of a conversion `conversion_value` or `currency`.
    property: String,
    /// How it is compared.
    operator: PropertyOperator,
    /// What with, in at most 255 bytes; for AT_LEAST and AT_MOST a decimal number. Left out with EXISTS and ABSENT.
    value: Option<String>,
}

/// What one degree earns: an amount at the activation, a share of each conversion, or both.
#[derive(InputObject, Clone, Debug)]
pub struct RewardTierInput {
    /// 1 is the direct referrer, 2 theirs, up to 10.
    degree: i32,
    /// The amount at the activation, in the campaign's currency.
    amount: Option<MoneyInput>,
    /// The share of each conversion's value, from 0 to 1 with at most 6 decimal places.
    share_of_conversion: Option<f64>,
    /// The least that the referee must have bought by its activation, above zero in the campaign's currency; with an amount alone.
    minimum_activation_value: Option<MoneyInput>,
    /// The least that the campaign's members who signed up in the same week as the referee (UTC, from Monday) must have bought by the
    /// activation, per member, above zero in the campaign's currency; with an amount alone.
    minimum_cohort_value: Option<MoneyInput>,
}

/// What counts as fraud; what is left out stays, or is the default.
#[derive(InputObject, Clone, Debug)]
pub struct FraudPolicyInput {
    /// Touches per creator or referrer and address in a sliding hour before VELOCITY speaks; the default is 20.
    velocity_per_hour: Option<i32>,
    /// Sign-ups per referrer in the window before REFERRAL_VELOCITY speaks; the default is 10.
    referrals_per_window: Option<i32>,
    /// The length of the window, 1 to 720; the default is 24.
    window_hours: Option<i32>,
    /// Distinct people on one address in the window before SHARED_ADDRESS speaks; the default is 5.
    ip_correlation_limit: Option<i32>,
    /// The score from which on something is blocked, from 0 to 1; the default is 0.5.
    block_score: Option<f64>,
    /// The score from which on people review, from 0 to 1; the default is 0.3.
    review_score: Option<f64>,
    /// Changes to single signals.
    signals: Option<Vec<SignalPolicyInput>>,
}

/// A change to one named signal.
#[derive(InputObject, Clone, Debug)]
pub struct SignalPolicyInput {
    /// The signal, for example VELOCITY.
    name: String,
    /// What it adds to the score, from 0 to 1.
    weight: f64,
    /// Whether it counts.
    mode: SignalMode,
}

/// The drafts of the three inputs.
pub fn to_draft(
    attribution: Option<AttributionPolicyInput>,
    reward: Option<RewardPolicyInput>,
    fraud: Option<FraudPolicyInput>,
) -> Result<PoliciesDraft> {
    Ok(PoliciesDraft {
        attribution: attribution.map(attribution_draft).transpose()?.unwrap_or_default(),
        reward: reward.map(reward_draft).transpose()?.unwrap_or_default(),
        fraud: fraud.map(fraud_draft).transpose()?.unwrap_or_default(),
    })
}

/// The draft of one input.
pub fn attribution_draft(input: AttributionPolicyInput) -> Result<AttributionDraft> {
    let weight = input.last_touch_weight.map(|weight| to_ppm_32(weight, &["attribution", "lastTouchWeight"]));
    let upline = input.upline.map(|shares| {
        let read = |(index, share): (usize, f64)| to_ppm_32(share, &["attribution", "upline", &index.to_string()]);
        shares.into_iter().take(UPLINE_DEGREES_MAX + 1).enumerate().map(read).collect::<Result<Vec<i32>>>()
    });
    Ok(AttributionDraft {
        model: input.model.map(Into::into),
        lookback_hours: input.lookback_hours,
        last_touch_weight_ppm: weight.transpose()?,
        half_life_hours: input.half_life_hours,
        is_cross_device: input.cross_device,
        is_split_at_previous_conversion: input.split_at_previous_conversion,
        has_converting_event: input.count_converting_event,
        data_driven_method: input.data_driven_method.map(Into::into),
        path_transform: input.path_transform.map(Into::into),
        model_conversions_min: input.model_conversions_min,
        upline_ppm: upline.transpose()?,
    })
}

fn reward_draft(input: RewardPolicyInput) -> Result<RewardDraft> {
    let tiers = input
        .tiers
        .map(|tiers| tiers.into_iter().take(REWARD_TIERS_MAX + 1).enumerate().map(tier_draft).collect())
        .transpose()?;
    let money = |money: MaybeUndefined<MoneyInput>, field: &str| {
        let read = |money: MoneyInput| money.to_money(&["reward", field]);
        to_change(money).map(|money| money.map(read).transpose()).transpose()
    };
    let referee = money(input.referee_reward, "refereeReward")?;
    Ok(RewardDraft {
        kind: input.kind.map(Into::into),
        activation_threshold: input.activation_threshold,
        activation: to_change(input.activation).map(|rule| rule.map(activation_draft)),
        tiers,
        referee,
        per_member_per_day_max: to_change(input.max_per_member_per_day),
        per_member_max: to_change(input.max_per_member),
        payout_minimum: money(input.minimum_payout, "minimumPayout")?,
        escrow_days: input.escrow_days,
    })
}

fn activation_draft(input: ActivationRuleInput) -> ActivationDraft {
    let condition = |input: PropertyConditionInput| ConditionDraft {
        property: input.property,
        operator: input.operator.into(),
        value: input.value,
    };
    ActivationDraft {
        event_names: input.event_names,
        conditions: input.conditions.unwrap_or_default().into_iter().map(condition).collect(),
    }
}

fn tier_draft((index, tier): (usize, RewardTierInput)) -> Result<TierDraft> {
    let index = index.to_string();
    let at = |field| ["reward", "tiers", index.as_str(), field];
    let money = |money: Option<MoneyInput>, field| money.map(|money| money.to_money(&at(field))).transpose();
    Ok(TierDraft {
        degree: tier.degree,
        amount: money(tier.amount, "amount")?,
        share_ppm: tier.share_of_conversion.map(|share| to_ppm_32(share, &at("shareOfConversion"))).transpose()?,
        activation_value_min: money(tier.minimum_activation_value, "minimumActivationValue")?,
        cohort_value_min: money(tier.minimum_cohort_value, "minimumCohortValue")?,
    })
}

fn fraud_draft(input: FraudPolicyInput) -> Result<FraudDraft> {
    let score = |score: Option<f64>, field| score.map(|score| to_ppm_32(score, &["fraud", field])).transpose();
    let signal = |(index, signal): (usize, SignalPolicyInput)| -> Result<campaigns::SignalPolicy> {
        let index = index.to_string();
        let at = |field| ["fraud", "signals", index.as_str(), field];
        if SignalName::parse(&signal.name).is_none() {
            let known: Vec<&str> = SignalName::ALL.iter().map(|name| name.as_str()).collect();
            return Err(Error::invalid(&at("name"), format!("Pass one of {}.", known.join(", "))));
        }
        Ok(campaigns::SignalPolicy {
            weight_ppm: to_ppm_32(signal.weight, &at("weight"))?,
            threshold_ppm: None,
            mode: signal.mode.into(),
            name: signal.name,
        })
    };
    if input.signals.as_ref().is_some_and(|signals| signals.len() > 100) {
        return Err(Error::invalid(&["fraud", "signals"], "Pass at most 100 signals."));
    }
    let signals = input.signals.map(|all| all.into_iter().enumerate().map(signal).collect()).transpose()?;
    Ok(FraudDraft {
        velocity_per_hour: input.velocity_per_hour,
        referrals_per_window: input.referrals_per_window,
        window_hours: input.window_hours,
        ip_correlation_limit: input.ip_correlation_limit,
        block_score_ppm: score(input.block_score, "blockScore")?,
        review_score_ppm: score(input.review_score, "reviewScore")?,
        signals,
    })
}
