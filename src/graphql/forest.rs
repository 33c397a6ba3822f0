//! Cuts of the referral forest: a tree to draw, the way between two members, and who leads.

use async_graphql::{ComplexObject, Context, Enum, ID, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::connection::page_cost;
use super::context::{parse_id, parse_id_opt, to_id};
use super::creators::to_int;
use super::downlines::degree_count;
use super::members::{Member, require_forest};
use super::scalars::{Money, from_ppm};
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::limits::{HOPS_MAX, PAGE_SIZE_MAX, TREE_NODES_MAX};
use crate::base::{self, Code, Error, Kind};
use crate::members::{self, RankingQuery};

/// A tree cut to a size, flat, parents first: one query draws it.
#[derive(SimpleObject)]
pub struct ReferralTree {
    /// The member at the top.
    pub root: Member,
    /// The members of the cut, the top first. At most 2000.
    pub nodes: Vec<ReferralTreeNode>,
    /// Whether members were left out, because of `perNode`, `maxDepth` or the cap on all nodes.
    pub truncated: bool,
}

/// One member of a tree.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct ReferralTreeNode {
    /// The member.
    pub member: Member,
    /// The member above it in this tree; null at the top.
    pub parent_id: Option<ID>,
    /// Hops to the top of this tree.
    pub depth: i32,
    /// How many members this one invited directly, shown or not.
    pub referee_count: i32,
}

#[ComplexObject]
impl ReferralTreeNode {
    /// How many members stand below this one, shown or not.
    async fn downline_size(&self, ctx: &Context<'_>) -> Result<i32> {
        let member = &self.member.0;
        if member.referee_count == 0 {
            return Ok(0);
        }
        Ok(to_int(degree_count(ctx.request()?, member.id, members::ALL_HOPS).await?))
    }

    /// The member's own sales less refunds, in the brand's own currency.
    async fn value(&self, ctx: &Context<'_>) -> Result<Money> {
        Ok(base::Money::new(self.member.0.value_minor, ctx.request()?.scope.currency).into())
    }

    /// The fraud score of the member's latest assessment, from 0 to 1; 0 if it was never assessed.
    async fn risk_score(&self, ctx: &Context<'_>) -> Result<f64> {
        let request = ctx.request()?;
        request.require(Permission::ReadFraud)?;
        let judgement = request.loaders.judgements.load(self.member.0.id).await?;
        Ok(judgement.map_or(0.0, |judgement| from_ppm(judgement.score_ppm)))
    }
}

/// The way between two members through their lowest common ancestor.
#[derive(SimpleObject)]
pub struct ReferralPath {
    /// From the one to the other, both included.
    pub members: Vec<Member>,
    /// The lowest member above both, or one of the two.
    pub common_ancestor: Member,
    /// Steps from the one to the other.
    pub hops: i32,
}

/// How referrers are ranked.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferrerRanking {
    /// By the members whom they invited and who signed up.
    DirectReferrals,
    /// By all members below them who signed up, down to `hops`.
    MultiHopReferrals,
    /// By the sales of the members whom they invited.
    DirectValue,
    /// By the sales of all members below them, down to `hops`.
    MultiHopValue,
}

/// One place of a ranking.
#[derive(SimpleObject)]
pub struct ReferrerStanding {
    /// 1 is the first.
    pub rank: i32,
    /// The referrer.
    pub member: Member,
    /// Members below who signed up.
    pub referrals: i32,
    /// The sales of the members below, less refunds.
    pub value: Money,
}

#[derive(Default)]
pub struct ForestQuery;

#[Object]
impl ForestQuery {
    /// The tree below a member, flat, parents first, the first referees of each member only.
    #[graphql(complexity = "tree_cost(max_depth, per_node, child_complexity)")]
    async fn referral_tree(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The member at the top.")] root_id: ID,
        #[graphql(desc = "Only members who joined through this campaign, and the top.")] campaign_id: Option<ID>,
        #[graphql(desc = "How far down, 1 to 100.", default = 3)] max_depth: i32,
        #[graphql(desc = "Referees shown of each member, 1 to 500.", default = 25)] per_node: i32,
    ) -> Result<ReferralTree> {
        let request = ctx.request()?;
        require_forest(request)?;
        let campaign_id = parse_id_opt(Kind::Campaign, campaign_id.as_ref(), &["campaignId"])?;
        check_range(max_depth, HOPS_MAX, "maxDepth")?;
        check_range(per_node, PAGE_SIZE_MAX, "perNode")?;
        let root = Member::get(request, parse_id(Kind::Member, &root_id, &["rootId"])?, "rootId").await?;
        let (mut conn, per_node) = (request.conn().await?, i64::from(per_node));
        let tree = members::tree(&mut conn, &request.scope, root.clone(), campaign_id, max_depth, per_node).await?;
        let node = |member: members::Member| ReferralTreeNode {
            parent_id: member.referrer_id.filter(|_| member.id != root.id).map(|id| to_id(Kind::Member, id)),
            depth: member.depth - root.depth,
            referee_count: member.referee_count,
            member: Member(member),
        };
        let nodes = tree.nodes.into_iter().map(node).collect();
        Ok(ReferralTree { root: Member(root), nodes, truncated: tree.is_truncated })
    }

