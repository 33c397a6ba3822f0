//! Approvals: the one place where money leaves what is payable. From here on the amount is promised to the payment provider, so that what
//! is taken back later is owed by the beneficiary and never taken out of what was promised. An approval never pays more than the sheet
//! showed: what was taken back or confirmed as fraud since is left out.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;
use uuid::Uuid;

use super::rules::{ALONE_HOURS, Facts, Line, Sum, needs_second, obstacle, sum};
use super::store::{self, LiveLine};
use super::{Held, LineReason, PayoutState, audit, check_reason, nettable_minor};
use crate::access::{Permission, Scope};
use crate::base::{Code, Env, Error, Result};
use crate::brands;
use crate::db::Conn;
use crate::fraud;
use crate::ledger::{self, Books, Bucket, Transfer, TransferKind};
use crate::outbox::{self, Topic};
use crate::rewards::{self, Standing};

/// Approves a draft: its lines are paid out on the ledger and its rewards are PAID, in a handful of statements however many they are.
/// Refused: by the key that made it, above the brand's limit (FORBIDDEN); while open alerts weigh on it, unless overridden with a reason
/// that is kept (`FRAUD_BLOCKED`); while the brand's books are broken (`LEDGER_BROKEN`); where nothing is left to pay (CONFLICT).
pub async fn approve(conn: &mut Conn, scope: &Scope, env: &Env, id: Uuid, override_reason: Option<&str>) -> Result<()> {
    scope.require(Permission::WriteMoney)?;
    override_reason.map_or(Ok(()), |reason| check_reason(reason, "overrideReason"))?;
    // All who post take up the books before the rewards, so that nobody waits in a circle.
    ledger::hold(conn, scope).await?;
    let payout = store::lock(conn, scope, id).await?;
    payout.expect(PayoutState::Draft, "approved")?;
    audit::require_whole(conn, scope).await?;
    require_second(conn, scope, env, &payout).await?;
    let live = store::live_lines(conn, scope, id).await?;
    let lines = look_again(conn, scope, &payout, &live).await?;
    let kept_override = judge_alerts(conn, scope, &payout, &live, &lines, override_reason).await?;
    let campaigns: HashMap<Uuid, Uuid> = live.iter().map(|line| (line.reward_id, line.campaign_id)).collect();
    let sum = pay(conn, scope, env, &payout, &lines, &campaigns).await?;
    let (now, by) = (env.now(), scope.key_id);
    store::update_lines(conn, scope, id, &lines).await?;
    store::approve(conn, scope, now, &store::Approval { id, by, override_reason: kept_override, sum }).await?;
    let mut told = vec![(Topic::PayoutApproved, id)];
    // Nothing is sent, so that no provider will ever say that it was.
    if sum.amount_minor == 0 {
        let end = store::End { state: PayoutState::Paid, reason: None, provider_reference: None };
        store::close(conn, scope, now, id, &end).await?;
        told.push((Topic::PayoutPaid, id));
    }
    told.extend(payable(&lines).map(|line| (Topic::RewardChanged, line.reward_id)));
    outbox::append(conn, scope, now, &told).await?;
    Ok(())
}

/// Refuses with FORBIDDEN where the key that made the payout approves it above the limit, together with what it approved alone before:
/// many small payouts are one big one.
async fn require_second(conn: &mut Conn, scope: &Scope, env: &Env, payout: &Held) -> Result<()> {
    if payout.created_by != scope.key_id {
        return Ok(());
    }
    let limit_minor = brands::settings(conn, scope).await?.four_eyes_above_minor;
    let since = env.now() - TimeDelta::hours(ALONE_HOURS);
    let alone_minor = store::approved_alone_minor(conn, scope, since).await?;
    let gross_minor = payout.gross_minor.saturating_add(alone_minor);
    if !needs_second(gross_minor, limit_minor, payout.currency == scope.currency) {
        return Ok(());
    }
    let message = "The key that made this payout may not approve it, or has approved too much of its own in a day: let somebody else do so.";
    Err(Error::refused(Code::Forbidden, &["payoutId"], message))
}

/// The lines as their rewards stand now, locked.
async fn look_again(conn: &mut Conn, scope: &Scope, payout: &Held, live: &[LiveLine]) -> Result<Vec<Line>> {
    let ids: Vec<Uuid> = live.iter().map(|line| line.reward_id).collect();
    let locked = rewards::lock(conn, scope, &ids).await?;
    let locked: HashMap<Uuid, Standing> = locked.into_iter().map(|reward| (reward.id, reward)).collect();
    let is_banned = store::is_banned(conn, scope, payout.beneficiary).await?.unwrap_or(true);
    let line = |line: &LiveLine| {
        let reward = locked.get(&line.reward_id)?;
        let left_minor = reward.left_minor().min(line.amount_minor);
        let facts = Facts {
            reward_id: line.reward_id,
            state: reward.state,
            granted_minor: line.granted_minor,
            left_minor,
            // Open alerts are judged for the payout as a whole: a person may override them.
            has_open_alert: false,
            is_fraud_confirmed: line.is_fraud_confirmed,
            is_in_another: false,
            // What is taken back after the sheet was made does not keep the rest back.
            minimum_minor: 0,
        };
        let reason = obstacle(&facts, is_banned).map(|reason| match reason {
            LineReason::FraudConfirmed | LineReason::BeneficiaryBanned => reason,
            _ => LineReason::TakenBack,
        });
        let Facts { reward_id, granted_minor, left_minor, .. } = facts;
        Some(Line { reward_id, granted_minor, amount_minor: left_minor, reason })
    };
    Ok(live.iter().filter_map(line).collect())
}

