//! The loaders of one request: keys that are asked for at the same time become one statement. One set per request, so that
//! nothing is shared between bearers; a batch that fails fails every key of it, and is never taken for "not found".

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use dataloader::BatchFn;
use dataloader::cached::Loader;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::batches::{
    self, DeliveryCountKey, DeliveryPageKey, LinePageKey, MemberPageKey, MetricsKey, PayoutPageKey, RecordPageKey,
};
use super::errors::Shared;
use crate::access::Scope;
use crate::attribution::reads::{self as attribution, AttributionRecord, Touchpoint};
use crate::base::{ListKey, Money, Result, Slice};
use crate::campaigns::{self, Campaign, Policies};
use crate::creators::{self, Creator, Performance, PerformanceQuery, PlatformAccount};
use crate::db::{Conn, Db};
use crate::deliveries::Delivery;
use crate::events::reads::{self as events, InboundEvent};
use crate::fraud::reads::{self as fraud, FraudAlert, Judgement, Metrics};
use crate::journeys::Conversion;
use crate::ledger;
use crate::ledger::Entry;
use crate::links::{self, Link};
use crate::members::{self, ActivityQuery, DegreeSums, DownlineQuery, Member, MemberMove};
use crate::payouts::reads::{self as payouts, Line, Payout};
use crate::rewards::Beneficiary;
use crate::rewards::reads::{self as rewards, Reward};

const BATCH_KEYS_MAX: usize = 500;

/// The statement behind a loader: what is missing in its answer does not exist.
pub type Fetch<K, V> = for<'a> fn(&'a mut Conn, &'a Scope, &'a [K]) -> BoxFuture<'a, Result<HashMap<K, V>>>;
type Answer<V> = std::result::Result<Option<V>, Shared>;

/// One loader: [`Keyed::load`] gives the value of a key.
#[derive(Clone)]
pub struct Keyed<K: Eq + Hash + Clone + Debug + Send + Sync, V: Clone + Send + Sync>(Loader<K, Answer<V>, Batch<K, V>>);

struct Batch<K, V> {
    db: Db,
    scope: Arc<Scope>,
    fetch: Fetch<K, V>,
}

impl<K: Eq + Hash + Clone + Debug + Send + Sync, V: Clone + Send + Sync> Keyed<K, V> {
    pub fn new(db: &Db, scope: &Arc<Scope>, fetch: Fetch<K, V>) -> Self {
        let batch = Batch { db: db.clone(), scope: Arc::clone(scope), fetch };
        Self(Loader::new(batch).with_max_batch_size(BATCH_KEYS_MAX))
    }

    /// The value of a key, `None` if there is none. A failed batch is the error of each of its keys.
    pub async fn load(&self, key: K) -> async_graphql::Result<Option<V>> {
        match self.0.try_load(key).await {
            Ok(answer) => Ok(answer?),
            Err(error) => Err(crate::base::Error::fault("asking a loader", error).into()),
        }
    }

    /// The same where this crate's own error is wanted. What failed has been logged as the batch's fault.
    pub async fn find(&self, key: K) -> Result<Option<V>> {
        match self.0.try_load(key).await {
            Ok(answer) => answer.map_err(|shared| crate::base::Error::fault("asking a loader", shared.to_string())),
            Err(error) => Err(crate::base::Error::fault("asking a loader", error)),
        }
    }

    /// The value of a key that another row points at.
    pub async fn require(&self, key: K) -> async_graphql::Result<V> {
        let value = self.load(key).await?;
        value.ok_or_else(|| crate::base::Error::fault("following a reference", "the row is gone").into())
    }

    async fn forget(&self) {
        self.0.clear_all().await;
    }
}

impl<K: Eq + Hash + Clone + Debug + Send + Sync, V: Clone + Send + Sync> BatchFn<K, Answer<V>> for Batch<K, V> {
    async fn load(&mut self, keys: &[K]) -> HashMap<K, Answer<V>> {
        let fetched = async {
            let mut conn = self.db.conn().await?;
            (self.fetch)(&mut conn, &self.scope, keys).await
        };
        match fetched.await {
            Ok(mut values) => keys.iter().map(|key| (key.clone(), Ok(values.remove(key)))).collect(),
            Err(error) => {
                let shared = Shared::new(error);
                keys.iter().map(|key| (key.clone(), Err(shared.clone()))).collect()
            }
        }
    }
}