    /// The way from one member to another. Null where one of them does not exist or they stand in different trees.
    #[graphql(complexity = "page_cost(Some(50), None, child_complexity)")]
    async fn referral_path(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The one member.")] from_id: ID,
        #[graphql(desc = "The other member.")] to_id: ID,
    ) -> Result<Option<ReferralPath>> {
        let request = ctx.request()?;
        require_forest(request)?;
        let from_id = parse_id(Kind::Member, &from_id, &["fromId"])?;
        let to_id = parse_id(Kind::Member, &to_id, &["toId"])?;
        let way = members::way(&mut *request.conn().await?, &request.scope, from_id, to_id).await?;
        Ok(way.map(|way| ReferralPath {
            hops: i32::try_from(way.members.len() - 1).unwrap_or(i32::MAX),
            members: way.members.into_iter().map(Member).collect(),
            common_ancestor: Member(way.common_ancestor),
        }))
    }

    /// The leading referrers. Amounts are in the campaign's currency where one is named, else in the brand's own.
    #[graphql(complexity = "page_cost(Some(first), None, child_complexity)")]
    async fn top_referrers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this campaign's members and sales.")] campaign_id: Option<ID>,
        #[graphql(desc = "What counts.", default_with = "ReferrerRanking::MultiHopValue")] by: ReferrerRanking,
        #[graphql(desc = "How far down counts, 1 to 10, for the multi-hop rankings.", default = 3)] hops: i32,
        #[graphql(desc = "Only members who joined, and sales, at or after this moment.")] since: Option<DateTime<Utc>>,
        #[graphql(desc = "Places wanted, 1 to 500.", default = 20)] first: i32,
    ) -> Result<Vec<ReferrerStanding>> {
        let request = ctx.request()?;
        require_forest(request)?;
        check_range(hops, 10, "hops")?;
        check_range(first, PAGE_SIZE_MAX, "first")?;
        let campaign_id = parse_id_opt(Kind::Campaign, campaign_id.as_ref(), &["campaignId"])?;
        let campaign = match campaign_id {
            Some(id) => request.loaders.campaigns.load(id).await?,
            None => None,
        };
        let is_direct = matches!(by, ReferrerRanking::DirectReferrals | ReferrerRanking::DirectValue);
        let query = RankingQuery {
            campaign_id,
            is_by_value: matches!(by, ReferrerRanking::DirectValue | ReferrerRanking::MultiHopValue),
            hops: if is_direct { 1 } else { hops },
            since,
            currency: campaign.map_or(request.scope.currency, |campaign| campaign.currency),
            limit: i64::from(first),
        };
        rank(request, &query).await
    }
}

async fn rank(request: &RequestContext, query: &RankingQuery) -> Result<Vec<ReferrerStanding>> {
    let (standings, mut members) = {
        let mut conn = request.conn().await?;
        let standings = members::top_referrers(&mut conn, &request.scope, query).await?;
        let ids: Vec<_> = standings.iter().map(|standing| standing.member_id).collect();
        let members = members::by_ids(&mut conn, &request.scope, &ids).await?;
        (standings, members)
    };
    let places = standings.into_iter().zip(1..).filter_map(|(standing, rank)| {
        Some(ReferrerStanding {
            rank,
            member: Member(members.remove(&standing.member_id)?),
            referrals: to_int(standing.referral_count),
            value: base::Money::new(standing.value_minor, query.currency).into(),
        })
    });
    Ok(places.collect())
}

fn check_range(value: i32, max: i32, argument: &str) -> Result<()> {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    Err(Error::refused(Code::Invalid, &[argument], format!("Pass a number from 1 to {max}.")).into())
}

/// The cost of a tree: its selection once per node that the arguments allow.
fn tree_cost(max_depth: i32, per_node: i32, child_cost: usize) -> usize {
    let per_node = usize::try_from(per_node).unwrap_or(0);
    let (mut nodes, mut level) = (1_usize, 1_usize);
    for _ in 0..max_depth.clamp(0, HOPS_MAX) {
        level = level.saturating_mul(per_node).min(TREE_NODES_MAX);
        nodes = nodes.saturating_add(level).min(TREE_NODES_MAX);
    }
    nodes.saturating_mul(child_cost).saturating_add(1)
}
