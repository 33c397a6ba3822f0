//! What is kept of hours and days, and which of them answer a question. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::attribution::report::dimension::{Dimension, Key};
use crate::attribution::report::judged::Judged;
use crate::attribution::report::rules::{Credit, KEPT_MODELS, Total};
use crate::attribution::report::upline;
use crate::attribution::walk::{Overrides, Seen, Stretch};
use crate::base::Currency;
use crate::campaigns::PolicyBook;
use crate::marks::hour_of;
use crate::text_enum;

text_enum! {
    /// A stretch of time whose sums are kept together, UTC.
    Span { Hour = "HOUR", Day = "DAY" }
}

impl Span {
    pub(super) fn length(self) -> TimeDelta {
        match self {
            Self::Hour => TimeDelta::hours(1),
            Self::Day => TimeDelta::hours(24),
        }
    }
}

/// How a time is answered: by the sums of these spans, and by judging what happened in the gaps between them.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::attribution::report) struct Plan {
    /// They do not overlap; the oldest first, like the gaps.
    pub spans: Vec<(Span, DateTime<Utc>)>,
    pub gaps: Vec<Stretch>,
}

impl Plan {
    /// Of `[from, to)`, in which all of these spans lie, the oldest first.
    pub(in crate::attribution::report) fn new((from, to): Stretch, spans: Vec<(Span, DateTime<Utc>)>) -> Self {
        let mut gaps = Vec::new();
        let mut place = from;
        for (span, starts_at) in &spans {
            if *starts_at > place {
                gaps.push((place, *starts_at));
            }
            place = *starts_at + span.length();
        }
        if place < to {
            gaps.push((place, to));
        }
        Self { spans, gaps }
    }
}

/// A group of an hour: its dimension, the campaign that judged the conversions (or that of the touches or rewards), the currency (none for
/// touches), and the key as the database writes it.
pub(super) type GroupKey = (DateTime<Utc>, Dimension, Uuid, String, String);
/// All conversions of an hour that a campaign judged, in one currency.
pub(super) type WholeKey = (DateTime<Utc>, Uuid, String);
/// A member above buyers: the hour, the campaign, the currency, the degree, who.
pub(super) type UplineKey = (DateTime<Utc>, Uuid, String, i16, Uuid);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupSums {
    pub touch_count: i64,
    pub click_count: i64,
    pub reward_count: i64,
    pub cost_minor: u128,
    pub credit: Credit,
}

/// What is kept of some hours.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub groups: BTreeMap<GroupKey, GroupSums>,
    /// How many conversions, and their value.
    pub wholes: BTreeMap<WholeKey, (i64, u128)>,
    pub uplines: BTreeMap<UplineKey, Total>,
    /// The hours with conversions that name no campaign, and the policies in force that decided which one judges them.
    pub open_hours: BTreeSet<DateTime<Utc>>,
    pub policies: BTreeMap<(DateTime<Utc>, Uuid), i32>,
}

impl Sums {
    /// The hours whose sums are not the same.
    pub(super) fn differing(&self, other: &Self) -> BTreeSet<DateTime<Utc>> {
        let mut hours = BTreeSet::new();
        hours.extend(differing(&self.groups, &other.groups).map(|key| key.0));
        hours.extend(differing(&self.wholes, &other.wholes).map(|key| key.0));
        hours.extend(differing(&self.uplines, &other.uplines).map(|key| key.0));
        hours
    }
}

fn differing<'a, K: Ord, V: PartialEq>(
    one: &'a BTreeMap<K, V>,
    other: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = &'a K> {
    let changed = one.iter().filter(move |(key, value)| other.get(*key) != Some(*value)).map(|(key, _)| key);
    changed.chain(other.keys().filter(move |key| !one.contains_key(*key)))
}

/// What has a campaign's conversions of an hour in one currency.
type Place = (DateTime<Utc>, Uuid, Currency);

/// The dimensions that are something of the touch.
const OF_TOUCHES: [Dimension; 5] =
    [Dimension::Creator, Dimension::Campaign, Dimension::Platform, Dimension::SubId, Dimension::Channel];

/// The sums so far. Every conversion is judged once, for all models and dimensions.
#[derive(Default)]
pub(super) struct Keeper {
    groups: HashMap<(Place, Dimension, Key), Credit>,
    wholes: HashMap<Place, (i64, u128)>,
    uplines: HashMap<(Place, i16, Uuid), Total>,
    open_hours: BTreeSet<DateTime<Utc>>,
    policies: BTreeMap<(DateTime<Utc>, Uuid), i32>,
}

