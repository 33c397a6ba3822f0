//! A click or a look as an event of our own. A recording that is not possible now never holds anyone up.

use std::time::Duration;

use serde_json::value::to_raw_value;
use uuid::Uuid;

use super::page;
use super::visitor::{Intent, Visitor};
use crate::base::{Error, Result};
use crate::http::house::House;
use crate::ingest::{Origin, ReceiptStatus};
use crate::kv::Limit;
use crate::links::ResolvedLink;
use crate::platforms::{EventFields, Submission};

/// A redirect waits no longer than this for its click to be durable.
const RECORD_TIME: Duration = Duration::from_secs(2);

/// Records what the visitor does, unless the address is over its limit: who follows a link has done nothing wrong, and a post that goes
/// round must not lose the people that it brings. Returns the identifier of the event; `None` where it could not be recorded now, or
/// only into quarantine.
pub(super) async fn record(house: &House, link: &ResolvedLink, intent: Intent, visitor: &Visitor) -> Option<Uuid> {
    if !is_within_limit(house, link, visitor).await {
        return None;
    }
    let origin = Origin::first_party(link.scope.clone());
    let outcome = match submission(house, &link.link.token, intent, visitor) {
        Ok(submission) => tokio::time::timeout(RECORD_TIME, house.app.door.accept(&origin, vec![submission])).await,
        Err(error) => Ok(Err(error)),
    };
    let receipts = match outcome {
        Ok(Ok(receipts)) => receipts,
        Ok(Err(error)) => {
            page::log(&error);
            house.metrics.count_lost_click();
            return None;
        }
        Err(_) => {
            house.metrics.count_lost_click();
            return None;
        }
    };
    let receipt = receipts.first().filter(|receipt| receipt.status != ReceiptStatus::Quarantined);
    receipt.map(|receipt| receipt.event_id)
}

async fn is_within_limit(house: &House, link: &ResolvedLink, visitor: &Visitor) -> bool {
    let Some(network) = visitor.network() else { return true };
    let (app, brand_id) = (&house.app, link.scope.brand_id);
    let subject = app.keyring.hash(brand_id, "rate limit", &network);
    app.limiter.spend(Limit::AddressClicks, brand_id, subject, 1, app.env.now()).await.is_ok()
}

/// Its raw form, which quarantine keeps, holds nothing of the person.
fn submission(house: &House, token: &str, intent: Intent, visitor: &Visitor) -> Result<Submission> {
    let env = &house.app.env;
    let kind = intent.event_type().as_str();
    let event_id = env.new_id().simple().to_string();
    let fault = |error: serde_json::Error| Error::fault("writing a click as JSON", error);
    let raw = serde_json::json!({ "event_type": kind, "event_id": event_id, "link_token": token });
    let fields = EventFields {
        event_type: Some(kind.to_owned()),
        timestamp: Some(to_raw_value(&env.now().to_rfc3339()).map_err(fault)?),
        event_id: Some(event_id),
        link_token: Some(token.to_owned()),
        anonymous_id: visitor.anonymous_id.clone(),
        ip: visitor.ip.map(|ip| ip.to_string()),
        user_agent: visitor.user_agent.clone(),
        ..EventFields::default()
    };
    Ok(Submission::Fields { fields: Box::new(fields), raw: raw.to_string().into_bytes() })
}
