//! The three policies of a campaign, as they are stored (one JSON document each) and read by the judgements.

use serde::{Deserialize, Serialize};

use super::{ActivationRule, CampaignObjective};
use crate::text_enum;

text_enum! {
    /// How the credit of a conversion is divided over its touches.
    AttributionModel {
        FirstTouch = "FIRST_TOUCH",
        LastTouch = "LAST_TOUCH",
        Linear = "LINEAR",
        TimeDecay = "TIME_DECAY",
        PositionBased = "POSITION_BASED",
        WeightedLastTouch = "WEIGHTED_LAST_TOUCH",
        DataDriven = "DATA_DRIVEN",
    }
}

text_enum! {
    /// How paths say what a channel is worth, under DATA_DRIVEN.
    DataDrivenMethod { Markov = "MARKOV", Shapley = "SHAPLEY" }
}

text_enum! {
    /// What is done to every path before paths are compared: nothing, one touch of several in a row on a channel, only its first touch.
    PathTransform { AsIs = "AS_IS", Unique = "UNIQUE", First = "FIRST" }
}

text_enum! {
    /// What a reward is. Only CREDIT and COMMISSION are money on the ledger; the others are kept as facts of the same shape.
    RewardKind { Credit = "CREDIT", Discount = "DISCOUNT", FeatureUnlock = "FEATURE_UNLOCK", Commission = "COMMISSION" }
}

text_enum! {
    /// Whether a fraud signal counts, is only recorded, or is not computed.
    SignalMode { On = "ON", Shadow = "SHADOW", Off = "OFF" }
}

/// The policies of one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Policies {
    pub version: i32,
    pub attribution: AttributionPolicy,
    pub reward: RewardPolicy,
    pub fraud: FraudPolicy,
}

/// How conversions are attributed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttributionPolicy {
    pub model: AttributionModel,
    /// The lookback window: a touch counts if `0 <= conversion - touch <= lookback`.
    pub lookback_hours: i32,
    /// The share of the last touch under WEIGHTED_LAST_TOUCH, in millionths.
    pub last_touch_weight_ppm: i32,
    /// The age at which a touch counts half as much under TIME_DECAY.
    pub half_life_hours: i32,
    /// Whether a touch counts on another device than the conversion's, where both are known.
    pub is_cross_device: bool,
    /// Whether a touch counts only for the person's first conversion after it.
    #[serde(default)]
    pub is_split_at_previous_conversion: bool,
    /// Whether a conversion that says who led to it is a touch itself.
    #[serde(default)]
    pub has_converting_event: bool,
    #[serde(default)]
    pub data_driven: DataDrivenPolicy,
    /// What the members above the buyer are credited with, in millionths, the nearest first: apart from the credit of touches.
    #[serde(default)]
    pub upline_ppm: Vec<i32>,
}

/// What channels are worth, and how often that is computed, under DATA_DRIVEN.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataDrivenPolicy {
    pub method: DataDrivenMethod,
    pub transform: PathTransform,
    /// New conversions of the brand after which it is computed anew, at least.
    pub conversions_min: i32,
}

impl DataDrivenPolicy {
    /// What tells one series of versions from another.
    #[must_use]
    pub fn series(&self) -> (DataDrivenMethod, PathTransform) {
        (self.method, self.transform)
    }
}

impl Default for DataDrivenPolicy {
    fn default() -> Self {
        Self { method: DataDrivenMethod::Markov, transform: PathTransform::AsIs, conversions_min: 100 }
    }
}

