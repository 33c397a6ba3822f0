//! What is pushed to subscribers. A stream reads PostgreSQL from the last place it gave and only when it is asked for more, so that a slow
//! client misses nothing and nothing piles up for it.

use std::collections::VecDeque;
use std::time::Duration;

use async_graphql::{Context, Result, Subscription};
use futures_util::Stream;
use futures_util::stream::try_unfold;
use uuid::Uuid;

use super::attribution::{AttributionFilter, AttributionRecord};
use super::connection::Edge;
use super::fraud::{FraudAlert, FraudAlertFilter};
use super::node::require_growth;
use super::reward_simulations::{
    COST as SIMULATION_COST, RewardSimulationStep, RewardTrial, SimulateRewardPolicyInput,
};
use super::rewards::{Reward, RewardFilter};
use super::simulations::{AttributionSimulationStep, AttributionTrial, SimulateAttributionPolicyInput};
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::attribution::reads::{self as attribution, RecordFilter};
use crate::base::limits::FEED_BATCH_MAX;
use crate::base::{self, Cursor};
use crate::fraud::reads::{self, AlertFilter, alerts_after, feed_end};
use crate::rewards::reads as rewards;

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
        let tail = Tail::open(request, Alerts(filter), after.as_deref()).await?;
        Ok(try_unfold(tail, |mut tail| async move {
            let (place, alert) = tail.next().await?;
            Ok(Some((Edge { cursor: place.encode(), node: FraudAlert(alert) }, tail)))
        }))
    }

    /// Rewards as they are granted and change, once for each change and none left out, each as it stands when it is told. Pass as `after`
    /// the cursor of the last one that was seen to go on from there; without it the stream starts now.
    async fn rewards<'ctx>(
        &self,
        ctx: &Context<'ctx>,
        #[graphql(desc = "The cursor of the last reward that was seen.")] after: Option<String>,
        #[graphql(desc = "Which rewards.")] filter: Option<RewardFilter>,
    ) -> Result<impl Stream<Item = Result<Edge<Reward>>> + 'ctx> {
        let request = ctx.request()?;
        request.require(Permission::ReadMoney)?;
        let filter = filter.unwrap_or_default().read(request)?;
        let tail = Tail::open(request, Rewards(filter), after.as_deref()).await?;
        Ok(try_unfold(tail, |mut tail| async move {
            let (place, reward) = tail.next().await?;
            Ok(Some((Edge { cursor: place.encode(), node: Reward(reward) }, tail)))
        }))
    }

    /// Attribution records as conversions are credited, and credited anew, each once and none left out; those of one conversion come
    /// together. Pass as `after` the cursor of the last record that was seen to go on from there; without it the stream starts now.
    async fn attribution_records<'ctx>(
        &self,
        ctx: &Context<'ctx>,
        #[graphql(desc = "The cursor of the last record that was seen.")] after: Option<String>,
        #[graphql(desc = "Which records.")] filter: Option<AttributionFilter>,
    ) -> Result<impl Stream<Item = Result<Edge<AttributionRecord>>> + 'ctx> {
        let request = ctx.request()?;
        require_growth(request)?;
        let filter = AttributionFilter::read(filter.as_ref(), request)?;
        let tail = Tail::open(request, Records(filter), after.as_deref()).await?;
        Ok(try_unfold(tail, |mut tail| async move {
            let (place, record) = tail.next().await?;
            Ok(Some((Edge { cursor: place.encode(), node: AttributionRecord(record) }, tail)))
        }))
    }

    /// What a draft of a reward policy would have granted: how far it has come from time to time, then what it came to, and the end. It
    /// writes nothing, and stops where nobody listens. At most 1,000,000 activations and conversions.
    #[graphql(complexity = "SIMULATION_COST + child_complexity")]
    async fn reward_simulation<'ctx>(
        &self,
        ctx: &Context<'ctx>,
        #[graphql(desc = "The draft, and what it is tried on.")] input: SimulateRewardPolicyInput,
    ) -> Result<impl Stream<Item = Result<RewardSimulationStep>> + 'ctx> {
        let trial = RewardTrial::begin(ctx.request()?, input).await?;
        Ok(try_unfold(trial, |mut trial| async move { Ok(trial.next().await?.map(|step| (step, trial))) }))
    }

    /// What a drafted attribution policy would have credited, next to what stands: how far it has come from time to time, then what it came
    /// to, and the end. It writes nothing, and stops where nobody listens. At most 10,000,000 conversions.
    async fn attribution_simulation<'ctx>(
        &self,
        ctx: &Context<'ctx>,
        #[graphql(desc = "The draft, and what it is tried on.")] input: SimulateAttributionPolicyInput,
    ) -> Result<impl Stream<Item = Result<AttributionSimulationStep>> + 'ctx> {
        let trial = AttributionTrial::begin(ctx.request()?, &input).await?;
        Ok(try_unfold(trial, |mut trial| async move { Ok(trial.next().await?.map(|step| (step, trial))) }))
    }
}

