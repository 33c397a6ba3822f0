//! What the payment provider says of an approved payout: it was paid, or it failed and everything is as if it had not been approved.

use std::collections::HashMap;

use uuid::Uuid;

use super::store::{self, LiveLine};
use super::{Held, PayoutState, check_reason};
use crate::access::{Permission, Scope};
use crate::base::limits::PROVIDER_REFERENCE_BYTES_MAX;
use crate::base::{Env, Error, Result, derived_id};
use crate::db::Conn;
use crate::ledger::{self, Books, Bucket, Transfer, TransferKind};
use crate::outbox::{self, Topic};
use crate::rewards::{self, RewardState, Standing};

/// The provider has paid an approved payout, under a name of its own. That is final.
pub async fn mark_paid(conn: &mut Conn, scope: &Scope, env: &Env, id: Uuid, provider_reference: &str) -> Result<()> {
    scope.require(Permission::WriteMoney)?;
    check_reference(provider_reference)?;
    let payout = store::lock(conn, scope, id).await?;
    payout.expect(PayoutState::Approved, "marked as paid")?;
    let provider_reference = Some(provider_reference);
    let end = store::End { state: PayoutState::Paid, reason: None, provider_reference };
    store::close(conn, scope, env.now(), id, &end).await?;
    outbox::append(conn, scope, env.now(), &[(Topic::PayoutPaid, id)]).await?;
    Ok(())
}

/// The provider did not pay an approved payout: the money is payable again, its rewards are available again, and what it had settled is
/// owed again. What was taken back of its rewards meanwhile stays taken back.
pub async fn mark_failed(
    conn: &mut Conn,
    scope: &Scope,
    env: &Env,
    id: Uuid,
    reason: &str,
    provider_reference: Option<&str>,
) -> Result<()> {
    scope.require(Permission::WriteMoney)?;
    check_reason(reason, "reason")?;
    provider_reference.map_or(Ok(()), check_reference)?;
    // All who post take up the books before the rewards, so that nobody waits in a circle.
    ledger::hold(conn, scope).await?;
    let payout = store::lock(conn, scope, id).await?;
    payout.expect(PayoutState::Approved, "marked as failed")?;
    let lines = store::live_lines(conn, scope, id).await?;
    let ids: Vec<Uuid> = lines.iter().map(|line| line.reward_id).collect();
    let locked = rewards::lock(conn, scope, &ids).await?;
    give_back(conn, scope, env, &payout, &lines, &locked).await?;
    let paid: Vec<Uuid> =
        locked.iter().filter(|reward| reward.state == RewardState::Paid).map(|reward| reward.id).collect();
    if rewards::mark_available(conn, scope, env.now(), &paid).await? != paid.len() {
        return Err(Error::fault("taking a payout back", "a locked reward has changed"));
    }
    let end = store::End { state: PayoutState::Failed, reason: Some(reason), provider_reference };
    store::close(conn, scope, env.now(), id, &end).await?;
    store::free_lines(conn, scope, id).await?;
    let mut told = vec![(Topic::PayoutFailed, id)];
    told.extend(paid.into_iter().map(|reward_id| (Topic::RewardChanged, reward_id)));
    outbox::append(conn, scope, env.now(), &told).await?;
    Ok(())
}

/// Moves the money back. Of each line, what still stands becomes payable; what was taken back meanwhile settles the debt that this made.
async fn give_back(
    conn: &mut Conn,
    scope: &Scope,
    env: &Env,
    payout: &Held,
    lines: &[LiveLine],
    locked: &[Standing],
) -> Result<()> {
    let [payable, paid_out, receivable] =
        [Bucket::Payable, Bucket::PaidOut, Bucket::Receivable].map(|bucket| payout.account(bucket));
    let mut books = Books::open(conn, scope, env.now(), &[payable, paid_out, receivable]).await?;
    let payout_id = payout.id;
    let mut post = |transfer| books.post(transfer).map_err(|error| Error::fault("taking a payout back", error));
    if payout.netted_minor > 0 {
        post(Transfer {
            id: derived_id(&[b"unnet", payout_id.as_bytes()]),
            debit: receivable,
            credit: paid_out,
            amount_minor: payout.netted_minor,
            kind: TransferKind::Unnet { payout_id, reverses_id: payout.net_id() },
            reward_id: None,
            campaign_id: None,
        })?;
    }
    let left: HashMap<Uuid, i64> = locked.iter().map(|reward| (reward.id, reward.left_minor())).collect();
    for line in lines {
        let left_minor = left.get(&line.reward_id).copied().unwrap_or(0).clamp(0, line.amount_minor);
        let reverses_id = payout.transfer_id(line.reward_id);
        let parts = [
            (b"return".as_slice(), payable, left_minor, TransferKind::Return { payout_id, reverses_id }),
            (b"settle".as_slice(), receivable, line.amount_minor - left_minor, TransferKind::Net { payout_id }),
        ];
        for (name, credit, amount_minor, kind) in parts.into_iter().filter(|(_, _, amount, _)| *amount > 0) {
            post(Transfer {
                id: derived_id(&[name, payout_id.as_bytes(), line.reward_id.as_bytes()]),
                debit: paid_out,
                credit,
                amount_minor,
                kind,
                reward_id: Some(line.reward_id),
                campaign_id: Some(line.campaign_id),
            })?;
        }
    }
    books.close(conn, scope).await
}

fn check_reference(reference: &str) -> Result<()> {
    let is_plain = !reference.trim().is_empty() && !reference.chars().any(char::is_control);
    if is_plain && reference.len() <= PROVIDER_REFERENCE_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "Pass the provider's own name of the payment: 1 to {PROVIDER_REFERENCE_BYTES_MAX} bytes without control characters."
    );
    Err(Error::invalid(&["providerReference"], message))
}
