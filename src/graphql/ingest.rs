//! `ingestEvents`: the same door as the webhooks, for the brand's own back end.

use async_graphql::{Context, Enum, ID, InputObject, Json, Object, Result, SimpleObject};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::context::to_id;
use super::errors::{UserError, settle};
use super::scalars::Decimal;
use super::{Platform, RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::limits::EVENTS_PER_REQUEST_MAX;
use crate::base::{self, Code, Error, Kind};
use crate::ingest::{Origin, Receipt, ReceiptStatus};
use crate::platforms::{self, Scheme};

/// What became of an event at the door.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "ReceiptStatus")]
pub enum IngestStatus {
    /// It is durable, and waits for the worker.
    Queued,
    /// It was there before: nothing was added.
    Duplicate,
    /// It is kept, but could not be understood; the reason says why.
    Quarantined,
}

/// What the person agreed to.
#[derive(InputObject, Clone, Debug)]
pub struct ConsentInput {
    /// Whether attribution was agreed to.
    attribution: Option<bool>,
    /// When that was.
    at: Option<DateTime<Utc>>,
    /// The version of the text that was shown.
    version: Option<String>,
}

/// One event, as the sender knows it.
#[derive(InputObject, Clone, Debug)]
pub struct EventInput {
    /// What happened: `click`, `view`, `install`, `open`, `signup`, `activation`, `conversion`, `refund`, `identify` or `post`.
    event_type: String,
    /// When it happened; now if it is left out.
    timestamp: Option<DateTime<Utc>>,
    /// The sender's own identifier of the event: the same one is never counted twice.
    event_id: Option<String>,
    /// The creator, by handle or identifier.
    creator_id: Option<String>,
    /// The campaign, by slug or identifier.
    campaign: Option<String>,
    /// The sender's own mark within a link.
    sub_id: Option<String>,
    /// The person, as the brand's back end names it.
    user_id: Option<String>,
    /// The person, before it is known by name.
    anonymous_id: Option<String>,
    /// The token of the link that was touched.
    link_token: Option<String>,
    /// The `gv_click` that the redirect passed on.
    click_id: Option<String>,
    /// Who invited the person, as the brand's back end names it.
    referrer_user_id: Option<String>,
    /// The order that a conversion makes or a refund takes back.
    order_id: Option<String>,
    /// What it was worth, for example `50.00`.
    conversion_value: Option<Decimal>,
    /// The ISO 4217 code of the value; the brand's own if it is left out.
    currency: Option<String>,
    /// Where it happened.
    platform: Option<Platform>,
    /// The address of the page; its `utm_*`, `creator_id` and `sub_id` are read.
    url: Option<String>,
    /// The person's address. Only a keyed hash is kept.
    ip: Option<String>,
    /// The person's user agent. Only what it is taken for is kept.
    user_agent: Option<String>,
    /// The person's device. Only a keyed hash is kept.
    device_id: Option<String>,
    /// What the person agreed to.
    consent: Option<ConsentInput>,
    /// More about it, at most 4 KiB; kept only if the brand asks for that.
    properties: Option<Json<serde_json::Value>>,
}

/// Events to take in.
#[derive(InputObject, Clone, Debug)]
pub struct IngestEventsInput {
    /// At most 1,000 events.
    events: Vec<EventInput>,
}

/// The same event by the names of the HTTP contract, in a fixed order: what is hashed where the sender has no identifier of its own.
#[derive(Serialize)]
struct Posted {
    event_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anonymous_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    click_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referrer_user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversion_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consent: Option<PostedConsent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<serde_json::Value>,
}

#[derive(Serialize)]
struct PostedConsent {
    attribution: Option<bool>,
    at: Option<String>,
    version: Option<String>,
}

impl From<EventInput> for Posted {
    fn from(event: EventInput) -> Self {
        let platform = event.platform.map(crate::creators::Platform::from);
        Self {
            event_type: event.event_type,
            timestamp: event.timestamp.map(to_text),
            event_id: event.event_id,
            creator_id: event.creator_id,
            campaign: event.campaign,
            sub_id: event.sub_id,
            user_id: event.user_id,
            anonymous_id: event.anonymous_id,
            link_token: event.link_token,
            click_id: event.click_id,
            referrer_user_id: event.referrer_user_id,
            order_id: event.order_id,
            conversion_value: event.conversion_value.map(|value| value.0),
            currency: event.currency,
            platform: platform.map(crate::creators::Platform::as_str),
            url: event.url,
            ip: event.ip,
            user_agent: event.user_agent,
            device_id: event.device_id,
            consent: event.consent.map(|consent| PostedConsent {
                attribution: consent.attribution,
                at: consent.at.map(to_text),
                version: consent.version,
            }),
            properties: event.properties.map(|properties| properties.0),
        }
    }
}

fn to_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// What became of one event.
#[derive(SimpleObject, Clone, Debug)]
pub struct IngestResult {
    /// The identifier of the event, or of the one that was there before.
    pub event_id: ID,
    /// What became of it.
    pub status: IngestStatus,
    /// Why it was quarantined, by name.
    pub code: Option<String>,
    /// Why it was quarantined, in words.
    pub reason: Option<String>,
}

impl From<Receipt> for IngestResult {
    fn from(receipt: Receipt) -> Self {
        Self {
            event_id: to_id(Kind::Event, receipt.event_id),
            status: receipt.status.into(),
            code: receipt.code.map(str::to_owned),
            reason: receipt.reason,
        }
    }
}

/// The outcome of taking events in.
#[derive(SimpleObject)]
pub struct IngestEventsPayload {
    /// One result per event, in the order of the input. Empty where the mutation was refused.
    pub results: Vec<IngestResult>,
    /// What the caller can mend.
    pub user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct IngestMutation;

#[Object]
impl IngestMutation {
    /// Takes events in, as a webhook does, and answers after they are durable. What cannot be understood is quarantined, never lost.
    async fn ingest_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The events.")] input: IngestEventsInput,
    ) -> Result<IngestEventsPayload> {
        let request = ctx.request()?;
        request.require(Permission::Ingest)?;
        let (receipts, user_errors) = settle(accept(request, input).await)?;
        let results = receipts.unwrap_or_default().into_iter().map(IngestResult::from).collect();
        Ok(IngestEventsPayload { results, user_errors })
    }
}

async fn accept(request: &RequestContext, input: IngestEventsInput) -> base::Result<Vec<Receipt>> {
    if input.events.is_empty() || input.events.len() > EVENTS_PER_REQUEST_MAX {
        let message = format!("Pass 1 to {EVENTS_PER_REQUEST_MAX} events at once.");
        return Err(Error::refused(Code::LimitReached, &["events"], message));
    }
    let posted: Vec<Posted> = input.events.into_iter().map(Posted::from).collect();
    let raw = serde_json::to_vec(&posted).map_err(|error| Error::fault("writing events", error))?;
    let items = platforms::parse(Scheme::Generic, &raw).items;
    request.app.door.accept(&Origin::first_party(request.scope.clone()), items).await
}
