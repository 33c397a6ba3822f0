//! One event on its way into the log: what was posted, the keys that it goes by, and who owns them.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Origin;
use super::rules::{Directory, Draft, account_of, draft};
use super::store::{self, KeyRow, Names};
use crate::base::limits::EVENT_TEXT_BYTES_MAX;
use crate::base::{Error, Result, derived_id};
use crate::db::Conn;
use crate::events::EventType;
use crate::platforms::{Submission, canonical_json};

/// One event, with the identifier that it gets.
pub(super) struct Item<'a> {
    pub origin: &'a Origin,
    pub id: Uuid,
    pub raw: &'a [u8],
    pub body_hash: [u8; 32],
    pub key_hash: [u8; 16],
    /// Whether the sender gave it an identifier of its own.
    pub is_named: bool,
    pub content: Content,
}

pub(super) enum Content {
    Draft(Box<Draft>),
    Unreadable(&'static str, String),
}

/// Brand, source, and the hash of what the sender calls the event, or of its body.
pub(super) type Key = (Uuid, Uuid, [u8; 16]);

/// The first event that ever claimed each key, with the hash of its body.
pub(super) type Owners = HashMap<Key, (Uuid, [u8; 32])>;

impl<'a> Item<'a> {
    /// `place` is where it stands in its request.
    pub fn new(origin: &'a Origin, place: usize, id: Uuid, submission: &'a Submission) -> Self {
        let (raw, content, sender_id) = match submission {
            Submission::Fields { fields, raw } => {
                let sender_id = fields.event_id.clone().filter(|id| !id.is_empty());
                (raw, Content::Draft(Box::new(draft((**fields).clone()))), sender_id)
            }
            Submission::Unreadable { raw, code, reason } => (raw, Content::Unreadable(code, reason.clone()), None),
        };
        let body_hash: [u8; 32] = Sha256::digest(canonical_json(raw)).into();
        let key_hash = match (&sender_id, &origin.delivery_id) {
            (Some(id), _) => short_hash(&[b"id", id.as_bytes()]),
            (None, Some(id)) => short_hash(&[b"delivery", id.as_bytes(), &(place as u64).to_be_bytes()]),
            (None, None) => short_hash(&[b"body", &body_hash]),
        };
        let is_told_by_name = origin.names_its_events && (sender_id.is_some() || origin.delivery_id.is_some());
        let body_hash = if is_told_by_name { Sha256::digest(key_hash).into() } else { body_hash };
        Item { origin, id, raw, body_hash, key_hash, is_named: sender_id.is_some(), content }
    }

    pub fn key(&self) -> Key {
        (self.origin.scope.brand_id, self.origin.source_id, self.key_hash)
    }

    pub fn key_row(&self, key_hash: [u8; 16]) -> KeyRow {
        KeyRow {
            brand_id: self.origin.scope.brand_id,
            source_id: self.origin.source_id,
            key_hash,
            body_hash: self.body_hash,
            event_id: self.id,
        }
    }

    /// The type as far as it can be read.
    pub fn event_type(&self) -> Option<EventType> {
        match &self.content {
            Content::Draft(draft) => draft.fields.event_type.as_deref().and_then(EventType::parse),
            Content::Unreadable(..) => None,
        }
    }
}

/// What the names in these events stand for now.
pub(super) async fn look_up<'a>(conn: &mut Conn, items: impl IntoIterator<Item = &'a Item<'a>>) -> Result<Directory> {
    let mut names = Names::default();
    for item in items {
        let Content::Draft(draft) = &item.content else { continue };
        let brand_id = item.origin.scope.brand_id;
        let fields = &draft.fields;
        let wanted = |name: &String| can_be_a_name(name).then(|| (brand_id, name.clone()));
        names.creators.extend(fields.creator_id.iter().filter_map(wanted));
        names.campaigns.extend(fields.campaign.iter().chain(&draft.utm_campaign).filter_map(wanted));
        names.keepers.extend(fields.properties.is_some().then_some(brand_id));
        names.tokens.extend(fields.link_token.iter().filter_map(wanted));
        names.accounts.extend(
            account_of(fields)
                .filter(|(_, id)| can_be_a_name(id))
                .map(|(platform, id)| (brand_id, platform, id.to_owned())),
        );
    }
    store::directory(conn, &names).await
}

/// What cannot stand in a text column names nothing, and must not cost its neighbours the statement.
fn can_be_a_name(text: &str) -> bool {
    text.len() <= EVENT_TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

/// Claims the keys that nobody owns, and says who owns each now.
pub(super) async fn claim_keys(conn: &mut Conn, keys: Vec<KeyRow>, now: DateTime<Utc>) -> Result<Owners> {
    // The first of a group wins, and the map's order is the order of the rows: unsorted batches deadlock each other.
    let mut first: BTreeMap<Key, KeyRow> = BTreeMap::new();
    for key in keys {
        first.entry((key.brand_id, key.source_id, key.key_hash)).or_insert(key);
    }
    let rows: Vec<KeyRow> = first.into_values().collect();
    let claimed = store::claim_keys(conn, &rows, now).await?;
    let mut owners = Owners::new();
    let mut taken = Vec::new();
    for row in rows {
        if claimed.contains(&row.event_id) {
            owners.insert((row.brand_id, row.source_id, row.key_hash), (row.event_id, row.body_hash));
        } else {
            taken.push(row);
        }
    }
    if !taken.is_empty() {
        let found = store::key_owners(conn, &taken).await?;
        if taken.iter().any(|row| !found.contains_key(&(row.brand_id, row.source_id, row.key_hash))) {
            // It was pruned between the two statements, and is free at the next try.
            return Err(Error::transient("claiming the keys of events", "a key that was taken is gone"));
        }
        owners.extend(found);
    }
    Ok(owners)
}

pub(super) fn short_hash(parts: &[&[u8]]) -> [u8; 16] {
    *derived_id(parts).as_bytes()
}
