//! Campaigns and their versioned policies. A policy is never changed: a change makes the next version.
//! It never judges: `attribution`, `fraud` and `rewards` read the policies from here.

mod activation;
mod book;
mod policy;
mod reads;
mod rules;
mod store;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::{Permission, Scope};
use crate::base::{Code, Currency, Env, Error, Money, Result, derived_id};
use crate::brands;
use crate::db::Conn;
use crate::ledger;
use crate::text_enum;

pub use activation::{ActName, ActivationRule, PropertyCondition, PropertyOperator};
pub use book::{CampaignFacts, PolicyBook};
pub use policy::{
    AttributionModel, AttributionPolicy, DataDrivenMethod, DataDrivenPolicy, FraudPolicy, PathTransform, Policies,
    RewardKind, RewardPolicy, RewardTier, SignalMode, SignalPolicy,
};
pub use rules::{
    AVAILABLE_MODELS, ActivationDraft, AttributionDraft, CampaignChange, ConditionDraft, FraudDraft, NewCampaign,
    PoliciesDraft, RewardDraft, TierDraft,
};
pub use store::{CampaignFilter, by_ids, by_slug, count, page, policies_by_versions};

text_enum! {
    /// What a campaign is for. It sets the default lookback window: 30, 14 or 7 days.
    CampaignObjective { Awareness = "AWARENESS", Consideration = "CONSIDERATION", Conversion = "CONVERSION" }
}

text_enum! {
    /// Whether a campaign runs.
    CampaignStatus { Draft = "DRAFT", Active = "ACTIVE", Paused = "PAUSED", Ended = "ENDED" }
}

/// One campaign, with the version of its policies that is in force.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub objective: CampaignObjective,
    pub status: CampaignStatus,
    pub starts_at: Option<DateTime<Utc>>,
    pub ends_at: Option<DateTime<Utc>>,
    /// `None`: rewards are not limited by a budget.
    pub budget: Option<Money>,
    pub currency: Currency,
    pub destination_url: Option<String>,
    pub policy_version: i32,
    pub created_at: DateTime<Utc>,
}

/// Makes a campaign with the first version of its policies, and funds its budget.
pub async fn create(conn: &mut Conn, scope: &Scope, env: &Env, input: &NewCampaign) -> Result<Uuid> {
    scope.require(Permission::WriteGrowth)?;
    rules::check_new(input, &allowed_hosts(conn, scope, input.destination_url.as_deref()).await?)?;
    let currency = input.budget.map_or(scope.currency, |budget| budget.currency);
    let policies = rules::first_policies(input.objective, &input.policies, currency)?;
    check_properties(conn, scope, &input.policies, &policies).await?;
    let campaign = Campaign {
        id: env.new_id(),
        slug: input.slug.clone(),
        name: input.name.clone(),
        objective: input.objective,
        status: input.status,
        starts_at: input.starts_at,
        ends_at: input.ends_at,
        budget: input.budget,
        currency,
        destination_url: input.destination_url.clone(),
        policy_version: policies.version,
        created_at: env.now(),
    };
    store::insert(conn, scope, &campaign).await?;
    store::insert_policies(conn, scope, campaign.id, &policies, env.now()).await?;
    if let Some(budget) = input.budget {
        ledger::fund_campaign(conn, scope, env, campaign.id, budget, campaign.id).await?;
    }
    Ok(campaign.id)
}

