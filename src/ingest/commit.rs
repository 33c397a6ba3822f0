//! One group's transaction: look the names up, make the events, claim the keys, append to the log.

use std::collections::{BTreeMap, HashMap};

use scoped_futures::ScopedFutureExt;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::door::Waiting;
use super::rules::{Bench, Directory, Draft, draft};
use super::store::{self, KeyRow, LogRow, Names};
use super::{Origin, Receipt, ReceiptStatus};
use crate::access::Keyring;
use crate::base::limits::EVENT_TEXT_BYTES_MAX;
use crate::base::{Env, Error, Result};
use crate::db::{Conn, Db};
use crate::events::StoredState;
use crate::platforms::{Submission, canonical_json};

/// What a group commit needs.
pub(super) struct Committer {
    pub db: Db,
    pub env: Env,
    pub keyring: Keyring,
}

/// One event on its way into the log.
struct Item<'a> {
    origin: &'a Origin,
    id: Uuid,
    raw: &'a [u8],
    body_hash: [u8; 32],
    key_hash: [u8; 16],
    content: Content,
}

enum Content {
    Draft(Box<Draft>),
    Unreadable(&'static str, String),
}

impl Committer {
    /// Commits a group and answers every call of it. Where the group as a whole is refused by a fault, each call is tried alone,
    /// so that one bad call costs its neighbours nothing.
    pub async fn commit(&self, group: Vec<Waiting>) {
        let calls: Vec<(&Origin, &[Submission])> = group.iter().map(|call| (&call.origin, &call.items[..])).collect();
        match self.commit_calls(&calls).await {
            Ok(receipts) => {
                let mut receipts = receipts.into_iter();
                for call in group {
                    let own = receipts.by_ref().take(call.items.len()).collect();
                    let _ = call.answer.send(Ok(own));
                }
            }
            Err(error) if error.is_transient() || group.len() == 1 => {
                tracing::warn!(error = &error as &dyn std::error::Error, cause = ?std::error::Error::source(&error).map(ToString::to_string), "a group of events was not committed");
                for call in group {
                    let _ = call.answer.send(Err(Error::transient("committing events", "the group was not committed")));
                }
            }
            Err(_) => {
                for call in group {
                    let own = self.commit_calls(&[(&call.origin, &call.items[..])]).await;
                    let _ = call.answer.send(own);
                }
            }
        }
    }

    async fn commit_calls(&self, calls: &[(&Origin, &[Submission])]) -> Result<Vec<Receipt>> {
        let items = &self.items(calls);
        self.db.transaction(|conn| async move { self.append(conn, items).await }.scope_boxed()).await
    }

    fn items<'a>(&self, calls: &[(&'a Origin, &'a [Submission])]) -> Vec<Item<'a>> {
        let places = |(origin, items): &(&'a Origin, &'a [Submission])| {
            let origin = *origin;
            items.iter().enumerate().map(move |(place, item)| (origin, place, item))
        };
        let submissions = calls.iter().flat_map(places);
        submissions
            .map(|(origin, place, submission)| {
                let (raw, content, sender_id) = match submission {
                    Submission::Fields { fields, raw } => {
                        let sender_id = fields.event_id.clone().filter(|id| !id.is_empty());
                        (raw, Content::Draft(Box::new(draft((**fields).clone()))), sender_id)
                    }
                    Submission::Unreadable { raw, code, reason } => {
                        (raw, Content::Unreadable(code, reason.clone()), None)
                    }
                };
                let body_hash: [u8; 32] = Sha256::digest(canonical_json(raw)).into();
                let key_hash = match (&sender_id, &origin.delivery_id) {
                    (Some(id), _) => short_hash(&[b"id", id.as_bytes()]),
                    (None, Some(id)) => short_hash(&[b"delivery", id.as_bytes(), &(place as u64).to_be_bytes()]),
                    (None, None) => short_hash(&[b"body", &body_hash]),
                };
                Item { origin, id: self.env.new_id(), raw, body_hash, key_hash, content }
            })
            .collect()
    }

