//! Campaigns in the API.

use async_graphql::{Context, ID, Object, Result};
use uuid::Uuid;

use super::context::{parse_id, to_id};
use super::node::require_growth;
use super::{RequestContext, RequestExt};
use crate::base::{Error, Kind};
use crate::campaigns;

/// One campaign.
#[derive(Clone, Debug)]
pub struct Campaign(pub campaigns::Campaign);

impl From<campaigns::Campaign> for Campaign {
    fn from(row: campaigns::Campaign) -> Self {
        Self(row)
    }
}

impl Campaign {
    /// The campaign of this identifier, if the bearer may see it.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        require_growth(request)?;
        Ok(request.loaders.campaigns.load(id).await?.map(Self))
    }
}

/// One campaign.
#[Object]
impl Campaign {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Campaign, self.0.id)
    }
}

#[derive(Default)]
pub struct CampaignQuery;

#[Object]
impl CampaignQuery {
    /// One campaign.
    async fn campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The identifier.")] id: Option<ID>,
    ) -> Result<Option<Campaign>> {
        let id = id.ok_or_else(|| Error::invalid(&["id"], "Pass an identifier."))?;
        Campaign::find(ctx.request()?, parse_id(Kind::Campaign, &id, &["id"])?).await
    }
}
