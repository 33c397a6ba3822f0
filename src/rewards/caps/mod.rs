//! How many rewards one beneficiary may earn from a campaign: on one UTC day, and in all. The counters are locked to the end of the
//! transaction in the order of their keys, so that callers at one moment count one after the other. It never decides about anything else.

mod store;

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Beneficiary, Claim, RewardReason};
use crate::access::Scope;
use crate::base::Result;
use crate::db::Conn;

/// What the cap of a day counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct DayKey {
    pub campaign_id: Uuid,
    pub beneficiary_id: Uuid,
    pub day: NaiveDate,
}

/// What the cap of a campaign counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TotalKey {
    pub campaign_id: Uuid,
    pub beneficiary_id: Uuid,
}

/// A campaign's counter as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Total {
    granted_count: i32,
    policy_version: i32,
}

/// The member whom caps hold. A creator earns by contract and is not capped.
fn capped(claim: &Claim) -> Option<Uuid> {
    if let Beneficiary::Member(id) = claim.beneficiary { Some(id) } else { None }
}

/// What counts a claim within its day, and how many fit.
fn day_cap(claim: &Claim) -> Option<(DayKey, i32)> {
    let max = claim.per_day_max?;
    let day = claim.recorded_at.date_naive();
    Some((DayKey { campaign_id: claim.campaign_id, beneficiary_id: capped(claim)?, day }, max))
}

/// What counts a claim within its campaign, and how many fit.
fn total_cap(claim: &Claim) -> Option<(TotalKey, i32)> {
    let max = claim.in_campaign_max?;
    Some((TotalKey { campaign_id: claim.campaign_id, beneficiary_id: capped(claim)? }, max))
}

/// Grants, counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    days: HashMap<DayKey, i32>,
    totals: HashMap<TotalKey, i32>,
}

impl Counts {
    /// The cap that leaves no room for a claim, if one does: of two, the one that lasts longer.
    pub(super) fn full(&self, claim: &Claim) -> Option<RewardReason> {
        let has_come = |count: Option<&i32>, max| count.copied().unwrap_or(0) >= max;
        if total_cap(claim).is_some_and(|(key, max)| has_come(self.totals.get(&key), max)) {
            return Some(RewardReason::CampaignCap);
        }
        let is_full = day_cap(claim).is_some_and(|(key, max)| has_come(self.days.get(&key), max));
        is_full.then_some(RewardReason::DailyCap)
    }

    /// Counts a grant.
    pub(super) fn take(&mut self, claim: &Claim) {
        if let Some((key, _)) = day_cap(claim) {
            *self.days.entry(key).or_default() += 1;
        }
        if let Some((key, _)) = total_cap(claim) {
            *self.totals.entry(key).or_default() += 1;
        }
    }
}

/// The counters of some claims, locked.
pub(super) struct Caps {
    pub counts: Counts,
    /// What was counted before.
    days: BTreeMap<DayKey, i32>,
    totals: BTreeMap<TotalKey, Total>,
    /// The version that counts from now on.
    versions: BTreeMap<TotalKey, i32>,
}

impl Caps {
    pub(super) async fn lock(conn: &mut Conn, scope: &Scope, claims: &[Claim]) -> Result<Self> {
        let mut keys: Vec<DayKey> = claims.iter().filter_map(|claim| Some(day_cap(claim)?.0)).collect();
        keys.sort_unstable();
        keys.dedup();
        let days = store::lock_days(conn, scope, &keys).await?;
        let versions: BTreeMap<TotalKey, i32> =
            claims.iter().filter_map(|claim| Some((total_cap(claim)?.0, claim.policy_version))).collect();
        let keys: Vec<TotalKey> = versions.keys().copied().collect();
        let totals = store::lock_totals(conn, scope, &keys).await?;
        let is_stale =
            |(key, version): &(&TotalKey, &i32)| totals.get(*key).is_none_or(|total| total.policy_version != **version);
        let stale: Vec<TotalKey> = versions.iter().filter(is_stale).map(|(key, _)| *key).collect();
        // Behind the lock: whoever granted before has committed, so that all of it is seen.
        let anew = store::granted(conn, scope, &stale).await?;
        let mut counts = Counts { days: days.iter().map(|(key, count)| (*key, *count)).collect(), ..Counts::default() };
        counts.totals.extend(totals.iter().map(|(key, total)| (*key, total.granted_count)));
        counts.totals.extend(stale.iter().map(|key| (*key, anew.get(key).copied().unwrap_or(0))));
        Ok(Self { counts, days, totals, versions })
    }

    /// Writes what has changed.
    pub(super) async fn write(self, conn: &mut Conn, scope: &Scope) -> Result<()> {
        let count = |key: &DayKey| self.counts.days.get(key).copied().unwrap_or(0);
        let days: Vec<(DayKey, i32)> =
            self.days.iter().map(|(key, before)| (*key, count(key) - before)).filter(|(_, taken)| *taken > 0).collect();
        store::count_days(conn, scope, &days).await?;
        let total = |(key, version): (&TotalKey, &i32)| {
            let granted_count = self.counts.totals.get(key).copied().unwrap_or(0);
            (*key, Total { granted_count, policy_version: *version })
        };
        let is_new = |(key, total): &(TotalKey, Total)| self.totals.get(key) != Some(total);
        let totals: Vec<(TotalKey, Total)> = self.versions.iter().map(total).filter(is_new).collect();
        store::write_totals(conn, scope, &totals).await
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::base::Money;
    use crate::campaigns::RewardKind;
    use crate::journeys::Decision;

    /// A claim on a day of the year 1970.
    fn claim(day: i64, beneficiary: Beneficiary, per_day_max: Option<i32>, in_campaign_max: Option<i32>) -> Claim {
        let recorded_at = DateTime::UNIX_EPOCH + TimeDelta::days(day);
        Claim {
            key: String::new(),
            campaign_id: Uuid::nil(),
            policy_version: 1,
            kind: RewardKind::Credit,
            beneficiary,
            referee_id: None,
            conversion_id: None,
            cause_event_id: None,
            degree: 1,
            value: Money::new(1, "USD".parse().unwrap()),
            triggered_at: recorded_at,
            recorded_at,
            escrow_days: 0,
            per_day_max,
            in_campaign_max,
            decision: Decision::Allow,
            is_running: true,
            is_limited: false,
            is_reached: true,
            reason: None,
        }
    }

    /// How many of ten claims, two a day, are granted, and what the last of them hears.
    fn check(beneficiary: Beneficiary, day: Option<i32>, all: Option<i32>, expected: (usize, Option<RewardReason>)) {
        let mut counts = Counts::default();
        let mut granted = 0;
        let mut last = None;
        for number in 0..10 {
            let claim = claim(number / 2, beneficiary, day, all);
            last = counts.full(&claim);
            if last.is_none() {
                counts.take(&claim);
                granted += 1;
            }
        }
        assert_eq!((granted, last), expected, "{day:?} a day, {all:?} in all");
    }

    #[test]
    fn a_day_and_a_campaign_have_room_for_so_many_and_the_lasting_reason_is_told() {
        let member = Beneficiary::Member(Uuid::nil());
        check(member, None, None, (10, None));
        check(member, Some(1), None, (5, Some(RewardReason::DailyCap)));
        check(member, None, Some(3), (3, Some(RewardReason::CampaignCap)));
        check(member, Some(1), Some(3), (3, Some(RewardReason::CampaignCap)));
        check(member, Some(1), Some(6), (5, Some(RewardReason::DailyCap)));
        check(Beneficiary::Creator(Uuid::nil()), Some(1), Some(1), (10, None));
    }
}
