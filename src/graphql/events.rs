//! The inbound log in the API.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::connection::{Connection, page_cost};
use super::context::{parse_id_opt, to_id};
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::{self, Error, Kind, Page};
use crate::events::EventType;
use crate::events::reads::{self, event_count, event_page};

/// What became of an event.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "reads::EventState")]
pub enum EventState {
    /// It is kept, and waits for the worker.
    Queued,
    /// It has taken effect.
    Processed,
    /// It could not be understood; the reason says why.
    Quarantined,
    /// It failed while it was processed; the reason says why.
    Dead,
}

/// Where an event came from.
#[derive(SimpleObject, Clone, Debug)]
pub struct EventSource {
    /// The identifier of the webhook source.
    pub id: ID,
    /// The source's name for people.
    pub name: String,
}

/// One event of the inbound log.
#[derive(Clone, Debug)]
pub struct Event(pub reads::InboundEvent);

impl From<reads::InboundEvent> for Event {
    fn from(event: reads::InboundEvent) -> Self {
        Self(event)
    }
}

impl Event {
    /// The event of this identifier, if the bearer may see it.
    pub async fn find(request: &RequestContext, id: Uuid) -> Result<Option<Self>> {
        request.require(Permission::ReadEvents)?;
        Ok(request.loaders.events.load(id).await?.map(Self))
    }
}

/// One event of the inbound log.
#[Object]
impl Event {
    /// The identifier.
    pub async fn id(&self) -> ID {
        to_id(Kind::Event, self.0.id)
    }

    /// What happened, for example `click`; null where it could not be read.
    async fn event_type(&self) -> Option<&str> {
        self.0.event_type.map(EventType::as_str)
    }

    /// What became of it.
    async fn state(&self) -> EventState {
        self.0.state.into()
    }

    /// Why it was refused, by name.
    async fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Why it was refused, in words.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// How often it was taken in again.
    async fn replays(&self) -> i32 {
        i32::from(self.0.replay_count)
    }

    /// When it was given up; null where it was not.
    async fn discarded_at(&self) -> Option<DateTime<Utc>> {
        self.0.discarded_at
    }

    /// When it happened, as the sender says.
    async fn occurred_at(&self) -> DateTime<Utc> {
        self.0.occurred_at
    }

    /// When it was durably recorded.
    async fn recorded_at(&self) -> DateTime<Utc> {
        self.0.recorded_at
    }

    /// The webhook source that posted it; null for links, imports and this API.
    async fn source(&self, ctx: &Context<'_>) -> Result<Option<EventSource>> {
        let Some(id) = self.0.source_id else { return Ok(None) };
        let name = ctx.request()?.loaders.source_names.load(id).await?;
        Ok(name.map(|name| EventSource { id: to_id(Kind::Source, id), name }))
    }
}

/// Which events are wanted. What is left out is not asked about.
#[derive(InputObject, Clone, Debug, Default)]
pub struct EventFilter {
    /// In one of these states.
    state: Option<Vec<EventState>>,
    /// Of this type, for example `click`.
    event_type: Option<String>,
    /// Posted by this webhook source.
    source_id: Option<ID>,
    /// Refused with this code.
    code: Option<String>,
    /// Recorded from this moment on.
    from: Option<DateTime<Utc>>,
    /// Recorded before this moment.
    to: Option<DateTime<Utc>>,
    /// Given up, or not.
    discarded: Option<bool>,
}

impl EventFilter {
    /// The filter in the words of the log.
    pub fn read(self) -> base::Result<reads::EventFilter> {
        let event_type = self.event_type.map(|text| {
            let known: Vec<&str> = EventType::ALL.iter().map(|known| known.as_str()).collect();
            let message = format!("Pass one of {}.", known.join(", "));
            EventType::parse(&text).ok_or_else(|| Error::invalid(&["filter", "eventType"], message))
        });
        Ok(reads::EventFilter {
            states: self.state.unwrap_or_default().into_iter().map(Into::into).collect(),
            event_type: event_type.transpose()?,
            source_id: parse_id_opt(Kind::Source, self.source_id.as_ref(), &["filter", "sourceId"])?,
            code: self.code,
            from: self.from,
            to: self.to,
            is_discarded: self.discarded,
        })
    }
}

#[derive(Default)]
pub struct EventQuery;

#[Object]
impl EventQuery {
    /// What came in, quarantined and dead events included, the last recorded first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many events from the start of the list.")] first: Option<i32>,
        #[graphql(desc = "Only events after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many events from the end of the list.")] last: Option<i32>,
        #[graphql(desc = "Only events before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which events.")] filter: Option<EventFilter>,
    ) -> Result<Connection<Event>> {
        let request = ctx.request()?;
        request.require(Permission::ReadEvents)?;
        let filter = filter.unwrap_or_default().read()?;
        let page = Page::from_args(first, after.as_deref(), last, before.as_deref())?;
        let slice = event_page(&mut *request.conn().await?, &request.scope, &filter, &page).await?;
        Ok(Connection::new(slice, reads::InboundEvent::place, move |request| {
            let filter = filter.clone();
            Box::pin(async move { event_count(&mut *request.conn().await?, &request.scope, &filter).await })
        }))
    }
}
