//! Members and their place in the referral forest, in the API.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use uuid::Uuid;

use super::connection::{Connection, forward, page_cost};
use super::context::{parse_id, parse_id_opt, to_id};
use super::downlines::{Downline, degree_count, downline};
use super::fraud::{FraudAssessment, risk_of};
use super::journeys::{Conversion, conversions_of};
use super::member_changes::MemberMove;
use super::node::require_growth;
use super::payouts::{Payout, payouts_of};
use super::rewards::{Reward, balances_of, rewards_of_member};
use super::scalars::Money;
use super::{Campaign, Creator, RequestContext, RequestExt};
use crate::base::limits::HOPS_MAX;
use crate::base::{Code, Cursor, Error, Kind, ListKey, Page};
use crate::members;
use crate::rewards::Beneficiary;

/// How far a member has come.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "members::MemberStatus")]
pub enum MemberStatus {
    /// Has a link or an invitation, and has not signed up.
    Invited,
    /// Has signed up.
    SignedUp,
    /// Has been activated at least once.
    Activated,
    /// Has left.
    Churned,
    /// Was erased: the place in the forest stays, nothing else.
    Erased,
}

/// In which order descendants are listed.
#[derive(Enum, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[graphql(remote = "members::DescendantOrder")]
pub enum DescendantOrder {
    /// The nearest degree first; within a degree those of one referrer stand together.
    #[default]
    Degree,
    /// The last to join first.
    Newest,
}

/// Someone who joined, or is invited to, the brand's programme.
#[derive(Clone, Debug)]
pub struct Member(pub members::Member);

impl From<members::Member> for Member {
    fn from(member: members::Member) -> Self {
        Self(member)
    }
}

impl Member {
    /// The member of this identifier, if the bearer may see it.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        require_growth(request)?;
        let member = request.loaders.members.load(id).await?;
        Ok(member.filter(|member| request.sees_creator(member.creator_id)).map(Self))
    }

    /// The member of this identifier, or NOT_FOUND.
    pub async fn get(request: &RequestContext, id: Uuid, argument: &str) -> Result<members::Member> {
        let member = Self::find(request, id).await?;
        Ok(member.ok_or_else(|| Error::not_found(&[argument], "There is no such member."))?.0)
    }
}

/// Refuses where the bearer may not walk the forest: a single creator's key sees its own members, not who invited whom.
pub fn require_forest(request: &RequestContext) -> Result<()> {
    require_growth(request)?;
    if request.scope.creator_id.is_none() {
        return Ok(());
    }
    Err(Error::refused(Code::Forbidden, &[], "A key of role creator may not read the referral forest.").into())
}

/// Reads a number of hops; null is all.
pub fn to_hops(hops: Option<i32>, argument: &str) -> Result<i32> {
    match hops {
        None => Ok(members::ALL_HOPS),
        Some(hops) if (1..=HOPS_MAX).contains(&hops) => Ok(hops),
        Some(_) => Err(Error::invalid(&[argument], format!("Pass a number from 1 to {HOPS_MAX}, or null.")).into()),
    }
}

