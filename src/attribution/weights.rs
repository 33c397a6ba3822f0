//! How each model divides a conversion over the touches that count. Pure, and in whole numbers only, so that every machine gives the
//! same weights. Definitions are in docs/attribution.md.

use chrono::TimeDelta;

use crate::base::split_by_weight;
use crate::campaigns::{AttributionModel, AttributionPolicy};

/// What the weights of one conversion and model sum to.
pub const WEIGHT_UNITS: u64 = 1_000_000_000_000;

const MICROSECONDS_PER_HOUR: u64 = 3_600_000_000;

/// The weights of touches of these ages at the conversion, oldest first. They sum to [`WEIGHT_UNITS`] unless there are none.
#[must_use]
pub fn weights(policy: &AttributionPolicy, ages: &[TimeDelta]) -> Vec<u64> {
    weights_under(policy.model, policy, ages)
}

/// The same under a model in place of the policy's own.
#[must_use]
pub fn weights_under(model: AttributionModel, policy: &AttributionPolicy, ages: &[TimeDelta]) -> Vec<u64> {
    let count = ages.len();
    match model {
        AttributionModel::FirstTouch => shares(&indicator(count, 0)),
        // What channels are worth divides DATA_DRIVEN elsewhere; before the first version of that, all touches share alike.
        AttributionModel::Linear | AttributionModel::DataDriven => equal_shares(WEIGHT_UNITS, count),
        AttributionModel::TimeDecay => time_decay(policy.half_life_hours, ages),
        AttributionModel::PositionBased => position_based(count),
        AttributionModel::WeightedLastTouch if count > 1 => {
            let last = u64::try_from(policy.last_touch_weight_ppm).unwrap_or(0) * (WEIGHT_UNITS / 1_000_000);
            let mut weights = equal_shares(WEIGHT_UNITS - last, count - 1);
            weights.push(last);
            weights
        }
        AttributionModel::LastTouch | AttributionModel::WeightedLastTouch => {
            shares(&indicator(count, count.saturating_sub(1)))
        }
    }
}

/// Parts of [`WEIGHT_UNITS`] as an exact decimal: twelve places hold every one.
#[must_use]
pub fn decimal(units: u128) -> String {
    let (whole, part) = (units / u128::from(WEIGHT_UNITS), units % u128::from(WEIGHT_UNITS));
    let part = format!("{part:012}");
    let part = part.trim_end_matches('0');
    if part.is_empty() { whole.to_string() } else { format!("{whole}.{part}") }
}

/// [`WEIGHT_UNITS`] in proportion to these weights, by largest remainder.
#[must_use]
pub fn shares(weights: &[u64]) -> Vec<u64> {
    to_units(split_by_weight(i64::try_from(WEIGHT_UNITS).unwrap_or(i64::MAX), weights))
}

fn equal_shares(units: u64, count: usize) -> Vec<u64> {
    to_units(split_by_weight(i64::try_from(units).unwrap_or(i64::MAX), &vec![1; count]))
}

fn to_units(parts: Vec<i64>) -> Vec<u64> {
    parts.into_iter().map(i64::unsigned_abs).collect()
}

fn indicator(count: usize, chosen: usize) -> Vec<u64> {
    (0..count).map(|index| u64::from(index == chosen)).collect()
}

/// 40 % to the first and the last, 20 % equally to those between; of two, half each.
fn position_based(count: usize) -> Vec<u64> {
    if count < 3 {
        return equal_shares(WEIGHT_UNITS, count);
    }
    let end = WEIGHT_UNITS / 5 * 2;
    let mut weights = vec![end];
    weights.extend(equal_shares(WEIGHT_UNITS - 2 * end, count - 2));
    weights.push(end);
    weights
}

/// In proportion to `0.5^(age / half-life)`. Only differences of ages matter, so they are taken from the youngest: it has weight 1 however
/// old it is, and nothing runs out of digits.
fn time_decay(half_life_hours: i32, ages: &[TimeDelta]) -> Vec<u64> {
    let microseconds = |age: &TimeDelta| age.num_microseconds().unwrap_or(i64::MAX);
    let youngest = ages.iter().map(microseconds).min().unwrap_or(0);
    let half_life = u64::from(half_life_hours.unsigned_abs()).max(1) * MICROSECONDS_PER_HOUR;
    let decayed: Vec<u64> = ages.iter().map(|age| decayed(microseconds(age).abs_diff(youngest), half_life)).collect();
    shares(&decayed)
}

/// `2^64 * 0.5^(1/2)`, `2^64 * 0.5^(1/4)`, `2^64 * 0.5^(1/8)`, ..., rounded down: each is the square root of the one before.
const ROOTS_OF_HALF: [u64; 64] = roots_of_half();

const fn roots_of_half() -> [u64; 64] {
    let mut roots = [0; 64];
    let mut root = 1_u128 << 63;
    let mut place = 0;
    while place < roots.len() {
        root = (root << 64).isqrt();
        roots[place] = root as u64;
        place += 1;
    }
    roots
}

