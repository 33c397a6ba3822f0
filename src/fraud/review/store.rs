//! The one write of a review.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::Result;
use crate::db::Conn;
use crate::db::schema::fraud_alerts as alerts;
use crate::fraud::reads::AlertState;

/// Decides on the alert if it is open; whether it was.
pub(super) async fn decide(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    alert_id: Uuid,
    state: AlertState,
    note: &str,
) -> Result<bool> {
    let open = alerts::table
        .filter(alerts::brand_id.eq(scope.brand_id))
        .filter(alerts::id.eq(alert_id))
        .filter(alerts::state.eq(AlertState::Open.as_str()));
    let count = diesel::update(open)
        .set((
            alerts::state.eq(state.as_str()),
            alerts::reviewed_at.eq(now),
            alerts::reviewed_by.eq(scope.key_id),
            alerts::review_note.eq(note),
        ))
        .execute(conn)
        .await?;
    Ok(count == 1)
}