/// Someone who joined, or is invited to, the brand's programme.
#[Object]
impl Member {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Member, self.0.id)
    }

    /// The brand's own identifier.
    async fn external_id(&self) -> Option<&str> {
        self.0.external_id.as_deref()
    }

    /// How far the member has come.
    async fn status(&self) -> MemberStatus {
        self.0.status.into()
    }

    /// The sign-up; the invitation where there is no sign-up yet.
    async fn joined_at(&self) -> DateTime<Utc> {
        self.0.joined_at
    }

    /// The sign-up.
    async fn signed_up_at(&self) -> Option<DateTime<Utc>> {
        self.0.signed_up_at
    }

    /// The first activation.
    async fn activated_at(&self) -> Option<DateTime<Utc>> {
        self.0.activated_at
    }

    /// Hops to the root of the tree.
    async fn depth(&self) -> i32 {
        self.0.depth
    }

    /// How many members this one has invited directly.
    async fn referee_count(&self) -> i32 {
        self.0.referee_count
    }

    /// Who invited the member.
    async fn referrer(&self, ctx: &Context<'_>) -> Result<Option<Member>> {
        let request = ctx.request()?;
        require_forest(request)?;
        match self.0.referrer_id {
            Some(id) => Ok(Some(Self(request.loaders.members.require(id).await?))),
            None => Ok(None),
        }
    }

    /// The first member of the tree: the member itself where nobody invited it.
    async fn root(&self, ctx: &Context<'_>) -> Result<Member> {
        let above = self.above(ctx, members::ALL_HOPS).await?;
        Ok(Self(above.into_iter().next_back().unwrap_or_else(|| self.0.clone())))
    }

    /// The creator through whose link the member joined, if any.
    async fn creator(&self, ctx: &Context<'_>) -> Result<Option<Creator>> {
        match self.0.creator_id {
            Some(id) => Creator::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// The campaign through which the member joined, if any.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Option<Campaign>> {
        match self.0.campaign_id {
            Some(id) => Campaign::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }

    /// The members from the root of the tree to this one, both included.
    async fn path(&self, ctx: &Context<'_>) -> Result<Vec<ID>> {
        let above = self.above(ctx, members::ALL_HOPS).await?;
        let line = above.iter().rev().map(|member| member.id).chain([self.0.id]);
        Ok(line.map(|id| to_id(Kind::Member, id)).collect())
    }

    /// Who invited the member, who invited those, and so on: the nearest first.
    #[graphql(complexity = "page_cost(hops.or(Some(50)), None, child_complexity)")]
    async fn ancestors(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How far up, 1 to 100; left out: to the root.")] hops: Option<i32>,
    ) -> Result<Vec<Member>> {
        let above = self.above(ctx, to_hops(hops, "hops")?).await?;
        Ok(above.into_iter().map(Self).collect())
    }

    /// The members whom this one invited directly, the first to join first.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn referees(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, at most 500; 20 where it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
    ) -> Result<Connection<Member>> {
        let request = ctx.request()?;
        require_forest(request)?;
        let page = forward(first, after.as_deref())?;
        let rows = request.loaders.referees.load(ListKey::new(self.0.id, &page)).await?;
        let count = i64::from(self.0.referee_count);
        Ok(Connection::new(page.slice(rows.unwrap_or_default()), place, move |_| async move { Ok(count) }.boxed()))
    }

    /// Everyone below the member, by degree: those whom it invited, whom those invited, and so on.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn descendants(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How far down, 1 to 100; left out: to the end.")] max_depth: Option<i32>,
        #[graphql(desc = "Rows of the page, at most 500; 20 where it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts: of a page of the same order.")] after: Option<String>,
        #[graphql(desc = "The order.", default)] order_by: DescendantOrder,
    ) -> Result<Connection<Member>> {
        let request = ctx.request()?;
        require_forest(request)?;
        let page = forward(first, after.as_deref())?;
        let degrees_max = to_hops(max_depth, "maxDepth")?;
        let top = &self.0;
        let order = order_by.into();
        let slice =
            members::descendants(&mut *request.conn().await?, &request.scope, top, degrees_max, order, &page).await?;
        let id = self.0.id;
        let place = |member: &members::Member| match order_by {
            DescendantOrder::Degree => Cursor::new(i64::from(member.depth), member.id),
            DescendantOrder::Newest => place(member),
        };
        Ok(Connection::new(slice, place, move |request| degree_count(request, id, degrees_max).boxed()))
    }

    /// The sums over everyone below the member. Amounts are in the brand's own currency.
    async fn downline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How far down, 1 to 100; left out: to the end.")] max_depth: Option<i32>,
        #[graphql(desc = "Only members who joined, and sales and rewards, at or after this moment.")] since: Option<
            DateTime<Utc>,
        >,
    ) -> Result<Downline> {
        require_forest(ctx.request()?)?;
        let degrees_max = to_hops(max_depth, "maxDepth")?;
        downline(ctx, self.0.id, degrees_max, since).await
    }

    /// When and why the member was moved by hand, the latest first; at most 100.
    async fn moves(&self, ctx: &Context<'_>) -> Result<Vec<MemberMove>> {
        let request = ctx.request()?;
        require_forest(request)?;
        let moves = request.loaders.member_moves.load(self.0.id).await?.unwrap_or_default();
        Ok(moves.into_iter().map(Into::into).collect())
    }

    /// What the member bought, the newest first.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn conversions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, at most 500; 20 where it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
    ) -> Result<Connection<Conversion>> {
        conversions_of(ctx, self.0.id, first, after).await
    }

    /// What the member earned, the newest first.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn rewards(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, at most 500; 20 where it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
    ) -> Result<Connection<Reward>> {
        rewards_of_member(ctx, self.0.id, first, after).await
    }

    /// The latest fraud assessment of the member; null where no signal ever spoke.
    async fn risk(&self, ctx: &Context<'_>) -> Result<Option<FraudAssessment>> {
        risk_of(ctx, self.0.id).await
    }

    /// What can be paid to the member now, less what the member owes for rewards that were taken back after they were paid, one amount
    /// per currency: below zero where more is owed. Empty where nothing ever could be paid.
    async fn balances(&self, ctx: &Context<'_>) -> Result<Vec<Money>> {
        let request = ctx.request()?;
        require_forest(request)?;
        balances_of(ctx, self.0.id).await
    }

    /// The member's payouts, the last made first.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn payouts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, at most 500; 20 where it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
    ) -> Result<Connection<Payout>> {
        payouts_of(ctx, Beneficiary::Member(self.0.id), first, after).await
    }
}

