//! What people did: touchpoints, conversions and refunds, one row per event under the event's own id. It keeps facts; what follows
//! from them is judged elsewhere.

mod reads;
mod store;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::Scope;
use crate::base::{Money, Result};
use crate::creators::Platform;
use crate::db::Conn;
use crate::events::{AgentClass, Event, EventType, Hash16, TouchKind};
use crate::marks;
use crate::text_enum;
use crate::urls::{AdClicks, Channel};

pub use reads::{
    Act, acts_of, conversion_ids_between, conversion_ids_since, latest_conversions_span, previous_conversions,
    signup_touches,
};
pub use store::{Reseated, ad_clicks_of_column, reseat, touches_around, touches_up_to};

text_enum! {
    /// What a fraud assessment decided.
    Decision { Allow = "ALLOW", Review = "REVIEW", Block = "BLOCK" }
}

impl Decision {
    /// The stricter of two.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        match (self, other) {
            (Self::Block, _) | (_, Self::Block) => Self::Block,
            (Self::Review, _) | (_, Self::Review) => Self::Review,
            _ => Self::Allow,
        }
    }
}

/// One touchpoint. `person_id` is the person as known when it was recorded.
#[derive(Clone, Debug)]
pub struct Touch {
    pub id: Uuid,
    pub person_id: Uuid,
    pub kind: TouchKind,
    pub occurred_at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
    pub creator_id: Option<Uuid>,
    pub referrer_id: Option<Uuid>,
    pub link_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    pub platform: Platform,
    pub sub_id: Option<String>,
    pub channel: Option<Channel>,
    pub ad_clicks: AdClicks,
    pub ip_hash: Option<Hash16>,
    pub device_hash: Option<Hash16>,
    /// The browser or installation that it happened in.
    pub anonymous_hash: Option<Hash16>,
    pub agent_class: AgentClass,
    pub has_consent: bool,
    pub decision: Decision,
}

/// One conversion, with the campaign and the policy version that judge it.
#[derive(Clone, Debug)]
pub struct Conversion {
    pub id: Uuid,
    pub person_id: Uuid,
    pub member_id: Option<Uuid>,
    /// The campaign whose policies judge it: named by the event, else of the latest touch that has one.
    pub campaign_id: Option<Uuid>,
    /// Whether the event named it: else a touch that comes late may make it another's.
    pub is_campaign_named: bool,
    pub policy_version: Option<i32>,
    /// The version of what channels are worth, under DATA_DRIVEN; 0 where there was none yet.
    pub model_version: Option<i32>,
    /// How often it was attributed; 0 before the first time.
    pub generation: i32,
    pub order_id: Option<String>,
    pub value: Money,
    pub refunded_minor: i64,
    pub device_hash: Option<Hash16>,
    /// The browser or installation that it happened in.
    pub anonymous_hash: Option<Hash16>,
    pub occurred_at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
}

/// One refund. Without a conversion it waits for its order.
#[derive(Clone, Debug)]
pub struct Refund {
    pub id: Uuid,
    pub order_id: String,
    pub conversion_id: Option<Uuid>,
    pub value: Money,
    pub occurred_at: DateTime<Utc>,
}

impl Touch {
    /// The touch that an event is, if it is one. Not judged yet. A conversion is one where it says who led to it.
    #[must_use]
    pub fn of_event(id: Uuid, recorded_at: DateTime<Utc>, person_id: Uuid, event: &Event) -> Option<Self> {
        let kind = match event.event_type {
            EventType::Click => TouchKind::Click,
            EventType::View => TouchKind::View,
            EventType::Install => TouchKind::Install,
            EventType::Open => TouchKind::Open,
            EventType::Signup => TouchKind::Signup,
            EventType::Activation => TouchKind::Activation,
            EventType::Conversion if event.creator_id.is_some() || event.referrer_id.is_some() => TouchKind::Conversion,
            EventType::Conversion | EventType::Refund | EventType::Identify | EventType::Post => return None,
        };
        Some(Self {
            id,
            person_id,
            kind,
            occurred_at: event.occurred_at,
            recorded_at,
            creator_id: event.creator_id,
            referrer_id: event.referrer_id,
            link_id: event.link_id,
            campaign_id: event.campaign_id,
            platform: event.platform.unwrap_or(Platform::Web),
            sub_id: event.sub_id.clone(),
            channel: event.channel,
            ad_clicks: event.ad_clicks.clone(),
            ip_hash: event.ip_hash,
            device_hash: event.device_hash,
            anonymous_hash: event.anonymous_hash,
            agent_class: event.agent_class,
            has_consent: event.has_consent,
            decision: Decision::Allow,
        })
    }

    /// Whether it happened on another device than the conversion: by the device where both name one, else by the browser or
    /// installation. Nothing tells them apart where either names none.
    #[must_use]
    pub fn is_elsewhere(&self, device_hash: Option<Hash16>, anonymous_hash: Option<Hash16>) -> bool {
        let differs = |own: Option<Hash16>, other: Option<Hash16>| own.zip(other).map(|(own, other)| own != other);
        differs(self.device_hash, device_hash).or_else(|| differs(self.anonymous_hash, anonymous_hash)).unwrap_or(false)
    }

