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

/// A part of a conversion's credit: the place of the degree, 0 for the nearest, and the member who takes it; `None` where nobody does.
pub(super) struct Part {
    pub taker: Option<(usize, Uuid)>,
    pub weight_units: u64,
    pub value_minor: i64,
}

/// Divides a conversion: `shares_ppm` are the policy's of the degrees, none where nobody is credited, and `line` the buyer's ancestors, both the
/// nearest first. What no ancestor takes is left over.
pub(super) fn divide(value_minor: i64, shares_ppm: &[i32], line: &[Uuid]) -> Vec<Part> {
    let given: i32 = shares_ppm.iter().sum();
    let parts: Vec<u64> =
        shares_ppm.iter().chain([&(1_000_000 - given)]).map(|ppm| u64::from(ppm.unsigned_abs())).collect();
    let places = shares(&parts).into_iter().zip(split_by_weight(value_minor, &parts));
    let part = |(place, (weight_units, value_minor)): (usize, (u64, i64))| {
        let is_given = place < shares_ppm.len().min(UPLINE_DEGREES_MAX) && (weight_units > 0 || value_minor > 0);
        let taker = line.get(place).filter(|_| is_given).map(|id| (place, *id));
        Part { taker, weight_units, value_minor }
    };
    places.enumerate().map(part).collect()
}

/// The sums so far.
#[derive(Default)]
pub(super) struct Uplines {
    totals: [Total; UPLINE_DEGREES_MAX],
    members: [BTreeSet<Uuid>; UPLINE_DEGREES_MAX],
    /// How many members have a part in what is kept, and in nothing that was added here.
    other_members: [u64; UPLINE_DEGREES_MAX],
    unassigned: Total,
}

impl Uplines {
    /// Adds a conversion.
    pub(super) fn add(&mut self, value_minor: i64, shares_ppm: &[i32], line: &[Uuid]) {
        for Part { taker, weight_units, value_minor } in divide(value_minor, shares_ppm, line) {
            if let Some((place, id)) = taker {
                self.totals[place].add(weight_units, value_minor);
                self.members[place].insert(id);
            } else {
                self.unassigned.add(weight_units, value_minor);
            }
        }
    }

    /// Who has a part in what was added: the place of the degree, and the member.
    pub(super) fn members(&self) -> impl Iterator<Item = (usize, Uuid)> {
        self.members.iter().enumerate().flat_map(|(place, ids)| ids.iter().map(move |id| (place, *id)))
    }

    /// Adds what is kept: all of it, and the degrees' parts, the nearest first, each with the members who are not counted yet.
    pub(super) fn add_whole(&mut self, all: Total, degrees: &[Degree]) {
        let mut left = all;
        for ((total, count), degree) in self.totals.iter_mut().zip(&mut self.other_members).zip(degrees) {
            total.add_total(degree.total);
            *count += degree.member_count;
            left = left.less(degree.total);
        }
        self.unassigned.add_total(left);
    }

    /// The degrees that have something, the nearest first with its number, and what is left.
    pub(super) fn finish(self) -> (Vec<(i32, Degree)>, Total) {
        let members = self.members.iter().map(|ids| ids.len() as u64).zip(self.other_members);
        let degrees = (1..).zip(self.totals.into_iter().zip(members));
        let degrees =
            degrees.map(|(degree, (total, (own, other)))| (degree, Degree { total, member_count: own + other }));
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
