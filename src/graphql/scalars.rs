//! Scalars and the value types that everything shares. `DateTime` is the engine's own over chrono, `JSON` too.

use async_graphql::{InputObject, InputValueError, InputValueResult, Scalar, ScalarType, SimpleObject, Value};
use chrono::NaiveDate;

use crate::base::{self, Currency, Error, MoneyError, Refusal};

/// A calendar day in UTC, for example `2026-03-01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub NaiveDate);

/// A calendar day in UTC, for example `2026-03-01`.
#[Scalar(name = "Date", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339#section-5.6")]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) if text.len() == 10 => Ok(Self(text.parse()?)),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.format("%Y-%m-%d").to_string())
    }
}

/// An exact decimal number, written as a string, for example `"12.50"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal(pub String);

/// An exact decimal number, written as a string, for example `"12.50"`. A whole number may be passed as an integer.
#[Scalar(name = "Decimal")]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) if number.is_u64() => Ok(Self(number.to_string())),
            _ => Err(InputValueError::custom("pass an exact decimal as a string, for example \"12.50\"")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// An absolute URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(pub String);

/// An absolute URL, as the WHATWG URL standard writes it.
#[Scalar(name = "URL", specified_by_url = "https://url.spec.whatwg.org/")]
impl ScalarType for Url {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(url::Url::parse(&text)?.into())),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// An exact amount in one currency.
#[derive(SimpleObject, Clone, Debug)]
pub struct Money {
    /// The amount with all of the currency's decimal places, for example `12.50`. Negative only in balances.
    pub amount: Decimal,
    /// The ISO 4217 code, for example `USD`, or BTC, ETH or SOL.
    pub currency: String,
}

impl From<base::Money> for Money {
    fn from(money: base::Money) -> Self {
        Self { amount: Decimal(money.amount()), currency: money.currency.to_string() }
    }
}

impl Money {
    /// A sum of amounts, which may be beyond 64 bits.
    #[must_use]
    pub fn of_sum(minor: i128, currency: Currency) -> Self {
        Self { amount: Decimal(base::decimal(minor, currency)), currency: currency.to_string() }
    }
}

/// An exact amount in one currency.
#[derive(InputObject, Clone, Debug)]
pub struct MoneyInput {
    /// The amount, not negative, with at most the currency's decimal places, for example `12.50`.
    pub amount: Decimal,
    /// The ISO 4217 code, for example `USD`, or BTC, ETH or SOL.
    pub currency: String,
}

impl MoneyInput {
    /// The exact amount; `path` leads to this input in the refusal.
    pub fn to_money(&self, path: &[&str]) -> base::Result<base::Money> {
        let refuse = |field: &str, error: MoneyError| {
            let message = format!("{}.", capitalised(&error.to_string()));
            Error::from(Refusal::new(base::Code::Invalid, &[path, &[field]].concat(), message))
        };
        let currency: Currency = self.currency.parse().map_err(|error| refuse("currency", error))?;
        base::Money::parse(&self.amount.0, currency).map_err(|error| refuse("amount", error))
    }
}

/// A share, weight or score as millionths, exactly: from the shortest decimal that names the number, never by arithmetic.
fn to_ppm(value: f64, path: &[&str]) -> base::Result<i64> {
    let refuse = || Error::invalid(path, "Pass a number that is not negative, with at most 6 decimal places.");
    let text = value.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || fraction.len() > 6 {
        return Err(refuse());
    }
    format!("{whole}{fraction:0<6}").parse().map_err(|_error: std::num::ParseIntError| refuse())
}

/// The same for values that fit 32 bits.
pub fn to_ppm_32(value: f64, path: &[&str]) -> base::Result<i32> {
    let refuse = |_: std::num::TryFromIntError| Error::invalid(path, "Pass a number from 0 to 1.");
    i32::try_from(to_ppm(value, path)?).map_err(refuse)
}

/// Millionths as the number that people read.
#[must_use]
pub fn from_ppm(ppm: i32) -> f64 {
    f64::from(ppm) / 1e6
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_millionths_exactly_or_are_refused() {
        let ppm = |value: f64| to_ppm(value, &[]).ok();
        assert_eq!(ppm(0.1 + 0.2), None);
        assert_eq!(
            [ppm(0.3), ppm(0.000_001), ppm(1.0), ppm(20.5)],
            [Some(300_000), Some(1), Some(1_000_000), Some(20_500_000)]
        );
        for wrong in [-0.1, f64::NAN, f64::INFINITY, 1e300, 0.000_000_1] {
            assert_eq!(ppm(wrong), None, "{wrong}");
        }
    }
}
