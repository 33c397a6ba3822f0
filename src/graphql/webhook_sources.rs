//! Webhook sources in the API: who may post, where, and with which secrets.

use async_graphql::{Context, Enum, ID, InputObject, InputType, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use scoped_futures::ScopedFutureExt;

use super::connection::{Connection, page_cost};
use super::context::{parse_id, to_id};
use super::errors::{UserError, settle};
use super::scalars::Url;
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::limits::SECRET_OVERLAP_SECONDS_DEFAULT;
use crate::base::{self, Error, Kind, Page};
use crate::ingest::{self, NewSource, Rotation, SealedSecret, SourceView};
use crate::platforms::Scheme;

/// Who posts: how it signs, and what its bodies mean.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Scheme")]
pub enum WebhookScheme {
    /// `x-webhook-signature`: HMAC-SHA256 of the raw body in hexadecimal, under the text of the secret.
    Generic,
    /// Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp` and `webhook-signature`. An old request cannot be sent again.
    StandardWebhooks,
    /// Meta (Instagram, Facebook), `X-Hub-Signature-256`: people who open a chat through an `ig.me` or `m.me` link whose `ref` is one
    /// of our tokens. The secret is the app secret.
    Meta,
    /// TikTok for Developers, `TikTok-Signature`: creators' posts. The secret is the client secret.
    Tiktok,
    /// YouTube, by way of its WebSub hub, `X-Hub-Signature`: videos of the creators' connected channels, to which we subscribe ourselves.
    Youtube,
    /// Shopify, `X-Shopify-Hmac-Sha256`: paid orders and refunds. The secret is the app's.
    Shopify,
    /// Stripe, `Stripe-Signature`: checkouts, charges, refunds and lost disputes. The secret is the endpoint's `whsec_`.
    Stripe,
    /// Branch, which signs nothing: its postbacks carry the secret in the address, as `?token=`.
    Branch,
    /// AppsFlyer's Push API 2.0, which signs nothing: its messages carry the secret in a header or in the address, as `?token=`.
    Appsflyer,
}

/// Who may post events, and where.
#[derive(Clone, Debug)]
pub struct WebhookSource(SourceView);

impl From<SourceView> for WebhookSource {
    fn from(source: SourceView) -> Self {
        Self(source)
    }
}

/// Who may post events, and where.
#[Object]
impl WebhookSource {
    /// The identifier.
    async fn id(&self) -> ID {
        to_id(Kind::Source, self.0.id)
    }

    /// Who posts.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// How it signs what it posts, and what that means.
    async fn scheme(&self) -> WebhookScheme {
        self.0.scheme.into()
    }

    /// The address to post to.
    async fn url(&self, ctx: &Context<'_>) -> Result<Url> {
        Ok(Url(format!("{}/webhooks/{}", ctx.request()?.app.settings.public_url, self.0.slug)))
    }

    /// The word that Meta asks for when the address is entered there ("verify token"); null for other sources.
    async fn verify_token(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let request = ctx.request()?;
        let is_meta = self.0.scheme == Scheme::Meta;
        Ok(is_meta.then(|| ingest::verify_token(&request.app.keyring, &request.scope, &self.0.slug)))
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it last posted something authentic, to the minute; null: never.
    async fn last_event_at(&self) -> Option<DateTime<Utc>> {
        self.0.last_event_at
    }

    /// The version of the platform's format that it last posted in; null: it has none, or has not posted.
    async fn schema_version(&self) -> Option<&str> {
        self.0.schema_version.as_deref()
    }

    /// Until when the secret before the last rotation counts; null: the newest counts alone.
    async fn previous_secret_expires_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime<Utc>>> {
        let now = ctx.request()?.app.env.now();
        Ok(self.0.previous_until.filter(|until| *until > now))
    }
}

/// A new webhook source.
#[derive(InputObject, Clone, Debug)]
pub struct CreateWebhookSourceInput {
    /// Who posts.
    name: String,
    /// How it signs what it posts.
    #[graphql(default_with = "WebhookScheme::Generic")]
    scheme: WebhookScheme,
    /// The secret, where the sender chooses it; left out: one is drawn. For STANDARD_WEBHOOKS `whsec_` and the base64 of 24 to 64
    /// bytes, for GENERIC, BRANCH and APPSFLYER 24 to 256 visible ASCII characters, for other platforms the secret that they show.
    #[graphql(secret)]
    secret: Option<String>,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

/// Which source gets a new secret.
#[derive(InputObject, Clone, Debug)]
pub struct RotateWebhookSecretInput {
    /// The webhook source.
    source_id: ID,
    /// How long the secret before it still counts, at most a week. 0 ends every earlier secret at once: for one that has leaked.
    #[graphql(default_with = "SECRET_OVERLAP_SECONDS_DEFAULT as i32")]
    overlap_seconds: i32,
    /// The secret, where the sender chooses it; left out: one is drawn.
    #[graphql(secret)]
    secret: Option<String>,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

/// The outcome of `createWebhookSource`.
#[derive(SimpleObject)]
pub struct CreateWebhookSourcePayload {
    /// The new source.
    pub source: Option<WebhookSource>,
    /// The secret of its signatures. It is shown this once, and to a replay under the same idempotency key.
    pub secret: Option<String>,
    /// What the caller can mend. Empty where the mutation took effect.
    pub user_errors: Vec<UserError>,
}

/// The outcome of `rotateWebhookSecret`.
#[derive(SimpleObject)]
pub struct RotateWebhookSecretPayload {
    /// The source after the change.
    pub source: Option<WebhookSource>,
    /// The new secret. It is shown this once, and to a replay under the same idempotency key.
    pub secret: Option<String>,
    /// What the caller can mend. Empty where the mutation took effect.
    pub user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct WebhookSourceQuery;

#[Object]
impl WebhookSourceQuery {
    /// Who may post events, the oldest first. Secrets are not shown.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn webhook_sources(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many sources from the start of the list.")] first: Option<i32>,
        #[graphql(desc = "Only sources after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many sources from the end of the list.")] last: Option<i32>,
        #[graphql(desc = "Only sources before this cursor.")] before: Option<String>,
    ) -> Result<Connection<WebhookSource>> {
        let request = ctx.request()?;
        request.require(Permission::Administer)?;
        let page = Page::from_args(first, after.as_deref(), last, before.as_deref())?;
        let slice = ingest::source_page(&mut *request.conn().await?, &request.scope, &page).await?;
        Ok(Connection::new(slice, SourceView::place, |request| {
            Box::pin(async move { ingest::source_count(&mut *request.conn().await?, &request.scope).await })
        }))
    }
}

#[derive(Default)]
pub struct WebhookSourceMutation;

#[Object]
impl WebhookSourceMutation {
    /// Makes a webhook source with an address that nobody can guess, and shows its secret this once.
    async fn create_webhook_source(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new source.")] input: CreateWebhookSourceInput,
    ) -> Result<CreateWebhookSourcePayload> {
        let (made, user_errors) = settle(create(ctx.request()?, input).await)?;
        let (source, secret) = made.unzip();
        Ok(CreateWebhookSourcePayload { source, secret, user_errors })
    }

    /// Gives a webhook source a new secret and shows it this once. The one before it counts on for the overlap, so that the sender can
    /// change over without losing a request. While it does, another rotation is refused, unless it ends all earlier secrets.
    async fn rotate_webhook_secret(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The source, and how long its secret still counts.")] input: RotateWebhookSecretInput,
    ) -> Result<RotateWebhookSecretPayload> {
        let (made, user_errors) = settle(rotate(ctx.request()?, input).await)?;
        let (source, secret) = made.unzip();
        Ok(RotateWebhookSecretPayload { source, secret, user_errors })
    }
}

async fn create(request: &RequestContext, input: CreateWebhookSourceInput) -> base::Result<(WebhookSource, String)> {
    request.require(Permission::Administer)?;
    let arguments = input.to_value();
    let new = NewSource { name: input.name, scheme: input.scheme.into(), secret: input.secret };
    let (scope, env, keyring, new) = (&request.scope, &request.app.env, &request.app.keyring, &new);
    let work = request.once("createWebhookSource", input.idempotency_key.as_deref(), &arguments, |conn| {
        async move { ingest::create_source(conn, scope, env, keyring, new).await }.scope_boxed()
    });
    let made = work.await?;
    shown(request, &made).await
}

async fn rotate(request: &RequestContext, input: RotateWebhookSecretInput) -> base::Result<(WebhookSource, String)> {
    request.require(Permission::Administer)?;
    let arguments = input.to_value();
    let rotation = Rotation {
        source_id: parse_id(Kind::Source, &input.source_id, &["sourceId"])?,
        overlap_seconds: i64::from(input.overlap_seconds),
        secret: input.secret,
    };
    let (scope, env, keyring, rotation) = (&request.scope, &request.app.env, &request.app.keyring, &rotation);
    let work = request.once("rotateWebhookSecret", input.idempotency_key.as_deref(), &arguments, |conn| {
        async move { ingest::rotate_secret(conn, scope, env, keyring, rotation).await }.scope_boxed()
    });
    let made = work.await?;
    shown(request, &made).await
}

async fn shown(request: &RequestContext, made: &SealedSecret) -> base::Result<(WebhookSource, String)> {
    let found = ingest::source_by_id(&mut *request.conn().await?, &request.scope, made.source_id).await?;
    let source = found.ok_or_else(|| Error::fault("reading a webhook source back", "it is gone"))?;
    let secret = ingest::reveal(&request.scope, &request.app.keyring, made)?;
    Ok((WebhookSource(source), secret))
}
