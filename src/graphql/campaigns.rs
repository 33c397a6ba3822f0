//! Campaigns in the API.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use uuid::Uuid;

use super::attribution::{AttributionFilter, AttributionRecord, records_of};
use super::cohorts::{CohortArguments, CohortInterval, CohortSegment, KFactorCohort, cohorts_cost, cohorts_of};
use super::connection::{Connection, forward, page_cost};
use super::context::{parse_id, to_id};
use super::fraud::{FraudMetrics, metrics_of};
use super::node::require_growth;
use super::policies::{AttributionPolicy, FraudPolicy, RewardPolicy};
use super::scalars::{Date, Money, Url};
use super::{Creator, RequestContext, RequestExt};
use crate::access::Permission;
use crate::attribution::reads::RecordParent;
use crate::base::{self, Cursor, Error, Kind, ListKey, Page};
use crate::campaigns::{self, Policies};
use crate::creators;
use crate::fraud::reads::MetricsParent;

/// What a campaign is for. It sets the default lookback window.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "campaigns::CampaignObjective")]
pub enum CampaignObjective {
    /// To be seen: 30 days of lookback.
    Awareness,
    /// To be considered: 14 days of lookback.
    Consideration,
    /// To sell: 7 days of lookback.
    Conversion,
}

/// Whether a campaign runs.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "campaigns::CampaignStatus")]
pub enum CampaignStatus {
    /// Being prepared.
    Draft,
    /// Running.
    Active,
    /// Stopped for now.
    Paused,
    /// Over: it gets no new links.
    Ended,
}

/// A programme with its own policies.
#[derive(Clone, Debug)]
pub struct Campaign(pub campaigns::Campaign);

impl From<campaigns::Campaign> for Campaign {
    fn from(campaign: campaigns::Campaign) -> Self {
        Self(campaign)
    }
}

impl Campaign {
    /// The campaign of this identifier, if the bearer may see it.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        require_growth(request)?;
        Ok(request.loaders.campaigns.load(id).await?.map(Self))
    }

    async fn policies(&self, ctx: &Context<'_>) -> Result<Policies> {
        ctx.request()?.loaders.policies.require((self.0.id, self.0.policy_version)).await
    }
}

/// A programme with its own policies.
#[Object]
impl Campaign {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Campaign, self.0.id)
    }

    /// The unique short name in the brand.
    async fn slug(&self) -> &str {
        &self.0.slug
    }

    /// The name for people.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What the campaign is for.
    async fn objective(&self) -> CampaignObjective {
        self.0.objective.into()
    }

    /// Whether the campaign runs.
    async fn status(&self) -> CampaignStatus {
        self.0.status.into()
    }

    /// When it starts, if that was said.
    async fn starts_at(&self) -> Option<DateTime<Utc>> {
        self.0.starts_at
    }

    /// When it ends, if that was said.
    async fn ends_at(&self) -> Option<DateTime<Utc>> {
        self.0.ends_at
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Where links lead that name no destination of their own.
    async fn destination_url(&self) -> Option<Url> {
        self.0.destination_url.clone().map(Url)
    }

    /// How conversions are attributed now.
    async fn attribution_policy(&self, ctx: &Context<'_>) -> Result<AttributionPolicy> {
        let policies = self.policies(ctx).await?;
        Ok(AttributionPolicy::new(policies.version, &policies.attribution))
    }

    /// What is owed now.
    async fn reward_policy(&self, ctx: &Context<'_>) -> Result<RewardPolicy> {
        let policies = self.policies(ctx).await?;
        Ok(RewardPolicy::new(policies.version, &policies.reward, self.0.currency))
    }

    /// What counts as fraud now.
    async fn fraud_policy(&self, ctx: &Context<'_>) -> Result<FraudPolicy> {
        let policies = self.policies(ctx).await?;
        Ok(FraudPolicy::new(policies.version, &policies.fraud))
    }

    /// What rewards may cost in all; null is no limit.
    async fn budget(&self, ctx: &Context<'_>) -> Result<Option<Money>> {
        require_brands_money(ctx.request()?)?;
        Ok(self.0.budget.map(Into::into))
    }

    /// What rewards have cost so far, less what was taken back.
    async fn spent(&self, ctx: &Context<'_>) -> Result<Money> {
        let request = ctx.request()?;
        require_brands_money(request)?;
        let all = request.loaders.spent.load(self.0.id).await?.unwrap_or_default();
        let own = all.into_iter().find(|money| money.currency == self.0.currency);
        Ok(own.unwrap_or_else(|| base::Money::zero(self.0.currency)).into())
    }

    /// The creators with a link in this campaign, the oldest first.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn creators(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, at most 500; 20 where it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
    ) -> Result<Connection<Creator>> {
        let request = ctx.request()?;
        let page = forward(first, after.as_deref())?;
        let ids = request.scope.creator_id.map(|own| vec![own]);
        let filter = creators::CreatorFilter { campaign_id: Some(self.0.id), ids, ..Default::default() };
        // A key of role `creator` finds at most itself, wherever that stands in the whole list.
        let slice = if request.scope.creator_id.is_some() {
            let order = creators::CreatorOrder::CreatedAt;
            creators::page(&mut *request.conn().await?, &request.scope, &filter, order, &page).await?
        } else {
            let rows = request.loaders.creators_of_campaigns.load(ListKey::new(self.0.id, &page)).await?;
            page.slice(rows.unwrap_or_default())
        };
        Ok(Connection::new(
            slice,
            |creator| Cursor::at(creator.created_at, creator.id),
            move |request| {
                let filter = filter.clone();
                async move { creators::count(&mut *request.conn().await?, &request.scope, &filter).await }.boxed()
            },
        ))
    }

    /// Who got which share of the credit for conversions of this campaign, the newest first.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn attribution_records(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, at most 500; 20 where it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
        #[graphql(desc = "Which records.")] filter: Option<AttributionFilter>,
    ) -> Result<Connection<AttributionRecord>> {
        records_of(ctx, RecordParent::Campaign, self.0.id, (first, after), filter.as_ref()).await
    }

    /// What was judged of the campaign's touches, and what its open alerts weigh.
    async fn fraud_metrics(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first moment that counts.")] from: Option<DateTime<Utc>>,
        #[graphql(desc = "The moment from which on nothing counts.")] to: Option<DateTime<Utc>>,
    ) -> Result<FraudMetrics> {
        metrics_of(ctx, MetricsParent::Campaign, self.0.id, self.0.currency, (from, to)).await
    }

    /// How many new members each member of this campaign brings, by the interval in which they signed up.
    #[graphql(complexity = "cohorts_cost(child_complexity)")]
    async fn k_factor_cohorts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How long the sign-ups of one cohort are gathered.", default_with = "CohortInterval::Week")]
        interval: CohortInterval,
        #[graphql(desc = "A day of the first interval.")] from: Date,
        #[graphql(desc = "The day after the last one: it is not included itself.")] to: Date,
        #[graphql(desc = "The windows in days: 1 to 10 of them, each 1 to 365.", default_with = "vec![7, 14, 30]")]
        windows_days: Vec<i32>,
    ) -> Result<Vec<KFactorCohort>> {
        let segment_by = CohortSegment::None;
        cohorts_of(ctx, Some(self.0.id), CohortArguments { interval, from, to, windows_days, segment_by }).await
    }
}

