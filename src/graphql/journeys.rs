//! Touchpoints and conversions in the API.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::attribution::AttributionRecord;
use super::connection::Connection;
use super::context::to_id;
use super::fraud::FraudDecision;
use super::node::require_growth;
use super::scalars::Money;
use super::{Campaign, Channel, Creator, Link, Member, Platform, RequestContext, RequestExt};
use crate::attribution::reads;
use crate::base::{self, Cursor, Kind, Page, Slice};
use crate::journeys;

/// What was done.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "crate::events::TouchKind")]
pub enum TouchKind {
    /// A link was followed.
    Click,
    /// Something was seen.
    View,
    /// An app was installed.
    Install,
    /// An app was opened.
    Open,
    /// The person signed up.
    Signup,
    /// The person became active.
    Activation,
    /// The person bought, and the sale says who led to it.
    Conversion,
}

/// A click as an advertising platform names it: what tells that platform which of its clicks led to a conversion.
#[derive(SimpleObject, Clone, Debug)]
pub struct AdClick {
    /// The parameter of the address, for example `gclid`.
    pub parameter: String,
    /// Its value, as it came.
    pub value: String,
}

/// One act of a person that somebody may be credited for.
#[derive(Clone, Debug)]
pub struct Touchpoint(pub reads::Touchpoint);

impl From<reads::Touchpoint> for Touchpoint {
    fn from(touchpoint: reads::Touchpoint) -> Self {
        Self(touchpoint)
    }
}

impl From<&journeys::Touch> for Touchpoint {
    fn from(touch: &journeys::Touch) -> Self {
        Self(reads::Touchpoint {
            id: touch.id,
            kind: touch.kind,
            occurred_at: touch.occurred_at,
            recorded_at: touch.recorded_at,
            creator_id: touch.creator_id,
            referrer_id: touch.referrer_id,
            link_id: touch.link_id,
            campaign_id: touch.campaign_id,
            platform: touch.platform,
            channel: touch.channel,
            ad_clicks: touch.ad_clicks.clone(),
            decision: touch.decision,
        })
    }
}

impl Touchpoint {
    /// The touchpoint of this identifier, if the bearer may see it.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        require_growth(request)?;
        let touchpoint = request.loaders.touchpoints.load(id).await?;
        Ok(touchpoint.filter(|touchpoint| request.sees_creator(touchpoint.creator_id)).map(Self))
    }
}

/// One act of a person that somebody may be credited for. It says nothing of the person.
#[Object]
impl Touchpoint {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Touchpoint, self.0.id)
    }

    /// When it happened.
    async fn occurred_at(&self) -> DateTime<Utc> {
        self.0.occurred_at
    }

    /// When it was durably recorded.
    async fn recorded_at(&self) -> DateTime<Utc> {
        self.0.recorded_at
    }

    /// What was done.
    async fn kind(&self) -> TouchKind {
        self.0.kind.into()
    }

    /// The creator whose link or name it carries.
    async fn creator(&self, ctx: &Context<'_>) -> Result<Option<Creator>> {
        match self.0.creator_id {
            Some(id) => Creator::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// The member whose link or name it carries.
    async fn referrer(&self, ctx: &Context<'_>) -> Result<Option<Member>> {
        match self.0.referrer_id {
            Some(id) => Member::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// The link that was touched.
    async fn link(&self, ctx: &Context<'_>) -> Result<Option<Link>> {
        match self.0.link_id {
            Some(id) => Link::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// The campaign that it belongs to.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Option<Campaign>> {
        match self.0.campaign_id {
            Some(id) => Campaign::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// Where it happened.
    async fn platform(&self) -> Platform {
        self.0.platform.into()
    }

    /// The channel group of what led here, as the link or the address of the page tells; null where neither does.
    async fn channel(&self) -> Option<Channel> {
        self.0.channel.map(Into::into)
    }

    /// What advertising platforms call the click, as the address of the page told it.
    async fn ad_clicks(&self) -> Vec<AdClick> {
        let clicks = self.0.ad_clicks.iter();
        clicks.map(|(parameter, value)| AdClick { parameter: parameter.clone(), value: value.clone() }).collect()
    }

    /// What the fraud rules made of it.
    async fn decision(&self) -> FraudDecision {
        self.0.decision.into()
    }
}

/// A purchase, or whatever the brand counts as one.
#[derive(Clone, Debug)]
pub struct Conversion(pub journeys::Conversion);

impl From<journeys::Conversion> for Conversion {
    fn from(conversion: journeys::Conversion) -> Self {
        Self(conversion)
    }
}

impl Conversion {
    /// The conversion of this identifier, if the bearer may see it: a creator sees those that it is credited for.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        require_growth(request)?;
        let conversion = request.loaders.conversions.load(id).await?.map(Self);
        match conversion {
            Some(conversion) if conversion.is_seen_by(request).await? => Ok(Some(conversion)),
            _ => Ok(None),
        }
    }

    async fn is_seen_by(&self, request: &RequestContext) -> Result<bool> {
        Ok(request.scope.creator_id.is_none() || !self.records(request).await?.is_empty())
    }

    async fn records(&self, request: &RequestContext) -> Result<Vec<AttributionRecord>> {
        let records = request.loaders.conversion_records.load(self.0.id).await?.unwrap_or_default();
        let seen = records.into_iter().filter(|record| request.sees_creator(record.creator_id));
        Ok(seen.map(AttributionRecord).collect())
    }
}

/// A purchase, or whatever the brand counts as one.
#[Object]
impl Conversion {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Conversion, self.0.id)
    }

    /// The member who converted, if it is one.
    async fn member(&self, ctx: &Context<'_>) -> Result<Option<Member>> {
        match self.0.member_id {
            Some(id) => Member::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// The campaign whose policies judge it.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Option<Campaign>> {
        match self.0.campaign_id {
            Some(id) => Campaign::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// When it happened.
    async fn occurred_at(&self) -> DateTime<Utc> {
        self.0.occurred_at
    }

    /// When it was durably recorded.
    async fn recorded_at(&self) -> DateTime<Utc> {
        self.0.recorded_at
    }

    /// What it was worth, before refunds.
    async fn value(&self) -> Money {
        self.0.value.into()
    }

    /// What was given back since.
    async fn refunded(&self) -> Money {
        base::Money::new(self.0.refunded_minor, self.0.value.currency).into()
    }

    /// Who has the credit now, the earliest touch first.
    #[graphql(complexity = "child_complexity.saturating_mul(50).saturating_add(1)")]
    async fn attribution(&self, ctx: &Context<'_>) -> Result<Vec<AttributionRecord>> {
        self.records(ctx.request()?).await
    }
}

/// The conversions of a member, newest first: one statement however many members ask. A creator's key sees none of them.
pub async fn conversions_of(
    ctx: &Context<'_>,
    member_id: Uuid,
    first: Option<i32>,
    after: Option<String>,
) -> Result<Connection<Conversion>> {
    let request = ctx.request()?;
    require_growth(request)?;
    let page = Page::from_args(first, after.as_deref(), None, None)?;
    let is_hidden = request.scope.creator_id.is_some();
    let slice = if is_hidden { None } else { request.loaders.conversion_pages.load((member_id, page)).await? };
    let place = |row: &journeys::Conversion| Cursor::at(row.occurred_at, row.id);
    Ok(Connection::new(slice.unwrap_or_else(Slice::empty), place, move |request| {
        Box::pin(async move {
            if is_hidden {
                return Ok(0);
            }
            Ok(request.loaders.conversion_counts.find(member_id).await?.unwrap_or(0))
        })
    }))
}
