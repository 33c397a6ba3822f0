//! What happens to rewards later: escrow ends, reviewers decide, refunds take back. Legal moves only, over locked rows.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::grant::{grant_id, release_id};
use super::store::{self, Due};
use super::{RewardReason, RewardState, Standing, is_money};
use crate::access::Scope;
use crate::base::{Error, Result, derived_id};
use crate::db::Conn;
use crate::ledger::{self, AccountKey, Books, Bucket, Transfer, TransferKind};
use crate::outbox::{self, Topic};

/// Rewards that one call settles at most.
const SETTLE_MAX: i64 = 500;

/// An amount to take back from a reward.
#[derive(Clone, Debug)]
pub(super) struct Reversal {
    pub reward: Standing,
    /// Above zero, and at most what is left of it.
    pub amount_minor: i64,
    pub reason: RewardReason,
}

/// A change to a reward's row.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub id: Uuid,
    pub state: RewardState,
    pub reversed_minor: i64,
    pub reason: Option<String>,
}

/// Releases rewards whose escrow has ended and that no open alert weighs on, holds those that one does, and settles held ones whose
/// alerts were all reviewed. Returns how many it looked at; call it again while that is above zero.
pub async fn settle_due(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>) -> Result<usize> {
    ledger::hold(conn, scope).await?;
    let due = store::lock_due(conn, scope, now, SETTLE_MAX).await?;
    if due.is_empty() {
        return Ok(0);
    }
    let count = due.len();
    let rewards: Vec<&Standing> = due.iter().map(|(reward, _)| reward).collect();
    let mut books = Books::open(conn, scope, now, &accounts(&rewards)).await?;
    let mut changes = Vec::new();
    for (reward, what) in &due {
        match what {
            Due::Hold => changes.push(state_change(reward, RewardState::Held, Some(RewardReason::FraudReview))),
            Due::Resume => changes.push(state_change(reward, RewardState::Escrowed, None)),
            Due::Release => {
                post_release(reward, &mut books)?;
                changes.push(state_change(reward, RewardState::Available, None));
            }
            Due::Void => changes.push(post_reversal(
                &Reversal {
                    reward: reward.clone(),
                    amount_minor: reward.left_minor(),
                    reason: RewardReason::FraudConfirmed,
                },
                &mut books,
            )?),
        }
    }
    store::change(conn, scope, now, &changes).await?;
    books.close(conn, scope).await?;
    let subjects: Vec<(Topic, Uuid)> = changes.iter().map(|change| (Topic::RewardChanged, change.id)).collect();
    outbox::append(conn, scope, now, &subjects).await?;
    Ok(count)
}

/// Takes amounts back. Returns the rewards that changed.
pub(super) async fn take_back(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    reversals: &[Reversal],
) -> Result<Vec<Uuid>> {
    if reversals.is_empty() {
        return Ok(Vec::new());
    }
    let rewards: Vec<&Standing> = reversals.iter().map(|reversal| &reversal.reward).collect();
    let mut books = Books::open(conn, scope, now, &accounts(&rewards)).await?;
    let changes = reversals.iter().map(|reversal| post_reversal(reversal, &mut books)).collect::<Result<Vec<_>>>()?;
    store::change(conn, scope, now, &changes).await?;
    books.close(conn, scope).await?;
    Ok(changes.into_iter().map(|change| change.id).collect())
}

pub(super) fn accounts(rewards: &[&Standing]) -> Vec<AccountKey> {
    let keys = rewards.iter().filter(|reward| is_money(reward.kind)).flat_map(|reward| {
        let currency = reward.value.currency;
        let is_paid = reward.state == RewardState::Paid;
        let receivable = is_paid.then(|| reward.beneficiary.account(Bucket::Receivable, currency));
        let keys = [
            AccountKey::budget(reward.campaign_id, currency, reward.is_limited),
            reward.beneficiary.account(Bucket::Escrow, currency),
            reward.beneficiary.account(Bucket::Payable, currency),
        ];
        keys.into_iter().chain(receivable)
    });
    keys.collect::<HashSet<_>>().into_iter().collect()
}

pub(super) fn state_change(reward: &Standing, state: RewardState, reason: Option<RewardReason>) -> Change {
    Change {
        id: reward.id,
        state,
        reversed_minor: reward.reversed_minor,
        reason: reason.map(|reason| reason.as_str().to_owned()),
    }
}

pub(super) fn post_release(reward: &Standing, books: &mut Books) -> Result<()> {
    let amount_minor = reward.left_minor();
    if !is_money(reward.kind) || amount_minor == 0 {
        return Ok(());
    }
    let currency = reward.value.currency;
    let transfer = Transfer {
        id: release_id(reward.id),
        debit: reward.beneficiary.account(Bucket::Escrow, currency),
        credit: reward.beneficiary.account(Bucket::Payable, currency),
        amount_minor,
        kind: TransferKind::Release,
        reward_id: Some(reward.id),
        campaign_id: Some(reward.campaign_id),
    };
    books.post(transfer).map_err(|error| Error::fault("releasing a reward", error))
}

pub(super) fn post_reversal(reversal: &Reversal, books: &mut Books) -> Result<Change> {
    let reward = &reversal.reward;
    let reversed_minor = reward.reversed_minor + reversal.amount_minor;
    if is_money(reward.kind) && reversal.amount_minor > 0 {
        let currency = reward.value.currency;
        let reverses_id = grant_id(reward.id);
        let (bucket, kind) = match reward.state {
            RewardState::Available => (Bucket::Payable, TransferKind::Clawback { reverses_id }),
            // It is gone: from now on the beneficiary owes it, and the next payout withholds it.
            RewardState::Paid => (Bucket::Receivable, TransferKind::Clawback { reverses_id }),
            _ => (Bucket::Escrow, TransferKind::Void { reverses_id }),
        };
        let transfer = Transfer {
            id: derived_id(&[b"reverse", reward.id.as_bytes(), &reversed_minor.to_be_bytes()]),
            debit: reward.beneficiary.account(bucket, currency),
            credit: AccountKey::budget(reward.campaign_id, currency, reward.is_limited),
            amount_minor: reversal.amount_minor,
            kind,
            reward_id: Some(reward.id),
            campaign_id: Some(reward.campaign_id),
        };
        books.post(transfer).map_err(|error| Error::fault("reversing a reward", error))?;
    }
    let is_gone = reversed_minor == reward.value.minor;
    Ok(Change {
        id: reward.id,
        state: if is_gone { RewardState::Reversed } else { reward.state },
        reversed_minor,
        reason: Some(reversal.reason.as_str().to_owned()),
    })
}
