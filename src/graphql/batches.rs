//! What the loaders of nested lists ask for: parents with the same arguments share one statement.

use std::collections::HashMap;
use std::hash::Hash;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::Scope;
use crate::attribution::reads::{self as attribution, AttributionRecord, RecordFilter, RecordParent};
use crate::base::{Currency, Money, Page, Result, Slice};
use crate::db::Conn;
use crate::deliveries::reads as deliveries;
use crate::deliveries::{Delivery, DeliveryState};
use crate::fraud::reads::{self as fraud, Metrics, MetricsParent};
use crate::journeys::Conversion;
use crate::ledger;
use crate::payouts::reads::{self as payouts, Line, Payout};
use crate::rewards::Beneficiary;
use crate::rewards::reads::{self as rewards, Reward};

/// One parent's page of attribution records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordPageKey {
    pub parent: RecordParent,
    pub parent_id: Uuid,
    pub filter: RecordFilter,
    pub page: Page,
}

/// One parent's fraud sums.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MetricsKey {
    pub parent: MetricsParent,
    pub parent_id: Uuid,
    pub currency: Currency,
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
}

/// Keys that differ in their parent only.
fn by_arguments<'a, K, A: Eq + Hash>(keys: &'a [K], arguments: impl Fn(&'a K) -> A) -> HashMap<A, Vec<&'a K>> {
    let mut groups: HashMap<A, Vec<&K>> = HashMap::new();
    for key in keys {
        groups.entry(arguments(key)).or_default().push(key);
    }
    groups
}

pub async fn record_pages(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[RecordPageKey],
) -> Result<HashMap<RecordPageKey, Slice<AttributionRecord>>> {
    let mut pages = HashMap::new();
    for ((parent, filter, page), keys) in by_arguments(keys, |key| (key.parent, &key.filter, key.page)) {
        let ids: Vec<Uuid> = keys.iter().map(|key| key.parent_id).collect();
        let mut found = attribution::records_of_parents(conn, scope, parent, &ids, filter, &page).await?;
        pages.extend(keys.into_iter().filter_map(|key| Some((key.clone(), found.remove(&key.parent_id)?))));
    }
    Ok(pages)
}

/// The key of one member's page.
pub type MemberPageKey = (Uuid, Page);

pub async fn conversion_pages(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[MemberPageKey],
) -> Result<HashMap<MemberPageKey, Slice<Conversion>>> {
    let mut pages = HashMap::new();
    for (page, keys) in by_arguments(keys, |key| key.1) {
        let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let found = attribution::conversions_of_members(conn, scope, &ids, &page).await?;
        pages.extend(found.into_iter().map(|(id, slice)| ((id, page), slice)));
    }
    Ok(pages)
}

pub async fn reward_pages(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[MemberPageKey],
) -> Result<HashMap<MemberPageKey, Slice<Reward>>> {
    let mut pages = HashMap::new();
    for (page, keys) in by_arguments(keys, |key| key.1) {
        let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let found = rewards::rewards_of_members(conn, scope, &ids, &page).await?;
        pages.extend(found.into_iter().map(|(id, slice)| ((id, page), slice)));
    }
    Ok(pages)
}

/// The key of one beneficiary's page.
pub type PayoutPageKey = (Beneficiary, Page);

pub async fn payout_pages(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[PayoutPageKey],
) -> Result<HashMap<PayoutPageKey, Slice<Payout>>> {
    let mut pages = HashMap::new();
    for ((_, page), keys) in by_arguments(keys, |key| (key.0.creator_id().is_some(), key.1)) {
        let beneficiaries: Vec<Beneficiary> = keys.iter().map(|key| key.0).collect();
        let found = payouts::payouts_of(conn, scope, &beneficiaries, &page).await?;
        pages.extend(found.into_iter().map(|(beneficiary, slice)| ((beneficiary, page), slice)));
    }
    Ok(pages)
}

/// The key of one payout's page of lines, all of them or only those that are paid.
pub type LinePageKey = (Uuid, bool, Page);

pub async fn payout_lines(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[LinePageKey],
) -> Result<HashMap<LinePageKey, Slice<Line>>> {
    let mut pages = HashMap::new();
    for ((is_paid_only, page), keys) in by_arguments(keys, |key| (key.1, key.2)) {
        let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let found = payouts::lines_of(conn, scope, &ids, is_paid_only, &page).await?;
        pages.extend(found.into_iter().map(|(id, slice)| ((id, is_paid_only, page), slice)));
    }
    Ok(pages)
}

pub async fn fraud_metrics(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[MetricsKey],
) -> Result<HashMap<MetricsKey, Metrics>> {
    let mut sums = HashMap::new();
    for ((parent, from, to), keys) in by_arguments(keys, |key| (key.parent, key.from, key.to)) {
        let parents: Vec<(Uuid, Currency)> = keys.iter().map(|key| (key.parent_id, key.currency)).collect();
        let found = fraud::metrics(conn, scope, parent, &parents, from, to).await?;
        sums.extend(keys.into_iter().filter_map(|key| Some((key.clone(), *found.get(&key.parent_id)?))));
    }
    Ok(sums)
}

/// What is payable to creators and members, by owner.
pub async fn balances(conn: &mut Conn, scope: &Scope, owner_ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<Money>>> {
    let mut by_owner: HashMap<Uuid, Vec<Money>> = HashMap::new();
    for balance in ledger::payable(conn, scope, owner_ids).await? {
        by_owner.entry(balance.owner_id).or_default().push(balance.money);
    }
    Ok(by_owner)
}

/// The ledger entries of rewards, by reward.
pub async fn ledger_entries(
    conn: &mut Conn,
    scope: &Scope,
    reward_ids: &[Uuid],
) -> Result<HashMap<Uuid, Vec<ledger::Entry>>> {
    let mut by_reward: HashMap<Uuid, Vec<ledger::Entry>> = HashMap::new();
    for entry in ledger::entries_of_rewards(conn, scope, reward_ids).await? {
        by_reward.entry(entry.reward_id).or_default().push(entry);
    }
    Ok(by_reward)
}

/// One endpoint's page of deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryPageKey {
    pub endpoint_id: Uuid,
    /// Sorted; empty: in any.
    pub states: Vec<DeliveryState>,
    pub page: Page,
}

/// The key of one endpoint's count, by states.
pub type DeliveryCountKey = (Uuid, Vec<DeliveryState>);

pub async fn delivery_pages(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[DeliveryPageKey],
) -> Result<HashMap<DeliveryPageKey, Slice<Delivery>>> {
    let mut pages = HashMap::new();
    for ((states, page), keys) in by_arguments(keys, |key| (&key.states, key.page)) {
        let ids: Vec<Uuid> = keys.iter().map(|key| key.endpoint_id).collect();
        let mut found = deliveries::deliveries_of_endpoints(conn, scope, &ids, states, &page).await?;
        pages.extend(keys.into_iter().filter_map(|key| Some((key.clone(), found.remove(&key.endpoint_id)?))));
    }
    Ok(pages)
}

pub async fn delivery_counts(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[DeliveryCountKey],
) -> Result<HashMap<DeliveryCountKey, i64>> {
    let mut counts = HashMap::new();
    for (states, keys) in by_arguments(keys, |key| &key.1) {
        let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let found = deliveries::delivery_counts(conn, scope, &ids, states).await?;
        counts.extend(keys.into_iter().filter_map(|key| Some((key.clone(), *found.get(&key.0)?))));
    }
    Ok(counts)
}
