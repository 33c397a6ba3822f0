//! Events that were refused or failed pass the door again, with today's rules and today's names, or are given up. An event keeps its
//! identifier and its keys, and what comes back gets a new place at the end of the log: so it has one fate, and takes effect once.
//! It never touches an event that is in the line or has had its effect.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::item::{Item, claim_keys, look_up};
use super::rules::{Bench, Doubt};
use super::store::replays::{self, RefusedRow, RulingRow, Understood};
use super::{Origin, RAW_PURPOSE, Receipt, parts};
use crate::access::{Keyring, Permission, Scope};
use crate::base::limits::{REPLAY_EVENTS_MAX, REPLAY_FAILURES_MAX, RULING_REASON_BYTES_MAX};
use crate::base::{Cursor, Env, Error, Kind, Result, time_of_id};
use crate::db::Conn;
use crate::events::reads::{EventFilter, EventState, events_by_ids, refused_places};
use crate::events::{EventType, log_begins_at};
use crate::platforms::{Parsed, Scheme, Submission, parse};
use crate::text_enum;

/// The code of an event that came second: it stays out, however long the keys are kept.
const REUSED: &str = "EVENT_ID_REUSED";

text_enum! {
    /// What is done with events that are not in the line.
    RulingVerb {
        /// They pass the door again.
        Replay = "REPLAY",
        /// They are given up: a ruling over a range no longer finds them.
        Discard = "DISCARD",
    }
}

/// Which events are meant.
#[derive(Clone, Debug)]
pub enum Selection {
    /// These, whatever was ruled on them before.
    Ids(Vec<Uuid>),
    /// The oldest that the filter finds and that were not given up. Without states: quarantined and dead ones.
    Filter { filter: EventFilter, after: Option<Cursor>, limit: usize },
}

/// What somebody rules on events, and why.
#[derive(Clone, Debug)]
pub struct Ruling {
    pub verb: RulingVerb,
    pub selection: Selection,
    pub reason: String,
}

/// What a ruling came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruled {
    /// Events that are in the line again, or were given up.
    pub changed_count: usize,
    /// Events that could not be used this time either.
    pub refused_count: usize,
    /// Events that wait or have had their effect already, or were given up before.
    pub unchanged_count: usize,
    /// The first of those that could not be used.
    pub failures: Vec<Failure>,
    /// The place of the last event, for the next call.
    pub end_cursor: Option<String>,
    pub has_more: bool,
    /// What was recorded before this moment is no longer kept, and was not looked for. `None` where nothing was dropped.
    #[serde(default)]
    pub log_begins_at: Option<DateTime<Utc>>,
}

/// An event that could not be used again, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub event_id: Uuid,
    pub code: String,
    pub reason: String,
}

/// Rules on events. Call it inside of a transaction.
pub async fn rule(conn: &mut Conn, scope: &Scope, env: &Env, keyring: &Keyring, ruling: &Ruling) -> Result<Ruled> {
    scope.require(Permission::ReadEvents)?;
    scope.require(Permission::Ingest)?;
    check(ruling)?;
    let (ids, mut ruled) = select(conn, scope, &ruling.selection).await?;
    let rows = replays::lock_refused(conn, scope, &ids).await?;
    let mut added = Vec::new();
    match ruling.verb {
        RulingVerb::Replay => {
            let outcome = replay(conn, scope, env, keyring, &rows).await?;
            (ruled.changed_count, ruled.refused_count) = (outcome.requeued_count, outcome.failures.len());
            added = outcome.added;
            ruled.failures = outcome.failures.into_iter().take(REPLAY_FAILURES_MAX).collect();
        }
        RulingVerb::Discard => {
            let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
            ruled.changed_count = replays::discard(conn, scope, &ids, env.now()).await?;
        }
    }
    ruled.unchanged_count = ids.len() - ruled.changed_count - ruled.refused_count;
    for receipt in added {
        match receipt.code {
            None => ruled.changed_count += 1,
            Some(_) => ruled.refused_count += 1,
        }
    }
    keep(conn, scope, env, ruling, &ruled).await?;
    Ok(ruled)
}

fn check(ruling: &Ruling) -> Result<()> {
    let reason = ruling.reason.trim();
    if reason.is_empty() || ruling.reason.len() > RULING_REASON_BYTES_MAX || reason.chars().any(char::is_control) {
        let message = format!("Pass a reason of 1 to {RULING_REASON_BYTES_MAX} bytes without control characters.");
        return Err(Error::invalid(&["reason"], message));
    }
    let number = match &ruling.selection {
        Selection::Ids(ids) => ("eventIds", ids.len()),
        Selection::Filter { limit, .. } => ("limit", *limit),
    };
    if number.1 == 0 || number.1 > REPLAY_EVENTS_MAX {
        return Err(Error::invalid(&[number.0], format!("Pass 1 to {REPLAY_EVENTS_MAX} events.")));
    }
    let Selection::Filter { filter, .. } = &ruling.selection else { return Ok(()) };
    if filter.states.iter().all(|state| matches!(state, EventState::Quarantined | EventState::Dead)) {
        return Ok(());
    }
    let message = "Pass QUARANTINED or DEAD: the others wait or have had their effect already.";
    Err(Error::invalid(&["filter", "state"], message))
}