/// What the brand spends is not a single creator's to see.
fn require_brands_money(request: &RequestContext) -> Result<()> {
    request.require(Permission::ReadMoney)?;
    if request.scope.creator_id.is_none() {
        return Ok(());
    }
    Err(Error::refused(base::Code::Forbidden, &[], "A key of role creator may not read a campaign's budget.").into())
}

/// Which campaigns are wanted.
#[derive(InputObject, Clone, Debug, Default)]
pub struct CampaignFilter {
    /// Only those of one of these statuses.
    status: Option<Vec<CampaignStatus>>,
    /// Only those of one of these objectives.
    objective: Option<Vec<CampaignObjective>>,
}

impl From<CampaignFilter> for campaigns::CampaignFilter {
    fn from(filter: CampaignFilter) -> Self {
        Self {
            statuses: filter.status.map(|all| all.into_iter().map(Into::into).collect()),
            objectives: filter.objective.map(|all| all.into_iter().map(Into::into).collect()),
        }
    }
}

#[derive(Default)]
pub struct CampaignQuery;

#[Object]
impl CampaignQuery {
    /// A campaign by identifier or by slug: pass exactly one. Null if there is none.
    async fn campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The identifier.")] id: Option<ID>,
        #[graphql(desc = "The unique short name.")] slug: Option<String>,
    ) -> Result<Option<Campaign>> {
        let request = ctx.request()?;
        match (id, slug) {
            (Some(id), None) => Campaign::find(request, parse_id(Kind::Campaign, &id, &["id"])?).await,
            (None, Some(slug)) => {
                require_growth(request)?;
                let found = campaigns::by_slug(&mut *request.conn().await?, &request.scope, &slug).await?;
                Ok(found.map(Campaign))
            }
            _ => Err(Error::invalid(&["id"], "Pass exactly one of id and slug.").into()),
        }
    }

    /// The brand's campaigns, the oldest first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn campaigns(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, counted from the start; at most 500.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
        #[graphql(desc = "Rows of the page, counted from the end; at most 500.")] last: Option<i32>,
        #[graphql(desc = "The cursor before which the page ends.")] before: Option<String>,
        #[graphql(desc = "Which campaigns are wanted.")] filter: Option<CampaignFilter>,
    ) -> Result<Connection<Campaign>> {
        let request = ctx.request()?;
        require_growth(request)?;
        let page = Page::from_args(first, after.as_deref(), last, before.as_deref())?;
        let filter = campaigns::CampaignFilter::from(filter.unwrap_or_default());
        let slice = campaigns::page(&mut *request.conn().await?, &request.scope, &filter, &page).await?;
        Ok(Connection::new(
            slice,
            |campaign| Cursor::at(campaign.created_at, campaign.id),
            move |request| {
                let filter = filter.clone();
                async move { campaigns::count(&mut *request.conn().await?, &request.scope, &filter).await }.boxed()
            },
        ))
    }
}
