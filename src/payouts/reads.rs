//! Payouts as they are read: by page, per beneficiary, and their lines, each for many in one statement. It never changes a payout.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::store::to_beneficiary;
use super::{LineReason, PayoutState};
use crate::access::Scope;
use crate::base::{Currency, Cursor, Error, Money, Page, Result, Slice};
use crate::db::{Conn, sql};
use crate::rewards::Beneficiary;

/// What is paid to one beneficiary at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Payout {
    pub id: Uuid,
    pub beneficiary: Beneficiary,
    /// The sum of the payable lines.
    pub gross: Money,
    /// What of it settles what the beneficiary owes.
    pub netted: Money,
    /// What is sent.
    pub amount: Money,
    pub line_count: i32,
    pub payable_count: i32,
    pub state: PayoutState,
    pub earned_before: Option<DateTime<Utc>>,
    pub created_by: Option<Uuid>,
    pub approved_by: Option<Uuid>,
    pub provider_reference: Option<String>,
    pub override_reason: Option<String>,
    pub reason: Option<String>,
    pub created_at: DateTime<Utc>,
    pub approved_at: Option<DateTime<Utc>>,
    /// When it was paid, failed or was canceled.
    pub closed_at: Option<DateTime<Utc>>,
}

impl Payout {
    /// The payout's place in lists, which are newest first.
    #[must_use]
    pub fn place(&self) -> Cursor {
        Cursor::at(self.created_at, self.id)
    }
}

/// One reward on the sheet.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// From 1.
    pub number: i32,
    pub reward_id: Uuid,
    pub granted: Money,
    /// What was left of it when the line was last looked at.
    pub amount: Money,
    /// Why it is not paid; none where it is.
    pub reason: Option<LineReason>,
}

impl Line {
    /// The line's place on its sheet.
    #[must_use]
    pub fn place(&self) -> Cursor {
        Cursor::new(self.number.into(), self.reward_id)
    }
}

/// Which payouts are wanted; what is `None` or empty is not asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PayoutFilter {
    pub states: Vec<PayoutState>,
    /// Paid to this creator.
    pub creator_id: Option<Uuid>,
    /// Paid to this member.
    pub member_id: Option<Uuid>,
    pub currency: Option<Currency>,
    /// Made from this moment on.
    pub from: Option<DateTime<Utc>>,
    /// Made before this moment.
    pub to: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct PayoutRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
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
    #[diesel(sql_type = BigInt)]
    amount_minor: i64,
    #[diesel(sql_type = Integer)]
    line_count: i32,
    #[diesel(sql_type = Integer)]
    payable_count: i32,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    earned_before: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    created_by: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    approved_by: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    provider_reference: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    override_reason: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    reason: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    approved_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    closed_at: Option<DateTime<Utc>>,
}

fn to_currency(text: &str) -> Result<Currency> {
    text.parse().map_err(|error| Error::fault("reading a payout's currency", error))
}

impl PayoutRow {
    fn into_payout(self) -> Result<Payout> {
        let currency = to_currency(&self.currency)?;
        Ok(Payout {
            id: self.id,
            beneficiary: to_beneficiary(self.beneficiary_creator_id, self.beneficiary_member_id)?,
            gross: Money::new(self.gross_minor, currency),
            netted: Money::new(self.netted_minor, currency),
            amount: Money::new(self.amount_minor, currency),
            line_count: self.line_count,
            payable_count: self.payable_count,
            state: PayoutState::from_column(&self.state)?,
            earned_before: self.earned_before,
            created_by: self.created_by,
            approved_by: self.approved_by,
            provider_reference: self.provider_reference,
            override_reason: self.override_reason,
            reason: self.reason,
            created_at: self.created_at,
            approved_at: self.approved_at,
            closed_at: self.closed_at,
        })
    }
}

macro_rules! columns {
    () => {
        "p.id, p.beneficiary_creator_id, p.beneficiary_member_id, p.currency, p.gross_minor, p.netted_minor, p.amount_minor,
         p.line_count, p.payable_count, p.state, p.earned_before, p.created_by, p.approved_by, p.provider_reference,
         p.override_reason, p.reason, p.created_at, p.approved_at, p.closed_at"
    };
}

/// Binds: 1 brand, 2 states, 3 creator, 4 member, 5 currency, 6 from, 7 to.
macro_rules! wanted {
    () => {
        "from payouts p
         where p.brand_id = $1 and (cardinality($2::text[]) = 0 or p.state = any ($2))
           and ($3::uuid is null or p.beneficiary_creator_id = $3) and ($4::uuid is null or p.beneficiary_member_id = $4)
           and ($5::text is null or p.currency = $5)
           and p.created_at >= coalesce($6, '-infinity') and p.created_at < coalesce($7, 'infinity')"
    };
}

