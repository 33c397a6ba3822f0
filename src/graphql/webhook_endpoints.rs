//! Webhook endpoints in the API: where a brand hears of what changed, and the log of what was sent there.

use async_graphql::{Context, Enum, ID, Object, Result};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;

use super::batches::DeliveryPageKey;
use super::connection::{Connection, forward, page_cost};
use super::context::to_id;
use super::scalars::{Decimal, Url};
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::{self, Kind, Page, Slice, TypeId};
use crate::deliveries::reads::{endpoint_count, endpoint_page};
use crate::deliveries::{self, Delivery, Endpoint};

/// How far a delivery has come.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(name = "WebhookDeliveryState", remote = "deliveries::DeliveryState")]
pub enum DeliveryState {
    /// It is tried, and tried again.
    Pending,
    /// The endpoint took it: it answered with a status from 200 to 299.
    Delivered,
    /// It was tried for the last time, or the endpoint answered 410.
    Failed,
}

/// Where the brand hears of what changed.
#[derive(Clone, Debug)]
pub struct WebhookEndpoint(pub Endpoint);

impl From<Endpoint> for WebhookEndpoint {
    fn from(endpoint: Endpoint) -> Self {
        Self(endpoint)
    }
}

/// Where the brand hears of what changed.
#[Object]
impl WebhookEndpoint {
    /// The identifier.
    async fn id(&self) -> ID {
        to_id(Kind::Endpoint, self.0.id)
    }

    /// The address that is posted to.
    async fn url(&self) -> Url {
        Url(self.0.url.clone())
    }

    /// What it hears of: single kinds such as `reward.changed`, and all of a noun's as `reward.*`.
    async fn kinds(&self) -> &[String] {
        &self.0.kinds
    }

    /// When it was made. It hears of what came after that.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Since when every try has failed; null: the last one did not.
    async fn failing_since(&self) -> Option<DateTime<Utc>> {
        self.0.failing_since
    }

    /// When it was disabled: since then nothing is sent, and what comes waits; null: it is not.
    async fn disabled_at(&self) -> Option<DateTime<Utc>> {
        self.0.disabled.as_ref().map(|(at, _)| *at)
    }

    /// Why it was disabled.
    async fn disabled_reason(&self) -> Option<&str> {
        self.0.disabled.as_ref().map(|(_, reason)| reason.as_str())
    }

    /// Until when the secret before the last rotation signs too; null: the newest signs alone.
    async fn previous_secret_expires_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime<Utc>>> {
        let now = ctx.request()?.app.env.now();
        Ok(self.0.previous_until.filter(|until| *until > now))
    }

    /// What was sent there and what is to be sent, the newest first. What is done with is kept for 30 days.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, at most 500; 20 where it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
        #[graphql(desc = "In one of these states; left out: in any.")] state: Option<Vec<DeliveryState>>,
    ) -> Result<Connection<WebhookDelivery>> {
        let request = ctx.request()?;
        let page = forward(first, after.as_deref())?;
        let mut states: Vec<deliveries::DeliveryState> =
            state.unwrap_or_default().into_iter().map(Into::into).collect();
        states.sort_unstable();
        states.dedup();
        let key = DeliveryPageKey { endpoint_id: self.0.id, states: states.clone(), page };
        let slice = request.loaders.delivery_pages.load(key).await?.unwrap_or_else(Slice::empty);
        let key = (self.0.id, states);
        Ok(Connection::new(slice, Delivery::place, move |request| {
            let key = key.clone();
            async move { Ok(request.loaders.delivery_counts.find(key).await?.unwrap_or(0)) }.boxed()
        }))
    }
}

/// One message to one endpoint.
#[derive(Clone, Debug)]
pub struct WebhookDelivery(Delivery);

impl From<Delivery> for WebhookDelivery {
    fn from(delivery: Delivery) -> Self {
        Self(delivery)
    }
}

/// One message to one endpoint.
#[Object]
impl WebhookDelivery {
    /// What the header `webhook-id` holds: the same at every try.
    async fn message_id(&self) -> ID {
        ID(TypeId::new("msg", self.0.message_id).to_string())
    }

    /// Its number among everything that the brand is told, by which messages can be put in their order.
    async fn sequence(&self) -> Decimal {
        Decimal(self.0.seq.to_string())
    }

    /// What it is about, for example `reward.changed`.
    async fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The body, byte for byte.
    async fn payload(&self) -> &str {
        &self.0.payload
    }

    /// How far it has come.
    async fn state(&self) -> DeliveryState {
        self.0.state.into()
    }

    /// How often it was tried, with a try that is under way.
    async fn attempts(&self) -> i32 {
        self.0.attempt_count.into()
    }

    /// When it is tried next; null: it is done with.
    async fn next_attempt_at(&self) -> Option<DateTime<Utc>> {
        self.0.next_attempt_at
    }

    /// When it was tried last.
    async fn last_attempt_at(&self) -> Option<DateTime<Utc>> {
        self.0.last_attempt_at
    }

    /// The HTTP status of the last answer; null where there was none.
    async fn last_status(&self) -> Option<i32> {
        self.0.last_status.map(i32::from)
    }

    /// Why it was not taken the last time.
    async fn last_error(&self) -> Option<&str> {
        self.0.last_error.as_deref()
    }

    /// When the endpoint took it.
    async fn delivered_at(&self) -> Option<DateTime<Utc>> {
        self.0.delivered_at
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

#[derive(Default)]
pub struct WebhookEndpointQuery;

#[Object]
impl WebhookEndpointQuery {
    /// Where the brand hears of what changed, the oldest first. Secrets are not shown.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn webhook_endpoints(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many endpoints from the start of the list.")] first: Option<i32>,
        #[graphql(desc = "Only endpoints after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many endpoints from the end of the list.")] last: Option<i32>,
        #[graphql(desc = "Only endpoints before this cursor.")] before: Option<String>,
    ) -> Result<Connection<WebhookEndpoint>> {
        let request = ctx.request()?;
        request.require(Permission::Administer)?;
        let page = Page::from_args(first, after.as_deref(), last, before.as_deref())?;
        let slice = endpoint_page(&mut *request.conn().await?, &request.scope, &page).await?;
        Ok(Connection::new(slice, Endpoint::place, |request| count(request).boxed()))
    }
}

async fn count(request: &RequestContext) -> base::Result<i64> {
    endpoint_count(&mut *request.conn().await?, &request.scope).await
}
