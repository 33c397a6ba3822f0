//! What channels are worth under a DATA_DRIVEN policy, in the API.

use async_graphql::{ComplexObject, Context, ID, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::attribution::to_weight;
use super::context::parse_id;
use super::creators::to_int;
use super::scalars::Decimal;
use super::{Creator, RequestExt};
use crate::access::Permission;
use crate::attribution::channel_weights;
use crate::base::{Code, Error, Kind};
use crate::campaigns::{PoliciesDraft, drafted};

/// What one channel is worth.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct ChannelWeight {
    #[graphql(skip)]
    creator_id: Option<Uuid>,
    /// The creator's identifier; empty for the links of members together; `*` for every creator who has no weight of its own.
    key: String,
    /// What it is worth, from 0 to 1: of a conversion's channels each takes in proportion to it.
    weight: Decimal,
}

#[ComplexObject]
impl ChannelWeight {
    /// The creator, if the channel is one.
    async fn creator(&self, ctx: &Context<'_>) -> Result<Option<Creator>> {
        match self.creator_id {
            Some(id) => Creator::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }
}

/// A version of what channels are worth, as the worker computed it over the brand's paths.
#[derive(SimpleObject)]
pub struct ChannelWeights {
    /// The version, as records name it.
    version: i32,
    /// When it was computed.
    computed_at: DateTime<Utc>,
    /// How many conversions with a path it was computed from.
    conversions: i32,
    /// How many different paths it was computed from, those of people who did not buy too.
    paths: i32,
    /// What each channel is worth, the most first; at most 501.
    weights: Vec<ChannelWeight>,
}

#[derive(Default)]
pub struct ChannelWeightQuery;

#[Object]
impl ChannelWeightQuery {
    /// What channels are worth under a campaign's policy in force, in the newest version or in this one. Null where the policy is not DATA_DRIVEN, or
    /// where there is no such version.
    #[graphql(complexity = "child_complexity.saturating_mul(100)")]
    async fn channel_weights(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The campaign.")] campaign_id: ID,
        #[graphql(desc = "The version; the newest if it is left out.")] version: Option<i32>,
    ) -> Result<Option<ChannelWeights>> {
        let request = ctx.request()?;
        request.require(Permission::ReadGrowth)?;
        // They tell of every creator: more than a creator's key may see.
        if request.scope.creator_id.is_some() {
            let message = "A key of role creator may not read what channels are worth: it tells of other creators.";
            return Err(Error::refused(Code::Forbidden, &[], message).into());
        }
        let id = parse_id(Kind::Campaign, &campaign_id, &["campaignId"])?;
        let conn = &mut *request.conn().await?;
        let (_, policies) = drafted(conn, &request.scope, id, &PoliciesDraft::default()).await?;
        let found = channel_weights(conn, &request.scope, &policies.attribution, version).await?;
        Ok(found.map(|found| ChannelWeights {
            version: found.version,
            computed_at: found.computed_at,
            conversions: to_int(found.conversion_count),
            paths: to_int(found.path_count),
            weights: found.weights.into_iter().map(weight).collect(),
        }))
    }
}

fn weight((channel, units): (String, u64)) -> ChannelWeight {
    let creator_id = Uuid::parse_str(&channel).ok();
    let key = creator_id.map_or(channel, |id| Kind::Creator.id(id));
    ChannelWeight { creator_id, key, weight: to_weight(units) }
}
