//! Mutations of the inbound log: events that were refused or failed are taken in again, or given up.

use async_graphql::{Context, ID, InputObject, InputType, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use scoped_futures::ScopedFutureExt;

use super::context::{parse_id, to_id};
use super::events::EventFilter;
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::limits::REPLAY_EVENTS_MAX;
use crate::base::{self, Cursor, Error, Kind};
use crate::ingest::{self, Failure, Ruled, Ruling, RulingVerb, Selection};
use crate::payload;

/// Events to take in again. Pass either `eventIds` or `filter`; with neither, all that are quarantined or dead.
#[derive(InputObject, Clone, Debug)]
pub struct ReplayEventsInput {
    /// These events, at most 1,000. What waits or has had its effect already is left as it is.
    event_ids: Option<Vec<ID>>,
    /// Those that the filter finds, the first recorded first. States other than `QUARANTINED` and `DEAD` are refused.
    filter: Option<EventFilter>,
    /// With a filter: only events behind the `endCursor` of the call before.
    after: Option<String>,
    /// With a filter: how many events, at most 1,000 and 1,000 if it is left out.
    limit: Option<i32>,
    /// Why, in 1 to 500 bytes. It is kept with who asked, and when.
    reason: String,
    /// Makes a replay of the mutation return the first result.
    idempotency_key: Option<String>,
}

/// Events to give up. Pass either `eventIds` or `filter`.
#[derive(InputObject, Clone, Debug)]
pub struct DiscardEventsInput {
    /// These events, at most 1,000. They must be quarantined or dead; others are left as they are.
    event_ids: Option<Vec<ID>>,
    /// Those that the filter finds, the first recorded first. States other than `QUARANTINED` and `DEAD` are refused.
    filter: Option<EventFilter>,
    /// With a filter: only events behind the `endCursor` of the call before.
    after: Option<String>,
    /// With a filter: how many events, at most 1,000 and 1,000 if it is left out.
    limit: Option<i32>,
    /// Why, in 1 to 500 bytes. It is kept with who asked, and when.
    reason: String,
    /// Makes a replay of the mutation return the first result.
    idempotency_key: Option<String>,
}

/// An event that could not be used this time either.
#[derive(SimpleObject, Clone, Debug)]
pub struct ReplayFailure {
    /// The event.
    pub event_id: ID,
    /// Why, by name.
    pub code: String,
    /// Why, in words.
    pub reason: String,
}

impl From<Failure> for ReplayFailure {
    fn from(failure: Failure) -> Self {
        Self { event_id: to_id(Kind::Event, failure.event_id), code: failure.code, reason: failure.reason }
    }
}

/// What came of taking events in again.
#[derive(Clone, Debug)]
pub struct EventReplay(Ruled);

impl From<Ruled> for EventReplay {
    fn from(ruled: Ruled) -> Self {
        Self(ruled)
    }
}

/// What came of taking events in again.
#[Object]
impl EventReplay {
    /// How many wait for the worker again.
    async fn queued(&self) -> usize {
        self.0.changed_count
    }

    /// How many could not be used this time either.
    async fn quarantined(&self) -> usize {
        self.0.refused_count
    }

    /// How many were left as they are, since they wait or have had their effect already.
    async fn unchanged(&self) -> usize {
        self.0.unchanged_count
    }

    /// The first 20 that could not be used.
    async fn failures(&self) -> Vec<ReplayFailure> {
        self.0.failures.iter().cloned().map(ReplayFailure::from).collect()
    }

    /// Whether the filter finds more events behind these.
    async fn has_more(&self) -> bool {
        self.0.has_more
    }

    /// The place of the last of these events, for `after` of the next call. Null for events by identifier.
    async fn end_cursor(&self) -> Option<&str> {
        self.0.end_cursor.as_deref()
    }

    /// Where the log begins: what was recorded before is no longer kept, and was not looked for. Null where nothing was dropped.
    async fn log_begins_at(&self) -> Option<DateTime<Utc>> {
        self.0.log_begins_at
    }
}

/// What came of giving events up.
#[derive(Clone, Debug)]
pub struct EventDiscard(Ruled);

impl From<Ruled> for EventDiscard {
    fn from(ruled: Ruled) -> Self {
        Self(ruled)
    }
}

/// What came of giving events up.
#[Object]
impl EventDiscard {
    /// How many were given up.
    async fn discarded(&self) -> usize {
        self.0.changed_count
    }

    /// How many were left as they are, since they are not quarantined or dead, or were given up before.
    async fn unchanged(&self) -> usize {
        self.0.unchanged_count
    }

    /// Whether the filter finds more events behind these.
    async fn has_more(&self) -> bool {
        self.0.has_more
    }

    /// The place of the last of these events, for `after` of the next call. Null for events by identifier.
    async fn end_cursor(&self) -> Option<&str> {
        self.0.end_cursor.as_deref()
    }
}

payload! {
    /// The outcome of `replayEvents`.
    ReplayEventsPayload {
        /// What came of it.
        replay: EventReplay
    }
}

payload! {
    /// The outcome of `discardEvents`.
    DiscardEventsPayload {
        /// What came of it.
        discard: EventDiscard
    }
}

#[derive(Default)]
pub struct EventMutation;

#[Object]
impl EventMutation {
    /// Takes events in again that are quarantined or dead, with today's rules and today's names. An event keeps its identifier, and
    /// takes effect once however often this is called.
    async fn replay_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The events, and why.")] input: ReplayEventsInput,
    ) -> Result<ReplayEventsPayload> {
        let request = ctx.request()?;
        require(request)?;
        let arguments = input.to_value();
        let ReplayEventsInput { event_ids, filter, after, limit, reason, idempotency_key } = input;
        let ruling = selection(event_ids, filter, after, limit, true).map(|selection| Ruling {
            verb: RulingVerb::Replay,
            selection,
            reason,
        });
        ReplayEventsPayload::of(rule(request, "replayEvents", idempotency_key, &arguments, ruling).await)
    }

    /// Gives up events that are quarantined or dead: they stay in the log, and no replay over a range finds them again. A replay by
    /// identifier takes it back.
    async fn discard_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The events, and why.")] input: DiscardEventsInput,
    ) -> Result<DiscardEventsPayload> {
        let request = ctx.request()?;
        require(request)?;
        let arguments = input.to_value();
        let DiscardEventsInput { event_ids, filter, after, limit, reason, idempotency_key } = input;
        let ruling = selection(event_ids, filter, after, limit, false).map(|selection| Ruling {
            verb: RulingVerb::Discard,
            selection,
            reason,
        });
        DiscardEventsPayload::of(rule(request, "discardEvents", idempotency_key, &arguments, ruling).await)
    }
}