/// `2^63 * 0.5^(elapsed / half_life)`, both in microseconds, at most 2^-56 of it too small. The exponent's whole part shifts; its
/// fraction, in 64 binary places, says which roots of a half to multiply.
fn decayed(elapsed: u64, half_life: u64) -> u64 {
    let halvings = elapsed / half_life;
    if halvings > 63 {
        return 0;
    }
    let fraction = (u128::from(elapsed % half_life) << 64) / u128::from(half_life);
    let mut value = 1_u128 << 64;
    for (place, root) in ROOTS_OF_HALF.iter().enumerate() {
        if (fraction >> (63 - place)) & 1 == 1 {
            value = (value * u128::from(*root)) >> 64;
        }
    }
    u64::try_from(value >> 1 >> halvings).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaigns::CampaignObjective;

    fn policy(model: AttributionModel) -> AttributionPolicy {
        AttributionPolicy { model, ..AttributionPolicy::for_objective(CampaignObjective::Conversion) }
    }

    fn check(model: AttributionModel, ages_hours: &[i64], expected: &[u64]) {
        let ages: Vec<TimeDelta> = ages_hours.iter().map(|hours| TimeDelta::hours(*hours)).collect();
        assert_eq!(weights(&policy(model), &ages), expected, "{model:?} over {ages_hours:?}");
    }

    #[test]
    fn weights_are_written_exactly() {
        let check = |units: u128, expected| assert_eq!(decimal(units), expected);
        check(1_000_000_000_000, "1");
        check(0, "0");
        check(600_000_000_000, "0.6");
        check(333_333_333_334, "0.333333333334");
        check(12_000_000_000_001, "12.000000000001");
    }

    #[test]
    fn the_ends_take_two_fifths_each() {
        check(AttributionModel::PositionBased, &[], &[]);
        check(AttributionModel::PositionBased, &[5], &[WEIGHT_UNITS]);
        check(AttributionModel::PositionBased, &[5, 1], &[500_000_000_000, 500_000_000_000]);
        check(AttributionModel::PositionBased, &[9, 5, 1], &[400_000_000_000, 200_000_000_000, 400_000_000_000]);
        let of_five = [400_000_000_000, 66_666_666_666, 66_666_666_667, 66_666_666_667, 400_000_000_000];
        check(AttributionModel::PositionBased, &[9, 7, 5, 3, 1], &of_five);
    }

    #[test]
    fn a_touch_halves_with_every_half_life() {
        check(AttributionModel::TimeDecay, &[], &[]);
        check(AttributionModel::TimeDecay, &[40], &[WEIGHT_UNITS]);
        check(AttributionModel::TimeDecay, &[168, 0], &[333_333_333_333, 666_666_666_667]);
        // 1 : 2 : 8 of eleven parts, and the age of the youngest does not matter.
        let parts = [90_909_090_909, 181_818_181_818, 727_272_727_273];
        check(AttributionModel::TimeDecay, &[672, 504, 168], &parts);
        check(AttributionModel::TimeDecay, &[8_760, 8_592, 8_256], &parts);
        // So old that no part is left, and older than there are halvings.
        check(AttributionModel::TimeDecay, &[168 * 64, 168 * 41, 0], &[0, 0, WEIGHT_UNITS]);
    }

    /// Worked out with 50 decimal digits.
    #[test]
    fn time_decay_is_right_to_the_last_digit() {
        check(AttributionModel::TimeDecay, &[1, 0], &[498_968_532_445, 501_031_467_555]);
        check(AttributionModel::TimeDecay, &[100, 57, 13], &[275_789_737_863, 329_327_082_047, 394_883_180_090]);
        assert_eq!(ROOTS_OF_HALF[0], 13_043_817_825_332_782_212);
    }

    proptest::proptest! {
        #[test]
        fn decay_follows_the_formula(elapsed in 0..=31_536_000_000_000_u64, hours in 1..=8_760_u64) {
            let half_life = hours * MICROSECONDS_PER_HOUR;
            let expected = 0.5_f64.powf(elapsed as f64 / half_life as f64);
            let found = decayed(elapsed, half_life) as f64 / 2_f64.powi(63);
            proptest::prop_assert!((found - expected).abs() < 1e-13, "{found} is not {expected}");
        }

        #[test]
        fn whatever_the_model_weights_sum_to_one(model in 0..AttributionModel::ALL.len(), ages in proptest::collection::vec(0..=31_536_000_i64, 1..60),
                                                 half_life_hours in 1..=8_760_i32, last_touch_weight_ppm in 0..=1_000_000_i32) {
            let mut ages = ages;
            ages.sort_unstable_by(|a, b| b.cmp(a));
            let ages: Vec<TimeDelta> = ages.into_iter().map(TimeDelta::seconds).collect();
            let policy = AttributionPolicy { half_life_hours, last_touch_weight_ppm, ..policy(AttributionModel::ALL[model]) };
            let weights = weights(&policy, &ages);
            proptest::prop_assert_eq!(weights.len(), ages.len());
            proptest::prop_assert_eq!(weights.iter().sum::<u64>(), WEIGHT_UNITS);
            if policy.model == AttributionModel::TimeDecay {
                proptest::prop_assert!(weights.is_sorted(), "a younger touch never takes less: {:?}", weights);
            }
        }
    }
}
