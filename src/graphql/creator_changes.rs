//! Mutations of creators.

use std::time::Duration;

use async_graphql::{Context, ID, InputObject, InputType, MaybeUndefined, Object, Result};
use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use super::context::parse_id;
use super::creators::CreatorStatus;
use super::{Creator, Platform, RequestContext, RequestExt};
use crate::base::limits::CONNECT_MS_MAX;
use crate::base::{self, Error, Kind};
use crate::creators::{self, CreatorChange, NewCreator, NewPlatformAccount};
use crate::payload;

/// A new creator.
#[derive(InputObject, Clone, Debug)]
pub struct CreateCreatorInput {
    /// The unique short name: lower-case letters, digits, `_`, `.` and `-`. It cannot be changed.
    handle: String,
    /// The name for people; left out: the handle.
    display_name: Option<String>,
    /// The brand's own grouping, for example `gold`.
    tier: Option<String>,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

/// What changes of a creator; what is left out stays.
#[derive(InputObject, Clone, Debug)]
pub struct UpdateCreatorInput {
    /// The creator.
    creator_id: ID,
    /// The name for people.
    display_name: Option<String>,
    /// Whether the creator takes part.
    status: Option<CreatorStatus>,
    /// The brand's own grouping; null takes it away.
    tier: MaybeUndefined<String>,
}

/// A creator's account on a platform.
#[derive(InputObject, Clone, Debug)]
pub struct ConnectPlatformAccountInput {
    /// The creator.
    creator_id: ID,
    /// The platform.
    platform: Platform,
    /// The account's identifier on the platform.
    external_id: String,
    /// The account's name on the platform.
    username: Option<String>,
    /// How many follow the account.
    followers: Option<i32>,
}

payload! {
    /// The outcome of `createCreator`.
    CreateCreatorPayload {
        /// The new creator.
        creator: Creator
    }
}

payload! {
    /// The outcome of `updateCreator`.
    UpdateCreatorPayload {
        /// The creator after the change.
        creator: Creator
    }
}

payload! {
    /// The outcome of `connectPlatformAccount`.
    ConnectPlatformAccountPayload {
        /// The creator with the account.
        creator: Creator
    }
}

#[derive(Default)]
pub struct CreatorMutation;

#[Object]
impl CreatorMutation {
    /// Makes a creator.
    async fn create_creator(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new creator.")] input: CreateCreatorInput,
    ) -> Result<CreateCreatorPayload> {
        CreateCreatorPayload::of(create(ctx.request()?, input).await)
    }

    /// Changes a creator.
    async fn update_creator(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: UpdateCreatorInput,
    ) -> Result<UpdateCreatorPayload> {
        UpdateCreatorPayload::of(update(ctx.request()?, input).await)
    }

    /// Records a creator's account on a platform, and asks the platform about it where it can be asked. It counts as verified once its public
    /// description has shown `verificationCode`; the worker looks again every day, and every call of this looks at once.
    async fn connect_platform_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account.")] input: ConnectPlatformAccountInput,
    ) -> Result<ConnectPlatformAccountPayload> {
        ConnectPlatformAccountPayload::of(connect(ctx.request()?, input).await)
    }
}

async fn create(request: &RequestContext, input: CreateCreatorInput) -> base::Result<creators::Creator> {
    let arguments = input.to_value();
    let new = NewCreator { handle: input.handle, display_name: input.display_name, tier: input.tier };
    let (scope, env, new) = (&request.scope, &request.app.env, &new);
    let work = request.once("createCreator", input.idempotency_key.as_deref(), &arguments, |conn| {
        async move { creators::create(conn, scope, env, new).await }.scope_boxed()
    });
    let id = work.await?;
    reload(request, id).await
}

async fn update(request: &RequestContext, input: UpdateCreatorInput) -> base::Result<creators::Creator> {
    let id = parse_id(Kind::Creator, &input.creator_id, &["creatorId"])?;
    let tier = match input.tier {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(tier) => Some(Some(tier)),
    };
    let change = CreatorChange { display_name: input.display_name, status: input.status.map(Into::into), tier };
    creators::update(&mut *request.conn().await?, &request.scope, id, &change).await?;
    reload(request, id).await
}

async fn connect(request: &RequestContext, input: ConnectPlatformAccountInput) -> base::Result<creators::Creator> {
    let id = parse_id(Kind::Creator, &input.creator_id, &["creatorId"])?;
    let account = NewPlatformAccount {
        creator_id: id,
        platform: input.platform.into(),
        external_id: input.external_id,
        username: input.username,
        follower_count: input.followers,
    };
    let scope = &request.scope;
    creators::connect_account(&mut *request.conn().await?, scope, &request.app.env, &account).await?;
    let (platform, name) = (account.platform, account.external_id.as_str());
    let found = creators::account_named(&mut *request.conn().await?, scope, id, platform, name).await?;
    if let Some(account) = found {
        let desk = request.app.desk();
        let asked = desk.refresh_account(scope, &account);
        // A platform that does not answer now is asked again by the worker.
        if let Ok(asked) = tokio::time::timeout(Duration::from_millis(CONNECT_MS_MAX), asked).await {
            asked?;
        }
    }
    reload(request, id).await
}

async fn reload(request: &RequestContext, id: Uuid) -> base::Result<creators::Creator> {
    let found = creators::by_ids(&mut *request.conn().await?, &request.scope, &[id]).await?.remove(&id);
    found.ok_or_else(|| Error::fault("reading a creator back", "it is gone"))
}
