//! Rewards, their ledger entries and balances in the API.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::connection::{Connection, page_cost};
use super::context::{parse_id_opt, to_id};
use super::journeys::Conversion;
use super::links::LinkOwner;
use super::scalars::Money;
use super::{Campaign, Member, RequestContext, RequestExt, RewardKind};
use crate::access::Permission;
use crate::base::{self, Error, Kind, Page, Slice};
use crate::ledger;
use crate::rewards::reads::{self, reward_count, reward_page};
use crate::rewards::{self, Beneficiary};

/// How far a reward has come.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "rewards::RewardState")]
pub enum RewardState {
    /// Earned, and not on the ledger yet.
    Pending,
    /// Set aside until its release.
    Escrowed,
    /// Kept back by a fraud decision.
    Held,
    /// Released: payable now.
    Available,
    /// Paid out.
    Paid,
    /// Taken back.
    Reversed,
    /// Not granted; the reason says why.
    Rejected,
}

/// What is owed for one cause to one beneficiary.
#[derive(Clone, Debug)]
pub struct Reward(pub reads::Reward);

impl From<reads::Reward> for Reward {
    fn from(reward: reads::Reward) -> Self {
        Self(reward)
    }
}

impl Reward {
    /// The reward of this identifier, if the bearer may see it.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        request.require(Permission::ReadMoney)?;
        let reward = request.loaders.rewards.load(id).await?;
        Ok(reward.filter(|reward| request.sees_creator(reward.creator_id())).map(Self))
    }
}

/// One side of a transfer of the ledger.
#[derive(SimpleObject, Clone, Debug)]
pub struct LedgerEntry {
    /// The account: its bucket, whose it is, and their identifier, joined by colons.
    pub account: String,
    /// What was added to the account; below zero where it was taken.
    pub amount: Money,
    /// When it was posted.
    pub posted_at: DateTime<Utc>,
}

impl LedgerEntry {
    fn of(entry: &ledger::Entry) -> base::Result<Self> {
        let currency = entry.currency.parse();
        let currency = currency.map_err(|error| Error::fault("reading an entry's currency", error))?;
        Ok(Self {
            account: ledger::account_name(&entry.bucket, &entry.owner_kind, entry.owner_id),
            amount: base::Money::new(entry.amount_minor, currency).into(),
            posted_at: entry.posted_at,
        })
    }
}

