//! Mutations of payouts.

use async_graphql::{Context, ID, InputObject, InputType, Object, Result};
use chrono::{DateTime, Utc};
use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use super::context::parse_id;
use super::payouts::{Payout, parse_currency};
use super::rewards::parse_beneficiary;
use super::scalars::MoneyInput;
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::{self, Error, Kind};
use crate::payload;
use crate::payouts::reads::{self, payouts_by_ids};
use crate::payouts::{self, NewPayout};

/// A payout to draft. Pass exactly one beneficiary.
#[derive(InputObject, Clone, Debug)]
pub struct CreatePayoutInput {
    /// The creator to pay.
    creator_id: Option<ID>,
    /// The member to pay.
    member_id: Option<ID>,
    /// The ISO 4217 code of the currency to pay in. Rewards in others need payouts of their own.
    currency: String,
    /// Only rewards that were earned before this moment.
    earned_before: Option<DateTime<Utc>>,
    /// The least that is worth being sent. Below it no line is payable.
    minimum: Option<MoneyInput>,
    /// The same key is the same payout: a replay returns the first result.
    idempotency_key: String,
}

/// A draft to approve.
#[derive(InputObject, Clone, Debug)]
pub struct ApprovePayoutInput {
    /// The payout. It must be a draft, made with another key where it is above the brand's limit.
    payout_id: ID,
    /// Why it is to be paid although open alerts weigh on it, in 1 to 500 bytes. It is kept where any do.
    override_reason: Option<String>,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

/// A draft to give up.
#[derive(InputObject, Clone, Debug)]
pub struct CancelPayoutInput {
    /// The payout. It must be a draft.
    payout_id: ID,
    /// Why, in 1 to 500 bytes.
    reason: String,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

/// A payout that the payment provider has paid.
#[derive(InputObject, Clone, Debug)]
pub struct MarkPayoutPaidInput {
    /// The payout. It must be approved.
    payout_id: ID,
    /// The provider's own name of the payment, in 1 to 255 bytes.
    provider_reference: String,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

/// A payout that the payment provider did not pay.
#[derive(InputObject, Clone, Debug)]
pub struct MarkPayoutFailedInput {
    /// The payout. It must be approved.
    payout_id: ID,
    /// Why, in 1 to 500 bytes.
    reason: String,
    /// The provider's own name of the payment, if it has one, in 1 to 255 bytes.
    provider_reference: Option<String>,
    /// Makes a replay return the first result.
    idempotency_key: Option<String>,
}

payload! {
    /// The outcome of `createPayout`.
    CreatePayoutPayload {
        /// The draft with its sheet.
        payout: Payout
    }
}

payload! {
    /// The outcome of `approvePayout`.
    ApprovePayoutPayload {
        /// The payout after the approval.
        payout: Payout
    }
}

payload! {
    /// The outcome of `cancelPayout`.
    CancelPayoutPayload {
        /// The payout after the change.
        payout: Payout
    }
}

payload! {
    /// The outcome of `markPayoutPaid`.
    MarkPayoutPaidPayload {
        /// The payout after the change.
        payout: Payout
    }
}

payload! {
    /// The outcome of `markPayoutFailed`.
    MarkPayoutFailedPayload {
        /// The payout after the change.
        payout: Payout
    }
}

#[derive(Default)]
pub struct PayoutMutation;

#[Object]
impl PayoutMutation {
    /// Drafts a payout of what is available to a beneficiary in one currency, at most 10,000 lines. No money moves, and its rewards are kept
    /// from other payouts.
    async fn create_payout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whom to pay, and what.")] input: CreatePayoutInput,
    ) -> Result<CreatePayoutPayload> {
        let request = ctx.request()?;
        request.require(Permission::WriteMoney)?;
        CreatePayoutPayload::of(create(request, input).await)
    }

    /// Approves a draft: its rewards are paid on the ledger, less what the beneficiary owes, and the amount may be sent. What was taken
    /// back since the sheet was made is left out. Refused while open fraud alerts weigh on it, unless overridden with a reason.
    async fn approve_payout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The draft.")] input: ApprovePayoutInput,
    ) -> Result<ApprovePayoutPayload> {
        let request = ctx.request()?;
        request.require(Permission::WriteMoney)?;
        ApprovePayoutPayload::of(approve(request, input).await)
    }

    /// Gives up a draft: its rewards are free for another payout.
    async fn cancel_payout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The draft, and why.")] input: CancelPayoutInput,
    ) -> Result<CancelPayoutPayload> {
        let request = ctx.request()?;
        request.require(Permission::WriteMoney)?;
        CancelPayoutPayload::of(cancel(request, input).await)
    }

