//! Drafts: the sheet of what could be paid, with the rewards that it pays kept from every other payout; and their cancellation.
//! No money moves.

use std::collections::HashMap;

use uuid::Uuid;

use super::rules::{Facts, Line, Sum, sheet};
use super::{NewPayout, PayoutState, check_reason, nettable_minor, store};
use crate::access::{Permission, Scope};
use crate::base::limits::PAYOUT_LINES_MAX;
use crate::base::{Code, Currency, Env, Error, Result, is_plain};
use crate::campaigns::PolicyBook;
use crate::db::Conn;
use crate::ledger::{self, Bucket};
use crate::outbox::{self, Topic};
use crate::rewards::{self, Beneficiary, Standing};

/// A draft as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub id: Uuid,
    pub input: NewPayout,
    pub sum: Sum,
    pub lines: Vec<Line>,
}

/// Drafts a payout of what is available to a beneficiary in one currency, at most 10,000 lines, and returns its identifier. What cannot
/// be paid stands on the sheet with the reason. Nothing granted that is not paid yet is CONFLICT.
pub async fn create(conn: &mut Conn, scope: &Scope, env: &Env, input: NewPayout) -> Result<Uuid> {
    scope.require(Permission::WriteMoney)?;
    let field = check(&input)?;
    let banned = store::is_banned(conn, scope, input.beneficiary).await?;
    let is_banned = banned.ok_or_else(|| Error::not_found(&[field], "There is no such beneficiary."))?;
    let facts = facts(conn, scope, &input).await?;
    if facts.is_empty() {
        let message = format!("There is nothing in {} that was granted and not paid yet.", input.currency);
        return Err(Error::refused(Code::Conflict, &[field], message));
    }
    let receivable = input.beneficiary.account(Bucket::Receivable, input.currency);
    let receivable_minor = ledger::balance_minor(conn, scope, &receivable).await?;
    let owed_minor = nettable_minor(conn, scope, input.beneficiary, input.currency, receivable_minor).await?;
    let minimum_minor = input.minimum.map(|minimum| minimum.minor);
    let (lines, sum) = sheet(&facts, is_banned, owed_minor, minimum_minor)
        .ok_or_else(|| Error::fault("summing a payout", "the sum does not fit 64 bits"))?;
    let draft = Draft { id: env.new_id(), input, sum, lines };
    store::insert(conn, scope, env.now(), &draft).await?;
    outbox::append(conn, scope, env.now(), &[(Topic::PayoutCreated, draft.id)]).await?;
    Ok(draft.id)
}

/// Refuses what can be told without the database; returns the field that names the beneficiary.
fn check(input: &NewPayout) -> Result<&'static str> {
    if input.earned_before.is_some_and(|end| !is_plain(end)) {
        return Err(Error::invalid(&["earnedBefore"], "Pass a moment of the years 1 to 9999."));
    }
    if input.minimum.is_some_and(|minimum| minimum.currency != input.currency) {
        let message = format!("The payout is in {}: pass a minimum in it.", input.currency);
        return Err(Error::invalid(&["minimum", "currency"], message));
    }
    Ok(if matches!(input.beneficiary, Beneficiary::Creator(_)) { "creatorId" } else { "memberId" })
}

/// The rewards, locked, in the order in which they were found. What other payouts hold is looked up under the lock: two drafts at once
/// come one after the other, and the second sees what the first took.
async fn facts(conn: &mut Conn, scope: &Scope, input: &NewPayout) -> Result<Vec<Facts>> {
    let NewPayout { beneficiary, currency, earned_before, .. } = *input;
    let found = rewards::candidates(conn, scope, beneficiary, currency, earned_before, PAYOUT_LINES_MAX).await?;
    let ids: Vec<Uuid> = found.iter().map(|candidate| candidate.id).collect();
    let locked = rewards::lock(conn, scope, &ids).await?;
    let locked: HashMap<Uuid, Standing> = locked.into_iter().map(|reward| (reward.id, reward)).collect();
    let taken = store::taken(conn, scope, &ids).await?;
    let book = PolicyBook::load(conn, scope).await?;
    let facts = found.into_iter().filter_map(|candidate| {
        let reward = locked.get(&candidate.id)?;
        Some(Facts {
            reward_id: reward.id,
            state: reward.state,
            granted_minor: reward.value.minor,
            left_minor: reward.left_minor(),
            has_open_alert: candidate.has_open_alert,
            is_fraud_confirmed: candidate.is_fraud_confirmed,
            is_in_another: taken.contains(&reward.id),
            minimum_minor: minimum_minor(&book, reward.campaign_id, currency),
        })
    });
    Ok(facts.collect())
}

/// The least that a campaign's policy in force has sent. It is an amount in the campaign's currency: nothing here knows what another is
/// worth, so that rewards in one wait for nothing.
fn minimum_minor(book: &PolicyBook, campaign_id: Uuid, currency: Currency) -> i64 {
    let is_own = book.campaign(campaign_id).is_some_and(|campaign| campaign.currency == currency);
    let policies = book.current(campaign_id).filter(|_| is_own);
    policies.and_then(|policies| policies.reward.payout_minimum_minor).unwrap_or(0)
}

/// Cancels a draft: its rewards are free for another payout.
pub async fn cancel(conn: &mut Conn, scope: &Scope, env: &Env, id: Uuid, reason: &str) -> Result<()> {
    scope.require(Permission::WriteMoney)?;
    check_reason(reason, "reason")?;
    let payout = store::lock(conn, scope, id).await?;
    payout.expect(PayoutState::Draft, "canceled")?;
    let end = store::End { state: PayoutState::Canceled, reason: Some(reason), provider_reference: None };
    store::close(conn, scope, env.now(), id, &end).await?;
    store::free_lines(conn, scope, id).await?;
    outbox::append(conn, scope, env.now(), &[(Topic::PayoutCanceled, id)]).await?;
    Ok(())
}
