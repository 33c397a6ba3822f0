//! What administrators do with webhook endpoints.

use async_graphql::{Context, ID, InputObject, InputType, Object, Result, SimpleObject};
use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use super::context::parse_id;
use super::errors::{UserError, settle};
use super::scalars::{Decimal, Url};
use super::webhook_endpoints::WebhookEndpoint;
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::limits::SECRET_OVERLAP_SECONDS_DEFAULT;
use crate::base::{self, Error, Kind};
use crate::deliveries::reads::endpoint_by_id;
use crate::deliveries::{self, EndpointChange, NewEndpoint, Replayed, SealedSecret, SecretRotation};
use crate::payload;

/// A new webhook endpoint.
#[derive(InputObject, Clone, Debug)]
pub struct CreateWebhookEndpointInput {
    /// Where to post: an `https` address on the public internet.
    url: Url,
    /// What to tell: kinds such as `reward.changed`, or all of a noun's as `reward.*`.
    kinds: Vec<String>,
    /// The secret, where the receiver chooses it: `whsec_` and the base64 of 24 to 64 bytes; left out: one is drawn.
    #[graphql(secret)]
    secret: Option<String>,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

/// What changes of a webhook endpoint. What is left out stays as it is.
#[derive(InputObject, Clone, Debug)]
pub struct UpdateWebhookEndpointInput {
    /// The endpoint.
    endpoint_id: ID,
    /// Where to post from now on, what waits included.
    url: Option<Url>,
    /// What to tell from now on.
    kinds: Option<Vec<String>>,
    /// False turns it off; true turns it on again, and sends what came meanwhile.
    enabled: Option<bool>,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

/// Which endpoint gets a new secret.
#[derive(InputObject, Clone, Debug)]
pub struct RotateWebhookEndpointSecretInput {
    /// The endpoint.
    endpoint_id: ID,
    /// How long the secret before it signs too, at most a week. 0 ends every earlier secret at once: for one that has leaked.
    #[graphql(default_with = "SECRET_OVERLAP_SECONDS_DEFAULT as i32")]
    overlap_seconds: i32,
    /// The secret, where the receiver chooses it; left out: one is drawn.
    #[graphql(secret)]
    secret: Option<String>,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

/// Which deliveries are sent again.
#[derive(InputObject, Clone, Debug)]
pub struct ReplayWebhookDeliveriesInput {
    /// The endpoint.
    endpoint_id: ID,
    /// Only what has a greater `sequence`: that of the last message that need not be repeated. Left out: all that is kept.
    after_sequence: Option<Decimal>,
    /// Only what was tried for the last time.
    #[graphql(default = false)]
    failed_only: bool,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

/// The outcome of `createWebhookEndpoint`.
#[derive(SimpleObject)]
pub struct CreateWebhookEndpointPayload {
    /// The new endpoint.
    pub endpoint: Option<WebhookEndpoint>,
    /// The secret of our signatures. It is shown this once, and to a replay under the same idempotency key.
    pub secret: Option<String>,
    /// What the caller can mend. Empty where the mutation took effect.
    pub user_errors: Vec<UserError>,
}

payload! {
    /// The outcome of `updateWebhookEndpoint`.
    UpdateWebhookEndpointPayload {
        /// The endpoint after the change.
        endpoint: WebhookEndpoint
    }
}

/// The outcome of `rotateWebhookEndpointSecret`.
#[derive(SimpleObject)]
pub struct RotateWebhookEndpointSecretPayload {
    /// The endpoint after the change.
    pub endpoint: Option<WebhookEndpoint>,
    /// The new secret. It is shown this once, and to a replay under the same idempotency key.
    pub secret: Option<String>,
    /// What the caller can mend. Empty where the mutation took effect.
    pub user_errors: Vec<UserError>,
}

/// What is sent again.
#[derive(SimpleObject, Clone, Debug)]
pub struct WebhookReplay {
    /// How many deliveries are due again.
    pub queued: i32,
    /// The `sequence` of the last of them: pass it as `afterSequence` of the next call.
    pub end_sequence: Option<Decimal>,
    /// Whether there are more: one call takes at most 1,000.
    pub has_more: bool,
}

impl From<Replayed> for WebhookReplay {
    fn from(replayed: Replayed) -> Self {
        Self {
            queued: i32::try_from(replayed.queued_count).unwrap_or(i32::MAX),
            end_sequence: replayed.end_seq.map(|seq| Decimal(seq.to_string())),
            has_more: replayed.has_more,
        }
    }
}

payload! {
    /// The outcome of `replayWebhookDeliveries`.
    ReplayWebhookDeliveriesPayload {
        /// What is sent again.
        replay: WebhookReplay
    }
}

#[derive(Default)]
pub struct WebhookEndpointMutation;

#[Object]
impl WebhookEndpointMutation {
    /// Makes an endpoint that hears of everything of these kinds from now on, and shows its secret this once.
    async fn create_webhook_endpoint(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new endpoint.")] input: CreateWebhookEndpointInput,
    ) -> Result<CreateWebhookEndpointPayload> {
        let (made, user_errors) = settle(create(ctx.request()?, input).await)?;
        let (endpoint, secret) = made.unzip();
        Ok(CreateWebhookEndpointPayload { endpoint, secret, user_errors })
    }

