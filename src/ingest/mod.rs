//! The one way in: every event of every door becomes a row of the log here, in group commits, before anyone is told that it
//! was taken. It never judges an event and never acknowledges from memory.
//! Start with [`Door::accept`]; `rules.rs` turns a sender's fields into a canonical event.

mod commit;
mod door;
mod item;
mod parts;
mod replay;
mod row;
mod rules;
mod source;
mod store;

use uuid::Uuid;

use crate::access::Scope;
use crate::text_enum;

pub use commit::forget_keys;
pub use door::Door;
pub use replay::{Failure, Ruled, Ruling, RulingVerb, Selection, rule};
pub use source::{
    NewSource, Rotation, SealedSecret, Source, SourceView, create_source, note_event, reveal, rotate_secret,
    source_by_id, source_by_slug, source_count, source_page, verify_token,
};

/// What the bytes of an event that could not be used are sealed for.
const RAW_PURPOSE: &str = "event";

/// Who posts: a webhook source, or the brand's own back end through GraphQL, links and imports (`source_id` nil).
#[derive(Clone, Debug)]
pub struct Origin {
    pub scope: Scope,
    pub source_id: Uuid,
    /// The sender's own name of the request: with their places in it, it names the events that have no `event_id`.
    pub delivery_id: Option<String>,
    /// Whether what comes under the same name is the same, whatever else it says: a platform names what it posts itself, and may count
    /// its tries in the body.
    pub names_its_events: bool,
    /// Imports bring history: how old an event is does not matter there.
    pub is_import: bool,
}

impl Origin {
    /// The brand's own doors.
    #[must_use]
    pub fn first_party(scope: Scope) -> Self {
        Self { scope, source_id: Uuid::nil(), delivery_id: None, names_its_events: false, is_import: false }
    }

    /// A file of history.
    #[must_use]
    pub fn import(scope: Scope) -> Self {
        Self { scope, source_id: Uuid::nil(), delivery_id: None, names_its_events: false, is_import: true }
    }
}

text_enum! {
    /// What became of one event at the door.
    ReceiptStatus { Queued = "QUEUED", Duplicate = "DUPLICATE", Quarantined = "QUARANTINED" }
}

/// The answer for one event, given after it is durable.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub event_id: Uuid,
    pub status: ReceiptStatus,
    /// Why it was quarantined, as a code of `docs/errors.md`.
    pub code: Option<&'static str>,
    pub reason: Option<String>,
}
