//! What a reward policy may hold. Pure.

use super::{Checks, MILLION};
use crate::base::limits::{
    ACTIVATION_CONDITIONS_MAX, PROPERTY_NAME_BYTES_MAX, PROPERTY_VALUE_BYTES_MAX, REWARD_DEGREES_MAX, REWARD_TIERS_MAX,
};
use crate::base::{Currency, Money};
use crate::campaigns::activation::is_decimal;
use crate::campaigns::{
    ActName, ActivationRule, PropertyCondition, PropertyOperator, RewardKind, RewardPolicy, RewardTier,
};

#[derive(Clone, Debug, Default)]
pub struct RewardDraft {
    pub kind: Option<RewardKind>,
    pub activation_threshold: Option<i32>,
    pub tiers: Option<Vec<TierDraft>>,
    pub referee: Option<Option<Money>>,
    pub per_member_per_day_max: Option<Option<i32>>,
    pub per_member_max: Option<Option<i32>>,
    pub payout_minimum: Option<Option<Money>>,
    pub escrow_days: Option<i32>,
    /// `Some(None)` takes the rule away: activations are what senders call so.
    pub activation: Option<Option<ActivationDraft>>,
}

#[derive(Clone, Debug)]
pub struct TierDraft {
    pub degree: i32,
    pub amount: Option<Money>,
    pub share_ppm: Option<i32>,
    pub activation_value_min: Option<Money>,
    pub cohort_value_min: Option<Money>,
}

/// Which events count as activations, as somebody names them.
#[derive(Clone, Debug, Default)]
pub struct ActivationDraft {
    /// `None`: activations alone.
    pub event_names: Option<Vec<String>>,
    pub conditions: Vec<ConditionDraft>,
}

#[derive(Clone, Debug)]
pub struct ConditionDraft {
    pub property: String,
    pub operator: PropertyOperator,
    pub value: Option<String>,
}

pub(super) fn apply(
    checks: &mut Checks,
    current: &RewardPolicy,
    draft: &RewardDraft,
    currency: Currency,
) -> RewardPolicy {
    let referee_minor = match &draft.referee {
        Some(referee) => referee.map(|money| in_currency(checks, money, currency, &["reward", "refereeReward"])),
        None => current.referee_minor,
    };
    let payout_minimum_minor = match &draft.payout_minimum {
        Some(minimum) => minimum.map(|money| in_currency(checks, money, currency, &["reward", "minimumPayout"])),
        None => current.payout_minimum_minor,
    };
    let activation = match &draft.activation {
        Some(rule) => rule.as_ref().map(|rule| to_rule(checks, rule)),
        None => current.activation.clone(),
    };
    let policy = RewardPolicy {
        kind: draft.kind.unwrap_or(current.kind),
        activation_threshold: draft.activation_threshold.unwrap_or(current.activation_threshold),
        tiers: draft.tiers.as_ref().map_or_else(|| current.tiers.clone(), |tiers| to_tiers(checks, tiers, currency)),
        referee_minor,
        per_member_per_day_max: draft.per_member_per_day_max.unwrap_or(current.per_member_per_day_max),
        per_member_max: draft.per_member_max.unwrap_or(current.per_member_max),
        payout_minimum_minor,
        escrow_days: draft.escrow_days.unwrap_or(current.escrow_days),
        activation,
    };
    checks.within(policy.activation_threshold, 1, 1_000, &["reward", "activationThreshold"]);
    checks.within(policy.escrow_days, 0, 365, &["reward", "escrowDays"]);
    if let Some(max) = policy.per_member_per_day_max {
        checks.within(max, 1, MILLION, &["reward", "maxPerMemberPerDay"]);
    }
    if let Some(max) = policy.per_member_max {
        checks.within(max, 1, MILLION, &["reward", "maxPerMember"]);
    }
    let is_above_zero = policy.payout_minimum_minor.is_none_or(|minimum| minimum > 0);
    let message = "Pass an amount above zero, or null to pay out any.";
    checks.hold(is_above_zero, &["reward", "minimumPayout", "amount"], message);
    policy
}

fn to_tiers(checks: &mut Checks, drafts: &[TierDraft], currency: Currency) -> Vec<RewardTier> {
    let is_short = drafts.len() <= REWARD_TIERS_MAX;
    checks.hold(is_short, &["reward", "tiers"], format!("Pass at most {REWARD_TIERS_MAX} tiers."));
    let mut tiers: Vec<RewardTier> = Vec::new();
    for (index, draft) in drafts.iter().take(REWARD_TIERS_MAX).enumerate() {
        let index = index.to_string();
        let tier = to_tier(checks, draft, currency, &index);
        let mut others = tiers.iter().filter(|other| other.degree == tier.degree);
        let message = "Pass each degree once, or tiers of it of which any two differ in what they ask for, one of them asking for no less in both.";
        checks.hold(others.all(|other| is_clear(&tier, other)), &["reward", "tiers", &index, "degree"], message);
        tiers.push(tier);
    }
    let shares: i64 = tiers.iter().filter_map(|tier| tier.share_ppm).map(i64::from).sum();
    checks.hold(
        shares <= i64::from(MILLION),
        &["reward", "tiers"],
        "Pass shares that sum to at most 1: more than the conversion cannot be owed.",
    );
    // Within a degree each asks for more than the one before.
    tiers.sort_by_key(|tier| (tier.degree, tier.asks()));
    tiers
}

