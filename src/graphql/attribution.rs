//! Attribution in the API: records, and how a conversion came to have them.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::batches::RecordPageKey;
use super::connection::{Connection, page_cost};
use super::context::{parse_id, parse_id_opt, to_id};
use super::identities::IdentityMerge;
use super::journeys::{Conversion, Touchpoint};
use super::node::require_growth;
use super::policies::AttributionPolicy;
use super::scalars::{Decimal, Money};
use super::{AttributionModel, Campaign, Creator, Member, RequestContext, RequestExt};
use crate::attribution;
use crate::attribution::reads::{RecordFilter, RecordParent, record_count, record_page};
use crate::base::{self, Kind, Page, Slice};

/// A part of the credit of a conversion.
#[derive(Clone, Debug)]
pub struct AttributionRecord(pub attribution::reads::AttributionRecord);

impl From<attribution::reads::AttributionRecord> for AttributionRecord {
    fn from(record: attribution::reads::AttributionRecord) -> Self {
        Self(record)
    }
}

impl AttributionRecord {
    /// The record of this identifier, if the bearer may see it.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        require_growth(request)?;
        let record = request.loaders.attribution_records.load(id).await?;
        Ok(record.filter(|record| request.sees_creator(record.creator_id)).map(Self))
    }
}

/// A part of the credit of a conversion. Per conversion and model, the weights of the records that stand sum to exactly 1 and their values to
/// exactly the conversion's value.
#[Object]
impl AttributionRecord {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Attribution, self.0.id)
    }

    /// The conversion whose credit this is a part of.
    async fn conversion(&self, ctx: &Context<'_>) -> Result<Conversion> {
        Ok(ctx.request()?.loaders.conversions.require(self.0.conversion_id).await?.into())
    }

    /// The touch that is credited.
    async fn touchpoint(&self, ctx: &Context<'_>) -> Result<Touchpoint> {
        Ok(ctx.request()?.loaders.touchpoints.require(self.0.touchpoint_id).await?.into())
    }

    /// The creator who is credited, if a creator is.
    async fn creator(&self, ctx: &Context<'_>) -> Result<Option<Creator>> {
        match self.0.creator_id {
            Some(id) => Creator::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// The member who is credited, if a member is.
    async fn referrer(&self, ctx: &Context<'_>) -> Result<Option<Member>> {
        match self.0.referrer_id {
            Some(id) => Member::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// The campaign of the touch.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Campaign> {
        Ok(ctx.request()?.loaders.campaigns.require(self.0.campaign_id).await?.into())
    }

    /// How the credit was divided.
    async fn model(&self) -> AttributionModel {
        self.0.model.into()
    }

    /// The version of the campaign's policies that divided it.
    async fn policy_version(&self) -> i32 {
        self.0.policy_version
    }

    /// The version of what channels are worth that divided it under DATA_DRIVEN; 0 where there was none yet, so that it was divided as under
    /// LINEAR; null under the other models.
    async fn model_version(&self) -> Option<i32> {
        self.0.model_version
    }

    /// The share of the credit, from 0 to 1.
    async fn weight(&self) -> Decimal {
        to_weight(self.0.weight_units.unsigned_abs())
    }

    /// The share of the conversion's value.
    async fn value(&self) -> Money {
        self.0.value.into()
    }

    /// 0 for the touch itself; 1, 2, ... for the referral up-line above it.
    async fn degree(&self) -> i32 {
        self.0.degree.into()
    }

    /// When the conversion happened.
    async fn occurred_at(&self) -> DateTime<Utc> {
        self.0.occurred_at
    }

    /// When this credit was recorded.
    async fn recorded_at(&self) -> DateTime<Utc> {
        self.0.recorded_at
    }

    /// When newer records took its place; null while it stands.
    async fn superseded_at(&self) -> Option<DateTime<Utc>> {
        self.0.superseded_at
    }
}

/// A weight as an exact decimal.
pub fn to_weight(units: impl Into<u128>) -> Decimal {
    Decimal(attribution::decimal(units.into()))
}

/// Which attribution records are wanted. What is left out is not asked about.
#[derive(InputObject, Clone, Debug)]
pub struct AttributionFilter {
    /// Credited to this creator.
    creator_id: Option<ID>,
    /// Of touches of this campaign.
    campaign_id: Option<ID>,
    /// Credited to this member.
    member_id: Option<ID>,
    /// Of this conversion.
    conversion_id: Option<ID>,
    /// Divided by this model.
    model: Option<AttributionModel>,
    /// Of conversions from this moment on.
    from: Option<DateTime<Utc>>,
    /// Of conversions before this moment.
    to: Option<DateTime<Utc>>,
    /// Whether only records that stand are wanted; false also shows superseded ones.
    #[graphql(default = true)]
    current: bool,
}

impl AttributionFilter {
    /// Reads the identifiers, and narrows the filter to what the bearer may see.
    pub fn read(filter: Option<&Self>, request: &RequestContext) -> base::Result<RecordFilter> {
        let Some(filter) = filter else {
            return Ok(RecordFilter { creator_id: request.narrow_creator(None), ..RecordFilter::default() });
        };
        let id = |kind, id: &Option<ID>, field: &str| parse_id_opt(kind, id.as_ref(), &["filter", field]);
        Ok(RecordFilter {
            creator_id: request.narrow_creator(id(Kind::Creator, &filter.creator_id, "creatorId")?),
            campaign_id: id(Kind::Campaign, &filter.campaign_id, "campaignId")?,
            member_id: id(Kind::Member, &filter.member_id, "memberId")?,
            conversion_id: id(Kind::Conversion, &filter.conversion_id, "conversionId")?,
            model: filter.model.map(Into::into),
            from: filter.from,
            to: filter.to,
            has_superseded: !filter.current,
        })
    }
}

/// The records of a creator or a campaign: one statement however many parents ask.
pub async fn records_of(
    ctx: &Context<'_>,
    parent: RecordParent,
    parent_id: Uuid,
    page: (Option<i32>, Option<String>),
    filter: Option<&AttributionFilter>,
) -> Result<Connection<AttributionRecord>> {
    let request = ctx.request()?;
    require_growth(request)?;
    let filter = AttributionFilter::read(filter, request)?;
    let page = Page::from_args(page.0, page.1.as_deref(), None, None)?;
    let key = RecordPageKey { parent, parent_id, filter: filter.clone(), page };
    let slice = request.loaders.attribution_record_pages.load(key).await?;
    Ok(Connection::new(slice.unwrap_or_else(Slice::empty), attribution::reads::AttributionRecord::place, {
        move |request| {
            let filter = filter.clone();
            Box::pin(async move {
                let own = match parent {
                    RecordParent::Creator if filter.creator_id.is_some_and(|id| id != parent_id) => return Ok(0),
                    RecordParent::Campaign if filter.campaign_id.is_some_and(|id| id != parent_id) => return Ok(0),
                    RecordParent::Creator => RecordFilter { creator_id: Some(parent_id), ..filter },
                    RecordParent::Campaign => RecordFilter { campaign_id: Some(parent_id), ..filter },
                };
                record_count(&mut *request.conn().await?, &request.scope, &own).await
            })
        }
    }))
}

/// A touch of the conversion's person, and the verdict on it.
#[derive(SimpleObject)]
pub struct ConsideredTouchpoint {
    /// The touch.
    touchpoint: Touchpoint,
    /// Whether it got a share of the credit.
    credited: bool,
    /// Why, by name: one of a closed list, for example `OUTSIDE_WINDOW`.
    code: String,
    /// Why, in words.
    reason: String,
    /// Its share, from 0 to 1.
    weight: Decimal,
}

/// Why a conversion was credited as it was.
pub struct AttributionExplanation(attribution::Explanation);

/// Why a conversion was credited as it was.
#[Object]
impl AttributionExplanation {
    /// The conversion.
    async fn conversion(&self) -> Conversion {
        self.0.conversion.clone().into()
    }

    /// The policy that judged it.
    async fn policy(&self) -> AttributionPolicy {
        AttributionPolicy::new(self.0.policies.version, &self.0.policies.attribution)
    }

    /// The version of what channels are worth that judged it under DATA_DRIVEN; 0 where there was none yet, and null under the other models.
    async fn model_version(&self) -> Option<i32> {
        self.0.conversion.model_version
    }

    /// Every touch of the person, merged identities included, the oldest first; of very many the latest 1,000 up to the conversion and
    /// the next 1,000.
    #[graphql(complexity = "child_complexity.saturating_mul(100).saturating_add(1)")]
    async fn considered(&self) -> Vec<ConsideredTouchpoint> {
        let touches = self.0.considered.iter();
        let shown = touches.map(|(touch, verdict)| ConsideredTouchpoint {
            touchpoint: touch.into(),
            credited: verdict.reason == attribution::Reason::Credited,
            code: verdict.reason.as_str().to_owned(),
            reason: verdict.reason.describe().to_owned(),
            weight: to_weight(verdict.weight_units),
        });
        shown.collect()
    }

    /// The merges by which the person came to be who it is, undone ones too, the oldest first: `unmergeIdentities` undoes one that was wrong.
    async fn merges(&self) -> Vec<IdentityMerge> {
        self.0.merges.iter().cloned().map(IdentityMerge::from).collect()
    }
}

#[derive(Default)]
pub struct AttributionQuery;

#[Object]
impl AttributionQuery {
    /// Who got the credit of conversions, the latest conversion first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn attribution_records(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many records from the start of the list.")] first: Option<i32>,
        #[graphql(desc = "Only records after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many records from the end of the list.")] last: Option<i32>,
        #[graphql(desc = "Only records before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which records.")] filter: Option<AttributionFilter>,
    ) -> Result<Connection<AttributionRecord>> {
        let request = ctx.request()?;
        require_growth(request)?;
        let filter = AttributionFilter::read(filter.as_ref(), request)?;
        let page = Page::from_args(first, after.as_deref(), last, before.as_deref())?;
        let slice = record_page(&mut *request.conn().await?, &request.scope, &filter, &page).await?;
        Ok(Connection::new(slice, attribution::reads::AttributionRecord::place, move |request| {
            let filter = filter.clone();
            Box::pin(async move { record_count(&mut *request.conn().await?, &request.scope, &filter).await })
        }))
    }

    /// Every touch that was considered for a conversion, and why it was or was not credited. Null if there is no such conversion, or
    /// if no campaign's policy judges it.
    async fn explain_conversion(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The conversion.")] conversion_id: ID,
    ) -> Result<Option<AttributionExplanation>> {
        let request = ctx.request()?;
        require_growth(request)?;
        let id = parse_id(Kind::Conversion, &conversion_id, &["conversionId"])?;
        if request.scope.creator_id.is_some() {
            return Ok(None);
        }
        let explanation = attribution::explain(&mut *request.conn().await?, &request.scope, id).await?;
        Ok(explanation.map(AttributionExplanation))
    }
}
