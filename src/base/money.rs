//! Exact money: whole minor units and a currency. There is no floating point here, and no rounding that is not named.

use std::fmt;
use std::str::FromStr;

use super::limits::AMOUNT_MINOR_MAX;

/// An ISO 4217 code of three capital letters, or the customary code of a coin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("a currency is three capital letters (ISO 4217), for example USD")]
    Currency,
    #[error("an amount is digits with at most one point, for example 12.50, and no sign, exponent or separator")]
    Format,
    #[error("the amount has more decimal places than the currency has minor units")]
    Precision,
    #[error("the amount is too large")]
    Overflow,
}

/// Currencies whose minor unit is not a hundredth (ISO 4217, table A.1).
const EXPONENTS: &[(&[u8; 3], u32)] = &[
    (b"BIF", 0),
    (b"CLP", 0),
    (b"DJF", 0),
    (b"GNF", 0),
    (b"ISK", 0),
    (b"JPY", 0),
    (b"KMF", 0),
    (b"KRW", 0),
    (b"PYG", 0),
    (b"RWF", 0),
    (b"UGX", 0),
    (b"UYI", 0),
    (b"VND", 0),
    (b"VUV", 0),
    (b"XAF", 0),
    (b"XOF", 0),
    (b"XPF", 0),
    (b"BHD", 3),
    (b"IQD", 3),
    (b"JOD", 3),
    (b"KWD", 3),
    (b"LYD", 3),
    (b"OMR", 3),
    (b"TND", 3),
    (b"CLF", 4),
    (b"UYW", 4),
    // Coins that have no code of ISO's, by the smallest unit in which sums still are amounts: a satoshi, a gwei, a lamport. In wei, the
    // smallest unit of all, ten coins would be more than 64 bits hold.
    (b"BTC", 8),
    (b"ETH", 9),
    (b"SOL", 9),
];

impl Currency {
    /// How many decimal places the minor unit stands for.
    #[must_use]
    pub fn exponent(self) -> u32 {
        EXPONENTS.iter().find(|(code, _)| **code == self.0).map_or(2, |(_, exponent)| *exponent)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        // They are capital letters from the start; XXX is ISO 4217's code for no currency.
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let bytes: [u8; 3] =
            text.as_bytes().try_into().map_err(|_error: std::array::TryFromSliceError| MoneyError::Currency)?;
        if bytes.iter().all(u8::is_ascii_uppercase) { Ok(Self(bytes)) } else { Err(MoneyError::Currency) }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount in minor units. Negative only where a balance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    pub minor: i64,
    pub currency: Currency,
}

impl Money {
    #[must_use]
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// Reads an unsigned decimal string exactly. Refuses signs, exponents, separators, foreign digits, more than 32 characters,
    /// more decimal places than the currency has (trailing zeros beyond them are fine), and more than `AMOUNT_MINOR_MAX`.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, MoneyError> {
        if amount.len() > 32 {
            return Err(MoneyError::Overflow);
        }
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || amount.ends_with('.') {
            return Err(MoneyError::Format);
        }
        let places = currency.exponent() as usize;
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > places {
            return Err(MoneyError::Precision);
        }
        let minor = format!("{whole}{fraction:0<places$}");
        let minor = minor.parse::<i64>().map_err(|_error: std::num::ParseIntError| MoneyError::Overflow)?;
        if minor > AMOUNT_MINOR_MAX {
            return Err(MoneyError::Overflow);
        }
        Ok(Self { minor, currency })
    }

    /// The decimal string with all of the currency's places, for example `12.50`.
    #[must_use]
    pub fn amount(&self) -> String {
        decimal(self.minor.into(), self.currency)
    }
}

