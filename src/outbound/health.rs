//! How platforms are doing: what the breakers of all processes came to last, and what the platforms post that cannot be used.

use chrono::{DateTime, TimeDelta, Utc};

use super::client::{PlatformClient, Unanswered};
use super::{BreakerState, Outbound, store};
use crate::access::{Permission, Scope};
use crate::base::limits::EVENT_KEY_DAYS;
use crate::base::{Env, Result};
use crate::creators::Platform;
use crate::db::{Conn, Db};
use crate::platforms::Scheme;

/// How one platform is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub platform: Platform,
    /// `None`: it was never asked anything.
    pub state: Option<BreakerState>,
    pub last_success_at: Option<DateTime<Utc>>,
    pub last_failure_at: Option<DateTime<Utc>>,
    pub last_failure: Option<String>,
    /// When one of the brand's sources last posted something authentic.
    pub last_event_at: Option<DateTime<Utc>>,
    /// The version of its format that it last posted in.
    pub schema_version: Option<String>,
    /// Events of the brand's sources that wait in quarantine and were not given up.
    pub quarantined_count: i64,
}

/// Platforms with sources, in the order in which they are listed, and what their sources are called.
const LISTED: [(Platform, Scheme); 7] = [
    (Platform::Instagram, Scheme::Meta),
    (Platform::Tiktok, Scheme::Tiktok),
    (Platform::Youtube, Scheme::Youtube),
    (Platform::Shopify, Scheme::Shopify),
    (Platform::Stripe, Scheme::Stripe),
    (Platform::Branch, Scheme::Branch),
    (Platform::Appsflyer, Scheme::Appsflyer),
];

/// How each platform is doing for a brand.
pub async fn health(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>) -> Result<Vec<Health>> {
    scope.require(Permission::ReadEvents)?;
    let calls = store::call_states(conn).await?;
    let sources = store::source_states(conn, scope, now - TimeDelta::days(EVENT_KEY_DAYS)).await?;
    LISTED
        .iter()
        .map(|(platform, scheme)| {
            let call = calls.iter().find(|call| call.platform == platform.as_str());
            let source = sources.iter().find(|source| source.scheme == scheme.as_str());
            Ok(Health {
                platform: *platform,
                state: call.map(|call| BreakerState::from_column(&call.state)).transpose()?,
                last_success_at: call.and_then(|call| call.last_success_at),
                last_failure_at: call.and_then(|call| call.last_failure_at),
                last_failure: call.and_then(|call| call.last_failure.clone()),
                last_event_at: source.and_then(|source| source.last_event_at),
                schema_version: source.and_then(|source| source.schema_version.clone()),
                quarantined_count: source.map_or(0, |source| source.quarantined_count),
            })
        })
        .collect()
}

/// What the breakers let through, as whoever asked last left them, in this process or another.
pub async fn breaker_states(conn: &mut Conn) -> Result<Vec<(Platform, BreakerState)>> {
    let calls = store::call_states(conn).await?;
    calls
        .into_iter()
        .map(|call| Ok((Platform::from_column(&call.platform)?, BreakerState::from_column(&call.state)?)))
        .collect()
}

impl Outbound {
    /// Keeps how a call ended, for those who look from another process.
    pub(super) async fn keep_health(
        &self,
        db: &Db,
        env: &Env,
        client: &PlatformClient,
        unanswered: Option<&Unanswered>,
    ) -> Result<()> {
        let failure = unanswered.map(ToString::to_string);
        // What was not asked neither succeeded nor failed.
        let is_spared = unanswered == Some(&Unanswered::Open);
        if is_spared {
            return Ok(());
        }
        let conn = &mut *db.conn().await?;
        store::keep_call(conn, client.platform(), client.state(), failure.as_deref(), env.now()).await
    }
}
