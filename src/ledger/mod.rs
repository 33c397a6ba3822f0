//! Double entry. A transfer debits one account and credits another by the same amount, so the books are zero-sum by their shape;
//! transfers are never changed, only reversed by another. It never decides what is owed: `rewards` does.
//! Start with [`Books`]: one batch's view of the accounts that it locks, moved in memory and written in two statements. `chain.rs` is how
//! anyone can tell that no transfer was changed since.

mod account;
mod books;
mod chain;
pub mod reads;
mod store;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::Scope;
use crate::base::{Env, Money, Result};
use crate::db::Conn;

pub use account::{Account, AccountKey, Bucket, Owner, account_name};
pub use books::{Books, Overdrawn, Transfer, TransferKind};
pub use chain::{Hash, Head, Line};
pub use store::{Balance, Entry};

/// Holds the brand's books to the end of the transaction: nobody else posts meanwhile. [`Books::open`] does it by itself; who locks
/// other rows that posting has to do with calls it before that, so that all take their locks in one order.
pub async fn hold(conn: &mut Conn, scope: &Scope) -> Result<()> {
    store::hold(conn, scope).await
}

/// Moves money from the brand's funding into a campaign's budget. The same `cause` moves it once.
pub async fn fund_campaign(
    conn: &mut Conn,
    scope: &Scope,
    env: &Env,
    campaign_id: Uuid,
    amount: Money,
    cause: Uuid,
) -> Result<()> {
    if amount.minor == 0 {
        return Ok(());
    }
    let funding = AccountKey::funding(scope, amount.currency);
    let budget = AccountKey::budget(campaign_id, amount.currency, true);
    let mut books = Books::open(conn, scope, env.now(), &[funding, budget]).await?;
    let transfer = Transfer {
        id: crate::base::derived_id(&[b"fund", scope.brand_id.as_bytes(), campaign_id.as_bytes(), cause.as_bytes()]),
        debit: funding,
        credit: budget,
        amount_minor: amount.minor,
        kind: TransferKind::Fund,
        reward_id: None,
        campaign_id: Some(campaign_id),
    };
    books.post(transfer).map_err(|error| crate::base::Error::fault("funding a campaign", error))?;
    books.close(conn, scope).await
}

/// Keeps that the brand's chain was found whole up to here: [`reads::look`] with [`reads::Extent::New`] goes on from there.
pub async fn mark_chain(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, end: Head) -> Result<()> {
    if end.seq == 0 { Ok(()) } else { store::mark(conn, scope, now, end).await }
}

/// What has left each campaign's budget and not come back, in minor units, by campaign and currency.
pub async fn campaigns_spent(conn: &mut Conn, scope: &Scope, campaign_ids: &[Uuid]) -> Result<Vec<Balance>> {
    store::budgets_spent(conn, scope, campaign_ids).await
}

/// What is payable to each of these creators or members, less what they owe, by owner and currency: below zero where they owe more.
pub async fn payable(conn: &mut Conn, scope: &Scope, owner_ids: &[Uuid]) -> Result<Vec<Balance>> {
    store::payable(conn, scope, owner_ids).await
}

/// What an account holds now, in minor units, without a lock: to show, not to decide by. Zero for one that was never opened.
pub async fn balance_minor(conn: &mut Conn, scope: &Scope, key: &AccountKey) -> Result<i64> {
    store::balance(conn, scope, key).await
}

/// Whether the totals of these accounts are what their transfers add up to.
pub async fn add_up(conn: &mut Conn, scope: &Scope, keys: &[AccountKey]) -> Result<bool> {
    Ok(store::broken_accounts(conn, scope, keys).await? == 0)
}

/// The entries of these rewards' transfers, oldest first.
pub async fn entries_of_rewards(conn: &mut Conn, scope: &Scope, reward_ids: &[Uuid]) -> Result<Vec<Entry>> {
    store::entries_of_rewards(conn, scope, reward_ids).await
}
