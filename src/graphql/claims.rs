//! Deferred deep links: `claimLink`.

use async_graphql::{Context, Enum, ID, InputObject, InputType, Object, Result, SimpleObject};
use scoped_futures::ScopedFutureExt;
use serde_json::json;
use uuid::Uuid;

use super::errors::{UserError, settle};
use super::{Link, Member, RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::{self, Error};
use crate::ingest::Origin;
use crate::links::{self, Claim};
use crate::platforms::Submission;

/// What an app knows at its first open. Pass what you have; at least one text that may hold the token, and one identifier.
#[derive(InputObject, Clone, Debug)]
pub struct ClaimLinkInput {
    /// The token itself, or the address that holds it.
    token: Option<String>,
    /// Who is signed in, by the brand's own identifier.
    user_id: Option<String>,
    /// The app's identifier of a visitor that is not signed in.
    anonymous_id: Option<String>,
    /// The device's identifier. It is stored as a keyed hash only.
    device_id: Option<String>,
    /// What the app store says about where the install came from.
    install_referrer: Option<String>,
    /// What the clipboard held.
    clipboard: Option<String>,
    /// Makes a replay return the first result.
    idempotency_key: String,
}

/// How a claim found its link.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "links::ClaimMethod")]
pub enum ClaimMethod {
    /// By the token itself.
    ExactToken,
    /// By the token in the install referrer.
    InstallReferrer,
    /// By the token in the clipboard.
    Clipboard,
}

/// The outcome of `claimLink`.
#[derive(SimpleObject, Default)]
pub struct ClaimLinkPayload {
    /// The link that the app came through.
    pub link: Option<Link>,
    /// The member who shared it, if a member did.
    pub referrer: Option<Member>,
    /// How the link was found.
    pub method: Option<ClaimMethod>,
    /// How sure that is, from 0 to 1.
    pub confidence: Option<f64>,
    /// How many links it could have been.
    pub candidates: Option<i32>,
    /// The `open` event that was recorded with it.
    pub event_id: Option<ID>,
    /// What the caller can mend. Empty where the mutation took effect.
    pub user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct ClaimMutation;

#[Object]
impl ClaimMutation {
    /// Exchanges what an app knows at its first open for the link that it came through, and records the open.
    async fn claim_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What the app knows.")] input: ClaimLinkInput,
    ) -> Result<ClaimLinkPayload> {
        let request = ctx.request()?;
        let (claimed, user_errors) = settle(claim(request, input).await)?;
        let Some((link, method, event_id)) = claimed else {
            return Ok(ClaimLinkPayload { user_errors, ..Default::default() });
        };
        let referrer = match link.member_id() {
            Some(id) => request.loaders.members.load(id).await?.map(Member),
            None => None,
        };
        Ok(ClaimLinkPayload {
            link: Some(Link(link)),
            referrer,
            method: Some(method),
            confidence: Some(1.0),
            candidates: Some(1),
            event_id,
            user_errors,
        })
    }
}

async fn claim(
    request: &RequestContext,
    input: ClaimLinkInput,
) -> base::Result<(links::Link, ClaimMethod, Option<ID>)> {
    request.require(Permission::Ingest)?;
    let arguments = input.to_value();
    let key = input.idempotency_key;
    let wanted = Claim {
        token: input.token,
        user_id: input.user_id,
        anonymous_id: input.anonymous_id,
        device_id: input.device_id,
        install_referrer: input.install_referrer,
        clipboard: input.clipboard,
    };
    let (scope, env, keyring, claim) = (&request.scope, &request.app.env, &request.app.keyring, &wanted);
    let work = request.once("claimLink", Some(&key), &arguments, |conn| {
        async move {
            let claimed = links::claim(conn, scope, env, keyring, claim).await?;
            Ok((claimed.id, claimed.link.id, claimed.method, claimed.at))
        }
        .scope_boxed()
    });
    let (claim_id, link_id, method, claimed_at) = work.await?;
    let link = links::by_ids(&mut *request.conn().await?, scope, &[link_id]).await?.remove(&link_id);
    let link = link.ok_or_else(|| Error::fault("reading a link back", "it is gone"))?;
    // Sent on a replay too, with the first moment: the log knows the claim's identifier and takes the open once.
    let event_id = send_open(request, &wanted, &link, claim_id, claimed_at).await?;
    Ok((link, method.into(), event_id))
}

async fn send_open(
    request: &RequestContext,
    claim: &Claim,
    link: &links::Link,
    claim_id: Uuid,
    claimed_at: chrono::DateTime<chrono::Utc>,
) -> base::Result<Option<ID>> {
    let event = json!({
        "event_type": "open",
        "event_id": format!("claim:{claim_id}"),
        "timestamp": claimed_at.to_rfc3339(),
        "link_token": link.token,
        "user_id": claim.user_id,
        "anonymous_id": claim.anonymous_id,
        "device_id": claim.device_id,
        "platform": link.platform.as_str(),
    });
    let raw = event.to_string().into_bytes();
    let fields = serde_json::from_slice(&raw).map_err(|error| Error::fault("writing an open event", error))?;
    let item = Submission::Fields { fields: Box::new(fields), raw };
    let receipts = request.app.door.accept(&Origin::first_party(request.scope.clone()), vec![item]).await?;
    Ok(receipts.first().map(|receipt| super::context::to_id(base::Kind::Event, receipt.event_id)))
}
