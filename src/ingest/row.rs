//! What became of one event at the door, as a row of the log and as an answer.

use chrono::{DateTime, Utc};

use super::item::Item;
use super::rules::{Bench, Doubt};
use super::store::LogRow;
use super::{RAW_PURPOSE, Receipt, ReceiptStatus};
use crate::access::Keyring;
use crate::base::Chance;
use crate::events::{EventType, StoredState};

/// The row of an event that was `received` at a moment, and its receipt.
pub(super) fn row(
    item: &Item<'_>,
    bench: &Bench<'_>,
    received: DateTime<Utc>,
    chance: &dyn Chance,
) -> (LogRow, Receipt) {
    match bench.judge(item, received) {
        Ok((event, payload)) => {
            let mut row = log_row(item, bench.now);
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
            (quarantined(item, bench.keyring, bench.now, chance, (code, reason)), receipt)
        }
    }
}

/// What could not be used is kept as it came, sealed: it may hold personal data.
pub(super) fn quarantined(
    item: &Item<'_>,
    keyring: &Keyring,
    now: DateTime<Utc>,
    chance: &dyn Chance,
    (code, reason): Doubt,
) -> LogRow {
    let sealed = keyring.seal(item.origin.scope.brand_id, RAW_PURPOSE, item.raw, chance);
    LogRow {
        event_type: item.event_type().map(EventType::as_str),
        state: StoredState::Quarantined,
        code: Some(code),
        reason: Some(reason),
        raw_sealed: Some(sealed.unwrap_or_default()),
        ..log_row(item, now)
    }
}

fn log_row(item: &Item<'_>, now: DateTime<Utc>) -> LogRow {
    LogRow {
        brand_id: item.origin.scope.brand_id,
        id: item.id,
        source_id: item.origin.source_id,
        shard: item.origin.scope.shard,
        is_import: item.origin.is_import,
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