/// What a stream reads.
trait Feed: Send + Sync {
    type Row: Send;

    /// The rows behind a place, each with its own, in their order: at most `count_max`.
    fn read(
        &self,
        request: &RequestContext,
        after: Cursor,
        count_max: i64,
    ) -> impl Future<Output = base::Result<Vec<(Cursor, Self::Row)>>> + Send;
}

/// Alerts as they are raised.
struct Alerts(AlertFilter);

impl Feed for Alerts {
    type Row = reads::FraudAlert;

    async fn read(
        &self,
        request: &RequestContext,
        after: Cursor,
        count_max: i64,
    ) -> base::Result<Vec<(Cursor, Self::Row)>> {
        let conn = &mut *request.conn().await?;
        let found = alerts_after(conn, &request.scope, &self.0, after.key, count_max).await?;
        Ok(found.into_iter().map(|alert| (alert.place(), alert)).collect())
    }
}

/// Rewards as they change.
struct Rewards(rewards::RewardFilter);

impl Feed for Rewards {
    type Row = rewards::Reward;

    async fn read(
        &self,
        request: &RequestContext,
        after: Cursor,
        count_max: i64,
    ) -> base::Result<Vec<(Cursor, Self::Row)>> {
        rewards::rewards_after(&mut *request.conn().await?, &request.scope, &self.0, after.key, count_max).await
    }
}

/// Attribution records as they are made.
struct Records(RecordFilter);

impl Feed for Records {
    type Row = attribution::AttributionRecord;

    async fn read(
        &self,
        request: &RequestContext,
        after: Cursor,
        count_max: i64,
    ) -> base::Result<Vec<(Cursor, Self::Row)>> {
        attribution::records_after(&mut *request.conn().await?, &request.scope, &self.0, after, count_max).await
    }
}

/// Where one subscriber stands.
struct Tail<F: Feed> {
    request: RequestContext,
    feed: F,
    /// Everything up to here was read.
    place: Cursor,
    /// Read, and not given yet: one batch at most.
    ready: VecDeque<(Cursor, F::Row)>,
}

impl<F: Feed> Tail<F> {
    /// A stream from the last row that was seen, or from now.
    async fn open(request: &RequestContext, feed: F, after: Option<&str>) -> Result<Self> {
        let place = match after {
            Some(after) => Cursor::decode(after, "after")?,
            None => end_of(feed_end(&mut *request.conn().await?, &request.scope).await?),
        };
        Ok(Self { request: request.clone(), feed, place, ready: VecDeque::new() })
    }

    /// The next row with its cursor, however long that takes. A database that is away for a moment is waited for.
    async fn next(&mut self) -> base::Result<(Cursor, F::Row)> {
        loop {
            if let Some(next) = self.ready.pop_front() {
                return Ok(next);
            }
            match self.read().await {
                Ok(()) if !self.ready.is_empty() => {}
                Ok(()) => {
                    self.request.app.feed.wait(self.request.scope.brand_id, self.place.key, LOOK_EVERY).await;
                }
                Err(error) if error.is_transient() => tokio::time::sleep(LOOK_EVERY).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads the next batch. Places are shared with everything else that the outbox tells: the end that was there before the read is
    /// where the next one starts, so that a quiet stream neither reads twice nor wakes for what is not its own.
    async fn read(&mut self) -> base::Result<()> {
        let end = end_of(feed_end(&mut *self.request.conn().await?, &self.request.scope).await?);
        if end <= self.place {
            return Ok(());
        }
        let found = self.feed.read(&self.request, self.place, FEED_BATCH_MAX).await?;
        let is_full = i64::try_from(found.len()).is_ok_and(|count| count >= FEED_BATCH_MAX);
        let last = found.last().map_or(self.place, |(place, _)| *place);
        self.place = if is_full { last } else { last.max(end) };
        self.ready = found.into();
        Ok(())
    }
}

/// The place behind everything of this number.
fn end_of(seq: i64) -> Cursor {
    Cursor::new(seq, Uuid::max())
}
