//! Claims become rewards: each is granted, held or denied, in the order given, against the fraud decision, the campaign, the caps and
//! the budget. Everything is decided in memory over locked rows and written in a few statements.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::caps::Caps;
use super::store::{self, RewardRow};
use super::{Claim, RewardReason, RewardState, is_money};
use crate::access::Scope;
use crate::base::{Result, derived_id};
use crate::db::Conn;
use crate::journeys::Decision;
use crate::ledger::{AccountKey, Books, Bucket, Transfer, TransferKind};

/// Grants what may be granted and keeps every claim as a row. Claims whose key is known are left alone. Returns the new rewards.
pub async fn grant(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, claims: Vec<Claim>) -> Result<Vec<Uuid>> {
    let claims = fresh(conn, scope, claims).await?;
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let inactive = store::inactive_creators(conn, scope, &creators(&claims)).await?;
    let mut caps = Caps::lock(conn, scope, &claims).await?;
    let mut books = Books::open(conn, scope, now, &accounts(&claims)).await?;
    let mut rows = Vec::with_capacity(claims.len());
    for claim in &claims {
        let id = reward_id(scope, &claim.key);
        let outcome = decide(claim, &inactive, &mut Ledger { caps: &mut caps, books: &mut books, id });
        rows.push(row(claim, id, outcome));
    }
    store::insert_rewards(conn, scope, now, &rows).await?;
    caps.write(conn, scope).await?;
    books.close(conn, scope).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

pub(super) fn reward_id(scope: &Scope, key: &str) -> Uuid {
    derived_id(&[b"reward", scope.brand_id.as_bytes(), key.as_bytes()])
}

pub(super) fn grant_id(reward_id: Uuid) -> Uuid {
    derived_id(&[b"grant", reward_id.as_bytes()])
}

pub(super) fn release_id(reward_id: Uuid) -> Uuid {
    derived_id(&[b"release", reward_id.as_bytes()])
}

async fn fresh(conn: &mut Conn, scope: &Scope, claims: Vec<Claim>) -> Result<Vec<Claim>> {
    if claims.is_empty() {
        return Ok(claims);
    }
    let keys: Vec<String> = claims.iter().map(|claim| claim.key.clone()).collect();
    let mut known = store::known_keys(conn, scope, &keys).await?;
    Ok(claims.into_iter().filter(|claim| known.insert(claim.key.clone())).collect())
}

fn creators(claims: &[Claim]) -> Vec<Uuid> {
    claims.iter().filter_map(|claim| claim.beneficiary.creator_id()).collect()
}

fn accounts(claims: &[Claim]) -> Vec<AccountKey> {
    let money = claims.iter().filter(|claim| is_money(claim.kind));
    let keys = money.flat_map(|claim| {
        [
            budget(claim),
            claim.beneficiary.account(Bucket::Escrow, claim.value.currency),
            claim.beneficiary.account(Bucket::Payable, claim.value.currency),
        ]
    });
    keys.collect::<HashSet<_>>().into_iter().collect()
}

fn budget(claim: &Claim) -> AccountKey {
    AccountKey::budget(claim.campaign_id, claim.value.currency, claim.is_limited)
}

/// Where grants are counted and paid from: the ledger, or what a simulation supposes.
pub(super) trait Desk {
    /// The cap that leaves no room for it, if one does.
    fn full(&self, claim: &Claim) -> Option<RewardReason>;
    /// Pays it out of the budget, if that has as much.
    fn pay(&mut self, claim: &Claim) -> bool;
    /// Counts it against the caps.
    fn count(&mut self, claim: &Claim);
}

/// Why a claim is denied; `None` where it was granted: then the desk has paid and counted it.
pub(super) fn denial(claim: &Claim, inactive: &HashSet<Uuid>, desk: &mut impl Desk) -> Option<RewardReason> {
    if claim.decision == Decision::Block {
        return Some(RewardReason::FraudBlocked);
    }
    if !claim.is_running {
        return Some(RewardReason::CampaignNotRunning);
    }
    if claim.beneficiary.creator_id().is_some_and(|id| inactive.contains(&id)) {
        return Some(RewardReason::CreatorNotActive);
    }
    if !claim.is_reached {
        return Some(RewardReason::TierNotReached);
    }
    if let Some(cap) = desk.full(claim) {
        return Some(cap);
    }
    if is_money(claim.kind) && !desk.pay(claim) {
        return Some(RewardReason::BudgetExhausted);
    }
    desk.count(claim);
    None
}

/// The desk of the books, for one reward.
struct Ledger<'a> {
    caps: &'a mut Caps,
    books: &'a mut Books,
    id: Uuid,
}

impl Desk for Ledger<'_> {
    fn full(&self, claim: &Claim) -> Option<RewardReason> {
        self.caps.counts.full(claim)
    }

    fn pay(&mut self, claim: &Claim) -> bool {
        post_grant(claim, self.books, self.id)
    }

    fn count(&mut self, claim: &Claim) {
        self.caps.counts.take(claim);
    }
}

fn decide(claim: &Claim, inactive: &HashSet<Uuid>, ledger: &mut Ledger<'_>) -> (RewardState, Option<RewardReason>) {
    if let Some(reason) = denial(claim, inactive, ledger) {
        return (RewardState::Rejected, Some(reason));
    }
    if claim.decision == Decision::Review {
        return (RewardState::Held, Some(RewardReason::FraudReview));
    }
    if claim.escrow_days > 0 {
        return (RewardState::Escrowed, None);
    }
    if is_money(claim.kind) {
        let id = ledger.id;
        let transfer = Transfer {
            id: release_id(id),
            debit: claim.beneficiary.account(Bucket::Escrow, claim.value.currency),
            credit: claim.beneficiary.account(Bucket::Payable, claim.value.currency),
            amount_minor: claim.value.minor,
            kind: TransferKind::Release,
            reward_id: Some(id),
            campaign_id: Some(claim.campaign_id),
        };
        // The grant just filled the escrow, so this cannot be refused; were it, the reward would stay in escrow.
        if ledger.books.post(transfer).is_err() {
            return (RewardState::Escrowed, None);
        }
    }
    (RewardState::Available, None)
}

fn post_grant(claim: &Claim, books: &mut Books, id: Uuid) -> bool {
    let transfer = Transfer {
        id: grant_id(id),
        debit: budget(claim),
        credit: claim.beneficiary.account(Bucket::Escrow, claim.value.currency),
        amount_minor: claim.value.minor,
        kind: TransferKind::Grant,
        reward_id: Some(id),
        campaign_id: Some(claim.campaign_id),
    };
    books.post(transfer).is_ok()
}

fn row(claim: &Claim, id: Uuid, (state, reason): (RewardState, Option<RewardReason>)) -> RewardRow {
    let releases = matches!(state, RewardState::Escrowed | RewardState::Held);
    RewardRow {
        id,
        idempotency_key: claim.key.clone(),
        campaign_id: claim.campaign_id,
        policy_version: claim.policy_version,
        kind: claim.kind,
        beneficiary: claim.beneficiary,
        referee_id: claim.referee_id,
        conversion_id: claim.conversion_id,
        cause_event_id: claim.cause_event_id,
        degree: claim.degree,
        value: claim.value,
        state,
        reason: reason.map(|reason| reason.as_str().to_owned()).or_else(|| claim.reason.clone()),
        triggered_at: claim.triggered_at,
        releases_at: releases.then(|| claim.recorded_at + TimeDelta::days(i64::from(claim.escrow_days))),
    }
}
