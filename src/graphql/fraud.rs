//! Fraud in the API: alerts with their signals, a person's decision on them, and sums.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject, Union};
use chrono::{DateTime, Utc};
use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use super::batches::MetricsKey;
use super::connection::{Connection, page_cost};
use super::context::{parse_id, parse_id_opt, to_id};
use super::journeys::{Conversion, Touchpoint};
use super::node::require_growth;
use super::rewards::Reward;
use super::scalars::{Money, MoneyInput};
use super::{Campaign, Creator, Member, RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::{self, Kind, Page};
use crate::fraud::reads::{self, AlertFilter, MetricsParent, alert_count, alert_page};
use crate::fraud::review::{self, review_alert};
use crate::fraud::{StoredSignal, SubjectKind};
use crate::payload;

/// What the fraud rules decided.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "crate::journeys::Decision")]
pub enum FraudDecision {
    /// It counts.
    Allow,
    /// It counts, and a person should look at it.
    Review,
    /// It does not count; it is kept and shown.
    Block,
}

/// What people made of an alert.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "reads::AlertState")]
pub enum AlertState {
    /// Nobody has decided yet.
    Open,
    /// It was fraud.
    Confirmed,
    /// It was not.
    Dismissed,
}

/// What a person decides on an alert.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "review::Verdict")]
pub enum AlertVerdict {
    /// It is fraud.
    Confirm,
    /// It is not.
    Dismiss,
}

/// One reason of a judgement.
#[derive(SimpleObject, Clone, Debug)]
pub struct FraudSignal {
    /// The signal, for example `VELOCITY`.
    pub name: String,
    /// What it adds to the score, from 0 to 1.
    pub weight: f64,
    /// What was seen.
    pub observed: String,
    /// From where on it speaks, where there is such a limit.
    pub threshold: Option<String>,
    /// Whether it was only recorded: it adds nothing to the score.
    pub is_shadow: bool,
}

impl From<&StoredSignal> for FraudSignal {
    fn from(signal: &StoredSignal) -> Self {
        Self {
            name: signal.name.clone(),
            weight: to_share(signal.weight_ppm),
            observed: signal.observed.clone(),
            threshold: signal.threshold.clone(),
            is_shadow: signal.is_shadow,
        }
    }
}

/// Millionths as a share of one: of scores and weights only, never of money.
fn to_share(ppm: i32) -> f64 {
    f64::from(ppm) / 1_000_000.0
}

/// A judgement and its reasons.
#[derive(SimpleObject, Clone, Debug)]
pub struct FraudAssessment {
    /// What was decided.
    pub decision: FraudDecision,
    /// The sum of what the signals add, from 0 to 1.
    pub score: f64,
    /// Every signal that spoke.
    pub signals: Vec<FraudSignal>,
    /// When it was judged.
    pub assessed_at: DateTime<Utc>,
}

/// What was judged.
#[derive(Union)]
pub enum FraudSubject {
    Touchpoint(Touchpoint),
    Conversion(Conversion),
    Member(Member),
    Creator(Creator),
    Reward(Reward),
}

/// A burst of suspicious acts that a person should look at.
#[derive(Clone, Debug)]
pub struct FraudAlert(pub reads::FraudAlert);

impl From<reads::FraudAlert> for FraudAlert {
    fn from(alert: reads::FraudAlert) -> Self {
        Self(alert)
    }
}

impl FraudAlert {
    /// The alert of this identifier, if the bearer may see it.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        request.require(Permission::ReadFraud)?;
        Ok(request.loaders.fraud_alerts.load(id).await?.map(Self))
    }
}

