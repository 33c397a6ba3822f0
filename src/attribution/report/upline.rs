//! Credit of the referral up-line of who bought, by degree, apart from the credit of touches. Pure, and exact: the degrees and what is left make
//! the whole.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::rules::Total;
use crate::attribution::weights::shares;
use crate::base::limits::UPLINE_DEGREES_MAX;
use crate::base::split_by_weight;

/// What members of one degree have together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Degree {
    pub total: Total,
    /// How many members have a part in it.
    pub member_count: u64,
}

/// The sums so far.
#[derive(Default)]
pub(super) struct Uplines {
    totals: [Total; UPLINE_DEGREES_MAX],
    members: [BTreeSet<Uuid>; UPLINE_DEGREES_MAX],
    unassigned: Total,
}

impl Uplines {
    /// Adds a conversion: `shares_ppm` are the policy's of the degrees, none where nobody is credited, and `line` the buyer's ancestors, both the
    /// nearest first. What no ancestor takes is left over.
    pub(super) fn add(&mut self, value_minor: i64, shares_ppm: &[i32], line: &[Uuid]) {
        let given: i32 = shares_ppm.iter().sum();
        let parts: Vec<u64> =
            shares_ppm.iter().chain([&(1_000_000 - given)]).map(|ppm| u64::from(ppm.unsigned_abs())).collect();
        let places = shares(&parts).into_iter().zip(split_by_weight(value_minor, &parts));
        for (place, (weight_units, minor)) in places.enumerate() {
            let is_given = place < shares_ppm.len() && (weight_units > 0 || minor > 0);
            let ancestor = line.get(place).filter(|_| is_given);
            match (ancestor, self.totals.get_mut(place), self.members.get_mut(place)) {
                (Some(id), Some(total), Some(members)) => {
                    total.add(weight_units, minor);
                    members.insert(*id);
                }
                _ => self.unassigned.add(weight_units, minor),
            }
        }
    }

    /// The degrees that have something, the nearest first with its number, and what is left.
    pub(super) fn finish(self) -> (Vec<(i32, Degree)>, Total) {
        let degrees = (1..).zip(self.totals.into_iter().zip(self.members));
        let degrees =
            degrees.map(|(degree, (total, members))| (degree, Degree { total, member_count: members.len() as u64 }));
        (degrees.filter(|(_, degree)| degree.member_count > 0).collect(), self.unassigned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::WEIGHT_UNITS;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn degrees_share_by_the_policy_and_what_nobody_takes_is_left() {
        let mut uplines = Uplines::default();
        uplines.add(100, &[500_000, 300_000, 200_000], &[id(1), id(2), id(3)]);
        uplines.add(100, &[500_000, 300_000], &[id(1)]);
        uplines.add(7, &[], &[id(1)]);
        uplines.add(5, &[1_000_000], &[]);
        let (degrees, left) = uplines.finish();
        let of = |place: usize| (degrees[place].0, degrees[place].1.total.value_minor, degrees[place].1.member_count);
        assert_eq!([of(0), of(1), of(2)], [(1, 100, 1), (2, 30, 1), (3, 20, 1)]);
        assert_eq!(left.value_minor, 50 + 7 + 5);
        let units: u128 = degrees.iter().map(|(_, degree)| degree.total.conversion_units).sum();
        assert_eq!(units + left.conversion_units, 4 * u128::from(WEIGHT_UNITS));
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_or_made(value in 0..=i64::MAX, shares in proptest::collection::vec(0..=333_333_i32, 0..=3), depth in 0..5_u128) {
            let mut uplines = Uplines::default();
            let line: Vec<Uuid> = (1..=depth).map(id).collect();
            uplines.add(value, &shares, &line);
            let (degrees, left) = uplines.finish();
            let total = degrees.iter().map(|(_, degree)| degree.total).chain([left]);
            let sums = total.fold((0, 0), |sum, one| (sum.0 + one.value_minor, sum.1 + one.conversion_units));
            proptest::prop_assert_eq!(sums, (u128::from(value.unsigned_abs()), u128::from(WEIGHT_UNITS)));
        }
    }
}
