//! Mutations of rewards.

use async_graphql::{Context, ID, InputObject, InputType, Object, Result};
use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use super::context::parse_id;
use super::rewards::{Reward, parse_beneficiary};
use super::scalars::MoneyInput;
use super::{RequestContext, RequestExt, RewardKind};
use crate::access::Permission;
use crate::base::{self, Error, Kind};
use crate::payload;
use crate::rewards::reads::{self, rewards_by_ids};
use crate::rewards::{self, NewReward};

/// A reward by hand, out of a campaign's budget. Pass exactly one beneficiary.
#[derive(InputObject, Clone, Debug)]
pub struct IssueRewardInput {
    /// The campaign that pays; it must be running.
    campaign_id: ID,
    /// The creator who earns it.
    creator_id: Option<ID>,
    /// The member who earns it.
    member_id: Option<ID>,
    /// What it is.
    kind: RewardKind,
    /// How much, above zero, in the campaign's currency.
    amount: MoneyInput,
    /// Why, in 1 to 500 bytes.
    reason: String,
    /// The same key is the same reward: a replay returns the first result.
    idempotency_key: String,
}

/// A reward to release before its time.
#[derive(InputObject, Clone, Debug)]
pub struct ReleaseRewardInput {
    /// The reward. It must be in escrow or held.
    reward_id: ID,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

/// A reward to take back.
#[derive(InputObject, Clone, Debug)]
pub struct ReverseRewardInput {
    /// The reward. It must be in escrow, held, available or paid.
    reward_id: ID,
    /// Why, in 1 to 500 bytes.
    reason: String,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

payload! {
    /// The outcome of `issueReward`.
    IssueRewardPayload {
        /// The new reward.
        reward: Reward
    }
}

payload! {
    /// The outcome of `releaseReward`.
    ReleaseRewardPayload {
        /// The reward after the change.
        reward: Reward
    }
}

payload! {
    /// The outcome of `reverseReward`.
    ReverseRewardPayload {
        /// The reward after the change.
        reward: Reward
    }
}

#[derive(Default)]
pub struct RewardMutation;

#[Object]
impl RewardMutation {
    /// Issues a reward by hand, into escrow as the campaign's policy says.
    async fn issue_reward(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new reward.")] input: IssueRewardInput,
    ) -> Result<IssueRewardPayload> {
        let request = ctx.request()?;
        request.require(Permission::WriteMoney)?;
        IssueRewardPayload::of(issue(request, input).await)
    }

    /// Releases a reward before its time: it is payable at once. Refused while a fraud alert on its referee is open, and after one was confirmed.
    async fn release_reward(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The reward.")] input: ReleaseRewardInput,
    ) -> Result<ReleaseRewardPayload> {
        let request = ctx.request()?;
        request.require(Permission::WriteMoney)?;
        ReleaseRewardPayload::of(release(request, input).await)
    }

    /// Takes a reward back: out of escrow, out of what is payable, or, where it was paid, out of the beneficiary's next payout.
    async fn reverse_reward(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The reward, and why.")] input: ReverseRewardInput,
    ) -> Result<ReverseRewardPayload> {
        let request = ctx.request()?;
        request.require(Permission::WriteMoney)?;
        ReverseRewardPayload::of(reverse(request, input).await)
    }
}

async fn issue(request: &RequestContext, input: IssueRewardInput) -> base::Result<reads::Reward> {
    let arguments = input.to_value();
    let new = NewReward {
        campaign_id: parse_id(Kind::Campaign, &input.campaign_id, &["campaignId"])?,
        beneficiary: parse_beneficiary(input.creator_id.as_ref(), input.member_id.as_ref())?,
        kind: input.kind.into(),
        value: input.amount.to_money(&["amount"])?,
        reason: input.reason,
        idempotency_key: input.idempotency_key.clone(),
    };
    let (scope, env, new) = (&request.scope, &request.app.env, &new);
    let key = Some(input.idempotency_key.as_str());
    let id = request.once("issueReward", key, &arguments, |conn| {
        async move { rewards::issue(conn, scope, env, new.clone()).await }.scope_boxed()
    });
    reload(request, id.await?).await
}

async fn release(request: &RequestContext, input: ReleaseRewardInput) -> base::Result<reads::Reward> {
    let arguments = input.to_value();
    let id = parse_id(Kind::Reward, &input.reward_id, &["rewardId"])?;
    let (scope, env) = (&request.scope, &request.app.env);
    let key = input.idempotency_key.as_deref();
    let released = request.once("releaseReward", key, &arguments, |conn| {
        async move { rewards::release(conn, scope, env, id).await }.scope_boxed()
    });
    released.await?;
    reload(request, id).await
}

async fn reverse(request: &RequestContext, input: ReverseRewardInput) -> base::Result<reads::Reward> {
    let arguments = input.to_value();
    let id = parse_id(Kind::Reward, &input.reward_id, &["rewardId"])?;
    let (scope, env, reason) = (&request.scope, &request.app.env, input.reason.as_str());
    let key = input.idempotency_key.as_deref();
    let reversed = request.once("reverseReward", key, &arguments, |conn| {
        async move { rewards::reverse(conn, scope, env, id, reason).await }.scope_boxed()
    });
    reversed.await?;
    reload(request, id).await
}

async fn reload(request: &RequestContext, id: Uuid) -> base::Result<reads::Reward> {
    let found = rewards_by_ids(&mut *request.conn().await?, &request.scope, &[id]).await?.remove(&id);
    found.ok_or_else(|| Error::fault("reading a reward back", "it is gone"))
}