/// The same, and 8 and 9 the place above which, 10 and 11 the place below which the rows must lie, 12 how many of them.
macro_rules! page_sql {
    ($direction:literal) => {
        concat!(
            "select ",
            columns!(),
            " ",
            wanted!(),
            " and ($8::timestamptz is null or (p.created_at, p.id) > ($8, $9)) and ($10::timestamptz is null or (p.created_at, p.id) < ($10, $11))
             order by p.created_at ",
            $direction,
            ", p.id ",
            $direction,
            " limit $12"
        )
    };
}

/// The names of the states, as an array for a statement.
fn names(states: &[PayoutState]) -> Vec<&'static str> {
    states.iter().map(|state| state.as_str()).collect()
}

/// A page of payouts, newest first.
pub async fn payout_page(conn: &mut Conn, scope: &Scope, filter: &PayoutFilter, page: &Page) -> Result<Slice<Payout>> {
    let text = if page.is_backward { page_sql!("asc") } else { page_sql!("desc") };
    // Newest first: what comes after a cursor was made before it.
    let (above, below) = (page.before, page.after);
    let rows: Vec<PayoutRow> = sql(text)
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<Text>, _>(names(&filter.states))
        .bind::<Nullable<SqlUuid>, _>(filter.creator_id)
        .bind::<Nullable<SqlUuid>, _>(filter.member_id)
        .bind::<Nullable<Text>, _>(filter.currency.map(|currency| currency.to_string()))
        .bind::<Nullable<Timestamptz>, _>(filter.from)
        .bind::<Nullable<Timestamptz>, _>(filter.to)
        .bind::<Nullable<Timestamptz>, _>(above.map(|cursor| cursor.time()))
        .bind::<Nullable<SqlUuid>, _>(above.map(|cursor| cursor.id))
        .bind::<Nullable<Timestamptz>, _>(below.map(|cursor| cursor.time()))
        .bind::<Nullable<SqlUuid>, _>(below.map(|cursor| cursor.id))
        .bind::<BigInt, _>(page.fetch_limit())
        .load(conn)
        .await?;
    Ok(page.slice(rows.into_iter().map(PayoutRow::into_payout).collect::<Result<_>>()?))
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

/// How many payouts there are.
pub async fn payout_count(conn: &mut Conn, scope: &Scope, filter: &PayoutFilter) -> Result<i64> {
    let row: CountRow = sql(concat!("select count(*) as value ", wanted!()))
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<Text>, _>(names(&filter.states))
        .bind::<Nullable<SqlUuid>, _>(filter.creator_id)
        .bind::<Nullable<SqlUuid>, _>(filter.member_id)
        .bind::<Nullable<Text>, _>(filter.currency.map(|currency| currency.to_string()))
        .bind::<Nullable<Timestamptz>, _>(filter.from)
        .bind::<Nullable<Timestamptz>, _>(filter.to)
        .get_result(conn)
        .await?;
    Ok(row.value)
}

/// Payouts by identifier.
pub async fn payouts_by_ids(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Payout>> {
    let rows: Vec<PayoutRow> =
        sql(concat!("select ", columns!(), " from payouts p where p.brand_id = $1 and p.id = any ($2)"))
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<Array<SqlUuid>, _>(ids)
            .load(conn)
            .await?;
    rows.into_iter().map(|row| Ok((row.id, row.into_payout()?))).collect()
}

macro_rules! of_beneficiaries {
    ($column:literal) => {
        concat!(
            "select p.* from unnest($2::uuid[]) as owner (id)
             cross join lateral (
                 select ",
            columns!(),
            " from payouts p where p.brand_id = $1 and p.",
            $column,
            " = owner.id and ($4::timestamptz is null or (p.created_at, p.id) < ($4, $5))
              order by p.created_at desc, p.id desc limit $3) p"
        )
    };
}

/// The first payouts after a cursor of each beneficiary, all creators or all members, newest first: one statement for all. `page` is read
/// forwards.
pub async fn payouts_of(
    conn: &mut Conn,
    scope: &Scope,
    beneficiaries: &[Beneficiary],
    page: &Page,
) -> Result<HashMap<Beneficiary, Slice<Payout>>> {
    let is_of_creators = matches!(beneficiaries.first(), Some(Beneficiary::Creator(_)));
    let text = if is_of_creators {
        of_beneficiaries!("beneficiary_creator_id")
    } else {
        of_beneficiaries!("beneficiary_member_id")
    };
    let rows: Vec<PayoutRow> = sql(text)
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<SqlUuid>, _>(beneficiaries.iter().map(|one| one.id()).collect::<Vec<_>>())
        .bind::<BigInt, _>(page.fetch_limit())
        .bind::<Nullable<Timestamptz>, _>(page.after.map(|cursor| cursor.time()))
        .bind::<Nullable<SqlUuid>, _>(page.after.map(|cursor| cursor.id))
        .load(conn)
        .await?;
    let mut found: HashMap<Beneficiary, Vec<Payout>> = beneficiaries.iter().map(|one| (*one, Vec::new())).collect();
    for row in rows {
        let payout = row.into_payout()?;
        found.entry(payout.beneficiary).or_default().push(payout);
    }
    Ok(found.into_iter().map(|(beneficiary, payouts)| (beneficiary, page.slice(payouts))).collect())
}

/// How many payouts each of these beneficiaries has; who has none is missing.
pub async fn payout_counts(
    conn: &mut Conn,
    scope: &Scope,
    beneficiaries: &[Beneficiary],
) -> Result<HashMap<Beneficiary, i64>> {
    let rows: Vec<OwnerCountRow> =
        sql("select beneficiary_creator_id, beneficiary_member_id, count(*) as value from payouts
         where brand_id = $1 and (beneficiary_creator_id = any ($2) or beneficiary_member_id = any ($2))
         group by beneficiary_creator_id, beneficiary_member_id")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<SqlUuid>, _>(beneficiaries.iter().map(|one| one.id()).collect::<Vec<_>>())
        .load(conn)
        .await?;
    let entry =
        |row: OwnerCountRow| Ok((to_beneficiary(row.beneficiary_creator_id, row.beneficiary_member_id)?, row.value));
    rows.into_iter().map(entry).collect()
}

#[derive(QueryableByName)]
struct OwnerCountRow {
    #[diesel(sql_type = Nullable<SqlUuid>)]
    beneficiary_creator_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    beneficiary_member_id: Option<Uuid>,
    #[diesel(sql_type = BigInt)]
    value: i64,
}

#[derive(QueryableByName)]
struct LineRow {
    #[diesel(sql_type = SqlUuid)]
    payout_id: Uuid,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Integer)]
    number: i32,
    #[diesel(sql_type = SqlUuid)]
    reward_id: Uuid,
    #[diesel(sql_type = BigInt)]
    granted_minor: i64,
    #[diesel(sql_type = BigInt)]
    amount_minor: i64,
    #[diesel(sql_type = Nullable<Text>)]
    reason: Option<String>,
}

impl LineRow {
    fn into_line(self) -> Result<Line> {
        let currency = to_currency(&self.currency)?;
        Ok(Line {
            number: self.number,
            reward_id: self.reward_id,
            granted: Money::new(self.granted_minor, currency),
            amount: Money::new(self.amount_minor, currency),
            reason: self.reason.as_deref().map(LineReason::from_column).transpose()?,
        })
    }
}

/// The first lines after a cursor of each payout, in their order; with `is_paid_only`, those that are paid. One statement for all; `page`
/// is read forwards.
pub async fn lines_of(
    conn: &mut Conn,
    scope: &Scope,
    payout_ids: &[Uuid],
    is_paid_only: bool,
    page: &Page,
) -> Result<HashMap<Uuid, Slice<Line>>> {
    let rows: Vec<LineRow> =
        sql("select p.id as payout_id, p.currency, l.number, l.reward_id, l.granted_minor, l.amount_minor, l.reason
         from payouts p
         cross join lateral (
             select * from payout_lines l
             where l.brand_id = p.brand_id and l.payout_id = p.id and l.number > $3 and (l.is_payable or not $4)
             order by l.number limit $5) l
         where p.brand_id = $1 and p.id = any ($2)
         order by p.id, l.number")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<SqlUuid>, _>(payout_ids)
        .bind::<BigInt, _>(page.after.map_or(0, |cursor| cursor.key))
        .bind::<Bool, _>(is_paid_only)
        .bind::<BigInt, _>(page.fetch_limit())
        .load(conn)
        .await?;
    let mut found: HashMap<Uuid, Vec<Line>> = payout_ids.iter().map(|id| (*id, Vec::new())).collect();
    for row in rows {
        found.entry(row.payout_id).or_default().push(row.into_line()?);
    }
    Ok(found.into_iter().map(|(id, lines)| (id, page.slice(lines))).collect())
}

#[derive(QueryableByName)]
struct AlertCountRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    value: i64,
}

/// How many open alerts weigh on each payout: on its beneficiary, or on the referees of the lines that it pays.
pub async fn open_alert_counts(conn: &mut Conn, scope: &Scope, payout_ids: &[Uuid]) -> Result<HashMap<Uuid, i64>> {
    let rows: Vec<AlertCountRow> = sql("select p.id, count(distinct f.id) as value from payouts p
         cross join lateral (
             select id from fraud_alerts where brand_id = p.brand_id and creator_id = p.beneficiary_creator_id and state = 'OPEN'
             union all
             select id from fraud_alerts where brand_id = p.brand_id and member_id = p.beneficiary_member_id and state = 'OPEN'
             union all
             select f.id from payout_lines l join rewards r on r.brand_id = l.brand_id and r.id = l.reward_id
             join fraud_alerts f on f.brand_id = r.brand_id and f.subject_kind = 'member' and f.subject_id = r.referee_id
             where l.brand_id = p.brand_id and l.payout_id = p.id and l.is_payable and f.state = 'OPEN') f
         where p.brand_id = $1 and p.id = any ($2)
         group by p.id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(payout_ids)
    .load(conn)
    .await?;
    let mut counts: HashMap<Uuid, i64> = payout_ids.iter().map(|id| (*id, 0)).collect();
    counts.extend(rows.into_iter().map(|row| (row.id, row.value)));
    Ok(counts)
}
