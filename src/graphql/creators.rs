//! Creators in the API.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use uuid::Uuid;

use super::attribution::{AttributionFilter, AttributionRecord, records_of};
use super::connection::{Connection, forward, page_cost};
use super::context::{parse_id, parse_id_opt, to_id};
use super::fraud::{FraudMetrics, metrics_of};
use super::node::require_growth;
use super::payouts::{Payout, payouts_of};
use super::rewards::balances_of;
use super::scalars::Money;
use super::{AttributionModel, Link, Platform, RequestContext, RequestExt};
use crate::attribution::reads::RecordParent;
use crate::base::{Cursor, Error, Kind, ListKey, Page};
use crate::creators::{self, PerformanceQuery};
use crate::fraud::reads::MetricsParent;
use crate::outbound::verification_code;
use crate::rewards::Beneficiary;

/// Whether a creator takes part.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "creators::CreatorStatus")]
pub enum CreatorStatus {
    /// Takes part.
    Active,
    /// Does not take part for now; links still resolve.
    Paused,
    /// Is shut out and earns nothing; links still resolve.
    Banned,
}

/// A creator's account on a platform.
#[derive(SimpleObject, Clone, Debug)]
pub struct PlatformAccount {
    /// The platform.
    pub platform: Platform,
    /// The account's identifier on the platform.
    pub external_id: String,
    /// The account's name on the platform.
    pub username: Option<String>,
    /// Whether the platform has confirmed that the account is the creator's.
    pub verified: bool,
    /// When it was confirmed.
    pub verified_at: Option<DateTime<Utc>>,
    /// How many follow the account, as last recorded.
    pub followers: Option<i32>,
    /// When the platform was last heard about the account; null: it was not, or cannot be.
    pub checked_at: Option<DateTime<Utc>>,
    /// What the account's public description must show once, for the account to count as the creator's.
    pub verification_code: String,
}

impl PlatformAccount {
    fn of(account: creators::PlatformAccount, verification_code: String) -> Self {
        Self {
            platform: account.platform.into(),
            external_id: account.external_id,
            username: account.username,
            verified: account.verified_at.is_some(),
            verified_at: account.verified_at,
            followers: account.follower_count,
            checked_at: account.checked_at,
            verification_code,
        }
    }
}

/// What a creator has brought about. Sums are in one currency: the campaign's where one is named, else the brand's own.
#[derive(SimpleObject, Clone, Debug)]
pub struct CreatorPerformance {
    /// Clicks that were not blocked as fraud.
    pub clicks: i32,
    /// Conversions of which the creator has a share.
    pub conversions: i32,
    /// Conversions per click; 0 without clicks.
    pub conversion_rate: f64,
    /// The creator's share of the conversions' value.
    pub attributed_value: Money,
    /// What the creator earned in money, less what was taken back.
    pub commission: Money,
    /// The share of the creator's touches that were blocked as fraud; 0 without touches.
    pub fraud_block_rate: f64,
}

impl From<creators::Performance> for CreatorPerformance {
    fn from(sums: creators::Performance) -> Self {
        Self {
            clicks: to_int(sums.click_count),
            conversions: to_int(sums.conversion_count),
            conversion_rate: ratio(sums.conversion_count, sums.click_count),
            attributed_value: sums.attributed.into(),
            commission: sums.commission.into(),
            fraud_block_rate: ratio(sums.blocked_count, sums.touch_count),
        }
    }
}

