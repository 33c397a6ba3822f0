//! Accounts: one per bucket, owner and currency. All are credit accounts: the balance is credit minus debit.

use uuid::Uuid;

use crate::access::Scope;
use crate::base::{Currency, Kind, TypeId, derived_id};
use crate::text_enum;

text_enum! {
    /// What an account holds.
    Bucket {
        /// Where a brand's money comes from: below zero by what was given.
        Funding = "funding",
        /// What a campaign may still spend.
        Budget = "budget",
        /// Granted, not released yet.
        Escrow = "escrow",
        /// Released and not paid out.
        Payable = "payable",
        /// Paid out: what payouts have sent.
        PaidOut = "paid_out",
        /// Paid out and taken back since: below zero by what the beneficiary owes.
        Receivable = "receivable",
    }
}

text_enum! {
    /// Whose account it is.
    Owner { Brand = "brand", Campaign = "campaign", Creator = "creator", Member = "member" }
}

/// Names an account. Equal keys are the same account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccountKey {
    pub bucket: Bucket,
    pub owner: Owner,
    pub owner_id: Uuid,
    pub currency: Currency,
    /// A guarded account is never overdrawn: the transfer that would do it is refused, here and by a CHECK.
    pub is_guarded: bool,
}

/// An account with its totals.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    pub debit_minor: i64,
    pub credit_minor: i64,
    pub is_guarded: bool,
}

impl AccountKey {
    #[must_use]
    pub fn funding(scope: &Scope, currency: Currency) -> Self {
        Self { bucket: Bucket::Funding, owner: Owner::Brand, owner_id: scope.brand_id, currency, is_guarded: false }
    }

    /// A campaign's budget. Without a limit it is not guarded: what it is overdrawn by is what the brand owes it.
    #[must_use]
    pub fn budget(campaign_id: Uuid, currency: Currency, is_limited: bool) -> Self {
        Self { bucket: Bucket::Budget, owner: Owner::Campaign, owner_id: campaign_id, currency, is_guarded: is_limited }
    }

    /// A beneficiary's account. All but the receivable are guarded: that one is below zero by what the beneficiary owes.
    #[must_use]
    pub fn of(bucket: Bucket, owner: Owner, owner_id: Uuid, currency: Currency) -> Self {
        Self { bucket, owner, owner_id, currency, is_guarded: bucket != Bucket::Receivable }
    }

    /// The account's row: it follows from the key.
    #[must_use]
    pub fn id(&self, brand_id: Uuid) -> Uuid {
        derived_id(&[
            b"account",
            brand_id.as_bytes(),
            self.bucket.as_str().as_bytes(),
            self.owner.as_str().as_bytes(),
            self.owner_id.as_bytes(),
            self.currency.as_str().as_bytes(),
        ])
    }
}

impl Account {
    #[must_use]
    pub fn balance_minor(&self) -> i64 {
        self.credit_minor.saturating_sub(self.debit_minor)
    }
}

/// What an account is called: its bucket, whose it is, and their identifier, joined by colons.
#[must_use]
pub fn account_name(bucket: &str, owner_kind: &str, owner_id: Uuid) -> String {
    let kind = match Owner::parse(owner_kind) {
        Some(Owner::Campaign) => Kind::Campaign,
        Some(Owner::Creator) => Kind::Creator,
        Some(Owner::Member) => Kind::Member,
        Some(Owner::Brand) | None => Kind::Brand,
    };
    format!("{bucket}:{owner_kind}:{}", TypeId::new(kind.prefix(), owner_id))
}
