//! Payouts and their sheets in the API.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result};
use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use uuid::Uuid;

use super::connection::{Connection, page_cost};
use super::context::{parse_id_opt, to_id};
use super::fraud::{FraudMetrics, metrics_of};
use super::links::LinkOwner;
use super::rewards::Reward;
use super::scalars::Money;
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::{self, Cursor, Error, Kind, Page, Slice};
use crate::fraud::reads::MetricsParent;
use crate::payouts::reads::{self, payout_count, payout_page};
use crate::payouts::{self, LineReason};
use crate::rewards::Beneficiary;
use crate::rewards::reads::Reward as RewardRow;

/// How far a payout has come.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "payouts::PayoutState")]
pub enum PayoutState {
    /// A sheet that waits for an approval. Its rewards are kept from other payouts, and no money has moved.
    Draft,
    /// Promised: its rewards are paid on the ledger, and the payment provider is asked to send the amount.
    Approved,
    /// The provider has paid.
    Paid,
    /// The provider did not pay: its rewards are available again.
    Failed,
    /// Given up before it was approved.
    Canceled,
}

/// Why a line of the sheet is not paid with its payout.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "LineReason")]
pub enum PayoutLineReason {
    /// Its escrow has not ended.
    InEscrow,
    /// A fraud decision keeps it back.
    Held,
    /// An open alert weighs on its referee.
    OpenAlert,
    /// An alert on its referee was confirmed.
    FraudConfirmed,
    /// Another payout holds it.
    InAnotherPayout,
    /// It was taken back, or is not available any more, since the sheet was made.
    TakenBack,
    /// The creator is banned.
    BeneficiaryBanned,
    /// All lines together come to less than the minimum.
    BelowMinimum,
    /// What would be sent is less than its campaign's policy asks for: it waits for more.
    BelowCampaignMinimum,
}

/// One reward on a payout's sheet.
#[derive(Clone, Debug)]
pub struct PayoutLine(reads::Line);

impl From<reads::Line> for PayoutLine {
    fn from(line: reads::Line) -> Self {
        Self(line)
    }
}

/// One reward on a payout's sheet.
#[Object]
impl PayoutLine {
    /// Its place on the sheet, from 1.
    async fn number(&self) -> i32 {
        self.0.number
    }

    /// The reward.
    async fn reward(&self, ctx: &Context<'_>) -> Result<Reward> {
        Ok(ctx.request()?.loaders.rewards.require(self.0.reward_id).await?.into())
    }

    /// How much was granted.
    async fn granted(&self) -> Money {
        self.0.granted.into()
    }

    /// What of it was not taken back when the line was last looked at: what is paid, where it is payable.
    async fn amount(&self) -> Money {
        self.0.amount.into()
    }

    /// Whether it is paid with this payout.
    async fn payable(&self) -> bool {
        self.0.reason.is_none()
    }

    /// Why it is not; null where it is.
    async fn reason(&self) -> Option<PayoutLineReason> {
        self.0.reason.map(Into::into)
    }
}

/// A reward with its line's place on the sheet.
struct PaidReward {
    place: Cursor,
    reward: RewardRow,
}

impl From<PaidReward> for Reward {
    fn from(paid: PaidReward) -> Self {
        Self(paid.reward)
    }
}

/// What is paid to one beneficiary at once.
#[derive(Clone, Debug)]
pub struct Payout(pub reads::Payout);

impl From<reads::Payout> for Payout {
    fn from(payout: reads::Payout) -> Self {
        Self(payout)
    }
}

impl Payout {
    /// The payout of this identifier, if the bearer may see it.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        request.require(Permission::ReadMoney)?;
        let payout = request.loaders.payouts.load(id).await?;
        Ok(payout.filter(|payout| request.sees_creator(payout.beneficiary.creator_id())).map(Self))
    }

    /// A page of its lines: all, or those that it pays.
    async fn page(&self, request: &RequestContext, is_paid_only: bool, page: Page) -> Result<Slice<reads::Line>> {
        let lines = request.loaders.payout_lines.load((self.0.id, is_paid_only, page)).await?;
        Ok(lines.unwrap_or_else(Slice::empty))
    }
}

