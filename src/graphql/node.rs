//! `node` and `nodes`: anything that has an identifier, by it alone. What is not yours to see is null.

use async_graphql::{Context, ID, Interface, Object, Result};
use futures_util::future::try_join_all;

use super::attribution::AttributionRecord;
use super::events::Event;
use super::fraud::FraudAlert;
use super::journeys::{Conversion, Touchpoint};
use super::payouts::Payout;
use super::rewards::Reward;
use super::{Campaign, Creator, Link, Member, RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::limits::NODES_PER_REQUEST_MAX;
use crate::base::{Error, Kind, TypeId};

/// Anything with an identifier that is unique over all types.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "The identifier, the same on every surface."))]
pub enum Node {
    Creator(Creator),
    Campaign(Campaign),
    Member(Member),
    Link(Link),
    Touchpoint(Touchpoint),
    Conversion(Conversion),
    AttributionRecord(AttributionRecord),
    Reward(Reward),
    Payout(Payout),
    FraudAlert(FraudAlert),
    Event(Event),
}

#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Anything by its identifier; null if there is none.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The identifier, for example `creator_01h455vb4pex5vsknk084sn02q`.")] id: ID,
    ) -> Result<Option<Node>> {
        load(ctx.request()?, &id).await
    }

    /// Several things by their identifiers, in the order asked for, null where there is none. At most 100.
    #[graphql(complexity = "ids.len().saturating_mul(child_complexity).saturating_add(1)")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The identifiers, at most 100.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        if ids.len() > NODES_PER_REQUEST_MAX {
            let message = format!("Pass at most {NODES_PER_REQUEST_MAX} identifiers.");
            return Err(Error::invalid(&["ids"], message).into());
        }
        let request = ctx.request()?;
        try_join_all(ids.iter().map(|id| load(request, id))).await
    }
}

async fn load(request: &RequestContext, id: &ID) -> Result<Option<Node>> {
    let wrong = |_: crate::base::TypeIdError| {
        Error::invalid(&["id"], "Pass an identifier as the API gives it: a prefix, an underscore and 26 characters.")
    };
    let id: TypeId = id.parse().map_err(wrong)?;
    let uuid = id.uuid();
    match Kind::from_prefix(id.prefix()) {
        Some(Kind::Creator) => Ok(Creator::find(request, uuid).await?.map(Node::Creator)),
        Some(Kind::Campaign) => Ok(Campaign::find(request, uuid).await?.map(Node::Campaign)),
        Some(Kind::Member) => Ok(Member::find(request, uuid).await?.map(Node::Member)),
        Some(Kind::Link) => Ok(Link::find(request, uuid).await?.map(Node::Link)),
        Some(Kind::Touchpoint) => Ok(Touchpoint::find(request, uuid).await?.map(Node::Touchpoint)),
        Some(Kind::Conversion) => Ok(Conversion::find(request, uuid).await?.map(Node::Conversion)),
        Some(Kind::Attribution) => Ok(AttributionRecord::find(request, uuid).await?.map(Node::AttributionRecord)),
        Some(Kind::Reward) => Ok(Reward::find(request, uuid).await?.map(Node::Reward)),
        Some(Kind::Payout) => Ok(Payout::find(request, uuid).await?.map(Node::Payout)),
        Some(Kind::Alert) => Ok(FraudAlert::find(request, uuid).await?.map(Node::FraudAlert)),
        Some(Kind::Event) => Ok(Event::find(request, uuid).await?.map(Node::Event)),
        _ => Ok(None),
    }
}

/// Refuses with FORBIDDEN where the role may not read growth data, which is what these nodes are.
pub fn require_growth(request: &RequestContext) -> Result<()> {
    Ok(request.require(Permission::ReadGrowth)?)
}
