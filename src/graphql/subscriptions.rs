//! What is pushed to subscribers. A stream reads PostgreSQL from the last place it gave and only when it is asked for more, so that a slow
//! client misses nothing and nothing piles up for it.

use std::collections::VecDeque;
use std::time::Duration;

use async_graphql::{Context, Result, Subscription};
use futures_util::Stream;
use futures_util::stream::try_unfold;

use super::connection::Edge;
use super::fraud::{FraudAlert, FraudAlertFilter};
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::limits::ALERT_FEED_BATCH_MAX;
use crate::base::{self, Cursor};
use crate::fraud::reads::{self, AlertFilter, alerts_after, feed_end};

/// How long a stream waits for a hint before it looks by itself.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What changes are pushed.
#[derive(Default)]
pub struct Subscription;

/// What changes are pushed.
#[Subscription]
impl Subscription {
    /// Alerts as they are raised, each once and none left out. Pass as `after` the cursor of the last alert that was seen to go on from
    /// there; without it the stream starts now.
    async fn fraud_alerts<'ctx>(
        &self,
        ctx: &Context<'ctx>,
        #[graphql(desc = "The cursor of the last alert that was seen.")] after: Option<String>,
        #[graphql(desc = "Which alerts.")] filter: Option<FraudAlertFilter>,
    ) -> Result<impl Stream<Item = Result<Edge<FraudAlert>>> + 'ctx> {
        let request = ctx.request()?;
        request.require(Permission::ReadFraud)?;
        let filter = filter.unwrap_or_default().read()?;
        let seq = match after {
            Some(after) => Cursor::decode(&after, "after")?.key,
            None => feed_end(&mut *request.conn().await?, &request.scope).await?,
        };
        let tail = Tail { request: request.clone(), filter, seq, ready: VecDeque::new() };
        Ok(try_unfold(tail, |mut tail| async move {
            let alert = tail.next().await?;
            let edge = Edge { cursor: alert.place().encode(), node: FraudAlert(alert) };
            Ok(Some((edge, tail)))
        }))
    }
}

/// Where one subscriber stands.
struct Tail {
    request: RequestContext,
    filter: AlertFilter,
    /// Everything up to here was read.
    seq: i64,
    /// Read, and not given yet: one batch at most.
    ready: VecDeque<reads::FraudAlert>,
}

impl Tail {
    /// The next alert, however long that takes. A database that is away for a moment is waited for.
    async fn next(&mut self) -> base::Result<reads::FraudAlert> {
        loop {
            if let Some(alert) = self.ready.pop_front() {
                return Ok(alert);
            }
            match self.read().await {
                Ok(()) if !self.ready.is_empty() => {}
                Ok(()) => {
                    self.request.app.feed.wait(self.request.scope.brand_id, self.seq, LOOK_EVERY).await;
                }
                Err(error) if error.is_transient() => tokio::time::sleep(LOOK_EVERY).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads the next batch. Places are shared with everything else that the outbox tells: the end that was there before the read is
    /// where the next one starts, so that a quiet stream neither reads twice nor wakes for what is not an alert.
    async fn read(&mut self) -> base::Result<()> {
        let mut conn = self.request.conn().await?;
        let scope = &self.request.scope;
        let end = feed_end(&mut conn, scope).await?;
        if end <= self.seq {
            return Ok(());
        }
        let found = alerts_after(&mut conn, scope, &self.filter, self.seq, ALERT_FEED_BATCH_MAX).await?;
        let is_full = i64::try_from(found.len()).is_ok_and(|count| count >= ALERT_FEED_BATCH_MAX);
        let last = found.last().map_or(self.seq, |alert| alert.seq);
        self.seq = if is_full { last } else { last.max(end) };
        self.ready = found.into();
        Ok(())
    }
}
