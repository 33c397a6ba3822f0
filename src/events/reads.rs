//! The inbound log as it is read: what came in, and what became of it. It never shows a payload.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::expression::SqlLiteral;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::store::days::{bounds_of, first_and_last, since_of, span_of};
use super::stretches::{From, stretches};
use super::{EventType, StoredState};
use crate::access::Scope;
use crate::base::{Cursor, Page, Result, Slice};
use crate::db::Conn;
use crate::db::schema::{events, webhook_sources};
use crate::text_enum;

text_enum! {
    /// What became of an event.
    EventState { Queued = "QUEUED", Processed = "PROCESSED", Quarantined = "QUARANTINED", Dead = "DEAD" }
}

/// One event of the log, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundEvent {
    pub id: Uuid,
    /// `None` where the type could not be read.
    pub event_type: Option<EventType>,
    pub state: EventState,
    pub code: Option<String>,
    pub reason: Option<String>,
    pub occurred_at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
    /// The webhook source; `None` for the brand's own doors.
    pub source_id: Option<Uuid>,
    /// How often it was taken in again.
    pub replay_count: i16,
    /// When it was given up.
    pub discarded_at: Option<DateTime<Utc>>,
}

impl InboundEvent {
    /// The event's place in lists, which are newest first.
    #[must_use]
    pub fn place(&self) -> Cursor {
        Cursor::at(self.recorded_at, self.id)
    }
}

/// Which events are wanted; what is `None` or empty is not asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventFilter {
    pub states: Vec<EventState>,
    pub event_type: Option<EventType>,
    pub source_id: Option<Uuid>,
    pub code: Option<String>,
    /// Recorded from this moment on.
    pub from: Option<DateTime<Utc>>,
    /// Recorded before this moment.
    pub to: Option<DateTime<Utc>>,
    /// Given up, or not.
    pub is_discarded: Option<bool>,
}

/// An accepted event is processed once the pipeline's position in its shard has reached it.
const IS_PROCESSED: &str = "coalesce((events.recorded_xid, events.seq) <= (
    select p.recorded_xid, p.seq from positions p where p.consumer = 'pipeline' and p.shard = events.shard), false)";

fn is_processed() -> SqlLiteral<Bool> {
    diesel::dsl::sql::<Bool>(IS_PROCESSED)
}

/// A row of the columns that are shown, in the order of [`columns`].
#[derive(Queryable)]
struct EventRow {
    id: Uuid,
    event_type: Option<String>,
    state: String,
    is_processed: bool,
    code: Option<String>,
    reason: Option<String>,
    occurred_at: DateTime<Utc>,
    recorded_at: DateTime<Utc>,
    source_id: Uuid,
    replay_count: i16,
    discarded_at: Option<DateTime<Utc>>,
}

macro_rules! columns {
    () => {
        (
            events::id,
            events::event_type,
            events::state,
            is_processed(),
            events::code,
            events::reason,
            events::occurred_at,
            events::recorded_at,
            events::source_id,
            events::replay_count,
            events::discarded_at,
        )
    };
}

fn to_event(row: EventRow) -> Result<InboundEvent> {
    let state = match StoredState::from_column(&row.state)? {
        StoredState::Accepted if row.is_processed => EventState::Processed,
        StoredState::Accepted => EventState::Queued,
        StoredState::Quarantined => EventState::Quarantined,
        StoredState::Dead => EventState::Dead,
    };
    Ok(InboundEvent {
        id: row.id,
        // The type of an event that could not be understood is the sender's own word.
        event_type: row.event_type.as_deref().and_then(EventType::parse),
        state,
        code: row.code,
        reason: row.reason,
        occurred_at: row.occurred_at,
        recorded_at: row.recorded_at,
        source_id: (!row.source_id.is_nil()).then_some(row.source_id),
        replay_count: row.replay_count,
        discarded_at: row.discarded_at,
    })
}

