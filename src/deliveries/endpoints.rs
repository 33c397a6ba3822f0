//! What administrators do with endpoints: enter and change them, turn them off and on, give them new secrets, and send again.

use chrono::TimeDelta;
use uuid::Uuid;

use super::addresses::read_url;
use super::rules::read_kinds;
use super::{Courier, PURPOSE, Replayed, SealedSecret, store};
use crate::access::{Permission, Scope};
use crate::base::limits::{DELIVERIES_REPLAYED_MAX, SECRET_OVERLAP_SECONDS_MAX, WEBHOOK_ENDPOINTS_MAX};
use crate::base::{Code, Error, Result};
use crate::db::Conn;
use crate::platforms::{Scheme, draw_secret, key_of, secret_expected};

/// The reason of an endpoint that a person disabled.
const BY_HAND: &str = "An administrator disabled it.";

/// What a new endpoint needs.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    pub url: String,
    pub kinds: Vec<String>,
    /// The secret that the receiver chose; `None` draws one.
    pub secret: Option<String>,
}

/// What changes of an endpoint; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct EndpointChange {
    pub url: Option<String>,
    pub kinds: Option<Vec<String>>,
    pub is_enabled: Option<bool>,
}

/// A rotation of an endpoint's secret.
#[derive(Clone, Debug)]
pub struct SecretRotation {
    pub endpoint_id: Uuid,
    /// How long the secret before it signs too; 0 ends every earlier secret at once.
    pub overlap_seconds: i64,
    /// The secret that the receiver chose; `None` draws one.
    pub secret: Option<String>,
}

fn missing() -> Error {
    Error::not_found(&["endpointId"], "There is no such webhook endpoint.")
}

/// Makes an endpoint that hears of everything from now on. Call it inside of a transaction.
pub async fn create(conn: &mut Conn, scope: &Scope, courier: &Courier, input: &NewEndpoint) -> Result<SealedSecret> {
    scope.require(Permission::Administer)?;
    let sealed = seal(scope, courier, input.secret.as_deref())?;
    let row = store::NewEndpointRow {
        id: courier.env.new_id(),
        url: &read_url(&input.url, courier.allows_private())?,
        kinds: &read_kinds(&input.kinds)?,
        secret_sealed: &sealed,
        created_at: courier.env.now(),
    };
    store::hold_brand(conn, scope).await?;
    if !store::insert_endpoint(conn, scope, &row, WEBHOOK_ENDPOINTS_MAX).await? {
        let message = format!(
            "A brand has at most {WEBHOOK_ENDPOINTS_MAX} webhook endpoints: change one that is no longer needed."
        );
        return Err(Error::refused(Code::LimitReached, &[], message));
    }
    Ok(SealedSecret { endpoint_id: row.id, sealed: hex::encode(sealed) })
}

/// Changes an endpoint. One that is enabled again is sent all that came meanwhile. Call it inside of a transaction.
pub async fn update(
    conn: &mut Conn,
    scope: &Scope,
    courier: &Courier,
    id: Uuid,
    change: &EndpointChange,
) -> Result<()> {
    scope.require(Permission::Administer)?;
    let url = change.url.as_deref().map(|url| read_url(url, courier.allows_private())).transpose()?;
    let kinds = change.kinds.as_deref().map(read_kinds).transpose()?;
    let held = store::lock_endpoint(conn, scope, id).await?.ok_or_else(missing)?;
    store::change_endpoint(conn, scope, id, url.as_deref(), kinds.as_deref()).await?;
    match change.is_enabled {
        Some(true) if held.is_disabled => store::enable(conn, scope, id, courier.env.now()).await,
        Some(false) if !held.is_disabled => store::disable(conn, scope, id, courier.env.now(), BY_HAND, None).await,
        _ => Ok(()),
    }
}

/// Gives an endpoint a new secret; the one before it signs too for the overlap. While it does, a further rotation is a CONFLICT, since it
/// would end that one before its time; only an overlap of 0 does so. Call it inside of a transaction.
pub async fn rotate(conn: &mut Conn, scope: &Scope, courier: &Courier, input: &SecretRotation) -> Result<SealedSecret> {
    scope.require(Permission::Administer)?;
    if !(0..=SECRET_OVERLAP_SECONDS_MAX).contains(&input.overlap_seconds) {
        let message = format!("Pass an overlap of 0 to {SECRET_OVERLAP_SECONDS_MAX} seconds.");
        return Err(Error::invalid(&["overlapSeconds"], message));
    }
    let (now, has_overlap) = (courier.env.now(), input.overlap_seconds > 0);
    let held = store::lock_endpoint(conn, scope, input.endpoint_id).await?.ok_or_else(missing)?;
    if let Some(until) = held.previous_expires_at.filter(|until| has_overlap && *until > now) {
        let message = format!(
            "The secret before the last rotation signs until {}: wait for that, or pass overlapSeconds 0, which ends every earlier secret at once.",
            until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        );
        return Err(Error::refused(Code::Conflict, &["overlapSeconds"], message));
    }
    let sealed = seal(scope, courier, input.secret.as_deref())?;
    let until = now + TimeDelta::seconds(input.overlap_seconds);
    let previous = has_overlap.then_some((held.secret_sealed.as_slice(), until));
    store::replace_secret(conn, scope, input.endpoint_id, &sealed, previous).await?;
    tracing::info!(endpoint.id = %input.endpoint_id, overlap_seconds = input.overlap_seconds, "an endpoint's secret was rotated");
    Ok(SealedSecret { endpoint_id: input.endpoint_id, sealed: hex::encode(sealed) })
}

/// Sends again what was delivered or given up, the oldest first: under the same name and with the same body, so that a receiver that has
/// it can tell. `after_seq` leaves out what is at or before a number in the outbox.
pub async fn replay(
    conn: &mut Conn,
    scope: &Scope,
    courier: &Courier,
    endpoint_id: Uuid,
    after_seq: i64,
    is_failed_only: bool,
) -> Result<Replayed> {
    scope.require(Permission::Administer)?;
    store::lock_endpoint(conn, scope, endpoint_id).await?.ok_or_else(missing)?;
    let wanted = store::ReplayQuery {
        endpoint_id,
        after_seq,
        is_failed_only,
        now: courier.env.now(),
        limit: DELIVERIES_REPLAYED_MAX + 1,
    };
    let mut seqs = store::done_after(conn, scope, &wanted).await?;
    let has_more = i64::try_from(seqs.len()).is_ok_and(|count| count > DELIVERIES_REPLAYED_MAX);
    if has_more {
        seqs.pop();
    }
    store::send_again(conn, scope, &wanted, &seqs).await?;
    Ok(Replayed { queued_count: seqs.len(), end_seq: seqs.last().copied(), has_more })
}

fn seal(scope: &Scope, courier: &Courier, chosen: Option<&str>) -> Result<Vec<u8>> {
    const SCHEME: Scheme = Scheme::StandardWebhooks;
    let chance = &*courier.env.chance;
    let secret = match chosen {
        Some(secret) if key_of(SCHEME, secret).is_none() => {
            return Err(Error::invalid(&["secret"], secret_expected(SCHEME)));
        }
        Some(secret) => secret.to_owned(),
        None => draw_secret(SCHEME, chance),
    };
    let sealed = courier.keyring.seal(scope.brand_id, PURPOSE, secret.as_bytes(), chance);
    sealed.map_err(|error| Error::fault("sealing an endpoint's secret", error))
}
