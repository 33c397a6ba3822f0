//! Creators in the API.

use async_graphql::{Context, Enum, ID, Object, Result};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::context::{parse_id, to_id};
use super::node::require_growth;
use super::{RequestContext, RequestExt};
use crate::base::{Error, Kind};
use crate::creators;

/// Whether a creator takes part.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "creators::CreatorStatus")]
pub enum CreatorStatus {
    /// Takes part.
    Active,
    /// Does not take part for now; links still resolve.
    Paused,
    /// Is shut out and earns nothing; links still resolve.
    Banned,
}

/// Someone who shares links for the brand.
#[derive(Clone, Debug)]
pub struct Creator(pub creators::Creator);

impl From<creators::Creator> for Creator {
    fn from(creator: creators::Creator) -> Self {
        Self(creator)
    }
}

impl Creator {
    /// The creator of this identifier, if the bearer may see it.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        require_growth(request)?;
        if !request.sees_creator(Some(id)) {
            return Ok(None);
        }
        Ok(request.loaders.creators.load(id).await?.map(Self))
    }
}

/// Someone who shares links for the brand.
#[Object]
impl Creator {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Creator, self.0.id)
    }

    /// The unique short name in the brand.
    async fn handle(&self) -> &str {
        &self.0.handle
    }

    /// The name for people.
    async fn display_name(&self) -> &str {
        &self.0.display_name
    }

    /// Whether the creator takes part.
    async fn status(&self) -> CreatorStatus {
        self.0.status.into()
    }

    /// The brand's own grouping, for example `gold`.
    async fn tier(&self) -> Option<&str> {
        self.0.tier.as_deref()
    }

    /// When the creator was recorded.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

#[derive(Default)]
pub struct CreatorQuery;

#[Object]
impl CreatorQuery {
    /// A creator by identifier or by handle: pass exactly one. Null if there is none.
    async fn creator(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The identifier.")] id: Option<ID>,
        #[graphql(desc = "The unique short name.")] handle: Option<String>,
    ) -> Result<Option<Creator>> {
        let request = ctx.request()?;
        let id = match (id, handle) {
            (Some(id), None) => parse_id(Kind::Creator, &id, &["id"])?,
            (None, Some(handle)) => {
                require_growth(request)?;
                let found = creators::by_handle(&mut *request.conn().await?, &request.scope, &handle).await?;
                let found = found.filter(|creator| request.sees_creator(Some(creator.id)));
                return Ok(found.map(Creator));
            }
            _ => return Err(Error::invalid(&["id"], "Pass exactly one of id and handle.").into()),
        };
        Creator::find(request, id).await
    }
}

#[derive(Default)]
pub struct CreatorMutation;

#[Object]
impl CreatorMutation {
    /// A place holder.
    async fn placeholder(&self) -> bool {
        true
    }
}