/// A count as the API shows it.
#[must_use]
pub fn to_int(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A rate of two counts; 0 where there is nothing to divide by.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a rate for people, of counts far below 2^52")]
pub fn ratio(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Someone who shares links for the brand.
#[derive(Clone, Debug)]
pub struct Creator(pub creators::Creator);

impl From<creators::Creator> for Creator {
    fn from(creator: creators::Creator) -> Self {
        Self(creator)
    }
}

impl Creator {
    /// The creator of this identifier, if the bearer may see it.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        require_growth(request)?;
        if !request.sees_creator(Some(id)) {
            return Ok(None);
        }
        Ok(request.loaders.creators.load(id).await?.map(Self))
    }
}

/// Someone who shares links for the brand.
#[Object]
impl Creator {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Creator, self.0.id)
    }

    /// The unique short name in the brand.
    async fn handle(&self) -> &str {
        &self.0.handle
    }

    /// The name for people.
    async fn display_name(&self) -> &str {
        &self.0.display_name
    }

    /// Whether the creator takes part.
    async fn status(&self) -> CreatorStatus {
        self.0.status.into()
    }

    /// The brand's own grouping, for example `gold`.
    async fn tier(&self) -> Option<&str> {
        self.0.tier.as_deref()
    }

    /// When the creator was recorded.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// The creator's accounts on platforms, the oldest first.
    async fn platform_accounts(&self, ctx: &Context<'_>) -> Result<Vec<PlatformAccount>> {
        let request = ctx.request()?;
        let accounts = request.loaders.accounts.load(self.0.id).await?;
        let shown = |account: creators::PlatformAccount| {
            let code = verification_code(&request.app.keyring, &request.scope, &account);
            PlatformAccount::of(account, code)
        };
        Ok(accounts.unwrap_or_default().into_iter().map(shown).collect())
    }

    /// The creator's links, the oldest first.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn links(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, at most 500; 20 where it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
    ) -> Result<Connection<Link>> {
        let (id, page) = (self.0.id, forward(first, after.as_deref())?);
        let rows = ctx.request()?.loaders.links_of_creators.load(ListKey::new(id, &page)).await?;
        let slice = page.slice(rows.unwrap_or_default());
        Ok(Connection::new(
            slice,
            |link| Cursor::at(link.created_at, link.id),
            move |request| async move { Ok(request.loaders.link_counts.find(id).await?.unwrap_or(0)) }.boxed(),
        ))
    }

    /// What the creator has brought about.
    async fn performance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first moment that counts.")] from: Option<DateTime<Utc>>,
        #[graphql(desc = "The moment from which on nothing counts.")] to: Option<DateTime<Utc>>,
        #[graphql(desc = "Only this campaign.")] campaign_id: Option<ID>,
        #[graphql(desc = "The model that divides the credit; left out: the one of each campaign's own policy.")]
        model: Option<AttributionModel>,
    ) -> Result<CreatorPerformance> {
        let request = ctx.request()?;
        let campaign_id = parse_id_opt(Kind::Campaign, campaign_id.as_ref(), &["campaignId"])?;
        let campaign = match campaign_id {
            Some(id) => request.loaders.campaigns.load(id).await?,
            None => None,
        };
        let query = PerformanceQuery {
            from,
            to,
            campaign_id,
            model: model.map(|model| crate::campaigns::AttributionModel::from(model).as_str()),
            currency: campaign.map_or(request.scope.currency, |campaign| campaign.currency),
        };
        Ok(request.loaders.performances.require((self.0.id, query)).await?.into())
    }

    /// Who got which share of the credit for conversions of this creator, the newest first.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn attribution_records(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, at most 500; 20 where it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
        #[graphql(desc = "Which records.")] filter: Option<AttributionFilter>,
    ) -> Result<Connection<AttributionRecord>> {
        records_of(ctx, RecordParent::Creator, self.0.id, (first, after), filter.as_ref()).await
    }

    /// What was judged of the creator's touches, and what its open alerts weigh.
    async fn fraud_metrics(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first moment that counts.")] from: Option<DateTime<Utc>>,
        #[graphql(desc = "The moment from which on nothing counts.")] to: Option<DateTime<Utc>>,
    ) -> Result<FraudMetrics> {
        metrics_of(ctx, MetricsParent::Creator, self.0.id, ctx.request()?.scope.currency, (from, to)).await
    }

    /// What can be paid to the creator now, less what the creator owes for rewards that were taken back after they were paid, one amount
    /// per currency: below zero where more is owed. Empty where nothing ever could be paid.
    async fn balances(&self, ctx: &Context<'_>) -> Result<Vec<Money>> {
        balances_of(ctx, self.0.id).await
    }

    /// The creator's payouts, the last made first.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn payouts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, at most 500; 20 where it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
    ) -> Result<Connection<Payout>> {
        payouts_of(ctx, Beneficiary::Creator(self.0.id), first, after).await
    }
}

