//! Campaigns and the versions of their policies in PostgreSQL.

mod lists;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Jsonb, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Campaign, CampaignObjective, CampaignStatus, Policies};
use crate::access::Scope;
use crate::base::{Code, Currency, Error, Money, Result};
use crate::db::schema::{campaign_policies, campaigns};
use crate::db::{Conn, constraint_of, sql};

pub use lists::{CampaignFilter, count, page};

#[derive(Queryable, Selectable, QueryableByName)]
#[diesel(table_name = campaigns, check_for_backend(diesel::pg::Pg))]
pub(super) struct CampaignRow {
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

impl CampaignRow {
    fn into_campaign(self) -> Result<Campaign> {
        let currency: Currency =
            self.currency.parse().map_err(|error| Error::fault("reading a campaign's currency", error))?;
        Ok(Campaign {
            id: self.id,
            slug: self.slug,
            name: self.name,
            objective: CampaignObjective::from_column(&self.objective)?,
            status: CampaignStatus::from_column(&self.status)?,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            budget: self.budget_minor.map(|minor| Money::new(minor, currency)),
            currency,
            destination_url: self.destination_url,
            policy_version: self.policy_version,
            created_at: self.created_at,
        })
    }
}

/// Campaigns by identifier; what is missing does not exist.
pub async fn by_ids(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Campaign>> {
    let rows: Vec<CampaignRow> = campaigns::table
        .filter(campaigns::brand_id.eq(scope.brand_id))
        .filter(campaigns::id.eq_any(ids))
        .select(CampaignRow::as_select())
        .load(conn)
        .await?;
    rows.into_iter().map(|row| Ok((row.id, row.into_campaign()?))).collect()
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
    row.map(CampaignRow::into_campaign).transpose()
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

/// The campaign, locked until the end of the transaction.
pub(super) async fn lock(conn: &mut Conn, scope: &Scope, id: Uuid) -> Result<Option<Campaign>> {
    let row: Option<CampaignRow> = campaigns::table
        .filter(campaigns::brand_id.eq(scope.brand_id))
        .filter(campaigns::id.eq(id))
        .select(CampaignRow::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()?;
    row.map(CampaignRow::into_campaign).transpose()
}

pub(super) async fn insert(conn: &mut Conn, scope: &Scope, campaign: &Campaign) -> Result<()> {
    diesel::insert_into(campaigns::table)
        .values((
            campaigns::brand_id.eq(scope.brand_id),
            campaigns::id.eq(campaign.id),
            campaigns::slug.eq(&campaign.slug),
            campaigns::name.eq(&campaign.name),
            campaigns::objective.eq(campaign.objective.as_str()),
            campaigns::status.eq(campaign.status.as_str()),
            campaigns::starts_at.eq(campaign.starts_at),
            campaigns::ends_at.eq(campaign.ends_at),
            campaigns::budget_minor.eq(campaign.budget.map(|budget| budget.minor)),
            campaigns::currency.eq(campaign.currency.as_str()),
            campaigns::destination_url.eq(&campaign.destination_url),
            campaigns::policy_version.eq(campaign.policy_version),
            campaigns::created_at.eq(campaign.created_at),
        ))
        .execute(conn)
        .await
        .map_err(|error| match constraint_of(&error) {
            Some("campaigns_slug_key") => {
                Error::refused(Code::Conflict, &["slug"], "This slug is taken: choose another.")
            }
            _ => error.into(),
        })?;
    Ok(())
}

/// Writes what a change may touch.
pub(super) async fn update(conn: &mut Conn, scope: &Scope, campaign: &Campaign) -> Result<()> {
    diesel::update(
        campaigns::table.filter(campaigns::brand_id.eq(scope.brand_id)).filter(campaigns::id.eq(campaign.id)),
    )
    .set((
        campaigns::name.eq(&campaign.name),
        campaigns::status.eq(campaign.status.as_str()),
        campaigns::starts_at.eq(campaign.starts_at),
        campaigns::ends_at.eq(campaign.ends_at),
        campaigns::budget_minor.eq(campaign.budget.map(|budget| budget.minor)),
        campaigns::destination_url.eq(&campaign.destination_url),
        campaigns::policy_version.eq(campaign.policy_version),
    ))
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn insert_policies(
    conn: &mut Conn,
    scope: &Scope,
    campaign_id: Uuid,
    policies: &Policies,
    now: DateTime<Utc>,
) -> Result<()> {
    let fault = |error| Error::fault("writing a policy", error);
    diesel::insert_into(campaign_policies::table)
        .values((
            campaign_policies::brand_id.eq(scope.brand_id),
            campaign_policies::campaign_id.eq(campaign_id),
            campaign_policies::version.eq(policies.version),
            campaign_policies::attribution.eq(serde_json::to_value(&policies.attribution).map_err(fault)?),
            campaign_policies::reward.eq(serde_json::to_value(&policies.reward).map_err(fault)?),
            campaign_policies::fraud.eq(serde_json::to_value(&policies.fraud).map_err(fault)?),
            campaign_policies::created_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}
