//! The three policies of a campaign in the API, shown and drafted.

use async_graphql::{Enum, InputObject, MaybeUndefined, SimpleObject};

use super::scalars::{Money, MoneyInput, from_ppm, to_ppm_32};
use super::{AttributionModel, DataDrivenMethod, PathTransform, RewardKind};
use crate::base::limits::UPLINE_DEGREES_MAX;
use crate::base::{self, Currency, Error, Result};
use crate::campaigns::{self, AttributionDraft, FraudDraft, PoliciesDraft, RewardDraft, TierDraft};
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
    /// What each degree earns, the nearest first. Empty: nothing.
    pub tiers: Vec<RewardTier>,
    /// What the referee gets at the same activation.
    pub referee_reward: Option<Money>,
    /// Rewards that one beneficiary can earn in one UTC day; null is no cap.
    pub max_per_member_per_day: Option<i32>,
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
        });
        Self {
            version,
            kind: policy.kind.into(),
            activation_threshold: policy.activation_threshold,
            tiers: tiers.collect(),
            referee_reward: policy.referee_minor.map(money),
            max_per_member_per_day: policy.per_member_per_day_max,
            escrow_days: policy.escrow_days,
        }
    }
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
    /// is 100. It is also at least a tenth of the conversions that the version before was computed from.
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
    /// What each degree earns.
    tiers: Option<Vec<RewardTierInput>>,
    /// What the referee gets at the same activation; null takes it away.
    referee_reward: MaybeUndefined<MoneyInput>,
    /// Rewards that one beneficiary can earn in one UTC day; null takes the cap away.
    max_per_member_per_day: MaybeUndefined<i32>,
    /// Days between the reward and its release, 0 to 365; the default is 14.
    escrow_days: Option<i32>,
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
    let tiers = input.tiers.map(|tiers| tiers.into_iter().enumerate().map(tier_draft).collect()).transpose()?;
    let referee = match input.referee_reward {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(money) => Some(Some(money.to_money(&["reward", "refereeReward"])?)),
    };
    Ok(RewardDraft {
        kind: input.kind.map(Into::into),
        activation_threshold: input.activation_threshold,
        tiers,
        referee,
        per_member_per_day_max: match input.max_per_member_per_day {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(max) => Some(Some(max)),
        },
        escrow_days: input.escrow_days,
    })
}

fn tier_draft((index, tier): (usize, RewardTierInput)) -> Result<TierDraft> {
    let index = index.to_string();
    let at = |field| ["reward", "tiers", index.as_str(), field];
    Ok(TierDraft {
        degree: tier.degree,
        amount: tier.amount.map(|amount| amount.to_money(&at("amount"))).transpose()?,
        share_ppm: tier.share_of_conversion.map(|share| to_ppm_32(share, &at("shareOfConversion"))).transpose()?,
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