impl Keeper {
    /// Adds a conversion; `line` are the members above the buyer, the nearest first.
    pub(super) fn add(&mut self, book: &PolicyBook, seen: Seen<'_>, line: &[Uuid]) {
        let judged = Judged::new(book, Overrides::default(), seen);
        let (conversion, _, touches) = seen;
        let (hour, value) = (hour_of(judged.at()), conversion.value);
        if conversion.campaign_id.is_none() {
            self.open_hours.insert(hour);
            let campaigns = touches.iter().filter_map(|touch| book.campaign(touch.campaign_id?));
            self.policies.extend(campaigns.map(|facts| ((hour, facts.id), facts.policy_version)));
        }
        // Nobody's are under the nil identifier.
        let place = (hour, judged.campaign_id.unwrap_or_default(), value.currency);
        let whole = self.wholes.entry(place).or_default();
        *whole = (whole.0 + 1, whole.1 + u128::from(value.minor.unsigned_abs()));
        for part in upline::divide(value.minor, judged.upline_ppm(), line) {
            if let Some((degree, id)) = part.taker {
                let degree = i16::try_from(degree + 1).unwrap_or(i16::MAX);
                self.uplines.entry((place, degree, id)).or_default().add(part.weight_units, part.value_minor);
            }
        }
        self.add_credit(place, &judged);
    }

    fn add_credit(&mut self, place: Place, judged: &Judged<'_>) {
        if judged.counted.is_empty() {
            return;
        }
        let mut credits = vec![Credit::default(); judged.counted.len()];
        for (index, model) in KEPT_MODELS.into_iter().enumerate() {
            let (weights, amounts) = judged.shares(model);
            for ((credit, weight_units), minor) in credits.iter_mut().zip(weights).zip(amounts) {
                // As where it is judged anew: what has no weight has no part.
                credit.0[index].add(weight_units, if weight_units > 0 { minor } else { 0 });
            }
        }
        for (touch, credit) in judged.counted.iter().zip(credits) {
            for dimension in OF_TOUCHES {
                let key = (place, dimension, dimension.key(judged.at(), touch));
                self.groups.entry(key).or_default().add(&credit);
            }
            self.groups.entry((place, Dimension::Day, Key::None)).or_default().add(&credit);
        }
    }

    /// The sums, by keys as the database writes them.
    pub(super) fn finish(self) -> Sums {
        let groups = self.groups.into_iter().map(|(((hour, campaign_id, currency), dimension, key), credit)| {
            let key = (hour, dimension, campaign_id, currency.to_string(), key.column());
            (key, GroupSums { credit, ..GroupSums::default() })
        });
        let wholes = self.wholes.into_iter();
        let uplines = self.uplines.into_iter();
        Sums {
            groups: groups.collect(),
            wholes: wholes.map(|((hour, id, currency), whole)| ((hour, id, currency.to_string()), whole)).collect(),
            uplines: uplines
                .map(|(((hour, id, currency), degree, member_id), total)| {
                    ((hour, id, currency.to_string(), degree, member_id), total)
                })
                .collect(),
            open_hours: self.open_hours,
            policies: self.policies,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_between_spans_is_judged_anew() {
        let (from, to) = (at("2026-03-01T22:30:00Z"), at("2026-03-04T03:00:00Z"));
        let spans = vec![
            (Span::Hour, at("2026-03-01T23:00:00Z")),
            (Span::Day, at("2026-03-02T00:00:00Z")),
            (Span::Hour, at("2026-03-04T00:00:00Z")),
            (Span::Hour, at("2026-03-04T02:00:00Z")),
        ];
        let gaps = [
            (from, at("2026-03-01T23:00:00Z")),
            (at("2026-03-03T00:00:00Z"), at("2026-03-04T00:00:00Z")),
            (at("2026-03-04T01:00:00Z"), at("2026-03-04T02:00:00Z")),
        ];
        assert_eq!(Plan::new((from, to), spans).gaps, gaps);
        assert_eq!(Plan::new((from, to), Vec::new()).gaps, [(from, to)]);
        assert_eq!(Plan::new((from, at("2026-03-01T23:30:00Z")), Vec::new()).gaps.len(), 1);
    }

    #[test]
    fn hours_differ_where_anything_of_them_does() {
        let hour = |number: u32| at(&format!("2026-03-01T{number:02}:00:00Z"));
        let key = |number| (hour(number), Uuid::nil(), "USD".to_owned());
        let sums = |wholes: &[(u32, i64)]| Sums {
            wholes: wholes.iter().map(|(number, count)| (key(*number), (*count, 0))).collect(),
            ..Sums::default()
        };
        let found = sums(&[(1, 1), (2, 1), (3, 1)]).differing(&sums(&[(1, 1), (2, 2), (4, 1)]));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [hour(2), hour(3), hour(4)]);
    }
}
