//! API keys: what an administrator makes and takes away.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::context::{parse_id, parse_id_opt, to_id};
use super::errors::{UserError, settle};
use super::{RequestContext, RequestExt};
use crate::access;
use crate::base::{self, Error, Kind};
use crate::payload;

/// What a key may be used for.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "access::Role")]
pub enum Role {
    /// Everything.
    Admin,
    /// Reads everything, changes creators, campaigns and links, and sends events.
    Growth,
    /// Reads everything, and changes rewards and payouts.
    Finance,
    /// Reads everything and decides on fraud alerts.
    FraudAnalyst,
    /// Reads everything.
    Viewer,
    /// Reads fraud alerts and subscribes to them.
    Bot,
    /// Sends events.
    Ingest,
    /// Reads its own creator, with its links, records and rewards.
    Creator,
}

/// A key to the API. Its secret is shown once, when it is made.
#[derive(SimpleObject, Clone, Debug)]
pub struct ApiKey {
    /// The identifier.
    pub id: ID,
    /// Who uses the key.
    pub name: String,
    /// What it may be used for.
    pub role: Role,
    /// The one creator whom a key of role CREATOR sees.
    pub creator_id: Option<ID>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it does not open anything.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl From<access::ApiKey> for ApiKey {
    fn from(key: access::ApiKey) -> Self {
        Self {
            id: to_id(Kind::Key, key.id),
            name: key.name,
            role: key.role.into(),
            creator_id: key.creator_id.map(|id| to_id(Kind::Creator, id)),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// A new key.
#[derive(InputObject, Clone, Debug)]
pub struct CreateApiKeyInput {
    /// Who uses the key.
    name: String,
    /// What it may be used for.
    role: Role,
    /// The one creator whom it sees: with the role CREATOR, and only with it.
    creator_id: Option<ID>,
    /// From when on it does not open anything; left out: never.
    expires_at: Option<DateTime<Utc>>,
}

/// The key to revoke.
#[derive(InputObject, Clone, Debug)]
pub struct RevokeApiKeyInput {
    /// The key.
    key_id: ID,
}

/// The outcome of `createApiKey`.
#[derive(SimpleObject)]
pub struct CreateApiKeyPayload {
    /// The new key.
    pub api_key: Option<ApiKey>,
    /// What to send as `Authorization: Bearer …`. It is shown this once.
    pub secret: Option<String>,
    /// What the caller can mend. Empty where the mutation took effect.
    pub user_errors: Vec<UserError>,
}

payload! {
    /// The outcome of `revokeApiKey`.
    RevokeApiKeyPayload {
        /// The key after the change.
        api_key: ApiKey
    }
}

#[derive(Default)]
pub struct KeyMutation;

#[Object]
impl KeyMutation {
    /// Makes a key to the API and shows its secret this once.
    async fn create_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new key.")] input: CreateApiKeyInput,
    ) -> Result<CreateApiKeyPayload> {
        let (made, user_errors) = settle(create_key(ctx.request()?, input).await)?;
        let (key, secret) = made.unzip();
        Ok(CreateApiKeyPayload { api_key: key.map(Into::into), secret, user_errors })
    }

    /// Revokes a key. Other servers of this installation learn of it within seconds.
    async fn revoke_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key.")] input: RevokeApiKeyInput,
    ) -> Result<RevokeApiKeyPayload> {
        RevokeApiKeyPayload::of(revoke_key(ctx.request()?, input).await)
    }
}

async fn create_key(request: &RequestContext, input: CreateApiKeyInput) -> base::Result<(access::ApiKey, String)> {
    let new = access::NewApiKey {
        name: input.name,
        role: input.role.into(),
        creator_id: parse_id_opt(Kind::Creator, input.creator_id.as_ref(), &["creatorId"])?,
        expires_at: input.expires_at,
    };
    if new.expires_at.is_some_and(|end| end <= request.app.env.now()) {
        return Err(Error::invalid(&["expiresAt"], "Pass a moment that is still to come."));
    }
    access::create_key(&mut *request.conn().await?, &request.scope, &request.app.env, new).await
}

async fn revoke_key(request: &RequestContext, input: RevokeApiKeyInput) -> base::Result<access::ApiKey> {
    let id = parse_id(Kind::Key, &input.key_id, &["keyId"])?;
    let key = access::revoke_key(&mut *request.conn().await?, &request.scope, &request.app.env, id).await?;
    request.app.keys.clear();
    key.ok_or_else(|| Error::not_found(&["keyId"], "There is no such key."))
}