async fn select(conn: &mut Conn, scope: &Scope, selection: &Selection) -> Result<(Vec<Uuid>, Ruled)> {
    let begins_at = log_begins_at(conn).await?;
    match selection {
        Selection::Ids(ids) => {
            let mut ids = ids.clone();
            ids.sort_unstable();
            ids.dedup();
            let known = events_by_ids(conn, scope, &ids).await?;
            match ids.iter().find(|id| !known.contains_key(id)) {
                Some(id) => Err(Error::not_found(&["eventIds"], absence(*id, begins_at))),
                None => Ok((ids, Ruled { log_begins_at: begins_at, ..Ruled::default() })),
            }
        }
        Selection::Filter { filter, after, limit } => {
            if let Some(begins_at) = begins_at.filter(|begins_at| filter.from.is_some_and(|from| from < *begins_at)) {
                let message = format!(
                    "The log begins at {}: what was recorded before is no longer kept. Pass that moment or a later one.",
                    begins_at.to_rfc3339_opts(SecondsFormat::Secs, true)
                );
                return Err(Error::invalid(&["filter", "from"], message));
            }
            let fetched = i64::try_from(limit + 1).map_err(|error| Error::fault("selecting events", error))?;
            let mut places = refused_places(conn, scope, filter, *after, fetched).await?;
            let has_more = places.len() > *limit;
            places.truncate(*limit);
            let end_cursor = places.last().map(Cursor::encode);
            let ids = places.into_iter().map(|place| place.id).collect();
            Ok((ids, Ruled { end_cursor, has_more, log_begins_at: begins_at, ..Ruled::default() }))
        }
    }
}

/// Why an event is not there.
fn absence(id: Uuid, log_begins_at: Option<DateTime<Utc>>) -> String {
    let name = Kind::Event.id(id);
    match log_begins_at.filter(|begins_at| time_of_id(id).is_some_and(|time| time < *begins_at)) {
        Some(begins_at) => {
            let begins_at = begins_at.to_rfc3339_opts(SecondsFormat::Secs, true);
            format!("The log begins at {begins_at}: {name} was recorded before, and is no longer kept.")
        }
        None => format!("There is no event {name}."),
    }
}

struct Outcome {
    requeued_count: usize,
    /// Events that came out of posts which held several.
    added: Vec<Receipt>,
    failures: Vec<Failure>,
}

async fn replay(conn: &mut Conn, scope: &Scope, env: &Env, keyring: &Keyring, rows: &[RefusedRow]) -> Result<Outcome> {
    let submissions = submissions(conn, scope, keyring, rows).await?;
    let items: Vec<(&RefusedRow, Item<'_>)> = rows.iter().zip(&submissions).filter_map(first_part).collect();
    let mut judged = judge(conn, env, keyring, &items).await?;
    let mut requeued = Vec::new();
    let mut refused = Vec::new();
    for row in rows {
        match judged.remove(&row.id) {
            // It was understood once, and failed in the line: what was understood stands.
            None => requeued.push((row.id, None)),
            Some((_, Ok(understood))) => requeued.push((row.id, Some(understood))),
            Some((event_type, Err((code, reason)))) => {
                refused.push((row.id, code, reason, event_type.map(EventType::as_str)));
            }
        }
    }
    replays::requeue(conn, scope, &requeued).await?;
    replays::refuse_again(conn, scope, &refused).await?;
    let others = rows.iter().zip(&submissions).flat_map(|(row, (origin, parts))| {
        let others = parts.iter().flat_map(|parts| parts.items.iter().skip(1));
        others.map(move |part| (origin, row.recorded_at, part))
    });
    let added = parts::add(conn, env, keyring, &others.collect::<Vec<_>>()).await?;
    let failures = refused.into_iter();
    let failures = failures.map(|(id, code, reason, _)| Failure { event_id: id, code: code.to_owned(), reason });
    Ok(Outcome { requeued_count: requeued.len(), added, failures: failures.collect() })
}

/// The part of a post that takes its place. `None`: it was understood once, and is as it was.
fn first_part<'a>((row, (origin, parts)): (&'a RefusedRow, &'a Unsealed)) -> Option<(&'a RefusedRow, Item<'a>)> {
    let parts = parts.as_ref()?;
    let mut item = Item::new(origin, 0, row.id, parts.items.first()?);
    item.is_named |= parts.is_apart;
    Some((row, item))
}

/// What a post comes to.
struct Parts {
    items: Vec<Submission>,
    /// Whether they are not the post as it was kept: then each goes by what it is itself, since it comes again as that.
    is_apart: bool,
}

/// Where a post came from, and its parts. `None`: it was understood.
type Unsealed = (Origin, Option<Parts>);

