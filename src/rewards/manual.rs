//! Rewards by hand: issued with a reason, released early, or taken back. The same rows, moves and books as the automatic ones.

use uuid::Uuid;

use super::grant::reward_id;
use super::settle::Reversal;
use super::settle::{Change, accounts, post_release, post_reversal, state_change};
use super::{Beneficiary, Claim, RewardReason, RewardState, Standing, grant, store};
use crate::access::{Permission, Scope};
use crate::base::{Code, Env, Error, Money, Result};
use crate::campaigns::{PolicyBook, RewardKind};
use crate::db::Conn;
use crate::journeys::Decision;
use crate::ledger::{self, Books};
use crate::outbox::{self, Topic};

/// What a reward by hand needs.
#[derive(Clone, Debug)]
pub struct NewReward {
    pub campaign_id: Uuid,
    pub beneficiary: Beneficiary,
    pub kind: RewardKind,
    pub value: Money,
    pub reason: String,
    /// The caller's key: the same key is the same reward.
    pub idempotency_key: String,
}

/// Issues a reward from the campaign's budget, into escrow as the campaign's policy says. A budget that is too small is
/// INSUFFICIENT_BUDGET and leaves no row.
pub async fn issue(conn: &mut Conn, scope: &Scope, env: &Env, input: NewReward) -> Result<Uuid> {
    scope.require(Permission::WriteMoney)?;
    let book = PolicyBook::load(conn, scope).await?;
    let unknown = || Error::not_found(&["campaignId"], "There is no such campaign.");
    let facts = book.campaign(input.campaign_id).ok_or_else(unknown)?;
    let policies = book.current(input.campaign_id).ok_or_else(unknown)?;
    if input.value.minor <= 0 {
        return Err(Error::invalid(&["amount", "amount"], "Pass an amount above zero."));
    }
    if input.value.currency != facts.currency {
        let message = format!("The campaign pays in {}: pass an amount in it.", facts.currency);
        return Err(Error::invalid(&["amount", "currency"], message));
    }
    check_reason(&input.reason)?;
    if !store::has_beneficiary(conn, scope, input.beneficiary).await? {
        let field = if matches!(input.beneficiary, Beneficiary::Creator(_)) { "creatorId" } else { "memberId" };
        return Err(Error::not_found(&[field], "There is no such beneficiary."));
    }
    let key = format!("manual:{}", input.idempotency_key);
    let id = reward_id(scope, &key);
    let claim = Claim {
        key,
        campaign_id: input.campaign_id,
        policy_version: policies.version,
        kind: input.kind,
        beneficiary: input.beneficiary,
        referee_id: None,
        conversion_id: None,
        cause_event_id: None,
        degree: 1,
        value: input.value,
        triggered_at: env.now(),
        recorded_at: env.now(),
        escrow_days: policies.reward.escrow_days,
        per_day_max: None,
        in_campaign_max: None,
        decision: Decision::Allow,
        is_running: facts.is_running(env.now()),
        is_limited: facts.is_limited,
        is_reached: true,
        reason: Some(input.reason),
    };
    let granted = grant(conn, scope, env.now(), vec![claim]).await?;
    let stored = store::lock_rewards(conn, scope, &[id]).await?;
    let Some((reward, reason)) = stored.into_iter().next() else {
        return Err(Error::fault("issuing a reward", "the reward is not there"));
    };
    if reward.state == RewardState::Rejected {
        return Err(denial(reason.as_deref()));
    }
    let changed: Vec<(Topic, Uuid)> = granted.iter().map(|id| (Topic::RewardChanged, *id)).collect();
    outbox::append(conn, scope, env.now(), &changed).await?;
    Ok(id)
}