/// A burst of suspicious acts that a person should look at.
#[Object]
impl FraudAlert {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Alert, self.0.id)
    }

    /// When it was raised.
    async fn raised_at(&self) -> DateTime<Utc> {
        self.0.raised_at
    }

    /// What was decided on the first act of the burst.
    async fn decision(&self) -> FraudDecision {
        self.0.decision.into()
    }

    /// The sum of what the signals add, from 0 to 1.
    async fn score(&self) -> f64 {
        to_share(self.0.score_ppm)
    }

    /// Every signal that spoke.
    async fn signals(&self) -> Vec<FraudSignal> {
        self.0.signals.iter().map(FraudSignal::from).collect()
    }

    /// How many acts the burst has so far.
    async fn occurrences(&self) -> i32 {
        i32::try_from(self.0.occurrence_count).unwrap_or(i32::MAX)
    }

    /// The identifier of what was judged. A key that may read alerts only can read this.
    async fn subject_id(&self) -> ID {
        let kind = match self.0.subject_kind {
            SubjectKind::Touchpoint => Kind::Touchpoint,
            SubjectKind::Conversion => Kind::Conversion,
            SubjectKind::Member => Kind::Member,
            SubjectKind::Creator => Kind::Creator,
            SubjectKind::Reward => Kind::Reward,
        };
        to_id(kind, self.0.subject_id)
    }

    /// What was judged, the first of the burst. It needs a key that may read growth data.
    async fn subject(&self, ctx: &Context<'_>) -> Result<FraudSubject> {
        let request = ctx.request()?;
        require_growth(request)?;
        let (loaders, id) = (&request.loaders, self.0.subject_id);
        Ok(match self.0.subject_kind {
            SubjectKind::Touchpoint => FraudSubject::Touchpoint(loaders.touchpoints.require(id).await?.into()),
            SubjectKind::Conversion => FraudSubject::Conversion(loaders.conversions.require(id).await?.into()),
            SubjectKind::Member => FraudSubject::Member(loaders.members.require(id).await?.into()),
            SubjectKind::Creator => FraudSubject::Creator(loaders.creators.require(id).await?.into()),
            SubjectKind::Reward => FraudSubject::Reward(loaders.rewards.require(id).await?.into()),
        })
    }

    /// The campaign that it happened in.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Option<Campaign>> {
        match self.0.campaign_id {
            Some(id) => Campaign::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// The creator whom it would have profited.
    async fn creator(&self, ctx: &Context<'_>) -> Result<Option<Creator>> {
        match self.0.creator_id {
            Some(id) => Creator::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// The member whom it would have profited.
    async fn member(&self, ctx: &Context<'_>) -> Result<Option<Member>> {
        match self.0.member_id {
            Some(id) => Member::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// What people made of it.
    async fn state(&self) -> AlertState {
        self.0.state.into()
    }

    /// When a person decided.
    async fn reviewed_at(&self) -> Option<DateTime<Utc>> {
        self.0.reviewed_at
    }

    /// Why the person decided so.
    async fn review_note(&self) -> Option<&str> {
        self.0.review_note.as_deref()
    }

    /// What would be paid because of it.
    async fn value_at_risk(&self) -> Money {
        self.0.value_at_risk.into()
    }
}

/// Which alerts are wanted. What is left out is not asked about.
#[derive(InputObject, Clone, Debug, Default)]
pub struct FraudAlertFilter {
    /// With one of these decisions.
    decision: Option<Vec<FraudDecision>>,
    /// In one of these states.
    state: Option<Vec<AlertState>>,
    /// In this campaign.
    campaign_id: Option<ID>,
    /// That would have profited this creator.
    creator_id: Option<ID>,
    /// That would have profited this member.
    member_id: Option<ID>,
    /// In which this signal spoke, for example `VELOCITY`.
    signal: Option<String>,
    /// With at least this much at risk, in this currency.
    min_value_at_risk: Option<MoneyInput>,
    /// Raised from this moment on.
    from: Option<DateTime<Utc>>,
    /// Raised before this moment.
    to: Option<DateTime<Utc>>,
}

impl FraudAlertFilter {
    pub(super) fn read(self) -> base::Result<AlertFilter> {
        let id = |kind, id: &Option<ID>, field: &str| parse_id_opt(kind, id.as_ref(), &["filter", field]);
        let least = self.min_value_at_risk.map(|least| least.to_money(&["filter", "minValueAtRisk"]));
        Ok(AlertFilter {
            decisions: self.decision.unwrap_or_default().into_iter().map(Into::into).collect(),
            states: self.state.unwrap_or_default().into_iter().map(Into::into).collect(),
            campaign_id: id(Kind::Campaign, &self.campaign_id, "campaignId")?,
            creator_id: id(Kind::Creator, &self.creator_id, "creatorId")?,
            member_id: id(Kind::Member, &self.member_id, "memberId")?,
            signal: self.signal,
            value_at_risk_min: least.transpose()?,
            from: self.from,
            to: self.to,
        })
    }
}

/// What was judged over a time, and what open alerts weigh.
#[derive(SimpleObject, Clone, Debug)]
pub struct FraudMetrics {
    /// Touches that were judged.
    pub events: i32,
    /// Touches that count but should be looked at.
    pub reviewed: i32,
    /// Touches that were blocked.
    pub blocked: i32,
    /// Blocked touches as a share of all, from 0 to 1.
    pub block_rate: f64,
    /// Alerts of that time that nobody has decided on.
    pub open_alerts: i32,
    /// What those alerts would pay, in the campaign's or the brand's currency.
    pub value_at_risk: Money,
}

impl From<reads::Metrics> for FraudMetrics {
    fn from(sums: reads::Metrics) -> Self {
        let count = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
        let (events, blocked) = (count(sums.touches), count(sums.blocked));
        Self {
            events,
            reviewed: count(sums.in_review),
            blocked,
            block_rate: if events == 0 { 0.0 } else { f64::from(blocked) / f64::from(events) },
            open_alerts: count(sums.open_alerts),
            value_at_risk: sums.value_at_risk.into(),
        }
    }
}

/// The sums of a creator or a campaign: one statement however many ask. `currency` is the campaign's, or the brand's.
pub async fn metrics_of(
    ctx: &Context<'_>,
    parent: MetricsParent,
    parent_id: Uuid,
    currency: base::Currency,
    (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
) -> Result<FraudMetrics> {
    let request = ctx.request()?;
    request.require(Permission::ReadFraud)?;
    let key = MetricsKey { parent, parent_id, currency, from, to };
    Ok(request.loaders.fraud_metrics.require(key).await?.into())
}

/// The last judgement on a member, if a signal ever spoke: one statement however many members ask.
pub async fn risk_of(ctx: &Context<'_>, member_id: Uuid) -> Result<Option<FraudAssessment>> {
    let request = ctx.request()?;
    request.require(Permission::ReadFraud)?;
    let judgement = request.loaders.judgements.load(member_id).await?;
    Ok(judgement.map(|judgement| FraudAssessment {
        decision: judgement.decision.into(),
        score: to_share(judgement.score_ppm),
        signals: judgement.signals.iter().map(FraudSignal::from).collect(),
        assessed_at: judgement.assessed_at,
    }))
}

#[derive(Default)]
pub struct FraudQuery;

#[Object]
impl FraudQuery {
    /// What people should look at, the last raised first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn fraud_alerts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many alerts from the start of the list.")] first: Option<i32>,
        #[graphql(desc = "Only alerts after this cursor, that is, raised before it.")] after: Option<String>,
        #[graphql(desc = "How many alerts from the end of the list.")] last: Option<i32>,
        #[graphql(desc = "Only alerts before this cursor, that is, raised after it.")] before: Option<String>,
        #[graphql(desc = "Which alerts.")] filter: Option<FraudAlertFilter>,
    ) -> Result<Connection<FraudAlert>> {
        let request = ctx.request()?;
        request.require(Permission::ReadFraud)?;
        let filter = filter.unwrap_or_default().read()?;
        let page = Page::from_args(first, after.as_deref(), last, before.as_deref())?;
        let slice = alert_page(&mut *request.conn().await?, &request.scope, &filter, &page).await?;
        Ok(Connection::new(slice, reads::FraudAlert::place, move |request| {
            let filter = filter.clone();
            Box::pin(async move { alert_count(&mut *request.conn().await?, &request.scope, &filter).await })
        }))
    }
}

/// A person's decision on an alert.
#[derive(InputObject, Clone, Debug)]
pub struct ReviewFraudAlertInput {
    /// The alert. It must be open: a decision is final.
    alert_id: ID,
    /// What the person decides.
    verdict: AlertVerdict,
    /// Why, in 1 to 2,000 bytes.
    note: String,
}

payload! {
    /// The outcome of a review.
    ReviewFraudAlertPayload {
        /// The alert with the decision.
        fraud_alert: FraudAlert,
    }
}

#[derive(Default)]
pub struct FraudMutation;

#[Object]
impl FraudMutation {
    /// Confirms or dismisses an open alert. The decision is final, and the note is kept.
    async fn review_fraud_alert(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The decision.")] input: ReviewFraudAlertInput,
    ) -> Result<ReviewFraudAlertPayload> {
        let request = ctx.request()?;
        request.require(Permission::ReviewFraud)?;
        let reviewed = review_from(request, &input).await;
        ReviewFraudAlertPayload::of(reviewed)
    }
}

async fn review_from(request: &RequestContext, input: &ReviewFraudAlertInput) -> base::Result<reads::FraudAlert> {
    let alert_id = parse_id(Kind::Alert, &input.alert_id, &["alertId"])?;
    let (scope, now, note) = (&request.scope, request.app.env.now(), input.note.as_str());
    let verdict: review::Verdict = input.verdict.into();
    let db = &request.app.db;
    db.transaction(|conn| async move { review_alert(conn, scope, now, alert_id, verdict, note).await }.scope_boxed())
        .await
}
