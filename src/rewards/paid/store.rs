//! Rewards on their way into payouts and back, in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::super::{Beneficiary, RewardState};
use super::Candidate;
use crate::access::Scope;
use crate::base::{Currency, Result};
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct CandidateRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Bool)]
    has_open_alert: bool,
    #[diesel(sql_type = Bool)]
    is_fraud_confirmed: bool,
}

pub(super) async fn candidates(
    conn: &mut Conn,
    scope: &Scope,
    beneficiary: Beneficiary,
    currency: Currency,
    earned_before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<Candidate>> {
    let rows: Vec<CandidateRow> = sql("select r.id,
                exists (select from fraud_alerts f where f.brand_id = r.brand_id and f.subject_kind = 'member'
                               and f.subject_id = r.referee_id and f.state = 'OPEN') as has_open_alert,
                exists (select from fraud_alerts f where f.brand_id = r.brand_id and f.subject_kind = 'member'
                               and f.subject_id = r.referee_id and f.state = 'CONFIRMED') as is_fraud_confirmed
         from rewards r
         where r.brand_id = $1 and (r.beneficiary_creator_id = $2 or r.beneficiary_member_id = $3) and r.currency = $4
           and r.kind in ('CREDIT', 'COMMISSION') and r.state in ('PENDING', 'ESCROWED', 'HELD', 'AVAILABLE')
           and r.amount_minor > r.reversed_minor and r.triggered_at < coalesce($5, 'infinity')
         order by r.state = 'AVAILABLE' desc, r.triggered_at, r.id
         limit $6")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Nullable<SqlUuid>, _>(beneficiary.creator_id())
    .bind::<Nullable<SqlUuid>, _>(beneficiary.member_id())
    .bind::<Text, _>(currency.to_string())
    .bind::<Nullable<Timestamptz>, _>(earned_before)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    let candidate = |row: CandidateRow| Candidate {
        id: row.id,
        has_open_alert: row.has_open_alert,
        is_fraud_confirmed: row.is_fraud_confirmed,
    };
    Ok(rows.into_iter().map(candidate).collect())
}

pub(super) async fn change_state(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    ids: &[Uuid],
    from: RewardState,
    to: RewardState,
) -> Result<usize> {
    let count =
        sql("update rewards set state = $3, settled_at = $4 where brand_id = $1 and state = $2 and id = any ($5)")
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<Text, _>(from.as_str())
            .bind::<Text, _>(to.as_str())
            .bind::<Timestamptz, _>(now)
            .bind::<Array<SqlUuid>, _>(ids)
            .execute(conn)
            .await?;
    Ok(count)
}

#[derive(QueryableByName)]
struct MinorRow {
    #[diesel(sql_type = BigInt)]
    minor: i64,
}

pub(super) async fn available_minor(
    conn: &mut Conn,
    scope: &Scope,
    beneficiary: Beneficiary,
    currency: Currency,
) -> Result<i64> {
    let row: MinorRow = sql("select coalesce(sum(amount_minor - reversed_minor), 0)::int8 as minor from rewards
         where brand_id = $1 and (beneficiary_creator_id = $2 or beneficiary_member_id = $3) and currency = $4
           and kind in ('CREDIT', 'COMMISSION') and state = 'AVAILABLE'")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Nullable<SqlUuid>, _>(beneficiary.creator_id())
    .bind::<Nullable<SqlUuid>, _>(beneficiary.member_id())
    .bind::<Text, _>(currency.to_string())
    .get_result(conn)
    .await?;
    Ok(row.minor)
}
