//! Mutations of campaigns.

use async_graphql::{Context, ID, InputObject, InputType, MaybeUndefined, Object, Result};
use chrono::{DateTime, Utc};
use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use super::campaigns::{CampaignObjective, CampaignStatus};
use super::context::parse_id;
use super::policies::{AttributionPolicyInput, FraudPolicyInput, RewardPolicyInput, to_draft};
use super::scalars::{MoneyInput, Url};
use super::{Campaign, RequestContext, RequestExt};
use crate::base::{self, Error, Kind};
use crate::campaigns::{self, CampaignChange, NewCampaign};
use crate::payload;

/// A new campaign.
#[derive(InputObject, Clone, Debug)]
pub struct CreateCampaignInput {
    /// The unique short name: lower-case letters, digits, `_` and `-`. It cannot be changed.
    slug: String,
    /// The name for people.
    name: String,
    /// What the campaign is for. It cannot be changed.
    objective: CampaignObjective,
    /// Whether the campaign runs.
    #[graphql(default_with = "CampaignStatus::Active")]
    status: CampaignStatus,
    /// When it starts.
    starts_at: Option<DateTime<Utc>>,
    /// When it ends.
    ends_at: Option<DateTime<Utc>>,
    /// What rewards may cost in all, above zero; left out: no limit. Its currency is the campaign's.
    budget: Option<MoneyInput>,
    /// How conversions are attributed.
    attribution: Option<AttributionPolicyInput>,
    /// What is owed.
    reward: Option<RewardPolicyInput>,
    /// What counts as fraud.
    fraud: Option<FraudPolicyInput>,
    /// Where links lead that name no destination of their own: an http or https address.
    destination_url: Option<Url>,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

/// What changes of a campaign; what is left out stays.
#[derive(InputObject, Clone, Debug)]
pub struct UpdateCampaignInput {
    /// The campaign.
    campaign_id: ID,
    /// The name for people.
    name: Option<String>,
    /// Whether the campaign runs.
    status: Option<CampaignStatus>,
    /// When it starts; null takes it away.
    starts_at: MaybeUndefined<DateTime<Utc>>,
    /// When it ends; null takes it away.
    ends_at: MaybeUndefined<DateTime<Utc>>,
    /// The budget in all after the change: it can be raised, not lowered.
    budget: Option<MoneyInput>,
    /// How conversions are attributed from now on: a new version.
    attribution: Option<AttributionPolicyInput>,
    /// What is owed from now on: a new version.
    reward: Option<RewardPolicyInput>,
    /// What counts as fraud from now on: a new version.
    fraud: Option<FraudPolicyInput>,
    /// Where links lead that name no destination of their own; null takes it away.
    destination_url: MaybeUndefined<Url>,
}

payload! {
    /// The outcome of `createCampaign`.
    CreateCampaignPayload {
        /// The new campaign.
        campaign: Campaign
    }
}

payload! {
    /// The outcome of `updateCampaign`.
    UpdateCampaignPayload {
        /// The campaign after the change.
        campaign: Campaign
    }
}

#[derive(Default)]
pub struct CampaignMutation;

#[Object]
impl CampaignMutation {
    /// Makes a campaign with the first version of its policies.
    async fn create_campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new campaign.")] input: CreateCampaignInput,
    ) -> Result<CreateCampaignPayload> {
        CreateCampaignPayload::of(create(ctx.request()?, input).await)
    }

    /// Changes a campaign. A change of a policy makes a new version; what was judged before keeps the version that judged it.
    async fn update_campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: UpdateCampaignInput,
    ) -> Result<UpdateCampaignPayload> {
        UpdateCampaignPayload::of(update(ctx.request()?, input).await)
    }
}

async fn create(request: &RequestContext, input: CreateCampaignInput) -> base::Result<campaigns::Campaign> {
    let arguments = input.to_value();
    let new = NewCampaign {
        slug: input.slug,
        name: input.name,
        objective: input.objective.into(),
        status: input.status.into(),
        starts_at: input.starts_at,
        ends_at: input.ends_at,
        budget: input.budget.map(|budget| budget.to_money(&["budget"])).transpose()?,
        destination_url: input.destination_url.map(|url| url.0),
        policies: to_draft(input.attribution, input.reward, input.fraud)?,
    };
    let (scope, env, new) = (&request.scope, &request.app.env, &new);
    let work = request.once("createCampaign", input.idempotency_key.as_deref(), &arguments, |conn| {
        async move { campaigns::create(conn, scope, env, new).await }.scope_boxed()
    });
    let id = work.await?;
    reload(request, id).await
}

async fn update(request: &RequestContext, input: UpdateCampaignInput) -> base::Result<campaigns::Campaign> {
    let id = parse_id(Kind::Campaign, &input.campaign_id, &["campaignId"])?;
    let change = CampaignChange {
        name: input.name,
        status: input.status.map(Into::into),
        starts_at: to_change(input.starts_at),
        ends_at: to_change(input.ends_at),
        budget: input.budget.map(|budget| budget.to_money(&["budget"])).transpose()?,
        destination_url: to_change(input.destination_url).map(|url| url.map(|url| url.0)),
        policies: to_draft(input.attribution, input.reward, input.fraud)?,
    };
    let (scope, env, change) = (&request.scope, &request.app.env, &change);
    let work = request
        .app
        .db
        .transaction(|conn| async move { campaigns::update(conn, scope, env, id, change).await }.scope_boxed());
    work.await?;
    reload(request, id).await
}

/// Left out: no change; null: taken away.
pub fn to_change<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

async fn reload(request: &RequestContext, id: Uuid) -> base::Result<campaigns::Campaign> {
    let found = campaigns::by_ids(&mut *request.conn().await?, &request.scope, &[id]).await?.remove(&id);
    found.ok_or_else(|| Error::fault("reading a campaign back", "it is gone"))
}