/// Which creators are wanted.
#[derive(InputObject, Clone, Debug, Default)]
pub struct CreatorFilter {
    /// Only those of one of these statuses.
    status: Option<Vec<CreatorStatus>>,
    /// Only those of this tier.
    tier: Option<String>,
    /// Part of the handle or of the display name, whatever the case.
    search: Option<String>,
    /// Only those with a link in this campaign.
    campaign_id: Option<ID>,
}

impl CreatorFilter {
    fn into_filter(self, request: &RequestContext) -> crate::base::Result<creators::CreatorFilter> {
        Ok(creators::CreatorFilter {
            ids: request.scope.creator_id.map(|own| vec![own]),
            statuses: self.status.map(|all| all.into_iter().map(Into::into).collect()),
            tier: self.tier,
            search: self.search,
            campaign_id: parse_id_opt(Kind::Campaign, self.campaign_id.as_ref(), &["filter", "campaignId"])?,
        })
    }
}

/// How a list of creators is sorted.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "creators::CreatorOrder")]
pub enum CreatorOrder {
    /// By the moment of recording, the oldest first.
    CreatedAt,
    /// By the handle.
    Handle,
}

#[derive(Default)]
pub struct CreatorQuery;

#[Object]
impl CreatorQuery {
    /// A creator by identifier or by handle: pass exactly one. Null if there is none.
    async fn creator(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The identifier.")] id: Option<ID>,
        #[graphql(desc = "The unique short name.")] handle: Option<String>,
    ) -> Result<Option<Creator>> {
        let request = ctx.request()?;
        let id = match (id, handle) {
            (Some(id), None) => parse_id(Kind::Creator, &id, &["id"])?,
            (None, Some(handle)) => {
                require_growth(request)?;
                let found = creators::by_handle(&mut *request.conn().await?, &request.scope, &handle).await?;
                let found = found.filter(|creator| request.sees_creator(Some(creator.id)));
                return Ok(found.map(Creator));
            }
            _ => return Err(Error::invalid(&["id"], "Pass exactly one of id and handle.").into()),
        };
        Creator::find(request, id).await
    }

    /// The brand's creators.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    #[expect(
        clippy::too_many_arguments,
        reason = "Relay's four arguments, a filter and an order are the field's contract"
    )]
    async fn creators(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, counted from the start; at most 500.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
        #[graphql(desc = "Rows of the page, counted from the end; at most 500.")] last: Option<i32>,
        #[graphql(desc = "The cursor before which the page ends.")] before: Option<String>,
        #[graphql(desc = "Which creators are wanted.")] filter: Option<CreatorFilter>,
        #[graphql(desc = "How the list is sorted; left out: by the moment of recording.")] order_by: Option<
            CreatorOrder,
        >,
    ) -> Result<Connection<Creator>> {
        let request = ctx.request()?;
        require_growth(request)?;
        let page = Page::from_args(first, after.as_deref(), last, before.as_deref())?;
        let filter = filter.unwrap_or_default().into_filter(request)?;
        let order = order_by.map_or(creators::CreatorOrder::default(), Into::into);
        let slice = creators::page(&mut *request.conn().await?, &request.scope, &filter, order, &page).await?;
        Ok(Connection::new(
            slice,
            |creator| Cursor::at(creator.created_at, creator.id),
            move |request| {
                let filter = filter.clone();
                async move { creators::count(&mut *request.conn().await?, &request.scope, &filter).await }.boxed()
            },
        ))
    }
}
