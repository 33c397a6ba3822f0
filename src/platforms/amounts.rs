//! Amounts as platforms write them, as the decimal texts that our own events carry. Exact: digits are moved, nothing is rounded.

use super::adapter::{Doubt, bad_field};
use crate::base::{Currency, Money};

/// A whole number of minor units as a decimal text.
pub(super) fn decimal(minor: u64, exponent: usize) -> String {
    let digits = format!("{minor:0>width$}", width = exponent + 1);
    let (whole, fraction) = digits.split_at(digits.len() - exponent);
    if exponent == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// The sum of decimal texts of one currency. `None`: nothing.
pub(super) fn sum<'a>(
    path: &str,
    currency: &str,
    amounts: impl Iterator<Item = &'a str>,
) -> Result<Option<Money>, Doubt> {
    let wrong = || bad_field(path, "amounts of one currency of ISO 4217");
    let code: Currency = currency.parse().map_err(|_error: crate::base::MoneyError| wrong())?;
    let mut total = 0_i64;
    for amount in amounts {
        let money = Money::parse(amount, code).map_err(|_error: crate::base::MoneyError| wrong())?;
        total = total.checked_add(money.minor).ok_or_else(wrong)?;
    }
    Ok((total > 0).then(|| Money::new(total, code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_moved_and_never_rounded() {
        for (minor, exponent, expected) in [
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (1_999, 2, "19.99"),
            (500, 0, "500"),
            (5, 3, "0.005"),
            (u64::MAX, 2, "184467440737095516.15"),
        ] {
            assert_eq!(decimal(minor, exponent), expected);
        }
    }

    #[test]
    fn a_sum_is_exact_and_of_one_currency() {
        let check = |currency: &str, amounts: &[&str], expected: Option<Option<&str>>| {
            let found = sum("amounts", currency, amounts.iter().copied()).ok();
            let found = found.map(|found| found.map(|money| money.amount()));
            assert_eq!(found.as_ref().map(|found| found.as_deref()), expected, "{currency} {amounts:?}");
        };
        check("USD", &["0.1", "0.2"], Some(Some("0.30")));
        check("JPY", &["1000.00", "5"], Some(Some("1005")));
        check("USD", &[], Some(None));
        check("USD", &["0.00"], Some(None));
        check("USD", &["0.001"], None);
        check("usd", &["1"], None);
    }
}