/// The conditions of a filter but for its time, which every caller names by stretches.
fn filtered<'a>(scope: &Scope, filter: &EventFilter) -> events::BoxedQuery<'a, Pg> {
    let mut query = events::table.filter(events::brand_id.eq(scope.brand_id)).into_boxed();
    if !filter.states.is_empty() {
        let has = |state| filter.states.contains(&state);
        query = query.filter(in_states([
            has(EventState::Queued),
            has(EventState::Processed),
            has(EventState::Quarantined),
            has(EventState::Dead),
        ]));
    }
    if let Some(event_type) = filter.event_type {
        query = query.filter(events::event_type.eq(event_type.as_str()));
    }
    if let Some(id) = filter.source_id {
        query = query.filter(events::source_id.eq(id));
    }
    if let Some(code) = &filter.code {
        query = query.filter(events::code.eq(code.clone()));
    }
    if let Some(is_discarded) = filter.is_discarded {
        query = query.filter(events::discarded_at.is_not_null().eq(is_discarded));
    }
    query
}

/// A condition of literals, not of bound names: so the planner sees that the index of the refused ones will do.
fn in_states([is_queued, is_processed, is_quarantined, is_dead]: [bool; 4]) -> SqlLiteral<Bool> {
    let accepted = match (is_queued, is_processed) {
        (true, true) => Some("events.state = 'ACCEPTED'".to_owned()),
        (true, false) => Some(format!("(events.state = 'ACCEPTED' and not {IS_PROCESSED})")),
        (false, true) => Some(format!("(events.state = 'ACCEPTED' and {IS_PROCESSED})")),
        (false, false) => None,
    };
    let quarantined = is_quarantined.then(|| "events.state = 'QUARANTINED'".to_owned());
    let dead = is_dead.then(|| "events.state = 'DEAD'".to_owned());
    let any: Vec<String> = [accepted, quarantined, dead].into_iter().flatten().collect();
    let refused_only = if is_queued || is_processed { "" } else { " and events.state <> 'ACCEPTED'" };
    diesel::dsl::sql::<Bool>(&format!("(({}){refused_only})", any.join(" or ")))
}

/// The time in which a list is looked for: what the log has, what the filter leaves, and what `after` and `before` leave of a list that
/// runs from early to late.
async fn bounds(
    conn: &mut Conn,
    scope: &Scope,
    filter: &EventFilter,
    after: Option<Cursor>,
    before: Option<Cursor>,
) -> Result<(DateTime<Utc>, DateTime<Utc>)> {
    // A log without days is asked all the same: the filter may hold what is refused.
    let (first, last) = first_and_last(conn).await?.unwrap_or_default();
    let (log_start, log_end) = (bounds_of(first).0, bounds_of(last).1);
    // What waits is found where the reader looks, however long the log is.
    let waits_since = if filter.states == [EventState::Queued] { since_of(conn, scope.shard).await? } else { None };
    let start = [filter.from, after.map(|after| after.time()), waits_since]
        .into_iter()
        .flatten()
        .fold(log_start, DateTime::max);
    let end = filter.to.map_or(log_end, |to| to.min(log_end));
    // A cursor's own moment may hold other events.
    let end = before.map_or(end, |before| end.min(before.time().min(log_end) + TimeDelta::microseconds(1)));
    Ok((start, end))
}

/// Those of a filter's events that were recorded within a stretch.
fn within<'a>(
    scope: &Scope,
    filter: &EventFilter,
    (start, end): (DateTime<Utc>, DateTime<Utc>),
) -> events::BoxedQuery<'a, Pg> {
    filtered(scope, filter).filter(events::recorded_at.ge(start)).filter(events::recorded_at.lt(end))
}