    async fn append(&self, conn: &mut Conn, items: &[Item<'_>]) -> Result<Vec<Receipt>> {
        let directory = look_up(conn, items).await?;
        let owners = claim(conn, items, self.env.now()).await?;
        let mut rows = Vec::new();
        let mut receipts = Vec::with_capacity(items.len());
        let mut reused = Vec::new();
        for item in items {
            let owner = owners.get(&item.key()).copied();
            match owner {
                Some((id, _)) if id == item.id => {
                    let (row, receipt) = self.row(item, &directory);
                    rows.push(row);
                    receipts.push(receipt);
                }
                Some((id, body_hash)) if body_hash == item.body_hash => {
                    receipts.push(Receipt { event_id: id, status: ReceiptStatus::Duplicate, code: None, reason: None });
                }
                _ => {
                    reused.push((receipts.len(), item));
                    receipts.push(reused_receipt(item));
                }
            }
        }
        self.keep_reused(conn, &reused, &mut rows, &mut receipts).await?;
        store::insert_events(conn, &rows).await?;
        Ok(receipts)
    }

    /// The same event id with another body: the first stays, the second is kept in quarantine, once.
    async fn keep_reused(
        &self,
        conn: &mut Conn,
        reused: &[(usize, &Item<'_>)],
        rows: &mut Vec<LogRow>,
        receipts: &mut [Receipt],
    ) -> Result<()> {
        if reused.is_empty() {
            return Ok(());
        }
        let second_key = |item: &Item<'_>| {
            let key_hash = short_hash(&[b"reused", &item.key_hash, &item.body_hash]);
            (item.origin.scope.brand_id, item.origin.source_id, key_hash)
        };
        let keys: Vec<KeyRow> = reused.iter().map(|(_, item)| item.key_row(second_key(item).2)).collect();
        let owners = claim_keys(conn, keys, self.env.now()).await?;
        for (index, item) in reused {
            let owner = owners.get(&second_key(item)).map_or(item.id, |(id, _)| *id);
            receipts[*index].event_id = owner;
            if owner == item.id {
                let reason = receipts[*index].reason.clone().unwrap_or_default();
                rows.push(self.quarantined(item, "EVENT_ID_REUSED", reason));
            }
        }
        Ok(())
    }

    fn row(&self, item: &Item<'_>, directory: &Directory) -> (LogRow, Receipt) {
        let bench = Bench { directory, keyring: &self.keyring, now: self.env.now() };
        let judged = match &item.content {
            Content::Draft(draft) => bench.event(item.origin, draft),
            Content::Unreadable(code, reason) => Err((*code, reason.clone())),
        };
        let payload = judged.and_then(|event| {
            let wrong = |error: serde_json::Error| ("BAD_FIELD", format!("The event could not be kept: {error}."));
            Ok((serde_json::to_value(&event).map_err(wrong)?, event))
        });
        match payload {
            Ok((payload, event)) => {
                let mut row = self.log_row(item);
                row.event_type = Some(event.event_type.as_str());
                row.occurred_at = event.occurred_at;
                row.payload = Some(payload);
                (row, Receipt { event_id: item.id, status: ReceiptStatus::Queued, code: None, reason: None })
            }
            Err((code, reason)) => {
                let receipt = Receipt {
                    event_id: item.id,
                    status: ReceiptStatus::Quarantined,
                    code: Some(code),
                    reason: Some(reason.clone()),
                };
                (self.quarantined(item, code, reason), receipt)
            }
        }
    }

    fn log_row(&self, item: &Item<'_>) -> LogRow {
        let now = self.env.now();
        LogRow {
            brand_id: item.origin.scope.brand_id,
            id: item.id,
            source_id: item.origin.source_id,
            shard: item.origin.scope.shard,
            event_type: None,
            state: StoredState::Accepted,
            code: None,
            reason: None,
            occurred_at: now,
            recorded_at: now,
            payload: None,
            raw_sealed: None,
        }
    }

    /// What could not be used is kept as it came, sealed: it may hold personal data.
    fn quarantined(&self, item: &Item<'_>, code: &'static str, reason: String) -> LogRow {
        let sealed = self.keyring.seal(item.origin.scope.brand_id, "event", item.raw, &*self.env.chance);
        let event_type = match &item.content {
            Content::Draft(draft) => draft.fields.event_type.as_deref().and_then(crate::events::EventType::parse),
            Content::Unreadable(..) => None,
        };
        LogRow {
            event_type: event_type.map(crate::events::EventType::as_str),
            state: StoredState::Quarantined,
            code: Some(code),
            reason: Some(reason),
            raw_sealed: Some(sealed.unwrap_or_default()),
            ..self.log_row(item)
        }
    }
}

type Key = (Uuid, Uuid, [u8; 16]);

impl Item<'_> {
    fn key(&self) -> Key {
        (self.origin.scope.brand_id, self.origin.source_id, self.key_hash)
    }

    fn key_row(&self, key_hash: [u8; 16]) -> KeyRow {
        KeyRow {
            brand_id: self.origin.scope.brand_id,
            source_id: self.origin.source_id,
            key_hash,
            body_hash: self.body_hash,
            event_id: self.id,
        }
    }
}

async fn look_up(conn: &mut Conn, items: &[Item<'_>]) -> Result<Directory> {
    let mut names = Names::default();
    for item in items {
        let Content::Draft(draft) = &item.content else { continue };
        let brand_id = item.origin.scope.brand_id;
        let fields = &draft.fields;
        let wanted = |name: &String| can_be_a_name(name).then(|| (brand_id, name.clone()));
        names.creators.extend(fields.creator_id.iter().filter_map(wanted));
        names.campaigns.extend(fields.campaign.iter().chain(&draft.utm_campaign).filter_map(wanted));
        names.tokens.extend(fields.link_token.iter().filter_map(wanted));
    }
    store::directory(conn, &names).await
}

/// What cannot stand in a text column names nothing, and must not cost its neighbours the statement.
fn can_be_a_name(text: &str) -> bool {
    text.len() <= EVENT_TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

/// Who owns each key now: the first event that ever claimed it, with the hash of its body.
async fn claim(
    conn: &mut Conn,
    items: &[Item<'_>],
    now: chrono::DateTime<chrono::Utc>,
) -> Result<HashMap<Key, (Uuid, [u8; 32])>> {
    claim_keys(conn, items.iter().map(|item| item.key_row(item.key_hash)).collect(), now).await
}

async fn claim_keys(
    conn: &mut Conn,
    keys: Vec<KeyRow>,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<HashMap<Key, (Uuid, [u8; 32])>> {
    // The first of a group wins, and the map's order is the order of the rows: unsorted batches deadlock each other.
    let mut first: BTreeMap<Key, KeyRow> = BTreeMap::new();
    for key in keys {
        first.entry((key.brand_id, key.source_id, key.key_hash)).or_insert(key);
    }
    let rows: Vec<KeyRow> = first.into_values().collect();
    let claimed = store::claim_keys(conn, &rows, now).await?;
    let mut owners: HashMap<Key, (Uuid, [u8; 32])> = HashMap::new();
    let mut taken = Vec::new();
    for row in rows {
        if claimed.contains(&row.event_id) {
            owners.insert((row.brand_id, row.source_id, row.key_hash), (row.event_id, row.body_hash));
        } else {
            taken.push(row);
        }
    }
    if !taken.is_empty() {
        owners.extend(store::key_owners(conn, &taken).await?);
    }
    Ok(owners)
}

fn reused_receipt(item: &Item<'_>) -> Receipt {
    Receipt {
        event_id: item.id,
        status: ReceiptStatus::Quarantined,
        code: Some("EVENT_ID_REUSED"),
        reason: Some("This event_id or webhook-id was used before with another body: the first one counts.".to_owned()),
    }
}

fn short_hash(parts: &[&[u8]]) -> [u8; 16] {
    *crate::base::derived_id(parts).as_bytes()
}