/// Changes a campaign. Where a policy differs afterwards, all three are written as the next version.
pub async fn update(conn: &mut Conn, scope: &Scope, env: &Env, id: Uuid, change: &CampaignChange) -> Result<()> {
    scope.require(Permission::WriteGrowth)?;
    let campaign = store::lock(conn, scope, id).await?;
    let mut campaign = campaign.ok_or_else(|| Error::not_found(&["campaignId"], "There is no such campaign."))?;
    campaign.starts_at = change.starts_at.unwrap_or(campaign.starts_at);
    campaign.ends_at = change.ends_at.unwrap_or(campaign.ends_at);
    let url = change.destination_url.as_ref().and_then(|url| url.as_deref());
    let hosts = allowed_hosts(conn, scope, url).await?;
    rules::check_change(change, campaign.starts_at, campaign.ends_at, &hosts)?;
    let current = policies_in_force(conn, scope, &campaign).await?;
    let mut next = rules::apply(&current, &change.policies, campaign.currency)?;
    check_properties(conn, scope, &change.policies, &next).await?;
    if next != current {
        next.version += 1;
        store::insert_policies(conn, scope, id, &next, env.now()).await?;
        campaign.policy_version = next.version;
    }
    if let Some(budget) = change.budget {
        raise_budget(conn, scope, env, &campaign, budget).await?;
        campaign.budget = Some(budget);
    }
    campaign.name = change.name.clone().unwrap_or(campaign.name);
    campaign.status = change.status.unwrap_or(campaign.status);
    campaign.destination_url = change.destination_url.clone().unwrap_or(campaign.destination_url);
    store::update(conn, scope, &campaign).await
}

/// A campaign with the policies that a draft would make of those in force. Nothing is written.
pub async fn drafted(conn: &mut Conn, scope: &Scope, id: Uuid, draft: &PoliciesDraft) -> Result<(Campaign, Policies)> {
    let campaign = by_ids(conn, scope, &[id]).await?.remove(&id);
    let campaign = campaign.ok_or_else(|| Error::not_found(&["campaignId"], "There is no such campaign."))?;
    let current = policies_in_force(conn, scope, &campaign).await?;
    let policies = rules::apply(&current, draft, campaign.currency)?;
    check_properties(conn, scope, draft, &policies).await?;
    Ok((campaign, policies))
}

async fn policies_in_force(conn: &mut Conn, scope: &Scope, campaign: &Campaign) -> Result<Policies> {
    let key = (campaign.id, campaign.policy_version);
    let current = policies_by_versions(conn, scope, &[key]).await?.remove(&key);
    current.ok_or_else(|| Error::fault("reading a campaign's policies", "they are gone"))
}

/// Refuses a rule that could never hold: it asks for what the brand does not keep.
async fn check_properties(conn: &mut Conn, scope: &Scope, draft: &PoliciesDraft, policies: &Policies) -> Result<()> {
    let rule = policies.reward.activation.as_ref().filter(|rule| rule.needs_properties());
    if draft.reward.activation.is_none() || rule.is_none() || brands::settings(conn, scope).await?.keeps_properties {
        return Ok(());
    }
    let message = "This brand does not keep what events say in properties: let updateBrand set keepProperties first.";
    Err(Error::refused(Code::Conflict, &["reward", "activation", "where"], message))
}

/// The hosts that a destination may lie on, where there is one to check.
async fn allowed_hosts(conn: &mut Conn, scope: &Scope, url: Option<&str>) -> Result<Vec<String>> {
    if url.is_none() { Ok(Vec::new()) } else { Ok(brands::settings(conn, scope).await?.allowed_hosts) }
}

/// Funds the difference. What was promised out of a budget cannot be taken back from under it.
async fn raise_budget(conn: &mut Conn, scope: &Scope, env: &Env, campaign: &Campaign, budget: Money) -> Result<()> {
    let Some(current) = campaign.budget else {
        let message = "This campaign has no budget, so nothing limits it: make a new campaign with one.";
        return Err(Error::refused(Code::Conflict, &["budget"], message));
    };
    if budget.currency != campaign.currency {
        let message = format!("Pass the budget in the campaign's currency, {}.", campaign.currency);
        return Err(Error::invalid(&["budget", "currency"], message));
    }
    if budget.minor < current.minor {
        let message = format!("Pass at least {current}: a budget can be raised, not lowered.");
        return Err(Error::invalid(&["budget", "amount"], message));
    }
    let cause = derived_id(&[b"raise", campaign.id.as_bytes(), &budget.minor.to_be_bytes()]);
    let more = Money::new(budget.minor - current.minor, budget.currency);
    ledger::fund_campaign(conn, scope, env, campaign.id, more, cause).await
}
