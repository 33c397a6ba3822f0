//! DATA_DRIVEN as a policy's model: what channels are worth over the paths of a brand, computed by the worker in versions. A version follows
//! from the log up to where it is computed, and a conversion names the one that it was judged with, so that a replay credits the same.
//! Start with `rules.rs` for the worth of channels, with [`Weighings::refresh`] for when it is computed.

mod rules;
mod store;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use super::rules::{Considered, Journey, attribute, attribute_with};
use super::walk::Walk;
use super::{journey, judging_campaign};
use crate::access::Scope;
use crate::base::Result;
use crate::base::limits::{DATA_DRIVEN_CONVERSIONS_MAX, DATA_DRIVEN_PATHS_MAX};
use crate::campaigns::{
    AttributionModel, AttributionPolicy, DataDrivenMethod, DataDrivenPolicy, PathTransform, PolicyBook,
};
use crate::db::Conn;
use crate::journeys::{Conversion, Touch, latest_conversions_span};

/// What tells one series of versions from another.
pub type Series = (DataDrivenMethod, PathTransform);

/// The version of a conversion that was judged before there was any: it is divided as LINEAR divides.
pub const NO_VERSION: i32 = 0;

/// A version of what channels are worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Weighing {
    /// Parts of a million millions by channel; `*` is whoever has none of its own.
    weights: BTreeMap<String, u64>,
}

/// A version as it is kept.
#[derive(Clone, Debug)]
struct Computed {
    weighing: Weighing,
    conversion_count: i64,
    path_count: i64,
}

/// A version as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelWeights {
    pub version: i32,
    /// The conversions with a path that it was computed from.
    pub conversion_count: i64,
    /// The different paths, of those who did not buy too.
    pub path_count: i64,
    pub computed_at: DateTime<Utc>,
    /// By channel, in parts of 10^12: a creator's identifier, nothing for members' links together, `*` for whoever has no part of its own.
    pub weights: Vec<(String, u64)>,
}

/// What channels are worth under a policy: in this version, or in the newest. `None` where there is none, or under another model.
pub async fn channel_weights(
    conn: &mut Conn,
    scope: &Scope,
    policy: &AttributionPolicy,
    version: Option<i32>,
) -> Result<Option<ChannelWeights>> {
    if policy.model != AttributionModel::DataDriven {
        return Ok(None);
    }
    let found = store::kept(conn, scope, policy.data_driven.series(), version).await?;
    Ok(found.map(|mut found| {
        found.weights.sort_by(|(a, a_units), (b, b_units)| b_units.cmp(a_units).then_with(|| a.cmp(b)));
        found
    }))
}

/// How far a series has come.
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    version: i32,
    conversion_total: i64,
}

/// What channels are worth, by series and version, as far as it was asked for.
#[derive(Default)]
pub struct Weighings {
    newest: HashMap<Series, i32>,
    known: HashMap<(Series, i32), Weighing>,
}

impl Weighings {
    /// The versions in force, after those were computed that the batch's new conversions make due.
    pub async fn refresh(
        conn: &mut Conn,
        scope: &Scope,
        now: DateTime<Utc>,
        book: &mut PolicyBook,
        new_count: usize,
    ) -> Result<Self> {
        let total = if new_count > 0 { store::count_conversions(conn, scope, new_count).await? } else { 0 };
        let wanted = wanted(book);
        if wanted.is_empty() {
            return Ok(Self::default());
        }
        let mut newest = store::newest(conn, scope).await?;
        for (series, conversions_min) in &wanted {
            let last = newest.get(series).copied().unwrap_or_default();
            if new_count == 0 || !is_due(total, last, *conversions_min) {
                continue;
            }
            let computed = compute(conn, scope, book, *series).await?;
            let next = Newest { version: last.version + 1, conversion_total: total };
            store::insert(conn, scope, now, *series, next, &computed).await?;
            newest.insert(*series, next);
        }
        let newest = newest.into_iter().map(|(series, last)| (series, last.version)).collect();
        Ok(Self { newest, known: HashMap::new() })
    }

    /// The versions in force, of which nothing is computed; `draft` is computed as if it were due, where there is none of its series.
    pub async fn in_force(
        conn: &mut Conn,
        scope: &Scope,
        book: &mut PolicyBook,
        draft: &AttributionPolicy,
    ) -> Result<Self> {
        let newest = store::newest(conn, scope).await?;
        let mut weighings = Self {
            newest: newest.into_iter().map(|(series, last)| (series, last.version)).collect(),
            known: HashMap::new(),
        };
        let series = draft.data_driven.series();
        if draft.model == AttributionModel::DataDriven && !weighings.newest.contains_key(&series) {
            let computed = compute(conn, scope, book, series).await?;
            weighings.newest.insert(series, 1);
            weighings.known.insert((series, 1), computed.weighing);
        }
        Ok(weighings)
    }

    /// The version that a conversion names which is judged by this policy now; `None` under another model.
    #[must_use]
    pub fn version_for(&self, policy: &AttributionPolicy) -> Option<i32> {
        let newest = || self.newest.get(&policy.data_driven.series()).copied().unwrap_or(NO_VERSION);
        (policy.model == AttributionModel::DataDriven).then(newest)
    }