macro_rules! loaders {
    ($($(#[$doc:meta])* $name:ident: $key:ty => $value:ty = $fetch:expr;)+) => {
        /// Every loader of a request.
        #[derive(Clone)]
        pub struct Loaders { $($(#[$doc])* pub $name: Keyed<$key, $value>),+ }

        impl Loaders {
            /// Fresh loaders for one request of this bearer.
            #[must_use]
            pub fn new(db: &Db, scope: &Scope) -> Self {
                let scope = Arc::new(scope.clone());
                Self { $($name: Keyed::new(db, &scope, |conn, scope, keys| $fetch(conn, scope, keys).boxed())),+ }
            }

            /// Forgets what was loaded: between the events of a subscription.
            pub async fn forget(&self) {
                $(self.$name.forget().await;)+
            }
        }
    };
}

loaders! {
    creators: Uuid => Creator = creators::by_ids;
    accounts: Uuid => Vec<PlatformAccount> = creators::accounts_of;
    performances: (Uuid, PerformanceQuery) => Performance = creators::performances;
    creators_of_campaigns: ListKey => Vec<Creator> = creators::of_campaigns;
    campaigns: Uuid => Campaign = campaigns::by_ids;
    /// What was spent of each campaign's budget, by currency.
    spent: Uuid => Vec<Money> = spent;
    /// What is payable to each creator or member, by currency.
    payable: Uuid => Vec<Money> = payable;
    /// Policies by campaign and version.
    policies: (Uuid, i32) => Policies = campaigns::policies_by_versions;
    members: Uuid => Member = members::by_ids;
    /// Ancestors by member and hops, the nearest first.
    ancestors: (Uuid, i32) => Vec<Member> = members::ancestors_of;
    referees: ListKey => Vec<Member> = members::referees_of;
    downlines: (Uuid, DownlineQuery) => Vec<DegreeSums> = members::downlines;
    /// The latest moves of each member.
    member_moves: Uuid => Vec<MemberMove> = members::moves_of;
    /// How many of a downline were active.
    active_counts: (Uuid, ActivityQuery) => i64 = members::active_counts;
    links: Uuid => Link = links::by_ids;
    attribution_records: Uuid => AttributionRecord = attribution::records_by_ids;
    /// The first records of a creator or a campaign.
    attribution_record_pages: RecordPageKey => Slice<AttributionRecord> = batches::record_pages;
    touchpoints: Uuid => Touchpoint = attribution::touchpoints_by_ids;
    conversions: Uuid => Conversion = attribution::conversions_by_ids;
    /// The standing records of a conversion.
    conversion_records: Uuid => Vec<AttributionRecord> = attribution::current_of_conversions;
    /// The first conversions of a member.
    conversion_pages: MemberPageKey => Slice<Conversion> = batches::conversion_pages;
    /// How many conversions a member has.
    conversion_counts: Uuid => i64 = attribution::conversion_counts;
    rewards: Uuid => Reward = rewards::rewards_by_ids;
    /// The first rewards of a member.
    reward_pages: MemberPageKey => Slice<Reward> = batches::reward_pages;
    /// How many rewards a member has.
    reward_counts: Uuid => i64 = rewards::reward_counts;
    /// The ledger entries of a reward.
    ledger_entries: Uuid => Vec<Entry> = batches::ledger_entries;
    /// What is payable to a creator or a member.
    balances: Uuid => Vec<Money> = batches::balances;
    payouts: Uuid => Payout = payouts::payouts_by_ids;
    /// The first payouts of a creator or a member.
    payout_pages: PayoutPageKey => Slice<Payout> = batches::payout_pages;
    /// How many payouts a creator or a member has.
    payout_counts: Beneficiary => i64 = payouts::payout_counts;
    /// The first lines of a payout.
    payout_lines: LinePageKey => Slice<Line> = batches::payout_lines;
    /// How many open alerts weigh on a payout.
    payout_alerts: Uuid => i64 = payouts::open_alert_counts;
    fraud_alerts: Uuid => FraudAlert = fraud::alerts_by_ids;
    /// The last judgement on a member.
    judgements: Uuid => Judgement = fraud::judgements_of_members;
    fraud_metrics: MetricsKey => Metrics = batches::fraud_metrics;
    events: Uuid => InboundEvent = events::events_by_ids;
    /// The name of a webhook source.
    source_names: Uuid => String = events::source_names;
    links_of_creators: ListKey => Vec<Link> = links::of_creators;
    link_counts: Uuid => i64 = links::counts_of_creators;
    /// The last deliveries to a webhook endpoint.
    delivery_pages: DeliveryPageKey => Slice<Delivery> = batches::delivery_pages;
    /// How many deliveries a webhook endpoint has.
    delivery_counts: DeliveryCountKey => i64 = batches::delivery_counts;
}

async fn spent(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<Money>>> {
    Ok(by_owner(ledger::campaigns_spent(conn, scope, ids).await?))
}

async fn payable(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<Money>>> {
    Ok(by_owner(ledger::payable(conn, scope, ids).await?))
}

fn by_owner(balances: Vec<ledger::Balance>) -> HashMap<Uuid, Vec<Money>> {
    let mut owners: HashMap<Uuid, Vec<Money>> = HashMap::new();
    for balance in balances {
        owners.entry(balance.owner_id).or_default().push(balance.money);
    }
    owners
}