/// A page of events, the last recorded first.
pub async fn event_page(
    conn: &mut Conn,
    scope: &Scope,
    filter: &EventFilter,
    page: &Page,
) -> Result<Slice<InboundEvent>> {
    let from = if page.is_backward { From::Oldest } else { From::Newest };
    // The list runs from late to early: what is after a cursor was recorded before it.
    let (start, end) = bounds(conn, scope, filter, page.before, page.after).await?;
    let mut rows: Vec<EventRow> = Vec::new();
    for stretch in stretches(start, end, from) {
        let left = page.fetch_limit() - i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if left <= 0 {
            break;
        }
        let mut query = within(scope, filter, stretch);
        // The stretch is the range of the index; these mend equal times.
        if let Some(after) = page.after {
            query = query.filter(events::recorded_at.lt(after.time()).or(events::id.lt(after.id)));
        }
        if let Some(before) = page.before {
            query = query.filter(events::recorded_at.gt(before.time()).or(events::id.gt(before.id)));
        }
        query = match from {
            From::Oldest => query.order((events::recorded_at.asc(), events::id.asc())),
            From::Newest => query.order((events::recorded_at.desc(), events::id.desc())),
        };
        rows.extend(query.select(columns!()).limit(left).load::<EventRow>(conn).await?);
    }
    Ok(page.slice(rows.into_iter().map(to_event).collect::<Result<_>>()?))
}

/// How many events there are.
pub async fn event_count(conn: &mut Conn, scope: &Scope, filter: &EventFilter) -> Result<i64> {
    let mut total = 0;
    let (start, end) = bounds(conn, scope, filter, None, None).await?;
    for stretch in stretches(start, end, From::Newest) {
        total += within(scope, filter, stretch).count().get_result::<i64>(conn).await?;
    }
    Ok(total)
}

/// The places of events that are neither in the line nor given up, the first recorded first. Without states: quarantined and dead.
pub async fn refused_places(
    conn: &mut Conn,
    scope: &Scope,
    filter: &EventFilter,
    after: Option<Cursor>,
    limit: i64,
) -> Result<Vec<Cursor>> {
    let mut filter = EventFilter { is_discarded: Some(false), ..filter.clone() };
    if filter.states.is_empty() {
        filter.states = vec![EventState::Quarantined, EventState::Dead];
    }
    let (start, end) = bounds(conn, scope, &filter, after, None).await?;
    let mut places: Vec<Cursor> = Vec::new();
    for stretch in stretches(start, end, From::Oldest) {
        let left = limit - i64::try_from(places.len()).unwrap_or(i64::MAX);
        if left <= 0 {
            break;
        }
        let mut query = within(scope, &filter, stretch);
        if let Some(after) = after {
            query = query.filter(events::recorded_at.gt(after.time()).or(events::id.gt(after.id)));
        }
        let query = query.order((events::recorded_at.asc(), events::id.asc()));
        let rows = query.select((events::recorded_at, events::id)).limit(left).load::<(DateTime<Utc>, Uuid)>(conn);
        places.extend(rows.await?.into_iter().map(|(time, id)| Cursor::at(time, id)));
    }
    Ok(places)
}

/// Events by identifier.
pub async fn events_by_ids(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, InboundEvent>> {
    let (first, end) = span_of(ids);
    let rows: Vec<EventRow> = events::table
        .filter(events::brand_id.eq(scope.brand_id))
        .filter(events::id.eq_any(ids))
        .filter(events::recorded_at.ge(first).and(events::recorded_at.lt(end)))
        .select(columns!())
        .load(conn)
        .await?;
    rows.into_iter().map(|row| Ok((row.id, to_event(row)?))).collect()
}

/// The names of webhook sources.
pub async fn source_names(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, String>> {
    let rows: Vec<(Uuid, String)> = webhook_sources::table
        .filter(webhook_sources::brand_id.eq(scope.brand_id))
        .filter(webhook_sources::id.eq_any(ids))
        .select((webhook_sources::id, webhook_sources::name))
        .load(conn)
        .await?;
    Ok(rows.into_iter().collect())
}
