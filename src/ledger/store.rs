//! Accounts and transfers in PostgreSQL.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::account::{Account, AccountKey};
use super::books::Transfer;
use super::chain::{Head, Line};
use super::reads::{to_hash, unchained};
use crate::access::Scope;
use crate::base::{Error, Money, Result};
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct AccountRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    debit_minor: i64,
    #[diesel(sql_type = BigInt)]
    credit_minor: i64,
    #[diesel(sql_type = Bool)]
    is_guarded: bool,
}

/// Makes the accounts that are missing, then locks all of them in the order of their ids.
pub(super) async fn lock_accounts(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    keys: &[AccountKey],
) -> Result<HashMap<AccountKey, Account>> {
    let mut by_id: Vec<(Uuid, AccountKey)> = keys.iter().map(|key| (key.id(scope.brand_id), *key)).collect();
    by_id.sort_by_key(|(id, _)| *id);
    by_id.dedup_by_key(|(id, _)| *id);
    insert_missing(conn, scope, now, &by_id).await?;
    let rows: Vec<AccountRow> = sql("select id, debit_minor, credit_minor, is_guarded from ledger_accounts
         where brand_id = $1 and id = any ($2) order by id for no key update")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(by_id.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .load(conn)
    .await?;
    let rows: HashMap<Uuid, AccountRow> = rows.into_iter().map(|row| (row.id, row)).collect();
    let account = |(id, key): (Uuid, AccountKey)| {
        let row = rows.get(&id)?;
        let account =
            Account { debit_minor: row.debit_minor, credit_minor: row.credit_minor, is_guarded: row.is_guarded };
        Some((key, account))
    };
    Ok(by_id.into_iter().filter_map(account).collect())
}

async fn insert_missing(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, keys: &[(Uuid, AccountKey)]) -> Result<()> {
    sql("insert into ledger_accounts (brand_id, id, bucket, owner_kind, owner_id, currency, is_guarded, created_at)
         select $1, id, bucket, owner_kind, owner_id, currency, is_guarded, $2
         from unnest($3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::bool[])
              as a (id, bucket, owner_kind, owner_id, currency, is_guarded)
         on conflict do nothing")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(now)
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(keys.iter().map(|(_, key)| key.bucket.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(keys.iter().map(|(_, key)| key.owner.as_str()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|(_, key)| key.owner_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(keys.iter().map(|(_, key)| key.currency.to_string()).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(keys.iter().map(|(_, key)| key.is_guarded).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct ChainRow {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Binary)]
    hash: Vec<u8>,
    #[diesel(sql_type = Array<SqlUuid>)]
    known_ids: Vec<Uuid>,
}

#[derive(QueryableByName)]
struct SeqRow {
    #[diesel(sql_type = BigInt)]
    seq: i64,
}

/// Locks the end of the brand's chain and returns its number; `None`: the chain has not begun.
async fn lock_chain(conn: &mut Conn, scope: &Scope) -> Result<Option<i64>> {
    let row: Option<SeqRow> = sql("select seq from ledger_chains where brand_id = $1 for no key update")
        .bind::<SqlUuid, _>(scope.brand_id)
        .get_result(conn)
        .await
        .optional()?;
    Ok(row.map(|row| row.seq))
}

/// Locks the end of the brand's chain. One that has not begun begins here, with the transfers that are there.
pub(super) async fn hold(conn: &mut Conn, scope: &Scope) -> Result<()> {
    if lock_chain(conn, scope).await?.is_some() {
        return Ok(());
    }
    let start = Head::start(scope.brand_id);
    let is_begun = sql("insert into ledger_chains (brand_id, seq, hash) values ($1, $2, $3) on conflict do nothing")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<BigInt, _>(start.seq)
        .bind::<Binary, _>(start.hash.as_slice())
        .execute(conn)
        .await?;
    if is_begun == 0 {
        // Somebody else has begun it meanwhile.
        return lock_chain(conn, scope).await.map(|_| ());
    }
    take_in(conn, scope, start).await
}

/// Takes in the transfers that were posted before the chain began.
async fn take_in(conn: &mut Conn, scope: &Scope, mut head: Head) -> Result<()> {
    loop {
        let lines = unchained(conn, scope).await?;
        if lines.is_empty() {
            return Ok(());
        }
        let places = extend(&mut head, &lines);
        sql("with placed as (
                 update ledger_transfers t set chain_seq = n.seq, chain_hash = n.hash
                 from unnest($2::uuid[], $3::int8[], $4::bytea[]) as n (id, seq, hash)
                 where t.brand_id = $1 and t.id = n.id)
             update ledger_chains set seq = $5, hash = $6 where brand_id = $1")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<SqlUuid>, _>(lines.iter().map(|line| line.id).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(places.iter().map(|place| place.seq).collect::<Vec<_>>())
        .bind::<Array<Binary>, _>(hashes(&places))
        .bind::<BigInt, _>(head.seq)
        .bind::<Binary, _>(head.hash.as_slice())
        .execute(conn)
        .await?;
    }
}

/// Keeps up to where the chain was found whole. Whoever looked at less of it moves nothing.
pub(super) async fn mark(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, end: Head) -> Result<()> {
    sql("insert into ledger_chain_marks as m (brand_id, seq, hash, marked_at) values ($1, $2, $3, $4)
         on conflict (brand_id) do update set seq = excluded.seq, hash = excluded.hash, marked_at = excluded.marked_at
         where m.seq < excluded.seq")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<BigInt, _>(end.seq)
    .bind::<Binary, _>(end.hash.as_slice())
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// The places of further transfers, with which the chain goes on.
fn extend(head: &mut Head, lines: &[Line]) -> Vec<Head> {
    let place = |line: &Line| {
        *head = head.with(line);
        *head
    };
    lines.iter().map(place).collect()
}

fn hashes(places: &[Head]) -> Vec<&[u8]> {
    places.iter().map(|place| place.hash.as_slice()).collect()
}

/// Inserts the transfers that are not there yet at the end of the chain, which the transaction holds; the totals move with them. A transfer
/// that is there already moves nothing.
pub(super) async fn write(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, transfers: &[Transfer]) -> Result<()> {
    let chain: ChainRow = sql("select seq, hash,
                array(select id from ledger_transfers where brand_id = $1 and id = any ($2)) as known_ids
         from ledger_chains where brand_id = $1")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(transfers.iter().map(|transfer| transfer.id).collect::<Vec<_>>())
    .get_result(conn)
    .await?;
    let mut known: HashSet<Uuid> = chain.known_ids.into_iter().collect();
    let transfers: Vec<&Transfer> = transfers.iter().filter(|transfer| known.insert(transfer.id)).collect();
    if transfers.is_empty() {
        return Ok(());
    }
    let mut head = Head { seq: chain.seq, hash: to_hash(&chain.hash)? };
    let lines: Vec<Line> = transfers.iter().map(|transfer| Line::of(now, transfer)).collect();
    let places = extend(&mut head, &lines);
    insert(conn, scope, now, &transfers, &places, head).await
}

async fn insert(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    transfers: &[&Transfer],
    places: &[Head],
    head: Head,
) -> Result<()> {
    sql("with posted as (
             insert into ledger_transfers (brand_id, id, debit_account_id, credit_account_id, amount_minor, currency, kind,
                                           reward_id, campaign_id, reverses_id, payout_id, posted_at, chain_seq, chain_hash)
             select $1, id, debit, credit, amount, currency, kind, reward_id, campaign_id, reverses_id, payout_id, $2, seq, hash
             from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::int8[], $7::text[], $8::text[], $9::uuid[], $10::uuid[], $11::uuid[],
                         $12::uuid[], $13::int8[], $14::bytea[])
                  as t (id, debit, credit, amount, currency, kind, reward_id, campaign_id, reverses_id, payout_id, seq, hash)
             returning debit_account_id, credit_account_id, amount_minor),
         chained as (update ledger_chains set seq = $15, hash = $16 where brand_id = $1),
         moved as (
             select id, sum(debit)::int8 as debit, sum(credit)::int8 as credit
             from (select debit_account_id as id, amount_minor as debit, 0 as credit from posted
                   union all
                   select credit_account_id, 0, amount_minor from posted) lines
             group by id)
         update ledger_accounts a
         set debit_minor = a.debit_minor + moved.debit, credit_minor = a.credit_minor + moved.credit
         from moved where a.brand_id = $1 and a.id = moved.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(now)
    .bind::<Array<SqlUuid>, _>(transfers.iter().map(|transfer| transfer.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(transfers.iter().map(|transfer| transfer.debit.id(scope.brand_id)).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(transfers.iter().map(|transfer| transfer.credit.id(scope.brand_id)).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(transfers.iter().map(|transfer| transfer.amount_minor).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(transfers.iter().map(|transfer| transfer.debit.currency.to_string()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(transfers.iter().map(|transfer| transfer.kind.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(transfers.iter().map(|transfer| transfer.reward_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(transfers.iter().map(|transfer| transfer.campaign_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(transfers.iter().map(|transfer| transfer.kind.reverses_id()).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(transfers.iter().map(|transfer| transfer.kind.payout_id()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(places.iter().map(|place| place.seq).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(hashes(places))
    .bind::<BigInt, _>(head.seq)
    .bind::<Binary, _>(head.hash.as_slice())
    .execute(conn)
    .await?;
    Ok(())
}

/// An owner's sum in one currency.
#[derive(Clone, Copy, Debug)]
pub struct Balance {
    pub owner_id: Uuid,
    pub money: Money,
}

#[derive(QueryableByName)]
struct BalanceRow {
    #[diesel(sql_type = SqlUuid)]
    owner_id: Uuid,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = BigInt)]
    minor: i64,
}

async fn balances(conn: &mut Conn, scope: &Scope, text: &'static str, owner_ids: &[Uuid]) -> Result<Vec<Balance>> {
    let rows: Vec<BalanceRow> =
        sql(text).bind::<SqlUuid, _>(scope.brand_id).bind::<Array<SqlUuid>, _>(owner_ids).load(conn).await?;
    rows.into_iter()
        .map(|row| {
            let currency =
                row.currency.parse().map_err(|error| Error::fault("reading an account's currency", error))?;
            Ok(Balance { owner_id: row.owner_id, money: Money::new(row.minor, currency) })
        })
        .collect()
}

pub(super) async fn payable(conn: &mut Conn, scope: &Scope, owner_ids: &[Uuid]) -> Result<Vec<Balance>> {
    let text = "select owner_id, currency, sum(credit_minor - debit_minor)::int8 as minor from ledger_accounts
         where brand_id = $1 and owner_kind in ('creator', 'member') and owner_id = any ($2) and bucket in ('payable', 'receivable')
         group by owner_id, currency order by owner_id, currency";
    balances(conn, scope, text, owner_ids).await
}

#[derive(QueryableByName)]
struct MinorRow {
    #[diesel(sql_type = BigInt)]
    minor: i64,
}

/// What an account holds, without a lock.
pub(super) async fn balance(conn: &mut Conn, scope: &Scope, key: &AccountKey) -> Result<i64> {
    let row: Option<MinorRow> =
        sql("select credit_minor - debit_minor as minor from ledger_accounts where brand_id = $1 and id = $2")
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<SqlUuid, _>(key.id(scope.brand_id))
            .get_result(conn)
            .await
            .optional()?;
    Ok(row.map_or(0, |row| row.minor))
}

/// How many of these accounts have totals that their transfers do not add up to.
pub(super) async fn broken_accounts(conn: &mut Conn, scope: &Scope, keys: &[AccountKey]) -> Result<i64> {
    let row: MinorRow = sql("select count(*) as minor from ledger_accounts a
         where a.brand_id = $1 and a.id = any ($2) and (a.debit_minor, a.credit_minor) <> (
             coalesce((select sum(t.amount_minor) from ledger_transfers t where t.brand_id = a.brand_id and t.debit_account_id = a.id), 0),
             coalesce((select sum(t.amount_minor) from ledger_transfers t where t.brand_id = a.brand_id and t.credit_account_id = a.id), 0))")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.id(scope.brand_id)).collect::<Vec<_>>())
    .get_result(conn)
    .await?;
    Ok(row.minor)
}

/// Grants leave the budget by its debit side; what comes back is a reversal, not new funding.
pub(super) async fn budgets_spent(conn: &mut Conn, scope: &Scope, campaign_ids: &[Uuid]) -> Result<Vec<Balance>> {
    let text = "select a.owner_id, a.currency,
                (a.debit_minor - coalesce(sum(t.amount_minor) filter (where t.kind in ('VOID', 'CLAWBACK')), 0))::int8 as minor
         from ledger_accounts a
         left join ledger_transfers t on t.brand_id = a.brand_id and t.credit_account_id = a.id
         where a.brand_id = $1 and a.owner_id = any ($2) and a.bucket = 'budget'
         group by a.owner_id, a.currency, a.debit_minor";
    balances(conn, scope, text, campaign_ids).await
}

/// One side of a transfer, as it stands in the books: credits above zero, debits below.
#[derive(Clone, Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct Entry {
    #[diesel(sql_type = SqlUuid)]
    pub reward_id: Uuid,
    #[diesel(sql_type = Text)]
    pub bucket: String,
    #[diesel(sql_type = Text)]
    pub owner_kind: String,
    #[diesel(sql_type = SqlUuid)]
    pub owner_id: Uuid,
    #[diesel(sql_type = BigInt)]
    pub amount_minor: i64,
    #[diesel(sql_type = Text)]
    pub currency: String,
    #[diesel(sql_type = Timestamptz)]
    pub posted_at: DateTime<Utc>,
}

pub(super) async fn entries_of_rewards(conn: &mut Conn, scope: &Scope, reward_ids: &[Uuid]) -> Result<Vec<Entry>> {
    let rows = sql("select e.reward_id, a.bucket, a.owner_kind, a.owner_id, e.amount_minor, e.currency, e.posted_at
         from ledger_entries e join ledger_accounts a on a.brand_id = e.brand_id and a.id = e.account_id
         where e.brand_id = $1 and e.reward_id = any ($2)
         order by e.posted_at, e.transfer_id, e.amount_minor")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(reward_ids)
    .load(conn)
    .await?;
    Ok(rows)
}
