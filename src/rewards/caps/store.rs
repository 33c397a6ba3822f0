//! The counters of caps in PostgreSQL. Keys come sorted.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{Array, Date, Integer, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{DayKey, Total, TotalKey};
use crate::access::Scope;
use crate::base::Result;
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct DayRow {
    #[diesel(sql_type = SqlUuid)]
    campaign_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    beneficiary_id: Uuid,
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = Integer)]
    granted_count: i32,
}

/// Makes the rows that are missing and locks all. The upsert takes the lock, so that two callers count one after the other.
pub(super) async fn lock_days(conn: &mut Conn, scope: &Scope, keys: &[DayKey]) -> Result<BTreeMap<DayKey, i32>> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<DayRow> = sql("insert into reward_caps (brand_id, campaign_id, beneficiary_id, day, granted_count)
         select $1, campaign_id, beneficiary_id, day, 0 from unnest($2::uuid[], $3::uuid[], $4::date[]) as k (campaign_id, beneficiary_id, day)
         on conflict (brand_id, campaign_id, beneficiary_id, day) do update set granted_count = reward_caps.granted_count
         returning campaign_id, beneficiary_id, day, granted_count")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.campaign_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.beneficiary_id).collect::<Vec<_>>())
    .bind::<Array<Date>, _>(keys.iter().map(|key| key.day).collect::<Vec<_>>())
    .load(conn)
    .await?;
    let entry = |row: DayRow| {
        let key = DayKey { campaign_id: row.campaign_id, beneficiary_id: row.beneficiary_id, day: row.day };
        (key, row.granted_count)
    };
    Ok(rows.into_iter().map(entry).collect())
}

pub(super) async fn count_days(conn: &mut Conn, scope: &Scope, taken: &[(DayKey, i32)]) -> Result<()> {
    if taken.is_empty() {
        return Ok(());
    }
    sql("update reward_caps c set granted_count = c.granted_count + n.count
         from unnest($2::uuid[], $3::uuid[], $4::date[], $5::int4[]) as n (campaign_id, beneficiary_id, day, count)
         where c.brand_id = $1 and c.campaign_id = n.campaign_id and c.beneficiary_id = n.beneficiary_id and c.day = n.day")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(taken.iter().map(|(key, _)| key.campaign_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(taken.iter().map(|(key, _)| key.beneficiary_id).collect::<Vec<_>>())
    .bind::<Array<Date>, _>(taken.iter().map(|(key, _)| key.day).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(taken.iter().map(|(_, count)| *count).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct TotalRow {
    #[diesel(sql_type = SqlUuid)]
    campaign_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    beneficiary_id: Uuid,
    #[diesel(sql_type = Integer)]
    granted_count: i32,
    #[diesel(sql_type = Integer)]
    policy_version: i32,
}

/// Makes the rows that are missing, of no policy version yet, and locks all.
pub(super) async fn lock_totals(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[TotalKey],
) -> Result<BTreeMap<TotalKey, Total>> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<TotalRow> = sql("insert into reward_totals (brand_id, campaign_id, beneficiary_id, granted_count, policy_version)
         select $1, campaign_id, beneficiary_id, 0, 0 from unnest($2::uuid[], $3::uuid[]) as k (campaign_id, beneficiary_id)
         on conflict (brand_id, campaign_id, beneficiary_id) do update set granted_count = reward_totals.granted_count
         returning campaign_id, beneficiary_id, granted_count, policy_version")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.campaign_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.beneficiary_id).collect::<Vec<_>>())
    .load(conn)
    .await?;
    let entry = |row: TotalRow| {
        let key = TotalKey { campaign_id: row.campaign_id, beneficiary_id: row.beneficiary_id };
        (key, Total { granted_count: row.granted_count, policy_version: row.policy_version })
    };
    Ok(rows.into_iter().map(entry).collect())
}

#[derive(QueryableByName)]
struct GrantedRow {
    #[diesel(sql_type = SqlUuid)]
    campaign_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    beneficiary_id: Uuid,
    #[diesel(sql_type = Integer)]
    granted_count: i32,
}

/// What these members were granted for activations, taken back or not. Rewards by hand have no referee, shares of sales a conversion.
pub(super) async fn granted(conn: &mut Conn, scope: &Scope, keys: &[TotalKey]) -> Result<HashMap<TotalKey, i32>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<GrantedRow> = sql("select k.campaign_id, k.beneficiary_id, count(*)::int4 as granted_count
         from unnest($2::uuid[], $3::uuid[]) as k (campaign_id, beneficiary_id)
         join rewards r on r.brand_id = $1 and r.beneficiary_member_id = k.beneficiary_id and r.campaign_id = k.campaign_id
         where r.referee_id is not null and r.conversion_id is null and r.state <> 'REJECTED'
         group by k.campaign_id, k.beneficiary_id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.campaign_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.beneficiary_id).collect::<Vec<_>>())
    .load(conn)
    .await?;
    let entry = |row: GrantedRow| {
        (TotalKey { campaign_id: row.campaign_id, beneficiary_id: row.beneficiary_id }, row.granted_count)
    };
    Ok(rows.into_iter().map(entry).collect())
}

pub(super) async fn write_totals(conn: &mut Conn, scope: &Scope, totals: &[(TotalKey, Total)]) -> Result<()> {
    if totals.is_empty() {
        return Ok(());
    }
    sql("update reward_totals t set granted_count = n.count, policy_version = n.version
         from unnest($2::uuid[], $3::uuid[], $4::int4[], $5::int4[]) as n (campaign_id, beneficiary_id, count, version)
         where t.brand_id = $1 and t.campaign_id = n.campaign_id and t.beneficiary_id = n.beneficiary_id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(totals.iter().map(|(key, _)| key.campaign_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(totals.iter().map(|(key, _)| key.beneficiary_id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(totals.iter().map(|(_, total)| total.granted_count).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(totals.iter().map(|(_, total)| total.policy_version).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
