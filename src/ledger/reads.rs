//! The chain of transfers as it is read: to be exported, and to be checked. It never changes anything.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::account::account_name;
use super::chain::{Hash, Head, Line};
use crate::access::Scope;
use crate::base::limits::CHAIN_ROWS_MAX;
use crate::base::{Error, Result};
use crate::db::{Conn, sql};

/// A transfer in its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chained {
    pub seq: i64,
    pub hash: Hash,
    pub line: Line,
}

#[derive(QueryableByName)]
struct HeadRow {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Binary)]
    hash: Vec<u8>,
}

#[derive(QueryableByName)]
pub(super) struct LineRow {
    #[diesel(sql_type = Nullable<BigInt>)]
    chain_seq: Option<i64>,
    #[diesel(sql_type = Nullable<Binary>)]
    chain_hash: Option<Vec<u8>>,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    posted_at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    amount_minor: i64,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Text)]
    debit_bucket: String,
    #[diesel(sql_type = Text)]
    debit_owner_kind: String,
    #[diesel(sql_type = SqlUuid)]
    debit_owner_id: Uuid,
    #[diesel(sql_type = Text)]
    credit_bucket: String,
    #[diesel(sql_type = Text)]
    credit_owner_kind: String,
    #[diesel(sql_type = SqlUuid)]
    credit_owner_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    reward_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    campaign_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    reverses_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    payout_id: Option<Uuid>,
}

/// The statement of transfers with the names of their accounts.
macro_rules! lines {
    ($rest:literal) => {
        concat!(
            "select t.chain_seq, t.chain_hash, t.id, t.posted_at, t.kind, t.amount_minor, t.currency,
                    d.bucket as debit_bucket, d.owner_kind as debit_owner_kind, d.owner_id as debit_owner_id,
                    c.bucket as credit_bucket, c.owner_kind as credit_owner_kind, c.owner_id as credit_owner_id,
                    t.reward_id, t.campaign_id, t.reverses_id, t.payout_id
             from ledger_transfers t
             join ledger_accounts d on d.brand_id = t.brand_id and d.id = t.debit_account_id
             join ledger_accounts c on c.brand_id = t.brand_id and c.id = t.credit_account_id
             where t.brand_id = $1 and ",
            $rest
        )
    };
}

impl LineRow {
    pub(super) fn into_line(self) -> Result<Line> {
        let currency = self.currency.parse().map_err(|error| Error::fault("reading a transfer's currency", error))?;
        Ok(Line {
            id: self.id,
            posted_at: self.posted_at,
            kind: self.kind,
            amount_minor: self.amount_minor,
            currency,
            debit: account_name(&self.debit_bucket, &self.debit_owner_kind, self.debit_owner_id),
            credit: account_name(&self.credit_bucket, &self.credit_owner_kind, self.credit_owner_id),
            reward_id: self.reward_id,
            campaign_id: self.campaign_id,
            reverses_id: self.reverses_id,
            payout_id: self.payout_id,
        })
    }

    fn into_chained(self) -> Result<Chained> {
        let missing = || Error::fault("reading the chain of the ledger", "a transfer has no place in it");
        let seq = self.chain_seq.ok_or_else(missing)?;
        let hash = to_hash(self.chain_hash.as_deref().ok_or_else(missing)?)?;
        Ok(Chained { seq, hash, line: self.into_line()? })
    }
}

pub(super) fn to_hash(bytes: &[u8]) -> Result<Hash> {
    bytes.try_into().map_err(|error: std::array::TryFromSliceError| Error::fault("reading a hash", error))
}

/// Where the brand's chain ends; `None`: it has not begun.
pub async fn chain_head(conn: &mut Conn, scope: &Scope) -> Result<Option<Head>> {
    let row: Option<HeadRow> = sql("select seq, hash from ledger_chains where brand_id = $1")
        .bind::<SqlUuid, _>(scope.brand_id)
        .get_result(conn)
        .await
        .optional()?;
    row.map(|row| Ok(Head { seq: row.seq, hash: to_hash(&row.hash)? })).transpose()
}

