//! What a campaign and its policies may hold, and how a change makes the next version. Pure.

mod reward;

use chrono::{DateTime, Utc};

use super::{
    AttributionModel, AttributionPolicy, CampaignObjective, CampaignStatus, DataDrivenMethod, DataDrivenPolicy,
    FraudPolicy, PathTransform, Policies, RewardPolicy, SignalPolicy,
};
use crate::base::limits::{LOOKBACK_HOURS_MAX, MODEL_CONVERSIONS_MAX, UPLINE_DEGREES_MAX};
use crate::base::{Code, Currency, Error, Money, Refusal, Result, is_plain};
use crate::urls::{DESTINATION_EXPECTED, NOT_ALLOWED, is_allowed, is_destination};

pub use reward::{ActivationDraft, ConditionDraft, RewardDraft, TierDraft};

/// The models that a policy may hold.
pub const AVAILABLE_MODELS: [AttributionModel; 7] = [
    AttributionModel::FirstTouch,
    AttributionModel::LastTouch,
    AttributionModel::Linear,
    AttributionModel::TimeDecay,
    AttributionModel::PositionBased,
    AttributionModel::WeightedLastTouch,
    AttributionModel::DataDriven,
];

const MILLION: i32 = 1_000_000;
const NAME_BYTES_MAX: usize = 200;
const SLUG_BYTES_MAX: usize = 63;

/// What a new campaign needs.
#[derive(Clone, Debug)]
pub struct NewCampaign {
    pub slug: String,
    pub name: String,
    pub objective: CampaignObjective,
    pub status: CampaignStatus,
    pub starts_at: Option<DateTime<Utc>>,
    pub ends_at: Option<DateTime<Utc>>,
    pub budget: Option<Money>,
    pub destination_url: Option<String>,
    pub policies: PoliciesDraft,
}

/// What changes of a campaign; `None` leaves a field as it is, `Some(None)` takes it away.
#[derive(Clone, Debug, Default)]
pub struct CampaignChange {
    pub name: Option<String>,
    pub status: Option<CampaignStatus>,
    pub starts_at: Option<Option<DateTime<Utc>>>,
    pub ends_at: Option<Option<DateTime<Utc>>>,
    /// A budget can be raised, never lowered.
    pub budget: Option<Money>,
    pub destination_url: Option<Option<String>>,
    pub policies: PoliciesDraft,
}

/// The parts of the three policies that someone names; the rest stays as it is.
#[derive(Clone, Debug, Default)]
pub struct PoliciesDraft {
    pub attribution: AttributionDraft,
    pub reward: RewardDraft,
    pub fraud: FraudDraft,
}

#[derive(Clone, Debug, Default)]
pub struct AttributionDraft {
    pub model: Option<AttributionModel>,
    pub lookback_hours: Option<i32>,
    pub last_touch_weight_ppm: Option<i32>,
    pub half_life_hours: Option<i32>,
    pub is_cross_device: Option<bool>,
    pub is_split_at_previous_conversion: Option<bool>,
    pub has_converting_event: Option<bool>,
    pub data_driven_method: Option<DataDrivenMethod>,
    pub path_transform: Option<PathTransform>,
    pub model_conversions_min: Option<i32>,
    pub upline_ppm: Option<Vec<i32>>,
}

#[derive(Clone, Debug, Default)]
pub struct FraudDraft {
    pub velocity_per_hour: Option<i32>,
    pub referrals_per_window: Option<i32>,
    pub window_hours: Option<i32>,
    pub ip_correlation_limit: Option<i32>,
    pub block_score_ppm: Option<i32>,
    pub review_score_ppm: Option<i32>,
    pub signals: Option<Vec<SignalPolicy>>,
}

/// Collects what is wrong, so that the caller hears all of it at once.
#[derive(Default)]
struct Checks(Vec<Refusal>);

impl Checks {
    fn hold(&mut self, is_right: bool, path: &[&str], message: impl Into<String>) {
        if !is_right {
            self.0.push(Refusal::new(Code::Invalid, path, message));
        }
    }

