//! Campaigns and the versions of their policies in PostgreSQL.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Jsonb, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Campaign, CampaignObjective, CampaignStatus, Policies};
use crate::access::Scope;
use crate::base::{Currency, Error, Money, Result};
use crate::db::schema::campaigns;
use crate::db::{Conn, sql};

#[derive(Queryable, Selectable)]
#[diesel(table_name = campaigns, check_for_backend(diesel::pg::Pg))]
struct CampaignRow {
    id: Uuid,
    slug: String,
    name: String,
    objective: String,
    status: String,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
    budget_minor: Option<i64>,
    currency: String,
    destination_url: Option<String>,
    policy_version: i32,
    created_at: DateTime<Utc>,
}

fn to_campaign(row: CampaignRow) -> Result<Campaign> {
    let currency: Currency =
        row.currency.parse().map_err(|error| Error::fault("reading a campaign's currency", error))?;
    Ok(Campaign {
        id: row.id,
        slug: row.slug,
        name: row.name,
        objective: CampaignObjective::from_column(&row.objective)?,
        status: CampaignStatus::from_column(&row.status)?,
        starts_at: row.starts_at,
        ends_at: row.ends_at,
        budget: row.budget_minor.map(|minor| Money::new(minor, currency)),
        currency,
        destination_url: row.destination_url,
        policy_version: row.policy_version,
        created_at: row.created_at,
    })
}

/// Campaigns by identifier; what is missing does not exist.
pub async fn by_ids(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Campaign>> {
    let rows: Vec<CampaignRow> = campaigns::table
        .filter(campaigns::brand_id.eq(scope.brand_id))
        .filter(campaigns::id.eq_any(ids))
        .select(CampaignRow::as_select())
        .load(conn)
        .await?;
    rows.into_iter().map(|row| Ok((row.id, to_campaign(row)?))).collect()
}

/// The campaign of a slug.
pub async fn by_slug(conn: &mut Conn, scope: &Scope, slug: &str) -> Result<Option<Campaign>> {
    let row: Option<CampaignRow> = campaigns::table
        .filter(campaigns::brand_id.eq(scope.brand_id))
        .filter(campaigns::slug.eq(slug))
        .select(CampaignRow::as_select())
        .first(conn)
        .await
        .optional()?;
    row.map(to_campaign).transpose()
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct PolicyRow {
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

/// Policies by campaign and version.
pub async fn policies_by_versions(
    conn: &mut Conn,
    scope: &Scope,
    keys: &[(Uuid, i32)],
) -> Result<HashMap<(Uuid, i32), Policies>> {
    let (ids, versions): (Vec<Uuid>, Vec<i32>) = keys.iter().copied().unzip();
    let rows: Vec<PolicyRow> = sql("select p.campaign_id, p.version, p.attribution, p.reward, p.fraud
         from unnest($2, $3) as k (campaign_id, version)
         join campaign_policies p
             on p.brand_id = $1 and p.campaign_id = k.campaign_id and p.version = k.version")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Integer>, _>(versions)
    .load(conn)
    .await?;
    rows.into_iter().map(|row| Ok(((row.campaign_id, row.version), to_policies(row)?))).collect()
}

fn to_policies(row: PolicyRow) -> Result<Policies> {
    Ok(Policies {
        version: row.version,
        attribution: read(row.attribution)?,
        reward: read(row.reward)?,
        fraud: read(row.fraud)?,
    })
}

fn read<T: DeserializeOwned>(document: serde_json::Value) -> Result<T> {
    serde_json::from_value(document).map_err(|error| Error::fault("reading a stored policy", error))
}