/// The next transfers of the chain behind a place, at most [`CHAIN_ROWS_MAX`]. None appears behind what was read, and none changes.
pub async fn chained_after(conn: &mut Conn, scope: &Scope, seq: i64) -> Result<Vec<Chained>> {
    let rows: Vec<LineRow> = sql(lines!("t.chain_seq > $2 order by t.chain_seq limit $3"))
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<BigInt, _>(seq)
        .bind::<BigInt, _>(CHAIN_ROWS_MAX)
        .load(conn)
        .await?;
    rows.into_iter().map(LineRow::into_chained).collect()
}

/// Transfers that were posted before the chain began, in the order in which it takes them in.
pub(super) async fn unchained(conn: &mut Conn, scope: &Scope) -> Result<Vec<Line>> {
    let rows: Vec<LineRow> = sql(lines!("t.chain_seq is null order by t.posted_at, t.id limit $2"))
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<BigInt, _>(CHAIN_ROWS_MAX)
        .load(conn)
        .await?;
    rows.into_iter().map(LineRow::into_line).collect()
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// How much of the chain is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every hash is taken again.
    Whole,
    /// Only those behind the place up to which the chain was found whole before. What is changed in front of it, a whole look finds.
    New,
}

/// What a look at the chain found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// How many places are broken: transfers that are not what was posted, that are missing, or that were slipped in.
    pub breach_count: i64,
    /// Where the chain ends, as far as it was read.
    pub end: Head,
}

/// Looks for broken places of the chain. A chain that has not begun has none. Whatever the extent, the place up to which it was found whole
/// before must still hold the hash that it held: a chain that was made anew over other transfers does not have it.
pub async fn look(conn: &mut Conn, scope: &Scope, extent: Extent) -> Result<Look> {
    let head = chain_head(conn, scope).await?;
    let mark = chain_mark(conn, scope).await?;
    let mut breach_count = match &mark {
        Some(mark) => i64::from(hash_at(conn, scope, mark.seq).await? != Some(mark.hash)),
        None => 0,
    };
    let mut place = mark.filter(|_| extent == Extent::New).unwrap_or_else(|| Head::start(scope.brand_id));
    loop {
        let chained = chained_after(conn, scope, place.seq).await?;
        if chained.is_empty() {
            break;
        }
        for Chained { seq, hash, line } in chained {
            let expected = place.with(&line);
            breach_count += i64::from(expected != Head { seq, hash });
            // Each link is judged by the hash that stands before it, so that one change is one breach.
            place = Head { seq, hash };
        }
    }
    let Some(head) = head else { return Ok(Look { breach_count: breach_count + place.seq, end: place }) };
    breach_count += i64::from(head != place);
    let outside: CountRow =
        sql("select count(*) as count from ledger_transfers where brand_id = $1 and chain_seq is null")
            .bind::<SqlUuid, _>(scope.brand_id)
            .get_result(conn)
            .await?;
    Ok(Look { breach_count: breach_count + outside.count, end: place })
}

/// Up to where the chain was found whole; `None`: nobody has looked.
pub async fn chain_mark(conn: &mut Conn, scope: &Scope) -> Result<Option<Head>> {
    let row: Option<HeadRow> = sql("select seq, hash from ledger_chain_marks where brand_id = $1")
        .bind::<SqlUuid, _>(scope.brand_id)
        .get_result(conn)
        .await
        .optional()?;
    row.map(|row| Ok(Head { seq: row.seq, hash: to_hash(&row.hash)? })).transpose()
}

#[derive(QueryableByName)]
struct HashRow {
    #[diesel(sql_type = Binary)]
    hash: Vec<u8>,
}

/// The hash of the transfer at a place of the chain, if there is one.
async fn hash_at(conn: &mut Conn, scope: &Scope, seq: i64) -> Result<Option<Hash>> {
    let row: Option<HashRow> =
        sql("select chain_hash as hash from ledger_transfers where brand_id = $1 and chain_seq = $2")
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<BigInt, _>(seq)
            .get_result(conn)
            .await
            .optional()?;
    row.map(|row| to_hash(&row.hash)).transpose()
}