fn require(request: &RequestContext) -> base::Result<()> {
    request.require(Permission::ReadEvents)?;
    request.require(Permission::Ingest)
}

fn selection(
    event_ids: Option<Vec<ID>>,
    filter: Option<EventFilter>,
    after: Option<String>,
    limit: Option<i32>,
    may_be_all: bool,
) -> base::Result<Selection> {
    match (event_ids, filter) {
        (Some(ids), None) => {
            let ids: base::Result<Vec<_>> = ids.iter().map(|id| parse_id(Kind::Event, id, &["eventIds"])).collect();
            Ok(Selection::Ids(ids?))
        }
        (None, filter) if filter.is_some() || may_be_all => Ok(Selection::Filter {
            filter: filter.unwrap_or_default().read()?,
            after: after.map(|after| Cursor::decode(&after, "after")).transpose()?,
            limit: limit.map_or(Ok(REPLAY_EVENTS_MAX), usize::try_from).unwrap_or(0),
        }),
        _ => Err(Error::invalid(&["eventIds"], "Pass either eventIds or filter.")),
    }
}

async fn rule(
    request: &RequestContext,
    operation: &str,
    key: Option<String>,
    arguments: &async_graphql::Value,
    ruling: base::Result<Ruling>,
) -> base::Result<Ruled> {
    let ruling = &ruling?;
    let (scope, app) = (&request.scope, &request.app);
    let ruled = request.once(operation, key.as_deref(), arguments, |conn| {
        async move { ingest::rule(conn, scope, &app.env, &app.keyring, ruling).await }.scope_boxed()
    });
    ruled.await
}