    /// Records that the payment provider has paid. That is final.
    async fn mark_payout_paid(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The payout, and the provider's name of the payment.")] input: MarkPayoutPaidInput,
    ) -> Result<MarkPayoutPaidPayload> {
        let request = ctx.request()?;
        request.require(Permission::WriteMoney)?;
        MarkPayoutPaidPayload::of(mark_paid(request, input).await)
    }

    /// Records that the payment provider did not pay: the rewards are available again, and what the payout had settled is owed again.
    async fn mark_payout_failed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The payout, and why.")] input: MarkPayoutFailedInput,
    ) -> Result<MarkPayoutFailedPayload> {
        let request = ctx.request()?;
        request.require(Permission::WriteMoney)?;
        MarkPayoutFailedPayload::of(mark_failed(request, input).await)
    }
}

async fn create(request: &RequestContext, input: CreatePayoutInput) -> base::Result<reads::Payout> {
    let arguments = input.to_value();
    let new = NewPayout {
        beneficiary: parse_beneficiary(input.creator_id.as_ref(), input.member_id.as_ref())?,
        currency: parse_currency(&input.currency, &["currency"])?,
        earned_before: input.earned_before,
        minimum: input.minimum.as_ref().map(|minimum| minimum.to_money(&["minimum"])).transpose()?,
    };
    let (scope, env, new) = (&request.scope, &request.app.env, &new);
    let key = Some(input.idempotency_key.as_str());
    let id = request.once("createPayout", key, &arguments, |conn| {
        async move { payouts::create(conn, scope, env, new.clone()).await }.scope_boxed()
    });
    reload(request, id.await?).await
}

async fn approve(request: &RequestContext, input: ApprovePayoutInput) -> base::Result<reads::Payout> {
    let arguments = input.to_value();
    let id = parse_id(Kind::Payout, &input.payout_id, &["payoutId"])?;
    let (scope, env, reason) = (&request.scope, &request.app.env, input.override_reason.as_deref());
    let key = input.idempotency_key.as_deref();
    let approved = request.once("approvePayout", key, &arguments, |conn| {
        async move { payouts::approve(conn, scope, env, id, reason).await }.scope_boxed()
    });
    approved.await?;
    reload(request, id).await
}

async fn cancel(request: &RequestContext, input: CancelPayoutInput) -> base::Result<reads::Payout> {
    let arguments = input.to_value();
    let id = parse_id(Kind::Payout, &input.payout_id, &["payoutId"])?;
    let (scope, env, reason) = (&request.scope, &request.app.env, input.reason.as_str());
    let key = input.idempotency_key.as_deref();
    let canceled = request.once("cancelPayout", key, &arguments, |conn| {
        async move { payouts::cancel(conn, scope, env, id, reason).await }.scope_boxed()
    });
    canceled.await?;
    reload(request, id).await
}

async fn mark_paid(request: &RequestContext, input: MarkPayoutPaidInput) -> base::Result<reads::Payout> {
    let arguments = input.to_value();
    let id = parse_id(Kind::Payout, &input.payout_id, &["payoutId"])?;
    let (scope, env, reference) = (&request.scope, &request.app.env, input.provider_reference.as_str());
    let key = input.idempotency_key.as_deref();
    let marked = request.once("markPayoutPaid", key, &arguments, |conn| {
        async move { payouts::mark_paid(conn, scope, env, id, reference).await }.scope_boxed()
    });
    marked.await?;
    reload(request, id).await
}

async fn mark_failed(request: &RequestContext, input: MarkPayoutFailedInput) -> base::Result<reads::Payout> {
    let arguments = input.to_value();
    let id = parse_id(Kind::Payout, &input.payout_id, &["payoutId"])?;
    let (scope, env, reason) = (&request.scope, &request.app.env, input.reason.as_str());
    let (reference, key) = (input.provider_reference.as_deref(), input.idempotency_key.as_deref());
    let marked = request.once("markPayoutFailed", key, &arguments, |conn| {
        async move { payouts::mark_failed(conn, scope, env, id, reason, reference).await }.scope_boxed()
    });
    marked.await?;
    reload(request, id).await
}

async fn reload(request: &RequestContext, id: Uuid) -> base::Result<reads::Payout> {
    let found = payouts_by_ids(&mut *request.conn().await?, &request.scope, &[id]).await?.remove(&id);
    found.ok_or_else(|| Error::fault("reading a payout back", "it is gone"))
}
