//! Which events are meaningful acts: by their names, and by what they say. Pure, and exact: numbers are compared digit by digit. It never
//! reads an event itself: whoever asks brings what the event says.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::text_enum;

text_enum! {
    /// An event of a person, by the name under which it is sent.
    ActName {
        Click = "click",
        View = "view",
        Install = "install",
        Open = "open",
        Signup = "signup",
        Activation = "activation",
        Conversion = "conversion",
    }
}

text_enum! {
    /// How a property is compared.
    PropertyOperator {
        Equals = "EQUALS",
        NotEquals = "NOT_EQUALS",
        AtLeast = "AT_LEAST",
        AtMost = "AT_MOST",
        Exists = "EXISTS",
        Absent = "ABSENT",
    }
}

/// What a conversion says of itself, beside its properties: what it was worth, and in which currency.
const OWN_PROPERTIES: [&str; 2] = ["conversion_value", "currency"];

/// Which events count as activations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationRule {
    /// Any of them, each once.
    pub event_names: Vec<ActName>,
    /// All of them must hold.
    pub conditions: Vec<PropertyCondition>,
}

/// What a property must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyCondition {
    pub property: String,
    pub operator: PropertyOperator,
    /// `None` for EXISTS and ABSENT.
    pub value: Option<String>,
}

impl ActivationRule {
    /// Whether an event of this name counts, of which `property` tells the value of a property.
    #[must_use]
    pub fn holds(&self, name: ActName, property: impl Fn(&str) -> Option<String>) -> bool {
        self.event_names.contains(&name)
            && self.conditions.iter().all(|condition| condition.holds(property(&condition.property).as_deref()))
    }

    /// Whether it asks for what is kept only where the brand says so.
    #[must_use]
    pub fn needs_properties(&self) -> bool {
        self.conditions.iter().any(|condition| !OWN_PROPERTIES.contains(&condition.property.as_str()))
    }
}

impl PropertyCondition {
    /// Whether it holds for a property of this value. Of one that is not there, ABSENT alone holds.
    fn holds(&self, found: Option<&str>) -> bool {
        let Some(found) = found else { return self.operator == PropertyOperator::Absent };
        let wanted = self.value.as_deref().unwrap_or_default();
        match self.operator {
            PropertyOperator::Exists => true,
            PropertyOperator::Absent => false,
            PropertyOperator::Equals => is_same(found, wanted),
            PropertyOperator::NotEquals => !is_same(found, wanted),
            PropertyOperator::AtLeast => compare(found, wanted).is_some_and(Ordering::is_ge),
            PropertyOperator::AtMost => compare(found, wanted).is_some_and(Ordering::is_le),
        }
    }
}

/// The same number, where both are numbers, or the same text.
fn is_same(one: &str, other: &str) -> bool {
    compare(one, other).map_or(one == other, Ordering::is_eq)
}

/// Which of two numbers is larger. `None`: one of them is no number.
fn compare(one: &str, other: &str) -> Option<Ordering> {
    let (one, other) = (Decimal::parse(one)?, Decimal::parse(other)?);
    let size = one.size().cmp(&other.size());
    Some(match (one.is_negative, other.is_negative) {
        (false, false) => size,
        (true, true) => size.reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    })
}

/// Whether a text is a number as it can be compared: digits with at most one point and a minus sign, without an exponent.
pub(super) fn is_decimal(text: &str) -> bool {
    Decimal::parse(text).is_some()
}

/// A number of any length, as its digits. Zero has no sign.
struct Decimal<'a> {
    is_negative: bool,
    /// Without zeros in front.
    whole: &'a str,
    /// Without zeros at the end.
    fraction: &'a str,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Self { is_negative: digits.len() < text.len() && !is_zero, whole, fraction })
    }

    /// Orders numbers of one sign: more digits before the point are more, then digit by digit.
    fn size(&self) -> (usize, &'a str, &'a str) {
        (self.whole.len(), self.whole, self.fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: Option<&str>, operator: PropertyOperator, value: Option<&str>, expected: bool) {
        let condition = PropertyCondition { property: "p".into(), operator, value: value.map(str::to_owned) };
        assert_eq!(condition.holds(found), expected, "{found:?} {operator:?} {value:?}");
    }

    #[test]
    fn numbers_are_compared_as_numbers_to_the_last_digit_and_all_else_as_text() {
        use PropertyOperator::{Absent, AtLeast, AtMost, Equals, Exists, NotEquals};
        for (found, operator, value, expected) in [
            ("10", AtLeast, "9.99", true),
            ("9.99", AtLeast, "10", false),
            ("0.1", Equals, "0.10", true),
            ("0.30000000000000000001", Equals, "0.3", false),
            ("9007199254740993", AtMost, "9007199254740992", false),
            ("9007199254740993", AtLeast, "9007199254740992.5", true),
            ("-2", AtLeast, "-3", true),
            ("-0.0", Equals, "0", true),
            ("-1", AtMost, "0.5", true),
            ("007", Equals, "7", true),
            ("gold", Equals, "gold", true),
            ("Gold", Equals, "gold", false),
            ("true", NotEquals, "false", true),
            ("gold", AtLeast, "1", false),
            ("gold", AtMost, "1", false),
            ("1e3", AtLeast, "1", false),
            ("", Equals, "0", false),
        ] {
            check(Some(found), operator, Some(value), expected);
        }
        check(Some(""), Exists, None, true);
        check(Some("x"), Absent, None, false);
        check(None, Absent, None, true);
        for operator in [Equals, NotEquals, AtLeast, AtMost] {
            check(None, operator, Some("1"), false);
        }
        check(None, Exists, None, false);
    }

    #[test]
    fn a_rule_holds_where_the_name_is_one_of_its_own_and_every_condition_holds() {
        let condition = |property: &str, operator, value: &str| PropertyCondition {
            property: property.into(),
            operator,
            value: Some(value.into()),
        };
        let rule = ActivationRule {
            event_names: vec![ActName::Open, ActName::Conversion],
            conditions: vec![
                condition("level", PropertyOperator::AtLeast, "5"),
                condition("plan", PropertyOperator::NotEquals, "free"),
            ],
        };
        let says = |level: &'static str, plan: &'static str| {
            move |name: &str| Some(if name == "level" { level } else { plan }.to_owned())
        };
        assert!(rule.holds(ActName::Open, says("5", "pro")));
        assert!(!rule.holds(ActName::Open, says("4", "pro")));
        assert!(!rule.holds(ActName::Open, says("5", "free")));
        assert!(!rule.holds(ActName::Activation, says("5", "pro")));
        assert!(rule.needs_properties());
        let value = condition("conversion_value", PropertyOperator::AtLeast, "20");
        assert!(!ActivationRule { conditions: vec![value], ..rule }.needs_properties());
    }
}