fn to_tier(checks: &mut Checks, draft: &TierDraft, currency: Currency, index: &str) -> RewardTier {
    let at = |field| ["reward", "tiers", index, field];
    let degrees_max = i32::try_from(REWARD_DEGREES_MAX).unwrap_or(i32::MAX);
    checks.within(draft.degree, 1, degrees_max, &at("degree"));
    let is_share = draft.share_ppm.is_none_or(|share| (0..=MILLION).contains(&share));
    checks.hold(is_share, &at("shareOfConversion"), "Pass a share from 0 to 1.");
    let is_something = draft.amount.is_some() || draft.share_ppm.is_some();
    checks.hold(is_something, &at("amount"), "Pass an amount, a share of the conversion, or both.");
    let asks = draft.activation_value_min.is_some() || draft.cohort_value_min.is_some();
    let message = "Leave the share out: a tier that asks for a value is judged at the activation, and pays an amount.";
    checks.hold(!asks || draft.share_ppm.is_none(), &at("shareOfConversion"), message);
    let mut minor = |money: Option<Money>, field, is_least: bool| {
        let money = money?;
        checks.hold(!is_least || money.minor > 0, &at(field), "Pass an amount above zero.");
        Some(in_currency(checks, money, currency, &at(field)))
    };
    RewardTier {
        degree: i16::try_from(draft.degree).unwrap_or(0),
        amount_minor: minor(draft.amount, "amount", false),
        share_ppm: draft.share_ppm,
        activation_value_min_minor: minor(draft.activation_value_min, "minimumActivationValue", true),
        cohort_value_min_minor: minor(draft.cohort_value_min, "minimumCohortValue", true),
    }
}

/// Whether it is clear which of two tiers of one degree pays where both are met: one asks for more in one thing, and for less in none.
fn is_clear(one: &RewardTier, other: &RewardTier) -> bool {
    let (one, other) = (one.asks(), other.asks());
    one != other && ((one.0 >= other.0 && one.1 >= other.1) || (one.0 <= other.0 && one.1 <= other.1))
}

fn in_currency(checks: &mut Checks, money: Money, currency: Currency, path: &[&str]) -> i64 {
    let message = format!("Pass an amount in the campaign's currency, {currency}.");
    checks.hold(money.currency == currency, path, message);
    money.minor
}

const RULE: [&str; 2] = ["reward", "activation"];

fn to_rule(checks: &mut Checks, draft: &ActivationDraft) -> ActivationRule {
    let names = draft.event_names.clone().unwrap_or_else(|| vec![ActName::Activation.as_str().to_owned()]);
    let known: Vec<&str> = ActName::ALL.iter().map(|name| name.as_str()).collect();
    let is_some = (1..=known.len()).contains(&names.len());
    checks.hold(is_some, &[RULE[0], RULE[1], "eventNames"], format!("Pass 1 to {} names.", known.len()));
    let mut event_names = Vec::new();
    for (index, name) in names.iter().take(known.len()).enumerate() {
        let index = index.to_string();
        let path = [RULE[0], RULE[1], "eventNames", index.as_str()];
        match ActName::parse(name) {
            Some(name) => {
                checks.hold(!event_names.contains(&name), &path, "Pass each name once.");
                event_names.push(name);
            }
            None => checks.hold(false, &path, format!("Pass one of {}.", known.join(", "))),
        }
    }
    let is_short = draft.conditions.len() <= ACTIVATION_CONDITIONS_MAX;
    checks.hold(
        is_short,
        &[RULE[0], RULE[1], "where"],
        format!("Pass at most {ACTIVATION_CONDITIONS_MAX} conditions."),
    );
    for (index, condition) in draft.conditions.iter().take(ACTIVATION_CONDITIONS_MAX).enumerate() {
        check_condition(checks, &index.to_string(), condition);
    }
    let condition = |draft: &ConditionDraft| PropertyCondition {
        property: draft.property.clone(),
        operator: draft.operator,
        value: draft.value.clone(),
    };
    ActivationRule { event_names, conditions: draft.conditions.iter().map(condition).collect() }
}