fn place(member: &members::Member) -> Cursor {
    Cursor::at(member.joined_at, member.id)
}

impl Member {
    async fn above(&self, ctx: &Context<'_>, hops: i32) -> Result<Vec<members::Member>> {
        let request = ctx.request()?;
        require_forest(request)?;
        if self.0.referrer_id.is_none() {
            return Ok(Vec::new());
        }
        Ok(request.loaders.ancestors.load((self.0.id, hops)).await?.unwrap_or_default())
    }
}

/// Which members are wanted.
#[derive(InputObject, Clone, Debug, Default)]
pub struct MemberFilter {
    /// Only those who joined through this campaign.
    campaign_id: Option<ID>,
    /// Only those who joined through this creator's links.
    creator_id: Option<ID>,
    /// Only those of one of these statuses.
    status: Option<Vec<MemberStatus>>,
    /// Only those who joined at or after this moment.
    joined_from: Option<DateTime<Utc>>,
    /// Only those who joined before this moment.
    joined_to: Option<DateTime<Utc>>,
    /// Only those whom nobody invited.
    roots_only: Option<bool>,
}

impl MemberFilter {
    fn into_filter(self, request: &RequestContext) -> crate::base::Result<members::MemberFilter> {
        let creator_id = parse_id_opt(Kind::Creator, self.creator_id.as_ref(), &["filter", "creatorId"])?;
        Ok(members::MemberFilter {
            campaign_id: parse_id_opt(Kind::Campaign, self.campaign_id.as_ref(), &["filter", "campaignId"])?,
            creator_id: request.narrow_creator(creator_id),
            statuses: self.status.map(|all| all.into_iter().map(Into::into).collect()),
            joined_from: self.joined_from,
            joined_to: self.joined_to,
            is_roots_only: self.roots_only.unwrap_or(false),
        })
    }
}

#[derive(Default)]
pub struct MemberQuery;

#[Object]
impl MemberQuery {
    /// A member by identifier or by the brand's own identifier: pass exactly one. Null if there is none.
    async fn member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The identifier.")] id: Option<ID>,
        #[graphql(desc = "The brand's own identifier.")] external_id: Option<String>,
    ) -> Result<Option<Member>> {
        let request = ctx.request()?;
        match (id, external_id) {
            (Some(id), None) => Member::find(request, parse_id(Kind::Member, &id, &["id"])?).await,
            (None, Some(external_id)) => {
                require_growth(request)?;
                let mut conn = request.conn().await?;
                let mut found = members::by_external_ids(&mut conn, &request.scope, &[external_id]).await?;
                let found = found.drain().next().map(|(_, member)| member);
                Ok(found.filter(|member| request.sees_creator(member.creator_id)).map(Member))
            }
            _ => Err(Error::invalid(&["id"], "Pass exactly one of id and externalId.").into()),
        }
    }

    /// The brand's members, the first to join first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Rows of the page, counted from the start; at most 500.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts.")] after: Option<String>,
        #[graphql(desc = "Rows of the page, counted from the end; at most 500.")] last: Option<i32>,
        #[graphql(desc = "The cursor before which the page ends.")] before: Option<String>,
        #[graphql(desc = "Which members are wanted.")] filter: Option<MemberFilter>,
    ) -> Result<Connection<Member>> {
        let request = ctx.request()?;
        require_growth(request)?;
        let page = Page::from_args(first, after.as_deref(), last, before.as_deref())?;
        let filter = filter.unwrap_or_default().into_filter(request)?;
        let slice = members::page(&mut *request.conn().await?, &request.scope, &filter, &page).await?;
        Ok(Connection::new(slice, place, move |request| {
            let filter = filter.clone();
            async move { members::count(&mut *request.conn().await?, &request.scope, &filter).await }.boxed()
        }))
    }
}
