//! What two ways to credit come to, side by side. Pure: conversions go in one by one, exact sums per creator come out.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::attribution::WEIGHT_UNITS;
use crate::attribution::report::Total;
use crate::base::limits::REPORT_ROWS_MAX;
use crate::base::{Currency, Money};

/// A creator's part of a conversion, or that of members' links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub creator_id: Option<Uuid>,
    /// Parts of [`WEIGHT_UNITS`].
    pub weight_units: u64,
    pub amount_minor: u64,
}

/// What somebody has before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    pub before: Total,
    pub after: Total,
}

/// The outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// By creator, whose value moves most first; `None` is the links of members together.
    pub rows: Vec<(Option<Uuid>, Moved)>,
    /// Whether there are more than these.
    pub is_truncated: bool,
    pub conversion_count: u64,
    /// The conversions whose credit by creator differs.
    pub changed_count: u64,
    pub value_minor: u128,
    /// What nobody is credited for: with all rows it makes the whole, before and after.
    pub unattributed: Moved,
}

/// The sums so far.
pub(super) struct Tally {
    currency: Currency,
    rows: BTreeMap<Option<Uuid>, Moved>,
    conversion_count: u64,
    changed_count: u64,
    value_minor: u128,
    unattributed: Moved,
}

impl Tally {
    pub(super) fn new(currency: Currency) -> Self {
        Self {
            currency,
            rows: BTreeMap::new(),
            conversion_count: 0,
            changed_count: 0,
            value_minor: 0,
            unattributed: Moved::default(),
        }
    }

    /// Adds a conversion with its parts on both sides.
    pub(super) fn add(&mut self, value: Money, before: &[Part], after: &[Part]) {
        let is_counted = value.currency == self.currency;
        let counted = |minor: u64| if is_counted { u128::from(minor) } else { 0 };
        self.conversion_count += 1;
        self.value_minor += counted(value.minor.unsigned_abs());
        self.changed_count += u64::from(by_creator(before) != by_creator(after));
        for (parts, is_after) in [(before, false), (after, true)] {
            for part in parts {
                let side = self.rows.entry(part.creator_id).or_default().side(is_after);
                side.conversion_units += u128::from(part.weight_units);
                side.value_minor += counted(part.amount_minor);
            }
            if parts.is_empty() {
                let side = self.unattributed.side(is_after);
                side.conversion_units += u128::from(WEIGHT_UNITS);
                side.value_minor += counted(value.minor.unsigned_abs());
            }
        }
    }

    pub(super) fn finish(self) -> Simulation {
        let mut rows: Vec<(Option<Uuid>, Moved)> = self.rows.into_iter().collect();
        let moved = |(_, row): &(Option<Uuid>, Moved)| row.after.value_minor.abs_diff(row.before.value_minor);
        rows.sort_by(|a, b| moved(b).cmp(&moved(a)).then(a.0.cmp(&b.0)));
        let is_truncated = rows.len() > REPORT_ROWS_MAX;
        rows.truncate(REPORT_ROWS_MAX);
        Simulation {
            rows,
            is_truncated,
            conversion_count: self.conversion_count,
            changed_count: self.changed_count,
            value_minor: self.value_minor,
            unattributed: self.unattributed,
        }
    }
}

impl Moved {
    fn side(&mut self, is_after: bool) -> &mut Total {
        if is_after { &mut self.after } else { &mut self.before }
    }
}

fn by_creator(parts: &[Part]) -> BTreeMap<Option<Uuid>, (u64, u64)> {
    let mut sums: BTreeMap<Option<Uuid>, (u64, u64)> = BTreeMap::new();
    for part in parts {
        let sum = sums.entry(part.creator_id).or_default();
        *sum = (sum.0 + part.weight_units, sum.1 + part.amount_minor);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(creator: u128, weight_units: u64, amount_minor: u64) -> Part {
        Part { creator_id: Some(Uuid::from_u128(creator)), weight_units, amount_minor }
    }

    fn usd(minor: i64) -> Money {
        Money::new(minor, "USD".parse().unwrap())
    }

    #[test]
    fn both_sides_add_up_to_the_whole() {
        let mut tally = Tally::new("USD".parse().unwrap());
        let half = WEIGHT_UNITS / 2;
        tally.add(usd(101), &[part(1, WEIGHT_UNITS, 101)], &[part(1, half, 50), part(2, half, 51)]);
        // The same by creator, though not by touch: nothing has changed.
        tally.add(usd(10), &[part(2, WEIGHT_UNITS, 10)], &[part(2, half, 5), part(2, half, 5)]);
        tally.add(usd(7), &[part(3, WEIGHT_UNITS, 7)], &[]);
        tally.add(usd(5), &[], &[]);
        let eur = Money::new(1_000, "EUR".parse().unwrap());
        tally.add(eur, &[], &[part(3, WEIGHT_UNITS, 1_000)]);
        let found = tally.finish();
        assert_eq!((found.conversion_count, found.changed_count, found.value_minor), (5, 3, 123));
        let value = |side: fn(&Moved) -> Total| {
            let rows = found.rows.iter().map(|(_, row)| side(row)).chain([side(&found.unattributed)]);
            rows.fold((0, 0), |sum, one| (sum.0 + one.value_minor, sum.1 + one.conversion_units))
        };
        assert_eq!(value(|row| row.before), (123, 5 * u128::from(WEIGHT_UNITS)));
        assert_eq!(value(|row| row.after), (123, 5 * u128::from(WEIGHT_UNITS)));
        let order: Vec<_> = found.rows.iter().map(|(id, _)| id.map(|id| id.as_u128())).collect();
        assert_eq!(order, [Some(1), Some(2), Some(3)]);
    }
}