fn check_condition(checks: &mut Checks, index: &str, condition: &ConditionDraft) {
    let at = |field| [RULE[0], RULE[1], "where", index, field];
    let is_text = |text: &str, max: usize| text.len() <= max && !text.chars().any(char::is_control);
    let is_name = !condition.property.is_empty() && is_text(&condition.property, PROPERTY_NAME_BYTES_MAX);
    let message = format!("Pass 1 to {PROPERTY_NAME_BYTES_MAX} bytes without control characters.");
    checks.hold(is_name, &at("property"), message);
    let value = condition.value.as_deref();
    match condition.operator {
        PropertyOperator::Exists | PropertyOperator::Absent => {
            checks.hold(value.is_none(), &at("value"), "Leave the value out: this operator compares with none.");
        }
        PropertyOperator::AtLeast | PropertyOperator::AtMost => {
            let is_number = value.is_some_and(|value| value.len() <= PROPERTY_VALUE_BYTES_MAX && is_decimal(value));
            checks.hold(is_number, &at("value"), "Pass a decimal number without an exponent, for example 12.50.");
        }
        PropertyOperator::Equals | PropertyOperator::NotEquals => {
            let is_value = value.is_some_and(|value| is_text(value, PROPERTY_VALUE_BYTES_MAX));
            let message =
                format!("Pass a value of at most {PROPERTY_VALUE_BYTES_MAX} bytes without control characters.");
            checks.hold(is_value, &at("value"), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Error;

    /// Applies a draft to the defaults, and compares what is wrong with it.
    fn check(draft: &RewardDraft, expected: &[&str]) {
        let mut checks = Checks::default();
        apply(&mut checks, &RewardPolicy::default(), draft, "USD".parse().unwrap());
        let paths: Vec<String> = match checks.done() {
            Err(Error::Refused(refusals)) => refusals.into_iter().map(|refusal| refusal.path.join(".")).collect(),
            Err(error) => panic!("{error}"),
            Ok(()) => Vec::new(),
        };
        assert_eq!(paths, expected);
    }

    fn with(names: Option<&[&str]>, conditions: &[(&str, PropertyOperator, Option<&str>)]) -> RewardDraft {
        let condition = |(property, operator, value): &(&str, PropertyOperator, Option<&str>)| ConditionDraft {
            property: (*property).to_owned(),
            operator: *operator,
            value: value.map(str::to_owned),
        };
        let event_names = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let rule = ActivationDraft { event_names, conditions: conditions.iter().map(condition).collect() };
        RewardDraft { activation: Some(Some(rule)), ..Default::default() }
    }

    #[test]
    fn an_activation_names_known_events_and_asks_what_can_be_answered() {
        use PropertyOperator::{Absent, AtLeast, AtMost, Equals, Exists, NotEquals};
        check(&with(None, &[]), &[]);
        check(&with(Some(&["open", "conversion"]), &[("level", AtLeast, Some("-1.5")), ("vip", Exists, None)]), &[]);
        check(&with(Some(&[]), &[]), &["reward.activation.eventNames"]);
        check(&with(Some(&["open", "open"]), &[]), &["reward.activation.eventNames.1"]);
        check(&with(Some(&["refund"]), &[]), &["reward.activation.eventNames.0"]);
        check(
            &with(
                None,
                &[
                    ("", Equals, Some("x")),
                    ("a", AtMost, Some("1e3")),
                    ("b", Exists, Some("x")),
                    ("c", Absent, None),
                    ("d", NotEquals, None),
                ],
            ),
            &[
                "reward.activation.where.0.property",
                "reward.activation.where.1.value",
                "reward.activation.where.2.value",
                "reward.activation.where.4.value",
            ],
        );
        check(&with(None, &[("a", Exists, None); 11]), &["reward.activation.where"]);
    }

    fn tier(degree: i32, activation: Option<i64>, cohort: Option<i64>) -> TierDraft {
        let money = |minor: i64| Money::new(minor, "USD".parse().unwrap());
        TierDraft {
            degree,
            amount: Some(money(1)),
            share_ppm: None,
            activation_value_min: activation.map(money),
            cohort_value_min: cohort.map(money),
        }
    }

    fn check_tiers(tiers: Vec<TierDraft>, expected: &[&str]) {
        check(&RewardDraft { tiers: Some(tiers), ..Default::default() }, expected);
    }

    #[test]
    fn tiers_of_one_degree_ask_for_more_one_after_the_other() {
        let [plain, some, both, other] =
            [tier(1, None, None), tier(1, Some(5), None), tier(1, Some(5), Some(9)), tier(1, None, Some(9))];
        check_tiers(vec![both.clone(), plain.clone(), some.clone(), tier(2, Some(5), None)], &[]);
        check_tiers(vec![plain.clone(), some.clone(), some.clone()], &["reward.tiers.2.degree"]);
        // Where the referee has the one and its cohort the other, either could be meant.
        check_tiers(vec![some.clone(), other], &["reward.tiers.1.degree"]);
        check_tiers(vec![tier(1, Some(0), None)], &["reward.tiers.0.minimumActivationValue"]);
        check_tiers(vec![tier(1, None, Some(0))], &["reward.tiers.0.minimumCohortValue"]);
        check_tiers(vec![TierDraft { share_ppm: Some(1), ..some }], &["reward.tiers.0.shareOfConversion"]);
        let euros = Some(Money::new(5, "EUR".parse().unwrap()));
        check_tiers(vec![TierDraft { cohort_value_min: euros, ..plain }], &["reward.tiers.0.minimumCohortValue"]);
        let ladder = (1..=51).map(|least| tier(1, Some(least), None)).collect();
        check_tiers(ladder, &["reward.tiers"]);
    }
}