/// What is owed for one cause to one beneficiary.
#[Object]
impl Reward {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Reward, self.0.id)
    }

    /// Who earns it.
    async fn beneficiary(&self, ctx: &Context<'_>) -> Result<LinkOwner> {
        let loaders = &ctx.request()?.loaders;
        Ok(match self.0.beneficiary {
            Beneficiary::Creator(id) => LinkOwner::Creator(loaders.creators.require(id).await?.into()),
            Beneficiary::Member(id) => LinkOwner::Member(loaders.members.require(id).await?.into()),
        })
    }

    /// The member whose activation or purchase earned it.
    async fn referee(&self, ctx: &Context<'_>) -> Result<Option<Member>> {
        match self.0.referee_id {
            Some(id) => Member::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// The conversion that earned it, if one did.
    async fn conversion(&self, ctx: &Context<'_>) -> Result<Option<Conversion>> {
        match self.0.conversion_id {
            Some(id) => Conversion::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// The campaign whose policy grants it.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Campaign> {
        Ok(ctx.request()?.loaders.campaigns.require(self.0.campaign_id).await?.into())
    }

    /// What it is.
    async fn kind(&self) -> RewardKind {
        self.0.kind.into()
    }

    /// How much was granted.
    async fn amount(&self) -> Money {
        self.0.amount.into()
    }

    /// How much of it was taken back since.
    async fn reversed(&self) -> Money {
        self.0.reversed.into()
    }

    /// 1 for the direct referrer, 2 for theirs, and so on; 0 for the referee's own or where nobody was referred.
    async fn degree(&self) -> i32 {
        self.0.degree.into()
    }

    /// How far it has come.
    async fn state(&self) -> RewardState {
        self.0.state.into()
    }

    /// Why it is where it is, where there is something to say.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The version of the campaign's policies that granted it; null where none did.
    async fn policy_version(&self) -> Option<i32> {
        (self.0.policy_version > 0).then_some(self.0.policy_version)
    }

    /// When it was earned.
    async fn triggered_at(&self) -> DateTime<Utc> {
        self.0.triggered_at
    }

    /// When it becomes payable.
    async fn releases_at(&self) -> Option<DateTime<Utc>> {
        self.0.releases_at
    }

    /// The key of its cause: the same cause never pays twice.
    async fn idempotency_key(&self) -> &str {
        &self.0.idempotency_key
    }

    /// Its entries in the ledger, the oldest first. Each transfer has two that sum to zero.
    async fn ledger(&self, ctx: &Context<'_>) -> Result<Vec<LedgerEntry>> {
        let entries = ctx.request()?.loaders.ledger_entries.load(self.0.id).await?.unwrap_or_default();
        let entries: base::Result<Vec<LedgerEntry>> = entries.iter().map(LedgerEntry::of).collect();
        Ok(entries?)
    }
}

/// Which rewards are wanted. What is left out is not asked about.
#[derive(InputObject, Clone, Debug, Default)]
pub struct RewardFilter {
    /// In one of these states.
    state: Option<Vec<RewardState>>,
    /// Of one of these kinds.
    kind: Option<Vec<RewardKind>>,
    /// Granted by this campaign.
    campaign_id: Option<ID>,
    /// Earned by this creator.
    creator_id: Option<ID>,
    /// Earned by this member.
    member_id: Option<ID>,
    /// Earned from this moment on.
    from: Option<DateTime<Utc>>,
    /// Earned before this moment.
    to: Option<DateTime<Utc>>,
}

impl RewardFilter {
    /// Reads the identifiers, and narrows the filter to what the bearer may see.
    pub fn read(self, request: &RequestContext) -> base::Result<reads::RewardFilter> {
        let id = |kind, id: &Option<ID>, field: &str| parse_id_opt(kind, id.as_ref(), &["filter", field]);
        Ok(reads::RewardFilter {
            states: self.state.unwrap_or_default().into_iter().map(Into::into).collect(),
            kinds: self.kind.unwrap_or_default().into_iter().map(Into::into).collect(),
            campaign_id: id(Kind::Campaign, &self.campaign_id, "campaignId")?,
            creator_id: request.narrow_creator(id(Kind::Creator, &self.creator_id, "creatorId")?),
            member_id: id(Kind::Member, &self.member_id, "memberId")?,
            from: self.from,
            to: self.to,
        })
    }
}

/// The rewards that a member earns, newest first: one statement however many members ask. A creator's key sees none of them.
pub async fn rewards_of_member(
    ctx: &Context<'_>,
    member_id: Uuid,
    first: Option<i32>,
    after: Option<String>,
) -> Result<Connection<Reward>> {
    let request = ctx.request()?;
    request.require(Permission::ReadMoney)?;
    let page = Page::from_args(first, after.as_deref(), None, None)?;
    let is_hidden = request.scope.creator_id.is_some();
    let slice = if is_hidden { None } else { request.loaders.reward_pages.load((member_id, page)).await? };
    Ok(Connection::new(slice.unwrap_or_else(Slice::empty), reads::Reward::place, move |request| {
        Box::pin(async move {
            if is_hidden {
                return Ok(0);
            }
            Ok(request.loaders.reward_counts.find(member_id).await?.unwrap_or(0))
        })
    }))
}

/// What is payable to a creator or a member now, less what they owe, one amount per currency: one statement however many ask.
pub async fn balances_of(ctx: &Context<'_>, owner_id: Uuid) -> Result<Vec<Money>> {
    let request = ctx.request()?;
    request.require(Permission::ReadMoney)?;
    if !request.sees_creator(Some(owner_id)) {
        return Ok(Vec::new());
    }
    let balances = request.loaders.payable.load(owner_id).await?.unwrap_or_default();
    Ok(balances.into_iter().map(Money::from).collect())
}

#[derive(Default)]
pub struct RewardQuery;

#[Object]
impl RewardQuery {
    /// What is owed and was denied, the last earned first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn rewards(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many rewards from the start of the list.")] first: Option<i32>,
        #[graphql(desc = "Only rewards after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many rewards from the end of the list.")] last: Option<i32>,
        #[graphql(desc = "Only rewards before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which rewards.")] filter: Option<RewardFilter>,
    ) -> Result<Connection<Reward>> {
        let request = ctx.request()?;
        request.require(Permission::ReadMoney)?;
        let filter = filter.unwrap_or_default().read(request)?;
        let page = Page::from_args(first, after.as_deref(), last, before.as_deref())?;
        let slice = reward_page(&mut *request.conn().await?, &request.scope, &filter, &page).await?;
        Ok(Connection::new(slice, reads::Reward::place, move |request| {
            let filter = filter.clone();
            Box::pin(async move { reward_count(&mut *request.conn().await?, &request.scope, &filter).await })
        }))
    }
}

/// Who earns, of the two that an input can name.
pub fn parse_beneficiary(creator_id: Option<&ID>, member_id: Option<&ID>) -> base::Result<Beneficiary> {
    let creator_id = parse_id_opt(Kind::Creator, creator_id, &["creatorId"])?;
    let member_id = parse_id_opt(Kind::Member, member_id, &["memberId"])?;
    match (creator_id, member_id) {
        (Some(id), None) => Ok(Beneficiary::Creator(id)),
        (None, Some(id)) => Ok(Beneficiary::Member(id)),
        _ => Err(Error::invalid(&["creatorId"], "Pass exactly one of creatorId and memberId.")),
    }
}
