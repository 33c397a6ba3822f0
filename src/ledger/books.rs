//! One batch's books: the brand's chain and the accounts that it needs are locked, these in the order of their ids, transfers are posted in
//! memory with every guard checked, and all of it is written in two statements.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::account::{Account, AccountKey};
use super::store;
use crate::access::Scope;
use crate::base::Result;
use crate::db::Conn;

/// Why money moves. Reversals point at the transfer that they take back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferKind {
    /// Brand to budget.
    Fund,
    /// Budget to escrow.
    Grant,
    /// Escrow to payable.
    Release,
    /// Escrow to budget.
    Void { reverses_id: Uuid },
    /// Payable to budget, or receivable to budget where it was paid out already.
    Clawback { reverses_id: Uuid },
    /// Payable to paid out.
    Payout { payout_id: Uuid },
    /// Paid out to receivable: what is not sent, since the beneficiary owes it.
    Net { payout_id: Uuid },
    /// Paid out to payable: the payout failed.
    Return { payout_id: Uuid, reverses_id: Uuid },
    /// Receivable to paid out: the payout failed, and what it had settled is owed again.
    Unnet { payout_id: Uuid, reverses_id: Uuid },
}

impl TransferKind {
    /// The name that `ledger_transfers.kind` keeps.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Fund => "FUND",
            Self::Grant => "GRANT",
            Self::Release => "RELEASE",
            Self::Void { .. } => "VOID",
            Self::Clawback { .. } => "CLAWBACK",
            Self::Payout { .. } => "PAYOUT",
            Self::Net { .. } => "NET",
            Self::Return { .. } => "RETURN",
            Self::Unnet { .. } => "UNNET",
        }
    }

    pub(super) fn reverses_id(self) -> Option<Uuid> {
        match self {
            Self::Void { reverses_id }
            | Self::Clawback { reverses_id }
            | Self::Return { reverses_id, .. }
            | Self::Unnet { reverses_id, .. } => Some(reverses_id),
            Self::Fund | Self::Grant | Self::Release | Self::Payout { .. } | Self::Net { .. } => None,
        }
    }

    pub(super) fn payout_id(self) -> Option<Uuid> {
        match self {
            Self::Payout { payout_id }
            | Self::Net { payout_id }
            | Self::Return { payout_id, .. }
            | Self::Unnet { payout_id, .. } => Some(payout_id),
            Self::Fund | Self::Grant | Self::Release | Self::Void { .. } | Self::Clawback { .. } => None,
        }
    }
}

/// One move of money. The id follows from the cause, so the same cause moves it once.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    pub id: Uuid,
    pub debit: AccountKey,
    pub credit: AccountKey,
    /// Above zero.
    pub amount_minor: i64,
    pub kind: TransferKind,
    pub reward_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
}

/// A transfer that may not be: nothing was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overdrawn {
    #[error("the account holds less than the amount")]
    Balance,
    #[error("the amount is not above zero, or the accounts differ in currency or are the same")]
    Shape,
    #[error("a total would pass 64 bits")]
    Overflow,
    #[error("the account was not opened with the books")]
    NotOpened,
}

/// The open books of one transaction.
pub struct Books {
    now: DateTime<Utc>,
    accounts: HashMap<AccountKey, Account>,
    posted: Vec<Transfer>,
}

impl Books {
    /// Locks the end of the brand's chain and the accounts, making those that are not there yet.
    pub async fn open(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, keys: &[AccountKey]) -> Result<Self> {
        store::hold(conn, scope).await?;
        let accounts = store::lock_accounts(conn, scope, now, keys).await?;
        Ok(Self { now, accounts, posted: Vec::new() })
    }

    /// What an account holds, with what was posted so far. Zero for one that was not opened.
    #[must_use]
    pub fn balance_minor(&self, key: &AccountKey) -> i64 {
        self.accounts.get(key).map_or(0, Account::balance_minor)
    }

    /// Posts a transfer, or says why it may not be.
    pub fn post(&mut self, transfer: Transfer) -> Result<(), Overdrawn> {
        let Transfer { debit, credit, amount_minor, .. } = transfer;
        if amount_minor <= 0 || debit == credit || debit.currency != credit.currency {
            return Err(Overdrawn::Shape);
        }
        let mut from = *self.accounts.get(&debit).ok_or(Overdrawn::NotOpened)?;
        let mut to = *self.accounts.get(&credit).ok_or(Overdrawn::NotOpened)?;
        if from.is_guarded && from.balance_minor() < amount_minor {
            return Err(Overdrawn::Balance);
        }
        from.debit_minor = from.debit_minor.checked_add(amount_minor).ok_or(Overdrawn::Overflow)?;
        to.credit_minor = to.credit_minor.checked_add(amount_minor).ok_or(Overdrawn::Overflow)?;
        self.accounts.insert(debit, from);
        self.accounts.insert(credit, to);
        self.posted.push(transfer);
        Ok(())
    }

    /// Writes the transfers at the end of the chain and moves the totals with them.
    pub async fn close(self, conn: &mut Conn, scope: &Scope) -> Result<()> {
        if self.posted.is_empty() {
            return Ok(());
        }
        store::write(conn, scope, self.now, &self.posted).await
    }
}
