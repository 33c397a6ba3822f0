//! What credit costs and returns. Pure, and in whole numbers: rounded once, half up.

use super::weights::WEIGHT_UNITS;

/// What a whole conversion cost, in minor units; `None` without a conversion. Conversions are parts of [`WEIGHT_UNITS`].
#[must_use]
pub fn cost_per_conversion_minor(spend_minor: u128, conversion_units: u128) -> Option<u128> {
    divide(spend_minor.checked_mul(u128::from(WEIGHT_UNITS))?, conversion_units)
}

/// What a spent minor unit returned, in parts of [`WEIGHT_UNITS`]; `None` where nothing was spent. The value is in parts of
/// [`WEIGHT_UNITS`] of a minor unit.
#[must_use]
pub fn return_on_spend(value_units: u128, spend_minor: u128) -> Option<u128> {
    divide(value_units, spend_minor)
}

fn divide(number: u128, divisor: u128) -> Option<u128> {
    number.checked_add(divisor / 2)?.checked_div(divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_half_up_and_absent_without_a_divisor() {
        let one = u128::from(WEIGHT_UNITS);
        assert_eq!(cost_per_conversion_minor(1_000, 3 * one), Some(333));
        assert_eq!(cost_per_conversion_minor(1_000, one / 3 * 2), Some(1_500));
        assert_eq!(cost_per_conversion_minor(1_001, 2 * one), Some(501));
        assert_eq!(cost_per_conversion_minor(1_000, 0), None);
        assert_eq!(return_on_spend(3 * one, 2), Some(one / 2 * 3));
        assert_eq!(return_on_spend(3 * one, 0), None);
        assert_eq!(return_on_spend(0, 5), Some(0));
    }
}
