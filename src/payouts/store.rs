//! Payouts and their lines in PostgreSQL: a few statements for a payout, however many lines it has.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::draft::Draft;
use super::rules::{Line, Sum};
use super::{Audit, Held, PayoutState};
use crate::access::Scope;
use crate::base::{Code, Currency, Error, Result};
use crate::db::{Conn, constraint_of, sql};
use crate::rewards::Beneficiary;

#[derive(QueryableByName)]
struct BoolRow {
    #[diesel(sql_type = Bool)]
    value: bool,
}

/// Whether a beneficiary is banned. `None`: there is no such beneficiary.
pub(super) async fn is_banned(conn: &mut Conn, scope: &Scope, beneficiary: Beneficiary) -> Result<Option<bool>> {
    let row: Option<BoolRow> = sql("select status = 'BANNED' as value from creators where brand_id = $1 and id = $2
         union all
         select false from members where brand_id = $1 and id = $3")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Nullable<SqlUuid>, _>(beneficiary.creator_id())
    .bind::<Nullable<SqlUuid>, _>(beneficiary.member_id())
    .get_result(conn)
    .await
    .optional()?;
    Ok(row.map(|row| row.value))
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Those of these rewards that a payout holds.
pub(super) async fn taken(conn: &mut Conn, scope: &Scope, reward_ids: &[Uuid]) -> Result<HashSet<Uuid>> {
    let rows: Vec<IdRow> =
        sql("select reward_id as id from payout_lines where brand_id = $1 and reward_id = any ($2) and is_live")
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<Array<SqlUuid>, _>(reward_ids)
            .load(conn)
            .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

fn count(number: usize) -> Result<i32> {
    i32::try_from(number).map_err(|error| Error::fault("counting a payout's lines", error))
}

fn payable_count(lines: &[Line]) -> usize {
    lines.iter().filter(|line| line.reason.is_none()).count()
}

/// Keeps a draft and its lines.
pub(super) async fn insert(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, draft: &Draft) -> Result<()> {
    let Draft { input, sum, lines, .. } = draft;
    sql("insert into payouts (brand_id, id, beneficiary_creator_id, beneficiary_member_id, currency, gross_minor, netted_minor, amount_minor,
                              line_count, payable_count, state, earned_before, created_by, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'DRAFT', $11, $12, $13)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(draft.id)
    .bind::<Nullable<SqlUuid>, _>(input.beneficiary.creator_id())
    .bind::<Nullable<SqlUuid>, _>(input.beneficiary.member_id())
    .bind::<Text, _>(input.currency.to_string())
    .bind::<BigInt, _>(sum.gross_minor)
    .bind::<BigInt, _>(sum.netted_minor)
    .bind::<BigInt, _>(sum.amount_minor)
    .bind::<Integer, _>(count(lines.len())?)
    .bind::<Integer, _>(count(payable_count(lines))?)
    .bind::<Nullable<Timestamptz>, _>(input.earned_before)
    .bind::<Nullable<SqlUuid>, _>(scope.key_id)
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await?;
    sql("insert into payout_lines (brand_id, payout_id, number, reward_id, granted_minor, amount_minor, is_payable, reason, is_live)
         select $1, $2, number, reward_id, granted_minor, amount_minor, reason is null, reason, reason is null
         from unnest($3::uuid[], $4::int8[], $5::int8[], $6::text[]) with ordinality as l (reward_id, granted_minor, amount_minor, reason, number)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(draft.id)
    .bind::<Array<SqlUuid>, _>(lines.iter().map(|line| line.reward_id).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(lines.iter().map(|line| line.granted_minor).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(lines.iter().map(|line| line.amount_minor).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(lines.iter().map(|line| line.reason.map(|reason| reason.as_str())).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(|error| match constraint_of(&error) {
        Some("payout_lines_live_idx") => {
            Error::refused(Code::Conflict, &[], "Another payout has just taken one of these rewards: ask again.")
        }
        _ => error.into(),
    })?;
    Ok(())
}

#[derive(QueryableByName)]
struct HeldRow {
    #[diesel(sql_type = Nullable<SqlUuid>)]
    beneficiary_creator_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    beneficiary_member_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = BigInt)]
    gross_minor: i64,
    #[diesel(sql_type = BigInt)]
    netted_minor: i64,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    created_by: Option<Uuid>,
}

/// A payout, locked to the end of the transaction: whoever approves, cancels or closes it comes one after the other.
pub(super) async fn lock(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<Held> {
    let row: Option<HeldRow> = sql(
        "select beneficiary_creator_id, beneficiary_member_id, currency, gross_minor, netted_minor, state, created_by
         from payouts where brand_id = $1 and id = $2 for no key update",
    )
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .get_result(conn)
    .await
    .optional()?;
    let row = row.ok_or_else(|| Error::not_found(&["payoutId"], "There is no such payout."))?;
    let beneficiary = to_beneficiary(row.beneficiary_creator_id, row.beneficiary_member_id)?;
    let currency = row.currency.parse().map_err(|error| Error::fault("reading a payout's currency", error))?;
    let state = PayoutState::from_column(&row.state)?;
    let HeldRow { gross_minor, netted_minor, created_by, .. } = row;
    Ok(Held { id, beneficiary, currency, gross_minor, netted_minor, state, created_by })
}

pub(super) fn to_beneficiary(creator_id: Option<Uuid>, member_id: Option<Uuid>) -> Result<Beneficiary> {
    let creator = creator_id.map(Beneficiary::Creator);
    let beneficiary = creator.or(member_id.map(Beneficiary::Member));
    beneficiary.ok_or_else(|| Error::fault("reading a payout", "it has no beneficiary"))
}

/// A line that keeps its reward from other payouts.
#[derive(Clone, Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub(super) struct LiveLine {
    #[diesel(sql_type = SqlUuid)]
    pub reward_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub campaign_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub conversion_id: Option<Uuid>,
    #[diesel(sql_type = BigInt)]
    pub granted_minor: i64,
    #[diesel(sql_type = BigInt)]
    pub amount_minor: i64,
    #[diesel(sql_type = Bool)]
    pub is_fraud_confirmed: bool,
}

/// The lines that a payout pays, in their order.
pub(super) async fn live_lines(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<Vec<LiveLine>> {
    let rows = sql("select l.reward_id, r.campaign_id, r.conversion_id, l.granted_minor, l.amount_minor,
                exists (select from fraud_alerts f where f.brand_id = r.brand_id and f.subject_kind = 'member'
                               and f.subject_id = r.referee_id and f.state = 'CONFIRMED') as is_fraud_confirmed
         from payout_lines l join rewards r on r.brand_id = l.brand_id and r.id = l.reward_id
         where l.brand_id = $1 and l.payout_id = $2 and l.is_live order by l.number")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .load(conn)
    .await?;
    Ok(rows)
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

/// Open alerts that would profit the beneficiary, are about it, or are about the referee of one of these rewards; and those about the
/// beneficiary's own sign-up that were confirmed: a review that finds fraud lifts nothing.
pub(super) async fn weighing_alerts(
    conn: &mut Conn,
    scope: &Scope,
    beneficiary: Beneficiary,
    reward_ids: &[Uuid],
) -> Result<i64> {
    let row: CountRow = sql("select count(*) as value from (
             select id from fraud_alerts where brand_id = $1 and creator_id = $2 and state = 'OPEN'
             union
             select id from fraud_alerts where brand_id = $1 and member_id = $3 and state = 'OPEN'
             union
             select id from fraud_alerts where brand_id = $1 and subject_kind = 'member' and subject_id = $3 and state = 'CONFIRMED'
             union
             select f.id from rewards r join fraud_alerts f on f.brand_id = r.brand_id and f.subject_kind = 'member' and f.subject_id = r.referee_id
             where r.brand_id = $1 and r.id = any ($4) and f.state = 'OPEN') found")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Nullable<SqlUuid>, _>(beneficiary.creator_id())
    .bind::<Nullable<SqlUuid>, _>(beneficiary.member_id())
    .bind::<Array<SqlUuid>, _>(reward_ids)
    .get_result(conn)
    .await?;
    Ok(row.value)
}

/// What the bearer's key has both made and approved since a moment, in minor units of the brand's own currency. What failed counts too: it
/// was sent, for all that is known here.
pub(super) async fn approved_alone_minor(conn: &mut Conn, scope: &Scope, since: DateTime<Utc>) -> Result<i64> {
    let row: CountRow =
        sql("select least(coalesce(sum(gross_minor), 0), 9223372036854775807)::int8 as value from payouts
         where brand_id = $1 and approved_by = $2 and created_by = approved_by and currency = $3 and approved_at > $4")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Nullable<SqlUuid>, _>(scope.key_id)
        .bind::<Text, _>(scope.currency.to_string())
        .bind::<Timestamptz, _>(since)
        .get_result(conn)
        .await?;
    Ok(row.value)
}

/// What was taken back of payouts of a beneficiary that are approved and neither paid nor failed, in minor units.
pub(super) async fn unsettled_minor(
    conn: &mut Conn,
    scope: &Scope,
    beneficiary: Beneficiary,
    currency: Currency,
) -> Result<i64> {
    let row: CountRow =
        sql("select coalesce(sum(l.amount_minor - (r.amount_minor - r.reversed_minor)), 0)::int8 as value
         from payouts p
         join payout_lines l on l.brand_id = p.brand_id and l.payout_id = p.id and l.is_live
         join rewards r on r.brand_id = l.brand_id and r.id = l.reward_id
         where p.brand_id = $1 and (p.beneficiary_creator_id = $2 or p.beneficiary_member_id = $3) and p.currency = $4
           and p.state = 'APPROVED'")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Nullable<SqlUuid>, _>(beneficiary.creator_id())
        .bind::<Nullable<SqlUuid>, _>(beneficiary.member_id())
        .bind::<Text, _>(currency.to_string())
        .get_result(conn)
        .await?;
    Ok(row.value)
}

/// Brings the lines of a payout to what an approval found of them.
pub(super) async fn update_lines(conn: &mut Conn, scope: &Scope, id: Uuid, lines: &[Line]) -> Result<()> {
    sql("update payout_lines l set amount_minor = n.amount_minor, reason = n.reason, is_payable = n.reason is null, is_live = n.reason is null
         from unnest($3::uuid[], $4::int8[], $5::text[]) as n (reward_id, amount_minor, reason)
         where l.brand_id = $1 and l.payout_id = $2 and l.reward_id = n.reward_id
           and (l.amount_minor, l.reason) is distinct from (n.amount_minor, n.reason)")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .bind::<Array<SqlUuid>, _>(lines.iter().map(|line| line.reward_id).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(lines.iter().map(|line| line.amount_minor).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(lines.iter().map(|line| line.reason.map(|reason| reason.as_str())).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Frees the rewards of a payout for others.
pub(super) async fn free_lines(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<()> {
    sql("update payout_lines set is_live = false where brand_id = $1 and payout_id = $2 and is_live")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// What an approval writes.
pub(super) struct Approval<'a> {
    pub id: Uuid,
    pub by: Option<Uuid>,
    pub override_reason: Option<&'a str>,
    pub sum: Sum,
}

/// The payout is approved. Its lines must be up to date: they are counted.
pub(super) async fn approve(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, approval: &Approval<'_>) -> Result<()> {
    sql("update payouts p set state = 'APPROVED', approved_at = $3, approved_by = $4, override_reason = $5, gross_minor = $6,
                netted_minor = $7, amount_minor = $8,
                payable_count = (select count(*) from payout_lines l where l.brand_id = p.brand_id and l.payout_id = p.id and l.is_payable)
         where p.brand_id = $1 and p.id = $2")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(approval.id)
    .bind::<Timestamptz, _>(now)
    .bind::<Nullable<SqlUuid>, _>(approval.by)
    .bind::<Nullable<Text>, _>(approval.override_reason)
    .bind::<BigInt, _>(approval.sum.gross_minor)
    .bind::<BigInt, _>(approval.sum.netted_minor)
    .bind::<BigInt, _>(approval.sum.amount_minor)
    .execute(conn)
    .await?;
    Ok(())
}

/// How a payout ends.
pub(super) struct End<'a> {
    pub state: PayoutState,
    pub reason: Option<&'a str>,
    pub provider_reference: Option<&'a str>,
}

pub(super) async fn close(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, id: Uuid, end: &End<'_>) -> Result<()> {
    sql("update payouts set state = $3, closed_at = $4, reason = $5, provider_reference = $6 where brand_id = $1 and id = $2")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(id)
        .bind::<Text, _>(end.state.as_str())
        .bind::<Timestamptz, _>(now)
        .bind::<Nullable<Text>, _>(end.reason)
        .bind::<Nullable<Text>, _>(end.provider_reference)
        .execute(conn)
        .await?;
    Ok(())
}

/// Keeps an audit. One of a part that found nothing does not take the place of one that found something meanwhile.
pub(super) async fn write_audit(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, audit: &Audit) -> Result<()> {
    sql("insert into ledger_audits (brand_id, audited_at, breach_count, invariant) values ($1, $2, $3, $4)
         on conflict (brand_id) do update set audited_at = excluded.audited_at, breach_count = excluded.breach_count,
                                              invariant = excluded.invariant
         where $5 or excluded.breach_count > 0 or ledger_audits.breach_count = 0")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Timestamptz, _>(now)
    .bind::<BigInt, _>(audit.breach_count)
    .bind::<Nullable<Text>, _>(audit.invariant)
    .bind::<Bool, _>(audit.is_whole)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn is_broken(conn: &mut Conn, scope: &Scope) -> Result<bool> {
    let row: BoolRow =
        sql("select exists (select from ledger_audits where brand_id = $1 and breach_count > 0) as value")
            .bind::<SqlUuid, _>(scope.brand_id)
            .get_result(conn)
            .await?;
    Ok(row.value)
}

/// Of all brands: a handful of rows.
pub(super) async fn broken_count(conn: &mut Conn) -> Result<i64> {
    let row: CountRow =
        sql("select count(*) as value from ledger_audits where breach_count > 0").get_result(conn).await?;
    Ok(row.value)
}
