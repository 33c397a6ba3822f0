//! A person's decision on an alert: once, with a note, told to the world through the outbox. It never moves money and never changes what
//! was judged.

mod store;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::reads::{AlertState, FraudAlert, alerts_by_ids};
use crate::access::{Permission, Scope};
use crate::base::limits::REVIEW_NOTE_BYTES_MAX;
use crate::base::{Code, Error, Result};
use crate::db::Conn;
use crate::outbox::{self, Topic};
use crate::text_enum;

text_enum! {
    /// What a person decides.
    Verdict { Confirm = "CONFIRM", Dismiss = "DISMISS" }
}

impl Verdict {
    fn state(self) -> AlertState {
        match self {
            Self::Confirm => AlertState::Confirmed,
            Self::Dismiss => AlertState::Dismissed,
        }
    }
}

/// Confirms or dismisses an open alert. Takes the brand's outbox counter: call it in a transaction, last.
pub async fn review_alert(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    alert_id: Uuid,
    verdict: Verdict,
    note: &str,
) -> Result<FraudAlert> {
    scope.require(Permission::ReviewFraud)?;
    let note = note.trim();
    if note.is_empty() || note.len() > REVIEW_NOTE_BYTES_MAX || note.contains('\0') {
        let message = format!("Say in 1 to {REVIEW_NOTE_BYTES_MAX} bytes why, without the character U+0000.");
        return Err(Error::invalid(&["note"], message));
    }
    let is_decided = store::decide(conn, scope, now, alert_id, verdict.state(), note).await?;
    let alert = alerts_by_ids(conn, scope, &[alert_id]).await?.remove(&alert_id);
    let alert = alert.ok_or_else(|| Error::not_found(&["alertId"], "There is no alert of this identifier."))?;
    if !is_decided {
        let message = format!("This alert was {} before: a review is final.", alert.state.as_str().to_lowercase());
        return Err(Error::refused(Code::Conflict, &["alertId"], message));
    }
    outbox::append(conn, scope, now, &[(Topic::AlertReviewed, alert_id)]).await?;
    Ok(alert)
}