    fn within(&mut self, value: i32, low: i32, high: i32, path: &[&str]) {
        self.hold((low..=high).contains(&value), path, format!("Pass a number from {low} to {high}."));
    }

    fn done(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Refused(self.0)) }
    }
}

pub(super) fn check_new(input: &NewCampaign, allowed_hosts: &[String]) -> Result<()> {
    let mut checks = Checks::default();
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let slug = input.slug.as_bytes();
    let is_slug = slug.len() <= SLUG_BYTES_MAX && slug.iter().all(|byte| is_inner(*byte));
    checks.hold(
        is_slug && slug.first().is_some_and(u8::is_ascii_alphanumeric),
        &["slug"],
        "Pass 1 to 63 lower-case letters, digits, underscores and hyphens, starting with a letter or digit.",
    );
    check_name(&mut checks, &input.name);
    check_url(&mut checks, input.destination_url.as_deref(), allowed_hosts);
    check_times(&mut checks, input.starts_at, input.ends_at);
    checks.hold(
        input.budget.is_none_or(|budget| budget.minor > 0),
        &["budget", "amount"],
        "Pass a budget above zero, or none at all for a campaign without a limit.",
    );
    checks.done()
}

pub(super) fn check_change(
    change: &CampaignChange,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
    allowed_hosts: &[String],
) -> Result<()> {
    let mut checks = Checks::default();
    if let Some(name) = &change.name {
        check_name(&mut checks, name);
    }
    check_url(&mut checks, change.destination_url.as_ref().and_then(|url| url.as_deref()), allowed_hosts);
    check_times(&mut checks, starts_at, ends_at);
    checks.done()
}

fn check_name(checks: &mut Checks, name: &str) {
    let is_name = !name.trim().is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    checks.hold(is_name, &["name"], format!("Pass 1 to {NAME_BYTES_MAX} bytes without control characters."));
}

fn check_times(checks: &mut Checks, starts_at: Option<DateTime<Utc>>, ends_at: Option<DateTime<Utc>>) {
    for (time, field) in [(starts_at, "startsAt"), (ends_at, "endsAt")] {
        checks.hold(time.is_none_or(is_plain), &[field], "Pass a moment of the years 1 to 9999.");
    }
    let is_ordered = starts_at.zip(ends_at).is_none_or(|(start, end)| end > start);
    checks.hold(is_ordered, &["endsAt"], "Pass an end that is later than the start.");
}

fn check_url(checks: &mut Checks, url: Option<&str>, allowed_hosts: &[String]) {
    let Some(url) = url else { return };
    checks.hold(is_destination(url), &["destinationUrl"], DESTINATION_EXPECTED);
    let is_allowed = !is_destination(url) || is_allowed(url, allowed_hosts);
    checks.hold(is_allowed, &["destinationUrl"], NOT_ALLOWED);
}

/// The first policies of a campaign: the defaults of its objective, changed by what the caller names.
pub(super) fn first_policies(
    objective: CampaignObjective,
    draft: &PoliciesDraft,
    currency: Currency,
) -> Result<Policies> {
    let defaults = Policies {
        version: 1,
        attribution: AttributionPolicy::for_objective(objective),
        reward: RewardPolicy::default(),
        fraud: FraudPolicy::default(),
    };
    apply(&defaults, draft, currency)
}

/// The policies after a change, of the same version; the caller numbers them anew where they differ.
pub(super) fn apply(current: &Policies, draft: &PoliciesDraft, currency: Currency) -> Result<Policies> {
    let mut checks = Checks::default();
    let policies = Policies {
        version: current.version,
        attribution: apply_attribution(&mut checks, &current.attribution, &draft.attribution),
        reward: reward::apply(&mut checks, &current.reward, &draft.reward, currency),
        fraud: apply_fraud(&mut checks, &current.fraud, &draft.fraud),
    };
    checks.done()?;
    Ok(policies)
}

