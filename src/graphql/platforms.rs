//! How platforms are doing, in the API.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::creators::to_int;
use super::{Platform, RequestExt};
use crate::access::Permission;
use crate::outbound::{self, health};

/// Whether a platform is asked.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "outbound::BreakerState")]
pub enum PlatformState {
    /// It answers, and is asked.
    Closed,
    /// It failed several times in a row, and is not asked for a while.
    Open,
    /// It is asked once, to see whether it answers again.
    HalfOpen,
}

/// How a platform is doing: when we ask it, and when it posts to us.
#[derive(SimpleObject, Clone, Debug)]
pub struct PlatformHealth {
    /// The platform.
    pub platform: Platform,
    /// Whether it is asked; null: it was never asked anything.
    pub state: Option<PlatformState>,
    /// When it last answered.
    pub last_success_at: Option<DateTime<Utc>>,
    /// When it last did not.
    pub last_failure_at: Option<DateTime<Utc>>,
    /// Why it last did not.
    pub last_failure: Option<String>,
    /// When it last posted something authentic to one of the brand's sources, to the minute.
    pub last_event_at: Option<DateTime<Utc>>,
    /// The version of its format that it last posted in; null: it has not posted, or its format has no version.
    pub schema_version: Option<String>,
    /// Events of the brand's sources that wait in quarantine, of the last 90 days, without those that were given up.
    pub quarantined: i32,
}

impl From<outbound::Health> for PlatformHealth {
    fn from(health: outbound::Health) -> Self {
        Self {
            platform: health.platform.into(),
            state: health.state.map(Into::into),
            last_success_at: health.last_success_at,
            last_failure_at: health.last_failure_at,
            last_failure: health.last_failure,
            last_event_at: health.last_event_at,
            schema_version: health.schema_version,
            quarantined: to_int(health.quarantined_count),
        }
    }
}

#[derive(Default)]
pub struct PlatformQuery;

#[Object]
impl PlatformQuery {
    /// How each platform is doing, whether it is connected or not.
    async fn platform_health(&self, ctx: &Context<'_>) -> Result<Vec<PlatformHealth>> {
        let request = ctx.request()?;
        request.require(Permission::ReadEvents)?;
        let all = health(&mut *request.conn().await?, &request.scope, request.app.env.now()).await?;
        Ok(all.into_iter().map(Into::into).collect())
    }
}
