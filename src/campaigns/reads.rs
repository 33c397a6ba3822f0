//! Campaigns and policies as the judgements read them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::book::CampaignFacts;
use super::{CampaignStatus, Policies};
use crate::access::Scope;
use crate::base::{Error, Result};
use crate::db::{Conn, sql};

#[derive(QueryableByName)]
struct FactsRow {
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    starts_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    ends_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Bool)]
    is_limited: bool,
    #[diesel(embed)]
    policies: PoliciesRow,
}

#[derive(QueryableByName)]
struct PoliciesRow {
    #[diesel(sql_type = SqlUuid)]
    campaign_id: Uuid,
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = Jsonb)]
    attribution: serde_json::Value,
    #[diesel(sql_type = Jsonb)]
    reward: serde_json::Value,
    #[diesel(sql_type = Jsonb)]
    fraud: serde_json::Value,
}

fn to_policies(row: PoliciesRow) -> Result<((Uuid, i32), Policies)> {
    let wrong = |error: serde_json::Error| Error::fault("reading a policy", error);
    let policies = Policies {
        version: row.version,
        attribution: serde_json::from_value(row.attribution).map_err(wrong)?,
        reward: serde_json::from_value(row.reward).map_err(wrong)?,
        fraud: serde_json::from_value(row.fraud).map_err(wrong)?,
    };
    Ok(((row.campaign_id, row.version), policies))
}

pub(super) async fn campaigns_in_force(conn: &mut Conn, scope: &Scope) -> Result<Vec<(CampaignFacts, Policies)>> {
    let rows: Vec<FactsRow> =
        sql("select c.status, c.starts_at, c.ends_at, c.currency, c.budget_minor is not null as is_limited,
                p.campaign_id, p.version, p.attribution, p.reward, p.fraud
         from campaigns c
         join campaign_policies p on p.brand_id = c.brand_id and p.campaign_id = c.id and p.version = c.policy_version
         where c.brand_id = $1")
        .bind::<SqlUuid, _>(scope.brand_id)
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|row| {
            let ((id, policy_version), policies) = to_policies(row.policies)?;
            let facts = CampaignFacts {
                id,
                status: CampaignStatus::from_column(&row.status)?,
                starts_at: row.starts_at,
                ends_at: row.ends_at,
                currency: row.currency.parse().map_err(|error| Error::fault("reading a campaign's currency", error))?,
                is_limited: row.is_limited,
                policy_version,
            };
            Ok((facts, policies))
        })
        .collect()
}

pub(super) async fn policy_versions(
    conn: &mut Conn,
    scope: &Scope,
    wanted: &[(Uuid, i32)],
) -> Result<HashMap<(Uuid, i32), Policies>> {
    let rows: Vec<PoliciesRow> = sql("select p.campaign_id, p.version, p.attribution, p.reward, p.fraud
         from unnest($2::uuid[], $3::int4[]) as wanted (campaign_id, version)
         join campaign_policies p on p.brand_id = $1 and p.campaign_id = wanted.campaign_id and p.version = wanted.version")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(wanted.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(wanted.iter().map(|(_, version)| *version).collect::<Vec<_>>())
    .load(conn)
    .await?;
    rows.into_iter().map(to_policies).collect()
}