fn apply_attribution(checks: &mut Checks, current: &AttributionPolicy, draft: &AttributionDraft) -> AttributionPolicy {
    let policy = AttributionPolicy {
        model: draft.model.unwrap_or(current.model),
        lookback_hours: draft.lookback_hours.unwrap_or(current.lookback_hours),
        last_touch_weight_ppm: draft.last_touch_weight_ppm.unwrap_or(current.last_touch_weight_ppm),
        half_life_hours: draft.half_life_hours.unwrap_or(current.half_life_hours),
        is_cross_device: draft.is_cross_device.unwrap_or(current.is_cross_device),
        is_split_at_previous_conversion: draft
            .is_split_at_previous_conversion
            .unwrap_or(current.is_split_at_previous_conversion),
        has_converting_event: draft.has_converting_event.unwrap_or(current.has_converting_event),
        data_driven: DataDrivenPolicy {
            method: draft.data_driven_method.unwrap_or(current.data_driven.method),
            transform: draft.path_transform.unwrap_or(current.data_driven.transform),
            conversions_min: draft.model_conversions_min.unwrap_or(current.data_driven.conversions_min),
        },
        upline_ppm: draft.upline_ppm.clone().unwrap_or_else(|| current.upline_ppm.clone()),
    };
    checks.within(policy.lookback_hours, 1, LOOKBACK_HOURS_MAX, &["attribution", "lookbackHours"]);
    checks.within(policy.half_life_hours, 1, LOOKBACK_HOURS_MAX, &["attribution", "halfLifeHours"]);
    let conversions_min = policy.data_driven.conversions_min;
    checks.within(conversions_min, 1, MODEL_CONVERSIONS_MAX, &["attribution", "modelConversionsMin"]);
    let upline: i64 = policy.upline_ppm.iter().map(|ppm| i64::from(*ppm)).sum();
    let is_upline = policy.upline_ppm.len() <= UPLINE_DEGREES_MAX && policy.upline_ppm.iter().all(|ppm| *ppm >= 0);
    let message = format!("Pass at most {UPLINE_DEGREES_MAX} shares from 0 to 1, which make at most 1 together.");
    checks.hold(is_upline && upline <= i64::from(MILLION), &["attribution", "upline"], message);
    let is_share = (0..=MILLION).contains(&policy.last_touch_weight_ppm);
    checks.hold(is_share, &["attribution", "lastTouchWeight"], "Pass a share from 0 to 1.");
    policy
}

