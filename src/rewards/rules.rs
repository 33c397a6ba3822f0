//! The arithmetic of shares. Pure and exact: a share is rounded down to the minor unit, so that no rounding ever overpays.

/// `share_ppm` millionths of an amount, rounded down.
#[must_use]
pub fn share(amount_minor: i64, share_ppm: i32) -> i64 {
    let product = i128::from(amount_minor.max(0)) * i128::from(share_ppm.max(0)) / 1_000_000;
    i64::try_from(product).unwrap_or(i64::MAX)
}

/// What a refund leaves of a part of a conversion: the part's share of what is not refunded, rounded down.
#[must_use]
pub fn net_of_refund(part_minor: i64, value_minor: i64, refunded_minor: i64) -> i64 {
    if value_minor <= 0 {
        return 0;
    }
    let left = i128::from((value_minor - refunded_minor).max(0));
    i64::try_from(i128::from(part_minor) * left / i128::from(value_minor)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_round_down_and_never_pass_the_whole() {
        assert_eq!(share(999, 100_000), 99);
        assert_eq!(share(i64::MAX, 1_000_000), i64::MAX);
        assert_eq!(share(-5, 100_000), 0);
    }

    #[test]
    fn a_refund_takes_pro_rata() {
        assert_eq!(net_of_refund(50, 100, 0), 50);
        assert_eq!(net_of_refund(50, 100, 33), 33);
        assert_eq!(net_of_refund(50, 100, 100), 0);
        assert_eq!(net_of_refund(0, 0, 0), 0);
    }
}