/// What is paid to one beneficiary at once.
#[Object]
impl Payout {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Payout, self.0.id)
    }

    /// Who is paid.
    async fn beneficiary(&self, ctx: &Context<'_>) -> Result<LinkOwner> {
        let loaders = &ctx.request()?.loaders;
        Ok(match self.0.beneficiary {
            Beneficiary::Creator(id) => LinkOwner::Creator(loaders.creators.require(id).await?.into()),
            Beneficiary::Member(id) => LinkOwner::Member(loaders.members.require(id).await?.into()),
        })
    }

    /// What is sent: the payable lines, less what the beneficiary owes. Never below zero.
    async fn amount(&self) -> Money {
        self.0.amount.into()
    }

    /// The sum of the payable lines.
    async fn gross(&self) -> Money {
        self.0.gross.into()
    }

    /// What of the sum settles what the beneficiary owes for rewards that were taken back after they were paid.
    async fn netted(&self) -> Money {
        self.0.netted.into()
    }

    /// How far it has come.
    async fn state(&self) -> PayoutState {
        self.0.state.into()
    }

    /// The sheet: every reward that was looked at, whether it is paid and why not. Those that could be paid come first.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn lines(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, at most 500; 20 where it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
    ) -> Result<Connection<PayoutLine>> {
        let page = Page::from_args(first, after.as_deref(), None, None)?;
        let (slice, count) = (self.page(ctx.request()?, false, page).await?, i64::from(self.0.line_count));
        Ok(Connection::new(slice, reads::Line::place, move |_| Box::pin(async move { Ok(count) })))
    }

    /// The rewards that it pays.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn rewards(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, at most 500; 20 where it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
    ) -> Result<Connection<Reward>> {
        let request = ctx.request()?;
        let page = Page::from_args(first, after.as_deref(), None, None)?;
        let Slice { items, has_next, has_previous } = self.page(request, true, page).await?;
        let found = try_join_all(items.iter().map(|line| request.loaders.rewards.require(line.reward_id))).await?;
        let paid = |(line, reward): (&reads::Line, RewardRow)| PaidReward { place: line.place(), reward };
        let slice = Slice { items: items.iter().zip(found).map(paid).collect(), has_next, has_previous };
        let count = i64::from(self.0.payable_count);
        Ok(Connection::new(slice, |paid: &PaidReward| paid.place, move |_| Box::pin(async move { Ok(count) })))
    }

    /// What was judged of the beneficiary's touches, and what its open alerts weigh in the brand's own currency.
    async fn fraud_metrics(&self, ctx: &Context<'_>) -> Result<FraudMetrics> {
        let parent = match self.0.beneficiary {
            Beneficiary::Creator(_) => MetricsParent::Creator,
            Beneficiary::Member(_) => MetricsParent::Member,
        };
        metrics_of(ctx, parent, self.0.beneficiary.id(), ctx.request()?.scope.currency, (None, None)).await
    }

    /// How many open alerts weigh on it now: on the beneficiary, or on referees whose rewards it pays.
    async fn open_alerts(&self, ctx: &Context<'_>) -> Result<i32> {
        let request = ctx.request()?;
        request.require(Permission::ReadFraud)?;
        let count = request.loaders.payout_alerts.load(self.0.id).await?.unwrap_or(0);
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// Only rewards that were earned before this moment were looked at.
    async fn earned_before(&self) -> Option<DateTime<Utc>> {
        self.0.earned_before
    }

    /// When the sheet was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// The key that made it.
    async fn created_by(&self) -> Option<ID> {
        self.0.created_by.map(|id| to_id(Kind::Key, id))
    }

    /// When it was approved.
    async fn approved_at(&self) -> Option<DateTime<Utc>> {
        self.0.approved_at
    }

    /// The key that approved it.
    async fn approved_by(&self) -> Option<ID> {
        self.0.approved_by.map(|id| to_id(Kind::Key, id))
    }

    /// Why it was approved although open alerts weighed on it; null where none did, and to those who may not read alerts.
    async fn override_reason(&self, ctx: &Context<'_>) -> Result<Option<&str>> {
        let is_shown = ctx.request()?.scope.role.allows(Permission::ReadFraud);
        Ok(self.0.override_reason.as_deref().filter(|_| is_shown))
    }

    /// When it was paid, failed or was canceled.
    async fn closed_at(&self) -> Option<DateTime<Utc>> {
        self.0.closed_at
    }

    /// The payment provider's own name of the payment.
    async fn provider_reference(&self) -> Option<&str> {
        self.0.provider_reference.as_deref()
    }

    /// Why it failed or was canceled.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }
}

