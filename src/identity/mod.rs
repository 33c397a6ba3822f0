//! Who is who: every identifier that an event carries points at one person, and an event that carries two of them makes one
//! person of two. Deterministic, recorded, and reversible: touches keep the person that they were recorded with.
//! It never guesses: shared devices and look-alikes merge nobody.
//! Start with [`stitch`].

mod rules;
mod store;
mod undo;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::{Keyring, Scope};
use crate::base::Result;
use crate::db::Conn;
use crate::events::Event;

pub use rules::{Identifier, IdentifierKind};
pub use undo::{IdentityMerge, MergeRuling, Undoing, merge_by_id, merges_of, next_ruling, part, rule, shards_waiting};

/// An event of the log with what is needed to process it.
#[derive(Clone, Debug)]
pub struct Logged {
    pub id: Uuid,
    pub recorded_at: DateTime<Utc>,
    pub event: Event,
}

/// Whom an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// The person as known when the event was read: what rows are recorded with.
    pub recorded_id: Uuid,
    /// The person after all merges of the batch: what rows are read by.
    pub canonical_id: Uuid,
}

/// The outcome of a batch.
pub struct Stitched {
    /// One per event, in order.
    pub people: Vec<Person>,
    /// The people, by canonical id, to whom the batch joined another's history.
    pub merged: Vec<Uuid>,
    /// Since when they have a history of others: the first thing that each one who was joined to them had done before the batch.
    pub joined_since: Vec<(Uuid, DateTime<Utc>)>,
}

/// The click that an event is, as what follows it names it. Its touchpoint keeps whose it was: it needs no identity of its own.
fn own_click(logged: &Logged) -> Option<Identifier> {
    let is_click = logged.event.event_type == crate::events::EventType::Click;
    is_click.then(|| Identifier::new(IdentifierKind::Click, *logged.id.as_bytes()))
}

/// The identifiers of an event.
fn identifiers(scope: &Scope, keyring: &Keyring, logged: &Logged) -> Vec<Identifier> {
    let event = &logged.event;
    let hash = |value: &str| keyring.hash(scope.brand_id, "user", value);
    let user = event.user_id.as_deref().map(|id| Identifier::new(IdentifierKind::User, hash(id)));
    let anonymous = event.anonymous_hash.map(|hash| Identifier::new(IdentifierKind::Anonymous, hash.0));
    let followed = event.click_id.map(|id| Identifier::new(IdentifierKind::Click, *id.as_bytes()));
    [user, anonymous, followed, own_click(logged)].into_iter().flatten().collect()
}

/// Finds, makes and merges the people of a batch, in a few statements.
pub async fn stitch(conn: &mut Conn, scope: &Scope, keyring: &Keyring, batch: &[Logged]) -> Result<Stitched> {
    let known: Vec<Vec<Identifier>> = batch.iter().map(|logged| identifiers(scope, keyring, logged)).collect();
    let mut wanted: Vec<Identifier> = known.iter().flatten().copied().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let clicks: HashSet<Identifier> = batch.iter().filter_map(own_click).collect();
    let mut register = rules::Register::new(store::find(conn, scope, &wanted).await?);
    register.bar(undo::barred(conn, scope).await?);
    let recorded: Vec<Uuid> = batch
        .iter()
        .zip(&known)
        .map(|(logged, own)| register.assign(scope.brand_id, logged.id, logged.recorded_at, own))
        .collect();
    register.new_identifiers.retain(|(one, ..)| !clicks.contains(one));
    // Asked before they are joined: then nobody can tell whose it was.
    let joined: Vec<Uuid> = register.merges.iter().map(|merge| merge.from_id).collect();
    let first_acts = first_acts(conn, scope, &joined).await?;
    store::write(conn, scope, &register).await?;
    let people = recorded.iter().map(|id| Person { recorded_id: *id, canonical_id: register.canonical(*id) }).collect();
    let merged = register.merges.iter().map(|merge| register.canonical(merge.into_id)).collect();
    let joined_since = first_acts.into_iter().map(|(id, at)| (register.canonical(id), at)).collect();
    Ok(Stitched { people, merged, joined_since })
}

/// When each of these canonical people first touched or bought anything; who never did is missing.
pub async fn first_acts(conn: &mut Conn, scope: &Scope, canonical_ids: &[Uuid]) -> Result<Vec<(Uuid, DateTime<Utc>)>> {
    if canonical_ids.is_empty() { Ok(Vec::new()) } else { store::first_acts(conn, scope, canonical_ids).await }
}