fn apply_fraud(checks: &mut Checks, current: &FraudPolicy, draft: &FraudDraft) -> FraudPolicy {
    let policy = FraudPolicy {
        velocity_per_hour: draft.velocity_per_hour.unwrap_or(current.velocity_per_hour),
        referrals_per_window: draft.referrals_per_window.unwrap_or(current.referrals_per_window),
        window_hours: draft.window_hours.unwrap_or(current.window_hours),
        ip_correlation_limit: draft.ip_correlation_limit.unwrap_or(current.ip_correlation_limit),
        block_score_ppm: draft.block_score_ppm.unwrap_or(current.block_score_ppm),
        review_score_ppm: draft.review_score_ppm.unwrap_or(current.review_score_ppm),
        signals: draft.signals.clone().unwrap_or_else(|| current.signals.clone()),
        model: current.model.clone(),
    };
    checks.within(policy.velocity_per_hour, 1, MILLION, &["fraud", "velocityPerHour"]);
    checks.within(policy.referrals_per_window, 1, MILLION, &["fraud", "referralsPerWindow"]);
    checks.within(policy.window_hours, 1, 720, &["fraud", "windowHours"]);
    checks.within(policy.ip_correlation_limit, 1, MILLION, &["fraud", "ipCorrelationLimit"]);
    let is_score = |score: i32| (0..=MILLION).contains(&score);
    checks.hold(is_score(policy.block_score_ppm), &["fraud", "blockScore"], "Pass a score from 0 to 1.");
    checks.hold(is_score(policy.review_score_ppm), &["fraud", "reviewScore"], "Pass a score from 0 to 1.");
    checks.hold(
        policy.review_score_ppm <= policy.block_score_ppm,
        &["fraud", "reviewScore"],
        "Pass a review score that is not above the block score.",
    );
    for (index, signal) in policy.signals.iter().enumerate() {
        let index = index.to_string();
        let is_name =
            !signal.name.is_empty() && signal.name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        checks.hold(is_name, &["fraud", "signals", &index, "name"], "Pass a signal's name, for example VELOCITY.");
        let is_weight = is_score(signal.weight_ppm);
        checks.hold(is_weight, &["fraud", "signals", &index, "weight"], "Pass a weight from 0 to 1.");
    }
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(result: Result<Policies>) -> Vec<String> {
        match result {
            Err(Error::Refused(refusals)) => refusals.into_iter().map(|refusal| refusal.path.join(".")).collect(),
            Err(error) => panic!("{error}"),
            Ok(_) => Vec::new(),
        }
    }

    fn check(draft: &PoliciesDraft, expected: &[&str]) {
        assert_eq!(paths(first_policies(CampaignObjective::Conversion, draft, "USD".parse().unwrap())), expected);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        check(&PoliciesDraft::default(), &[]);
        let mut draft = PoliciesDraft::default();
        draft.attribution.lookback_hours = Some(0);
        draft.attribution.half_life_hours = Some(8_761);
        draft.attribution.model_conversions_min = Some(0);
        draft.attribution.upline_ppm = Some(vec![900_000, 100_001]);
        draft.reward.escrow_days = Some(-1);
        draft.reward.per_member_max = Some(Some(0));
        draft.fraud.review_score_ppm = Some(600_000);
        check(
            &draft,
            &[
                "attribution.lookbackHours",
                "attribution.halfLifeHours",
                "attribution.modelConversionsMin",
                "attribution.upline",
                "reward.escrowDays",
                "reward.maxPerMember",
                "fraud.reviewScore",
            ],
        );
    }

    #[test]
    fn a_minimum_of_payouts_is_above_zero_in_the_campaigns_currency() {
        let with = |minor, currency: &str| {
            let mut draft = PoliciesDraft::default();
            draft.reward.payout_minimum = Some(Some(Money::new(minor, currency.parse().unwrap())));
            draft
        };
        check(&with(1, "USD"), &[]);
        check(&with(0, "USD"), &["reward.minimumPayout.amount"]);
        check(&with(1, "EUR"), &["reward.minimumPayout"]);
    }

    #[test]
    fn tiers_name_each_degree_once_in_the_campaigns_currency() {
        let eur = Money::new(100, "EUR".parse().unwrap());
        let usd = Money::new(100, "USD".parse().unwrap());
        let tier = |degree, amount, share_ppm| TierDraft {
            degree,
            amount,
            share_ppm,
            activation_value_min: None,
            cohort_value_min: None,
        };
        let with = |tiers| PoliciesDraft {
            reward: RewardDraft { tiers: Some(tiers), ..Default::default() },
            ..Default::default()
        };
        check(&with(vec![tier(1, Some(usd), None), tier(2, None, Some(50_000))]), &[]);
        check(&with(vec![tier(1, Some(usd), None), tier(1, Some(usd), None)]), &["reward.tiers.1.degree"]);
        check(&with(vec![tier(11, Some(usd), None)]), &["reward.tiers.0.degree"]);
        check(&with(vec![tier(1, Some(eur), None)]), &["reward.tiers.0.amount"]);
        check(&with(vec![tier(1, None, None)]), &["reward.tiers.0.amount"]);
        check(&with(vec![tier(1, None, Some(600_000)), tier(2, None, Some(600_000))]), &["reward.tiers"]);
    }

    #[test]
    fn a_policy_of_before_reads_with_the_defaults_of_what_came_since() {
        let stored = r#"{"model": "LINEAR", "lookback_hours": 168, "last_touch_weight_ppm": 600000, "half_life_hours": 168,
            "is_cross_device": true}"#;
        let policy: AttributionPolicy = serde_json::from_str(stored).unwrap();
        assert!(!policy.is_split_at_previous_conversion && !policy.has_converting_event);
        assert_eq!((policy.data_driven, policy.upline_ppm), (DataDrivenPolicy::default(), Vec::new()));
    }
}