/// Which payouts are wanted. What is left out is not asked about.
#[derive(InputObject, Clone, Debug, Default)]
pub struct PayoutFilter {
    /// In one of these states.
    state: Option<Vec<PayoutState>>,
    /// To this creator.
    creator_id: Option<ID>,
    /// To this member.
    member_id: Option<ID>,
    /// In this currency, by its ISO 4217 code.
    currency: Option<String>,
    /// Made from this moment on.
    from: Option<DateTime<Utc>>,
    /// Made before this moment.
    to: Option<DateTime<Utc>>,
}

impl PayoutFilter {
    /// Reads the identifiers, and narrows the filter to what the bearer may see.
    fn read(self, request: &RequestContext) -> base::Result<reads::PayoutFilter> {
        let id = |kind, id: &Option<ID>, field: &str| parse_id_opt(kind, id.as_ref(), &["filter", field]);
        let currency = self.currency.as_deref().map(|code| parse_currency(code, &["filter", "currency"]));
        Ok(reads::PayoutFilter {
            states: self.state.unwrap_or_default().into_iter().map(Into::into).collect(),
            creator_id: request.narrow_creator(id(Kind::Creator, &self.creator_id, "creatorId")?),
            member_id: id(Kind::Member, &self.member_id, "memberId")?,
            currency: currency.transpose()?,
            from: self.from,
            to: self.to,
        })
    }
}

/// Reads a currency; `path` names the argument in the refusal.
pub fn parse_currency(code: &str, path: &[&str]) -> base::Result<base::Currency> {
    let wrong = |_: base::MoneyError| Error::invalid(path, "Pass three capital letters (ISO 4217), for example USD.");
    code.parse().map_err(wrong)
}

/// The payouts of one beneficiary, newest first: one statement however many beneficiaries ask. A creator's key sees its own alone.
pub async fn payouts_of(
    ctx: &Context<'_>,
    beneficiary: Beneficiary,
    first: Option<i32>,
    after: Option<String>,
) -> Result<Connection<Payout>> {
    let request = ctx.request()?;
    request.require(Permission::ReadMoney)?;
    let page = Page::from_args(first, after.as_deref(), None, None)?;
    let is_hidden = !request.sees_creator(beneficiary.creator_id());
    let slice = if is_hidden { None } else { request.loaders.payout_pages.load((beneficiary, page)).await? };
    Ok(Connection::new(slice.unwrap_or_else(Slice::empty), reads::Payout::place, move |request| {
        Box::pin(async move {
            if is_hidden {
                return Ok(0);
            }
            Ok(request.loaders.payout_counts.find(beneficiary).await?.unwrap_or(0))
        })
    }))
}

#[derive(Default)]
pub struct PayoutQuery;

#[Object]
impl PayoutQuery {
    /// What was paid, is promised, or waits for an approval, the last made first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn payouts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many payouts from the start of the list.")] first: Option<i32>,
        #[graphql(desc = "Only payouts after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many payouts from the end of the list.")] last: Option<i32>,
        #[graphql(desc = "Only payouts before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which payouts.")] filter: Option<PayoutFilter>,
    ) -> Result<Connection<Payout>> {
        let request = ctx.request()?;
        request.require(Permission::ReadMoney)?;
        let filter = filter.unwrap_or_default().read(request)?;
        let page = Page::from_args(first, after.as_deref(), last, before.as_deref())?;
        let slice = payout_page(&mut *request.conn().await?, &request.scope, &filter, &page).await?;
        Ok(Connection::new(slice, reads::Payout::place, move |request| {
            let filter = filter.clone();
            Box::pin(async move { payout_count(&mut *request.conn().await?, &request.scope, &filter).await })
        }))
    }
}