/// What is owed for a referral or a sale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RewardPolicy {
    pub kind: RewardKind,
    /// The activation of a referee that pays: 1 is the first.
    pub activation_threshold: i32,
    /// Which events count as activations; `None`: those that senders call so.
    #[serde(default)]
    pub activation: Option<ActivationRule>,
    pub tiers: Vec<RewardTier>,
    /// What the referee gets at the same activation, in minor units of the campaign's currency.
    pub referee_minor: Option<i64>,
    /// Rewards that one beneficiary can earn in one UTC day; `None` is no cap.
    pub per_member_per_day_max: Option<i32>,
    /// Rewards that one beneficiary can earn from the campaign in all; `None` is no cap.
    #[serde(default)]
    pub per_member_max: Option<i32>,
    /// The least that a payout must send for it to pay rewards of this campaign, in minor units of the campaign's currency.
    #[serde(default)]
    pub payout_minimum_minor: Option<i64>,
    /// Days between the reward and its release; 0 releases at once.
    pub escrow_days: i32,
}

/// What one degree earns: an amount at the activation, a share of each conversion, or both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RewardTier {
    /// 1 is the direct referrer, 2 theirs, and so on.
    pub degree: i16,
    /// Minor units of the campaign's currency, at the activation.
    pub amount_minor: Option<i64>,
    /// Millionths of the conversion's value.
    pub share_ppm: Option<i32>,
    /// The least that the referee must have bought by the activation, in minor units of the campaign's currency.
    #[serde(default)]
    pub activation_value_min_minor: Option<i64>,
    /// The least that the members who joined in the referee's week must have bought by then, on average.
    #[serde(default)]
    pub cohort_value_min_minor: Option<i64>,
}

impl RewardTier {
    /// What it asks for: the referee's value, and its cohort's.
    #[must_use]
    pub fn asks(&self) -> (i64, i64) {
        (self.activation_value_min_minor.unwrap_or(0), self.cohort_value_min_minor.unwrap_or(0))
    }
}

/// What is fraud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FraudPolicy {
    /// Touches per creator (or referrer) and address in a sliding hour before VELOCITY speaks.
    pub velocity_per_hour: i32,
    /// Sign-ups per referrer in a sliding window before REFERRAL_VELOCITY speaks.
    pub referrals_per_window: i32,
    pub window_hours: i32,
    /// Distinct people on one address in the window before SHARED_ADDRESS speaks.
    pub ip_correlation_limit: i32,
    pub block_score_ppm: i32,
    pub review_score_ppm: i32,
    pub signals: Vec<SignalPolicy>,
    pub model: Option<String>,
}

/// A change to one named signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalPolicy {
    pub name: String,
    pub weight_ppm: i32,
    pub mode: SignalMode,
    pub threshold_ppm: Option<i64>,
}

impl AttributionPolicy {
    /// The defaults of an objective: last touch, and a window of 30, 14 or 7 days.
    #[must_use]
    pub fn for_objective(objective: CampaignObjective) -> Self {
        let lookback_days = match objective {
            CampaignObjective::Awareness => 30,
            CampaignObjective::Consideration => 14,
            CampaignObjective::Conversion => 7,
        };
        Self {
            model: AttributionModel::LastTouch,
            lookback_hours: lookback_days * 24,
            last_touch_weight_ppm: 600_000,
            half_life_hours: 168,
            is_cross_device: true,
            is_split_at_previous_conversion: false,
            has_converting_event: false,
            data_driven: DataDrivenPolicy::default(),
            upline_ppm: Vec::new(),
        }
    }
}

impl Default for RewardPolicy {
    /// No tiers: nothing is owed until someone says so.
    fn default() -> Self {
        Self {
            kind: RewardKind::Credit,
            activation_threshold: 1,
            activation: None,
            tiers: Vec::new(),
            referee_minor: None,
            per_member_per_day_max: None,
            per_member_max: None,
            payout_minimum_minor: None,
            escrow_days: 14,
        }
    }
}

impl Default for FraudPolicy {
    fn default() -> Self {
        Self {
            velocity_per_hour: 20,
            referrals_per_window: 10,
            window_hours: 24,
            ip_correlation_limit: 5,
            block_score_ppm: 500_000,
            review_score_ppm: 300_000,
            signals: Vec::new(),
            model: None,
        }
    }
}
