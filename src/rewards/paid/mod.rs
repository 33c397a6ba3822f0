//! What payouts ask of rewards: which might be paid, and that they were or were not. It never decides who is paid and never moves
//! money: `payouts` does both.

mod store;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Beneficiary, RewardState, Standing};
use crate::access::Scope;
use crate::base::{Currency, Result};
use crate::db::Conn;

/// A reward that stands in nobody's hands yet, and what fraud says of its referee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub id: Uuid,
    pub has_open_alert: bool,
    pub is_fraud_confirmed: bool,
}

/// Rewards in money of a beneficiary that were granted and neither paid nor taken back, those that are available first, each kind in
/// the order in which they were earned. They are not locked.
pub async fn candidates(
    conn: &mut Conn,
    scope: &Scope,
    beneficiary: Beneficiary,
    currency: Currency,
    earned_before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<Candidate>> {
    store::candidates(conn, scope, beneficiary, currency, earned_before, limit).await
}

/// Rewards as they stand now, locked to the end of the transaction in the order of their identifiers.
pub async fn lock(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<Vec<Standing>> {
    let locked = super::store::lock_rewards(conn, scope, ids).await?;
    Ok(locked.into_iter().map(|(reward, _)| reward).collect())
}

/// Available rewards become paid. Call it with rewards that [`lock`] gave; returns how many changed.
pub async fn mark_paid(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, ids: &[Uuid]) -> Result<usize> {
    store::change_state(conn, scope, now, ids, RewardState::Available, RewardState::Paid).await
}

/// Paid rewards become available again: the payout failed. Returns how many changed.
pub async fn mark_available(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, ids: &[Uuid]) -> Result<usize> {
    store::change_state(conn, scope, now, ids, RewardState::Paid, RewardState::Available).await
}

/// What a beneficiary's available rewards come to, in minor units: what its payable account must hold.
pub async fn available_minor(
    conn: &mut Conn,
    scope: &Scope,
    beneficiary: Beneficiary,
    currency: Currency,
) -> Result<i64> {
    store::available_minor(conn, scope, beneficiary, currency).await
}