/// What each event was when it came in, in as many parts as it has, and where it came from. `None` where it was understood.
async fn submissions(conn: &mut Conn, scope: &Scope, keyring: &Keyring, rows: &[RefusedRow]) -> Result<Vec<Unsealed>> {
    let source_ids: Vec<Uuid> = rows.iter().map(|row| row.source_id).filter(|id| !id.is_nil()).collect();
    let schemes =
        if source_ids.is_empty() { HashMap::new() } else { replays::schemes(conn, scope, &source_ids).await? };
    let submission = |row: &RefusedRow| {
        let scheme = schemes.get(&row.source_id).copied().unwrap_or(Scheme::Generic);
        let origin = Origin {
            scope: scope.clone(),
            source_id: row.source_id,
            delivery_id: None,
            names_its_events: scheme.names_its_events(),
            is_import: row.is_import,
        };
        (origin, (!row.is_canonical).then(|| unsealed(scope, keyring, scheme, row)))
    };
    Ok(rows.iter().map(submission).collect())
}

/// At least one.
fn unsealed(scope: &Scope, keyring: &Keyring, scheme: Scheme, row: &RefusedRow) -> Parts {
    let whole = |raw, code, reason| {
        let items = vec![Submission::Unreadable { raw, code, reason }];
        Parts { items, is_apart: false }
    };
    let sealed = row.raw_sealed.as_deref().unwrap_or_default();
    let Ok(raw) = keyring.open(scope.brand_id, RAW_PURPOSE, sealed) else {
        let reason = "What came in cannot be opened with the master secret that this installation has now.".to_owned();
        return whole(Vec::new(), "SEALED", reason);
    };
    if row.code == REUSED {
        let reason = "Another event came first under this event_id or webhook-id: that one counts.".to_owned();
        return whole(raw, REUSED, reason);
    }
    let Parsed { is_array, items, .. } = parse(scheme, &raw);
    match items.len() {
        1 if !is_array => {
            let is_apart = scheme.is_platform() && items.iter().any(|item| item.raw() != raw);
            Parts { items, is_apart }
        }
        0 if scheme.is_platform() => {
            let reason = "It tells of nothing that counts here: it can be given up.".to_owned();
            whole(raw, "NO_EVENT", reason)
        }
        _ if scheme.is_platform() => Parts { items, is_apart: true },
        _ => {
            let reason = "It holds several events: send them anew, each counts by itself.".to_owned();
            whole(raw, "TOO_MANY_EVENTS", reason)
        }
    }
}

type Judged = HashMap<Uuid, (Option<EventType>, std::result::Result<Understood, Doubt>)>;

async fn judge(conn: &mut Conn, env: &Env, keyring: &Keyring, items: &[(&RefusedRow, Item<'_>)]) -> Result<Judged> {
    if items.is_empty() {
        return Ok(Judged::new());
    }
    let (now, all) = (env.now(), items.iter().map(|(_, item)| item));
    let directory = look_up(conn, all.clone()).await?;
    // One without a name keeps the key that it came with: what it came in, and where in it, is known no more.
    let keys = all.filter(|item| item.is_named).map(|item| item.key_row(item.key_hash)).collect();
    let owners = claim_keys(conn, keys, now).await?;
    let bench = Bench { directory: &directory, keyring, now };
    let judged = items.iter().map(|(row, item)| {
        let is_anothers = item.is_named && owners.get(&item.key()).is_some_and(|(owner, _)| *owner != item.id);
        let outcome = if is_anothers {
            Err((REUSED, "Another event has come under this event_id: that one counts.".to_owned()))
        } else {
            bench.judge(item, row.recorded_at).map(|(event, payload)| Understood {
                event_type: event.event_type.as_str(),
                occurred_at: event.occurred_at,
                payload,
            })
        };
        (item.id, (item.event_type(), outcome))
    });
    Ok(judged.collect())
}

/// Keeps who ruled what, when and why.
async fn keep(conn: &mut Conn, scope: &Scope, env: &Env, ruling: &Ruling, ruled: &Ruled) -> Result<()> {
    let selection = match &ruling.selection {
        Selection::Ids(ids) => json!({ "event_ids": ids.iter().map(|id| Kind::Event.id(*id)).collect::<Vec<_>>() }),
        Selection::Filter { filter, after, limit } => json!({
            "states": filter.states.iter().map(|state| state.as_str()).collect::<Vec<_>>(),
            "event_type": filter.event_type.map(EventType::as_str),
            "source_id": filter.source_id.map(|id| Kind::Source.id(id)),
            "code": filter.code,
            "from": filter.from,
            "to": filter.to,
            "after": after.map(|after| after.encode()),
            "limit": limit,
        }),
    };
    let count = |count: usize| i32::try_from(count).map_err(|error| Error::fault("counting events", error));
    let row = RulingRow {
        brand_id: scope.brand_id,
        id: env.new_id(),
        verb: ruling.verb.as_str(),
        reason: &ruling.reason,
        selection,
        api_key_id: scope.key_id,
        ruled_at: env.now(),
        changed_count: count(ruled.changed_count)?,
        refused_count: count(ruled.refused_count)?,
        unchanged_count: count(ruled.unchanged_count)?,
    };
    replays::insert_ruling(conn, &row).await
}