    /// Changes an endpoint, or turns it off or on.
    async fn update_webhook_endpoint(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The endpoint, and what changes.")] input: UpdateWebhookEndpointInput,
    ) -> Result<UpdateWebhookEndpointPayload> {
        UpdateWebhookEndpointPayload::of(update(ctx.request()?, input).await)
    }

    /// Gives an endpoint a new secret and shows it this once. For the overlap what is sent carries two signatures, that of the secret
    /// before it too, so that the receiver can change over without refusing a message.
    async fn rotate_webhook_endpoint_secret(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The endpoint, and how long its secret still signs.")] input: RotateWebhookEndpointSecretInput,
    ) -> Result<RotateWebhookEndpointSecretPayload> {
        let (made, user_errors) = settle(rotate(ctx.request()?, input).await)?;
        let (endpoint, secret) = made.unzip();
        Ok(RotateWebhookEndpointSecretPayload { endpoint, secret, user_errors })
    }

    /// Sends deliveries again that were taken or given up, with the same `webhook-id` and the same body, the oldest first.
    async fn replay_webhook_deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The endpoint, and which deliveries.")] input: ReplayWebhookDeliveriesInput,
    ) -> Result<ReplayWebhookDeliveriesPayload> {
        ReplayWebhookDeliveriesPayload::of(replay(ctx.request()?, input).await)
    }
}

fn endpoint_id(id: &ID) -> base::Result<Uuid> {
    parse_id(Kind::Endpoint, id, &["endpointId"])
}

async fn create(
    request: &RequestContext,
    input: CreateWebhookEndpointInput,
) -> base::Result<(WebhookEndpoint, String)> {
    request.require(Permission::Administer)?;
    let arguments = input.to_value();
    let new = NewEndpoint { url: input.url.0, kinds: input.kinds, secret: input.secret };
    let (scope, courier, new) = (&request.scope, &request.app.courier, &new);
    let work = request.once("createWebhookEndpoint", input.idempotency_key.as_deref(), &arguments, |conn| {
        async move { deliveries::create(conn, scope, courier, new).await }.scope_boxed()
    });
    let made = work.await?;
    shown(request, &made).await
}

async fn update(request: &RequestContext, input: UpdateWebhookEndpointInput) -> base::Result<WebhookEndpoint> {
    request.require(Permission::Administer)?;
    let arguments = input.to_value();
    let id = endpoint_id(&input.endpoint_id)?;
    let change = EndpointChange { url: input.url.map(|url| url.0), kinds: input.kinds, is_enabled: input.enabled };
    let (scope, courier, change) = (&request.scope, &request.app.courier, &change);
    let work = request.once("updateWebhookEndpoint", input.idempotency_key.as_deref(), &arguments, |conn| {
        async move { deliveries::update(conn, scope, courier, id, change).await }.scope_boxed()
    });
    work.await?;
    reload(request, id).await
}

async fn rotate(
    request: &RequestContext,
    input: RotateWebhookEndpointSecretInput,
) -> base::Result<(WebhookEndpoint, String)> {
    request.require(Permission::Administer)?;
    let arguments = input.to_value();
    let rotation = SecretRotation {
        endpoint_id: endpoint_id(&input.endpoint_id)?,
        overlap_seconds: i64::from(input.overlap_seconds),
        secret: input.secret,
    };
    let (scope, courier, rotation) = (&request.scope, &request.app.courier, &rotation);
    let work = request.once("rotateWebhookEndpointSecret", input.idempotency_key.as_deref(), &arguments, |conn| {
        async move { deliveries::rotate(conn, scope, courier, rotation).await }.scope_boxed()
    });
    let made = work.await?;
    shown(request, &made).await
}

async fn replay(request: &RequestContext, input: ReplayWebhookDeliveriesInput) -> base::Result<Replayed> {
    request.require(Permission::Administer)?;
    let arguments = input.to_value();
    let id = endpoint_id(&input.endpoint_id)?;
    let after_seq = match &input.after_sequence {
        None => 0,
        Some(Decimal(text)) => text.parse::<i64>().ok().filter(|seq| *seq >= 0).ok_or_else(|| {
            Error::invalid(&["afterSequence"], "Pass the sequence of a message: a whole number that is not negative.")
        })?,
    };
    let (scope, courier, is_failed_only) = (&request.scope, &request.app.courier, input.failed_only);
    let work = request.once("replayWebhookDeliveries", input.idempotency_key.as_deref(), &arguments, |conn| {
        async move { deliveries::replay(conn, scope, courier, id, after_seq, is_failed_only).await }.scope_boxed()
    });
    work.await
}

async fn shown(request: &RequestContext, made: &SealedSecret) -> base::Result<(WebhookEndpoint, String)> {
    let endpoint = reload(request, made.endpoint_id).await?;
    let secret = deliveries::reveal(&request.scope, &request.app.keyring, made)?;
    Ok((endpoint, secret))
}

async fn reload(request: &RequestContext, id: Uuid) -> base::Result<WebhookEndpoint> {
    let found = endpoint_by_id(&mut *request.conn().await?, &request.scope, id).await?;
    found.map(WebhookEndpoint).ok_or_else(|| Error::fault("reading a webhook endpoint back", "it is gone"))
}