    /// Reads what judges these conversions, by the policies that they are judged under.
    pub async fn learn<'a>(
        &mut self,
        conn: &mut Conn,
        scope: &Scope,
        judged: impl Iterator<Item = (&'a AttributionPolicy, Option<i32>)>,
    ) -> Result<()> {
        let named = judged.filter(|(policy, _)| policy.model == AttributionModel::DataDriven);
        let named = named.filter_map(|(policy, version)| Some((policy.data_driven.series(), version?)));
        let missing: BTreeSet<(Series, i32)> =
            named.filter(|key| key.1 > NO_VERSION && !self.known.contains_key(key)).collect();
        if !missing.is_empty() {
            self.known.extend(store::weighings(conn, scope, &missing.into_iter().collect::<Vec<_>>()).await?);
        }
        Ok(())
    }

    /// The verdict on every touch, under DATA_DRIVEN by the version that the conversion names; without one touches share as under LINEAR.
    #[must_use]
    pub fn attribute(
        &self,
        policy: &AttributionPolicy,
        model_version: Option<i32>,
        journey: &Journey,
        touches: &[Touch],
    ) -> Vec<Considered> {
        let named = model_version.filter(|_| policy.model == AttributionModel::DataDriven);
        match named.and_then(|version| self.known.get(&(policy.data_driven.series(), version))) {
            Some(weighing) => attribute_with(policy, journey, touches, |counted, _| weighing.divide(counted)),
            None => attribute(policy, journey, touches),
        }
    }
}

/// With how many further new conversions of the brand the next version is due, that one included; `None` where no policy in force asks for any.
pub async fn conversions_until_due(conn: &mut Conn, scope: &Scope, book: &PolicyBook) -> Result<Option<usize>> {
    let wanted = wanted(book);
    if wanted.is_empty() {
        return Ok(None);
    }
    let total = store::count_conversions(conn, scope, 0).await?;
    let newest = store::newest(conn, scope).await?;
    let left = wanted.iter().map(|(series, conversions_min)| {
        let last = newest.get(series).copied().unwrap_or_default();
        threshold(last, *conversions_min) - (total - last.conversion_total)
    });
    Ok(left.min().map(|left| usize::try_from(left).unwrap_or(0).max(1)))
}

/// The series that policies in force ask for, each with the fewest conversions that any of them waits for.
fn wanted(book: &PolicyBook) -> BTreeMap<Series, i32> {
    let mut wanted: BTreeMap<Series, i32> = BTreeMap::new();
    for policy in book.in_force().filter(|policy| policy.model == AttributionModel::DataDriven) {
        let DataDrivenPolicy { conversions_min, .. } = policy.data_driven;
        let fewest = wanted.entry(policy.data_driven.series()).or_insert(conversions_min);
        *fewest = conversions_min.min(*fewest);
    }
    wanted
}

/// Whether enough conversions have come since the last version: as many as the policy says, and a tenth of those that were read for it, so that
/// a conversion is read again about ten times in all.
fn is_due(total: i64, last: Newest, conversions_min: i32) -> bool {
    total - last.conversion_total >= threshold(last, conversions_min)
}

fn threshold(last: Newest, conversions_min: i32) -> i64 {
    i64::from(conversions_min).max(last.conversion_total.min(DATA_DRIVEN_CONVERSIONS_MAX) / 10)
}

/// Computes a version from the latest conversions and from everybody who touched something in their time.
async fn compute(conn: &mut Conn, scope: &Scope, book: &mut PolicyBook, series: Series) -> Result<Computed> {
    let mut paths = rules::Paths::new(series.1);
    if let Some((from, last)) = latest_conversions_span(conn, scope, DATA_DRIVEN_CONVERSIONS_MAX).await? {
        let to = last + TimeDelta::microseconds(1);
        let (mut walk, mut seen) = (Walk::over([(from, to)]), 0);
        // Of conversions of one moment there may be more than were asked for.
        while seen < 2 * DATA_DRIVEN_CONVERSIONS_MAX
            && let Some(chunk) = walk.next(conn, scope, book).await?
        {
            seen += i64::try_from(chunk.conversions.len()).unwrap_or(i64::MAX);
            for (conversion, previous_at, touches) in chunk.iter() {
                if let Some(policy) = judging_policy(book, conversion, touches) {
                    paths.add_conversion(policy, &journey(conversion, previous_at), touches);
                }
            }
        }
        // The paths of those who bought reach back as far.
        let period = (from - TimeDelta::hours(book.lookback_hours_max().into()), to);
        for (path, person_count) in store::other_paths(conn, scope, period, DATA_DRIVEN_PATHS_MAX).await? {
            paths.add_others(path, person_count.unsigned_abs());
        }
    }
    let (conversion_count, path_count) = paths.counts();
    Ok(Computed { weighing: Weighing { weights: paths.worth(series.0)? }, conversion_count, path_count })
}

fn judging_policy<'a>(
    book: &'a PolicyBook,
    conversion: &Conversion,
    touches: &[Touch],
) -> Option<&'a AttributionPolicy> {
    let policies = match conversion.campaign_id {
        Some(id) => book.version(id, conversion.policy_version?),
        None => book.current(judging_campaign(book, conversion, touches)?),
    };
    policies.map(|policies| &policies.attribution)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_due_by_the_policys_count_and_by_a_tenth_of_the_last() {
        let last = |conversion_total| Newest { version: 1, conversion_total };
        assert!(!is_due(99, Newest::default(), 100));
        assert!(is_due(100, Newest::default(), 100));
        assert!(!is_due(599, last(500), 100));
        assert!(is_due(600, last(500), 100));
        assert!(!is_due(5_100, last(5_000), 100), "a tenth of five thousand");
        assert!(is_due(5_500, last(5_000), 100));
        assert!(!is_due(900_999, last(900_000), 100), "no more than ten thousand were read");
        assert!(is_due(901_000, last(900_000), 100));
    }
}