/// Minor units as the decimal string with all of the currency's places, for example `12.50`. A sum of many amounts may be beyond 64 bits.
#[must_use]
pub fn decimal(minor: i128, currency: Currency) -> String {
    let places = currency.exponent() as usize;
    let sign = if minor < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", minor.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

/// Splits `total` (not negative) in proportion to `weights` so that the parts sum to exactly `total`: largest remainder,
/// where equal remainders go to the later part first. All weights zero: the last part takes all.
#[must_use]
pub fn split_by_weight(total: i64, weights: &[u64]) -> Vec<i64> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let total = u128::from(total.unsigned_abs());
    if sum == 0 {
        let mut parts = vec![0; weights.len()];
        if let Some(last) = parts.last_mut() {
            *last = to_minor(total);
        }
        return parts;
    }
    let (mut parts, remainders): (Vec<u128>, Vec<u128>) =
        weights.iter().map(|weight| divide(total * u128::from(*weight), sum)).unzip();
    let left = usize::try_from(total - parts.iter().sum::<u128>()).unwrap_or(0);
    if left > 0 {
        let mut order: Vec<usize> = (0..weights.len()).collect();
        // No two places are alike, so that any way to find the first of them finds the same.
        order.select_nth_unstable_by(left - 1, |a, b| remainders[*b].cmp(&remainders[*a]).then(b.cmp(a)));
        for index in order.into_iter().take(left) {
            parts[index] += 1;
        }
    }
    parts.into_iter().map(to_minor).collect()
}

/// Quotient and remainder. Most numbers have 64 bits, and those are divided many times as fast as 128.
fn divide(number: u128, divisor: u128) -> (u128, u128) {
    match (u64::try_from(number), u64::try_from(divisor)) {
        (Ok(number), Ok(divisor)) => (u128::from(number / divisor), u128::from(number % divisor)),
        _ => (number / divisor, number % divisor),
    }
}

fn to_minor(part: u128) -> i64 {
    i64::try_from(part).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(amount: &str, currency: &str, expected: Result<i64, MoneyError>) {
        let parsed = currency.parse().and_then(|currency| Money::parse(amount, currency));
        assert_eq!(parsed.map(|money| money.minor), expected, "{amount} {currency}");
    }

    #[test]
    fn amounts_are_read_exactly_or_refused_by_name() {
        check("12.50", "USD", Ok(1250));
        check("12.5", "USD", Ok(1250));
        check("0.1", "KWD", Ok(100));
        check("0.000000001", "ETH", Ok(1));
        check("1000000", "ETH", Ok(AMOUNT_MINOR_MAX));
        check("0.000000000000000001", "ETH", Err(MoneyError::Precision));
        check("7", "JPY", Ok(7));
        check("1.000", "USD", Ok(100));
        check("10000000000000.00", "USD", Ok(AMOUNT_MINOR_MAX));
        check("10000000000000.01", "USD", Err(MoneyError::Overflow));
        check("92233720368547758.08", "USD", Err(MoneyError::Overflow));
        check("0.001", "USD", Err(MoneyError::Precision));
        check("1.5", "JPY", Err(MoneyError::Precision));
        for wrong in ["", ".", ".5", "5.", "-1", "+1", "1e3", "1_000", "1,000", "NaN", "١", " 1", "0x1"] {
            check(wrong, "USD", Err(MoneyError::Format));
        }
        check(&"9".repeat(60), "USD", Err(MoneyError::Overflow));
        check("1", "usd", Err(MoneyError::Currency));
        check("1", "USDT", Err(MoneyError::Currency));
    }

    #[test]
    fn amounts_are_written_with_every_place() {
        let written = |minor, currency: &str| currency.parse().map(|currency| Money::new(minor, currency).amount());
        assert_eq!(written(5, "USD"), Ok("0.05".to_owned()));
        assert_eq!(written(-1250, "USD"), Ok("-12.50".to_owned()));
        assert_eq!(written(5, "JPY"), Ok("5".to_owned()));
        assert_eq!(written(5, "KWD"), Ok("0.005".to_owned()));
    }

    #[test]
    fn the_later_part_takes_a_tie() {
        assert_eq!(split_by_weight(100, &[1, 1, 1]), vec![33, 33, 34]);
        assert_eq!(split_by_weight(1, &[1, 1]), vec![0, 1]);
        assert_eq!(split_by_weight(5, &[0, 0]), vec![0, 5]);
        assert_eq!(split_by_weight(5, &[]), Vec::<i64>::new());
    }

    proptest::proptest! {
        #[test]
        fn parts_sum_to_the_whole(total in 0..=i64::MAX, weights in proptest::collection::vec(0..=1_000_000_000_000_u64, 1..60)) {
            let parts = split_by_weight(total, &weights);
            proptest::prop_assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), i128::from(total));
        }
    }
}