/// The reason of the override that is kept: none where nothing had to be overridden.
async fn judge_alerts<'a>(
    conn: &mut Conn,
    scope: &Scope,
    payout: &Held,
    live: &[LiveLine],
    lines: &[Line],
    override_reason: Option<&'a str>,
) -> Result<Option<&'a str>> {
    let ids: Vec<Uuid> = payable(lines).map(|line| line.reward_id).collect();
    let paid: HashSet<Uuid> = ids.iter().copied().collect();
    let conversions = live.iter().filter(|line| paid.contains(&line.reward_id)).filter_map(|line| line.conversion_id);
    let conversion_ids: Vec<Uuid> = conversions.collect();
    let count = store::weighing_alerts(conn, scope, payout.beneficiary, &ids).await?
        + fraud::reads::confirmed_on_credits(conn, scope, &conversion_ids).await?;
    if count == 0 || override_reason.is_some() {
        return Ok(override_reason.filter(|_| count > 0));
    }
    let message = format!(
        "{count} fraud alerts weigh on this payout, open ones, or confirmed ones about the beneficiary or what it is credited with: review those that are open, take back what is not earned, or pass overrideReason with the reason to pay all the same."
    );
    Err(Error::refused(Code::FraudBlocked, &["payoutId"], message))
}

fn payable(lines: &[Line]) -> impl Iterator<Item = &Line> {
    lines.iter().filter(|line| line.reason.is_none())
}

/// Moves the money: every line in full, and back out of it what the beneficiary owes.
async fn pay(
    conn: &mut Conn,
    scope: &Scope,
    env: &Env,
    payout: &Held,
    lines: &[Line],
    campaigns: &HashMap<Uuid, Uuid>,
) -> Result<Sum> {
    let [payable_key, paid_out, receivable] =
        [Bucket::Payable, Bucket::PaidOut, Bucket::Receivable].map(|bucket| payout.account(bucket));
    let mut books = Books::open(conn, scope, env.now(), &[payable_key, paid_out, receivable]).await?;
    // Nobody posts on these accounts while they are locked, so that the books of this beneficiary must agree here to the last cent.
    let available_minor = rewards::available_minor(conn, scope, payout.beneficiary, payout.currency).await?;
    let is_whole = ledger::add_up(conn, scope, &[payable_key, paid_out, receivable]).await?;
    if !is_whole || available_minor != books.balance_minor(&payable_key) {
        tracing::error!(payout.id = %payout.id, "the books of a beneficiary do not add up: nothing is paid");
        return Err(audit::broken());
    }
    let receivable_minor = books.balance_minor(&receivable);
    let owed_minor = nettable_minor(conn, scope, payout.beneficiary, payout.currency, receivable_minor).await?;
    let sum = sum(lines, owed_minor).ok_or_else(|| Error::fault("summing a payout", "the sum does not fit 64 bits"))?;
    if sum.gross_minor == 0 {
        let message = "Nothing on this sheet can be paid any more: cancel it, and make another when there is.";
        return Err(Error::refused(Code::Conflict, &["payoutId"], message));
    }
    let payout_id = payout.id;
    let mut post = |transfer| books.post(transfer).map_err(|error| Error::fault("paying out", error));
    for line in payable(lines) {
        post(Transfer {
            id: payout.transfer_id(line.reward_id),
            debit: payable_key,
            credit: paid_out,
            amount_minor: line.amount_minor,
            kind: TransferKind::Payout { payout_id },
            reward_id: Some(line.reward_id),
            campaign_id: campaigns.get(&line.reward_id).copied(),
        })?;
    }
    if sum.netted_minor > 0 {
        post(Transfer {
            id: payout.net_id(),
            debit: paid_out,
            credit: receivable,
            amount_minor: sum.netted_minor,
            kind: TransferKind::Net { payout_id },
            reward_id: None,
            campaign_id: None,
        })?;
    }
    let ids: Vec<Uuid> = payable(lines).map(|line| line.reward_id).collect();
    if rewards::mark_paid(conn, scope, env.now(), &ids).await? != ids.len() {
        return Err(Error::fault("paying out", "a locked reward has changed"));
    }
    books.close(conn, scope).await?;
    Ok(sum)
}