    /// Whether somebody shared what was touched.
    #[must_use]
    pub fn has_owner(&self) -> bool {
        self.creator_id.is_some() || self.referrer_id.is_some()
    }
}

/// Keeps what events say beyond our vocabulary: `(event, properties)`.
pub async fn record_properties(conn: &mut Conn, scope: &Scope, said: &[(Uuid, serde_json::Value)]) -> Result<()> {
    if said.is_empty() { Ok(()) } else { store::insert_properties(conn, scope, said).await }
}

/// How much was done on a link.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinkCounts {
    pub clicks: i64,
    pub views: i64,
    pub signups: i64,
}

/// Keeps touches and moves the counters of their links. What was blocked as fraud is kept, and not counted.
pub async fn record_touches(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, touches: &[Touch]) -> Result<()> {
    if touches.is_empty() {
        return Ok(());
    }
    store::insert_touches(conn, scope, touches).await?;
    let moments: Vec<DateTime<Utc>> = touches.iter().map(|touch| touch.occurred_at).collect();
    marks::mark(conn, scope, now, &moments).await?;
    let mut counts: BTreeMap<Uuid, LinkCounts> = BTreeMap::new();
    for touch in touches.iter().filter(|touch| touch.decision != Decision::Block) {
        let Some(link_id) = touch.link_id else { continue };
        let count = counts.entry(link_id).or_default();
        match touch.kind {
            TouchKind::Click => count.clicks += 1,
            TouchKind::View => count.views += 1,
            TouchKind::Signup => count.signups += 1,
            _ => {}
        }
    }
    store::count_on_links(conn, scope, &counts).await
}

/// Gives sign-ups that named their referrer the owner that it turned out to be: `(touch, referrer, campaign)`.
pub async fn name_referrers(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    named: &[(Uuid, Uuid, Option<Uuid>)],
) -> Result<()> {
    if named.is_empty() {
        return Ok(());
    }
    let moments = store::name_referrers(conn, scope, named).await?;
    marks::mark(conn, scope, now, &moments).await
}

/// Keeps conversions; returns the ids of those that are new. One whose order is known already is not kept.
pub async fn record_conversions(conn: &mut Conn, scope: &Scope, conversions: &[Conversion]) -> Result<Vec<Uuid>> {
    if conversions.is_empty() { Ok(Vec::new()) } else { store::insert_conversions(conn, scope, conversions).await }
}

/// What became of refunds.
#[derive(Debug, Default)]
pub struct Refunded {
    /// What was given back of which conversion: its id, its member, how much.
    pub applied: Vec<(Uuid, Option<Uuid>, Money)>,
    /// Refunds of orders of which nothing is left, or in another currency, which are not applied.
    pub refused: Vec<Uuid>,
}

/// Keeps refunds and applies every one whose order is known, waiting ones of earlier batches included.
pub async fn record_refunds(
    conn: &mut Conn,
    scope: &Scope,
    refunds: &[Refund],
    new_orders: &[String],
) -> Result<Refunded> {
    if refunds.is_empty() && new_orders.is_empty() {
        return Ok(Refunded::default());
    }
    let mut orders: Vec<String> =
        refunds.iter().map(|refund| refund.order_id.clone()).chain(new_orders.iter().cloned()).collect();
    orders.sort_unstable();
    orders.dedup();
    store::insert_refunds(conn, scope, refunds).await?;
    let mut targets: HashMap<String, Conversion> = store::conversions_of_orders(conn, scope, &orders)
        .await?
        .into_iter()
        .filter_map(|conversion| Some((conversion.order_id.clone()?, conversion)))
        .collect();
    let mut refunded = Refunded::default();
    let mut ties = Vec::new();
    for refund in store::waiting_refunds(conn, scope, &orders).await? {
        let Some(conversion) = targets.get_mut(&refund.order_id) else { continue };
        let left = conversion.value.minor - conversion.refunded_minor;
        if refund.value.currency != conversion.value.currency || left <= 0 {
            refunded.refused.push(refund.id);
            continue;
        }
        // A dispute can take more than is left, and taxes and shipping go back too: what is left is all that can be taken back.
        let value = Money::new(refund.value.minor.min(left), refund.value.currency);
        conversion.refunded_minor += value.minor;
        ties.push((refund.id, conversion.id, value.minor));
        refunded.applied.push((conversion.id, conversion.member_id, value));
    }
    store::apply_refunds(conn, scope, &ties).await?;
    store::drop_refunds(conn, scope, &refunded.refused).await?;
    Ok(refunded)
}

/// The conversions of these ids with their canonical people.
pub async fn conversions_by_id(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<Vec<(Uuid, Conversion)>> {
    if ids.is_empty() { Ok(Vec::new()) } else { store::conversions_by_id(conn, scope, ids).await }
}
