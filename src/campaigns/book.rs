//! The campaigns and policies that a batch of judgements needs, read once.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{AttributionPolicy, CampaignStatus, Policies, reads};
use crate::access::Scope;
use crate::base::{Currency, Result};
use crate::db::Conn;

/// What judgements need of a campaign.
#[derive(Clone, Debug)]
pub struct CampaignFacts {
    pub id: Uuid,
    pub status: CampaignStatus,
    pub starts_at: Option<DateTime<Utc>>,
    pub ends_at: Option<DateTime<Utc>>,
    pub currency: Currency,
    /// Whether a budget limits its rewards.
    pub is_limited: bool,
    pub policy_version: i32,
}

impl CampaignFacts {
    /// Whether the campaign pays for what happened at `at`.
    #[must_use]
    pub fn is_running(&self, at: DateTime<Utc>) -> bool {
        let started = self.starts_at.is_none_or(|start| start <= at);
        self.status == CampaignStatus::Active && started && self.ends_at.is_none_or(|end| at < end)
    }
}

/// The brand's campaigns with the policies in force, and older versions on demand.
#[derive(Default)]
pub struct PolicyBook {
    campaigns: HashMap<Uuid, CampaignFacts>,
    policies: HashMap<(Uuid, i32), Policies>,
}

impl PolicyBook {
    /// Every campaign of the brand with its current policies.
    pub async fn load(conn: &mut Conn, scope: &Scope) -> Result<Self> {
        let mut book = Self::default();
        for (facts, policies) in reads::campaigns_in_force(conn, scope).await? {
            book.policies.insert((facts.id, policies.version), policies);
            book.campaigns.insert(facts.id, facts);
        }
        Ok(book)
    }

    /// Adds versions that are no longer in force.
    pub async fn add_versions(&mut self, conn: &mut Conn, scope: &Scope, wanted: &[(Uuid, i32)]) -> Result<()> {
        let missing: Vec<(Uuid, i32)> = wanted.iter().filter(|key| !self.policies.contains_key(key)).copied().collect();
        if !missing.is_empty() {
            self.policies.extend(reads::policy_versions(conn, scope, &missing).await?);
        }
        Ok(())
    }

    #[must_use]
    pub fn campaign(&self, id: Uuid) -> Option<&CampaignFacts> {
        self.campaigns.get(&id)
    }

    /// The policies in force.
    #[must_use]
    pub fn current(&self, campaign_id: Uuid) -> Option<&Policies> {
        self.version(campaign_id, self.campaigns.get(&campaign_id)?.policy_version)
    }

    #[must_use]
    pub fn version(&self, campaign_id: Uuid, version: i32) -> Option<&Policies> {
        self.policies.get(&(campaign_id, version))
    }

    /// Puts another attribution policy in the place of the one in force, and returns that with its version.
    pub fn replace_attribution(
        &mut self,
        campaign_id: Uuid,
        policy: AttributionPolicy,
    ) -> Option<(i32, AttributionPolicy)> {
        let version = self.campaigns.get(&campaign_id)?.policy_version;
        let policies = self.policies.get_mut(&(campaign_id, version))?;
        Some((version, std::mem::replace(&mut policies.attribution, policy)))
    }

    /// The attribution policies in force.
    pub fn in_force(&self) -> impl Iterator<Item = &AttributionPolicy> {
        let current =
            self.campaigns.values().filter_map(move |facts| self.policies.get(&(facts.id, facts.policy_version)));
        current.map(|policies| &policies.attribution)
    }

    /// Whether any policy in force counts activations by a rule, so that every event may be one.
    #[must_use]
    pub fn has_activation_rule(&self) -> bool {
        let current = self.campaigns.values().filter_map(|facts| self.version(facts.id, facts.policy_version));
        current.map(|policies| &policies.reward).any(|reward| reward.activation.is_some())
    }

    /// Whether any policy in the book credits the up-line.
    #[must_use]
    pub fn has_upline(&self) -> bool {
        self.policies.values().any(|policies| !policies.attribution.upline_ppm.is_empty())
    }

    /// Whether any policy in the book ends journeys at the previous conversion.
    #[must_use]
    pub fn splits_journeys(&self) -> bool {
        self.policies.values().any(|policies| policies.attribution.is_split_at_previous_conversion)
    }

    /// The longest lookback window of any policy in the book, in hours.
    #[must_use]
    pub fn lookback_hours_max(&self) -> i32 {
        self.policies.values().map(|policies| policies.attribution.lookback_hours).max().unwrap_or(0)
    }
}
