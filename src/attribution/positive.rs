//! Numbers that are never negative, with 64 significant binary digits and an exponent of their own, in whole-number arithmetic: the same on
//! every machine. Sums, products and quotients of such numbers lose nothing but their 64th digit, however small they are; there is no
//! difference, which is what loses digits.

use std::ops::{Add, Mul};

/// `mantissa * 2^exponent`. The mantissa's first bit is set, unless the number is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positive {
    mantissa: u64,
    exponent: i32,
}

impl Positive {
    pub const ZERO: Self = Self { mantissa: 0, exponent: 0 };

    /// A whole number, cut to its 64 first binary digits.
    #[must_use]
    pub fn new(number: u128) -> Self {
        Self::scaled(number, 0)
    }

    fn scaled(number: u128, exponent: i32) -> Self {
        if number == 0 {
            return Self::ZERO;
        }
        let zeros = number.leading_zeros();
        let mantissa = u64::try_from((number << zeros) >> 64).unwrap_or(u64::MAX);
        Self { mantissa, exponent: exponent + 64 - zeros.cast_signed() }
    }

    #[must_use]
    pub fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// The quotient; zero where the divisor is zero, since nothing leads there.
    #[must_use]
    pub fn over(self, divisor: Self) -> Self {
        if divisor.is_zero() {
            return Self::ZERO;
        }
        let quotient = (u128::from(self.mantissa) << 64) / u128::from(divisor.mantissa);
        Self::scaled(quotient, self.exponent - divisor.exponent - 64)
    }

    /// How many whole `1 / per_one` it holds, rounded down; far too large numbers are cut.
    #[must_use]
    pub fn parts(self, per_one: u64) -> u64 {
        let product = self * Self::new(u128::from(per_one));
        let mantissa = u128::from(product.mantissa);
        let number = match u32::try_from(product.exponent) {
            Ok(left) => mantissa.checked_shl(left).unwrap_or(u128::MAX),
            Err(_) => mantissa.checked_shr(product.exponent.unsigned_abs()).unwrap_or(0),
        };
        u64::try_from(number).unwrap_or(u64::MAX)
    }
}

impl Add for Positive {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        if self.is_zero() || other.is_zero() {
            return if self.is_zero() { other } else { self };
        }
        let (large, small) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        let small_digits =
            (u128::from(small.mantissa) << 63).checked_shr(large.exponent.abs_diff(small.exponent)).unwrap_or(0);
        Self::scaled((u128::from(large.mantissa) << 63) + small_digits, large.exponent - 63)
    }
}

impl Mul for Positive {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self::scaled(u128::from(self.mantissa) * u128::from(other.mantissa), self.exponent + other.exponent)
    }
}

/// Whole numbers in the proportion of these, as large as 64 bits allow: what `split_by_weight` takes.
#[must_use]
pub fn to_weights(numbers: &[Positive]) -> Vec<u64> {
    let exponent_max = numbers.iter().filter(|number| !number.is_zero()).map(|number| number.exponent).max();
    let shift = |number: &Positive| exponent_max.map_or(0, |max| max.abs_diff(number.exponent));
    numbers.iter().map(|number| number.mantissa.checked_shr(shift(number)).unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u128) -> Positive {
        Positive::new(number)
    }

    #[test]
    fn whole_numbers_are_added_and_multiplied_exactly() {
        assert_eq!(number(7) + number(5), number(12));
        assert_eq!(number(7) + Positive::ZERO, number(7));
        assert_eq!(number(7) * number(5), number(35));
        assert_eq!(number(7) * Positive::ZERO, Positive::ZERO);
        assert_eq!(number(35).over(number(5)), number(7));
        assert_eq!(number(7).over(Positive::ZERO), Positive::ZERO);
        assert_eq!(number(u128::MAX).parts(1), u64::MAX);
    }

    #[test]
    fn parts_are_rounded_down() {
        assert_eq!(number(1).over(number(3)).parts(1_000_000_000_000), 333_333_333_333);
        assert_eq!(number(3).over(number(4)).parts(1_000), 750);
        assert_eq!(number(5).parts(2), 10);
        assert_eq!(Positive::ZERO.parts(1_000), 0);
        let tiny = (0..40).fold(number(1), |tiny, _| tiny.over(number(1_000_000_007)));
        assert_eq!(tiny.parts(u64::MAX), 0);
        let one = (0..40).fold(tiny, |tiny, _| tiny * number(1_000_000_007));
        assert!((999_999_999_999..=1_000_000_000_000).contains(&one.parts(1_000_000_000_000)));
    }

    #[test]
    fn weights_keep_the_proportion() {
        let third = number(1).over(number(3));
        let weights = to_weights(&[third, number(1), Positive::ZERO]);
        assert_eq!((weights[1], weights[2]), (1 << 63, 0));
        assert_eq!(weights[0], (1_u64 << 63) / 3);
        assert_eq!(to_weights(&[Positive::ZERO]), [0]);
    }

    proptest::proptest! {
        #[test]
        fn sums_follow_whole_numbers(a in 0..=u64::MAX / 2, b in 0..=u64::MAX / 2) {
            let sum = number(u128::from(a)) + number(u128::from(b));
            proptest::prop_assert_eq!(sum, number(u128::from(a) + u128::from(b)));
        }
    }
}
