//! One group's transaction: look the names up, make the events, claim the keys, append to the log.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use scoped_futures::ScopedFutureExt;

use super::door::Waiting;
use super::item::{Item, claim_keys, look_up, short_hash};
use super::row::{quarantined, row};
use super::rules::Bench;
use super::store::{self, KeyRow, LogRow};
use super::{Origin, Receipt, ReceiptStatus};
use crate::access::Keyring;
use crate::base::limits::{EVENT_KEY_DAYS, EVENT_KEYS_PRUNED_MAX};
use crate::base::{Env, Error, Result, time_ordered_id};
use crate::db::{Conn, Db};
use crate::events::open_day;
use crate::platforms::Submission;

/// What a group commit needs.
pub(super) struct Committer {
    pub db: Db,
    pub env: Env,
    pub keyring: Keyring,
    /// The day that is known to be open, counted from the first of all.
    pub day_opened: AtomicI64,
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
        // One moment for the identifiers and for the log: the day of an event follows from its identifier.
        let now = self.env.now();
        self.open_day(now.date_naive()).await?;
        let submissions = calls.iter().flat_map(|(origin, items)| {
            let origin: &Origin = origin;
            items.iter().enumerate().map(move |(place, item)| (origin, place, item))
        });
        let new_id = || time_ordered_id(now, &*self.env.chance);
        let items: &Vec<Item<'_>> =
            &submissions.map(|(origin, place, submission)| Item::new(origin, place, new_id(), submission)).collect();
        self.db.transaction(|conn| async move { self.append(conn, items, now).await }.scope_boxed()).await
    }

    /// The worker makes the days ahead; where none has run for a week, the door makes its own.
    async fn open_day(&self, day: NaiveDate) -> Result<()> {
        let days = i64::from(day.num_days_from_ce());
        if self.day_opened.load(Ordering::Relaxed) != days {
            open_day(&self.db, day).await?;
            self.day_opened.store(days, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn append(&self, conn: &mut Conn, items: &[Item<'_>], now: DateTime<Utc>) -> Result<Vec<Receipt>> {
        let directory = look_up(conn, items).await?;
        let bench = Bench { directory: &directory, keyring: &self.keyring, now };
        let owners = claim_keys(conn, items.iter().map(|item| item.key_row(item.key_hash)).collect(), now).await?;
        let mut rows = Vec::new();
        let mut receipts = Vec::with_capacity(items.len());
        let mut reused = Vec::new();
        for item in items {
            let owner = owners.get(&item.key()).copied();
            match owner {
                Some((id, _)) if id == item.id => {
                    let (row, receipt) = row(item, &bench, bench.now, &*self.env.chance);
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
        self.keep_reused(conn, now, &reused, &mut rows, &mut receipts).await?;
        store::insert_events(conn, &rows).await?;
        Ok(receipts)
    }

    /// The same event id with another body: the first stays, the second is kept in quarantine, once.
    async fn keep_reused(
        &self,
        conn: &mut Conn,
        now: DateTime<Utc>,
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
        let owners = claim_keys(conn, keys, now).await?;
        for (index, item) in reused {
            let owner = owners.get(&second_key(item)).map_or(item.id, |(id, _)| *id);
            receipts[*index].event_id = owner;
            if owner == item.id {
                let reason = receipts[*index].reason.clone().unwrap_or_default();
                rows.push(quarantined(item, &self.keyring, now, &*self.env.chance, ("EVENT_ID_REUSED", reason)));
            }
        }
        Ok(())
    }
}

/// Prunes the keys that are older than any sender's retries.
pub async fn forget_keys(db: &Db, now: DateTime<Utc>) -> Result<()> {
    let before = now - TimeDelta::days(EVENT_KEY_DAYS);
    while store::prune_keys(&mut *db.conn().await?, before, EVENT_KEYS_PRUNED_MAX).await? > 0 {}
    Ok(())
}

fn reused_receipt(item: &Item<'_>) -> Receipt {
    Receipt {
        event_id: item.id,
        status: ReceiptStatus::Quarantined,
        code: Some("EVENT_ID_REUSED"),
        reason: Some("This event_id or webhook-id was used before with another body: the first one counts.".to_owned()),
    }
}
