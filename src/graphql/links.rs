//! Links in the API.

use async_graphql::{Context, ID, Object, Result};
use uuid::Uuid;

use super::context::{parse_id, to_id};
use super::node::require_growth;
use super::{RequestContext, RequestExt};
use crate::base::{Error, Kind};
use crate::links;

/// One link.
#[derive(Clone, Debug)]
pub struct Link(pub links::Link);

impl From<links::Link> for Link {
    fn from(row: links::Link) -> Self {
        Self(row)
    }
}

impl Link {
    /// The link of this identifier, if the bearer may see it.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        require_growth(request)?;
        Ok(request.loaders.links.load(id).await?.map(Self))
    }
}

/// One link.
#[Object]
impl Link {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Link, self.0.id)
    }
}

#[derive(Default)]
pub struct LinkQuery;

#[Object]
impl LinkQuery {
    /// One link.
    async fn link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The identifier.")] id: Option<ID>,
    ) -> Result<Option<Link>> {
        let id = id.ok_or_else(|| Error::invalid(&["id"], "Pass an identifier."))?;
        Link::find(ctx.request()?, parse_id(Kind::Link, &id, &["id"])?).await
    }
}

/// Who owns a link or earns a reward.
#[derive(async_graphql::Union)]
pub enum LinkOwner {
    Creator(super::Creator),
    Member(super::Member),
}
