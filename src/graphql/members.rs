//! Members in the API.

use async_graphql::{Context, ID, Object, Result};
use uuid::Uuid;

use super::context::{parse_id, to_id};
use super::node::require_growth;
use super::{RequestContext, RequestExt};
use crate::base::{Error, Kind};
use crate::members;

/// One member.
#[derive(Clone, Debug)]
pub struct Member(pub members::Member);

impl From<members::Member> for Member {
    fn from(row: members::Member) -> Self {
        Self(row)
    }
}

impl Member {
    /// The member of this identifier, if the bearer may see it.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        require_growth(request)?;
        Ok(request.loaders.members.load(id).await?.map(Self))
    }
}

/// One member.
#[Object]
impl Member {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Member, self.0.id)
    }
}

#[derive(Default)]
pub struct MemberQuery;

#[Object]
impl MemberQuery {
    /// One member.
    async fn member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The identifier.")] id: Option<ID>,
    ) -> Result<Option<Member>> {
        let id = id.ok_or_else(|| Error::invalid(&["id"], "Pass an identifier."))?;
        Member::find(ctx.request()?, parse_id(Kind::Member, &id, &["id"])?).await
    }
}