fn denial(reason: Option<&str>) -> Error {
    match reason.and_then(RewardReason::parse) {
        Some(RewardReason::BudgetExhausted) => {
            Error::refused(Code::InsufficientBudget, &["amount"], "The campaign's budget does not hold this amount.")
        }
        Some(RewardReason::CreatorNotActive) => Error::refused(
            Code::Conflict,
            &["creatorId"],
            "The creator is paused or banned: nothing can be owed to them.",
        ),
        _ => Error::refused(Code::Conflict, &["campaignId"], "The campaign is not running: it pays nothing now."),
    }
}

/// Releases a reward that is in escrow or held, now.
pub async fn release(conn: &mut Conn, scope: &Scope, env: &Env, id: Uuid) -> Result<()> {
    scope.require(Permission::WriteMoney)?;
    let reward = lock_one(conn, scope, id).await?;
    if !matches!(reward.state, RewardState::Escrowed | RewardState::Held) {
        return Err(wrong_state(&reward, "released"));
    }
    if store::has_standing_alert(conn, scope, reward.referee_id).await? {
        return Err(Error::refused(
            Code::FraudBlocked,
            &["rewardId"],
            "A fraud alert about the referee is open or was confirmed: review it first, or take the reward back.",
        ));
    }
    apply(conn, scope, env, &reward, |reward, books| {
        post_release(reward, books)?;
        Ok(state_change(reward, RewardState::Available, None))
    })
    .await
}

/// Takes a reward back: voided from escrow, clawed back where it was released, owed by the beneficiary where it was paid.
pub async fn reverse(conn: &mut Conn, scope: &Scope, env: &Env, id: Uuid, reason: &str) -> Result<()> {
    scope.require(Permission::WriteMoney)?;
    check_reason(reason)?;
    let reward = lock_one(conn, scope, id).await?;
    use RewardState::{Available, Escrowed, Held, Paid};
    if !matches!(reward.state, Escrowed | Held | Available | Paid) {
        return Err(wrong_state(&reward, "reversed"));
    }
    apply(conn, scope, env, &reward, |reward, books| {
        let whole =
            Reversal { reward: reward.clone(), amount_minor: reward.left_minor(), reason: RewardReason::Refunded };
        let change = post_reversal(&whole, books)?;
        Ok(Change { reason: Some(reason.to_owned()), ..change })
    })
    .await
}

fn check_reason(reason: &str) -> Result<()> {
    if reason.trim().is_empty() || reason.len() > 500 || reason.contains('\0') {
        return Err(Error::invalid(&["reason"], "Pass a reason of 1 to 500 bytes without the character U+0000."));
    }
    // These words tell an automatic reversal from a person's, which is final.
    if RewardReason::parse(reason.trim()).is_some() {
        return Err(Error::invalid(
            &["reason"],
            "Pass a reason in your own words: this one is a code of the automatic ones.",
        ));
    }
    Ok(())
}

async fn apply(
    conn: &mut Conn,
    scope: &Scope,
    env: &Env,
    reward: &Standing,
    work: impl FnOnce(&Standing, &mut Books) -> Result<Change> + Send,
) -> Result<()> {
    let mut books = Books::open(conn, scope, env.now(), &accounts(&[reward])).await?;
    let change = work(reward, &mut books)?;
    store::change(conn, scope, env.now(), &[change]).await?;
    books.close(conn, scope).await?;
    outbox::append(conn, scope, env.now(), &[(Topic::RewardChanged, reward.id)]).await?;
    Ok(())
}

async fn lock_one(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<Standing> {
    ledger::hold(conn, scope).await?;
    let found = store::lock_rewards(conn, scope, &[id]).await?;
    let unknown = || Error::not_found(&["rewardId"], "There is no such reward.");
    found.into_iter().next().map(|(reward, _)| reward).ok_or_else(unknown)
}

fn wrong_state(reward: &Standing, verb: &str) -> Error {
    let message = format!("A reward in state {} cannot be {verb}.", reward.state.as_str());
    Error::refused(Code::Conflict, &["rewardId"], message)
}
