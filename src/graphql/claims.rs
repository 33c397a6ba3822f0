//! Deferred deep links: `claimLink`.

use async_graphql::{Context, Enum, ID, InputObject, InputType, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use scoped_futures::ScopedFutureExt;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::errors::{UserError, settle};
use super::scalars::from_ppm;
use super::{Link, Member, RequestContext, RequestExt};
use crate::access::Permission;
use crate::base::{self, Error};
use crate::creators::Platform;
use crate::ingest::Origin;
use crate::links::{self, Claim};
use crate::platforms::{Submission, user_agents};

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
    /// What the clipboard held, if the person let the app read it.
    clipboard: Option<String>,
    /// The address that the app calls from, for a likely match. Only a keyed hash of its network is looked at, for 30 minutes.
    ip: Option<String>,
    /// The app's user agent, or any text that names iPhone, iPad or Android, for a likely match.
    user_agent: Option<String>,
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
    /// By a visit from the same network with the same kind of device minutes before. It is recorded, and never pays.
    Probabilistic,
}

/// The outcome of `claimLink`.
#[derive(SimpleObject, Default)]
pub struct ClaimLinkPayload {
    /// The link that the app came through; null for a likely match, since its token would be proof of what is not certain.
    pub link: Option<Link>,
    /// The member who shared it, if a member did, and if it can have been no other link.
    pub referrer: Option<Member>,
    /// How the link was found.
    pub method: Option<ClaimMethod>,
    /// How sure that is, from 0 to 1.
    pub confidence: Option<f64>,
    /// How many links it could have been.
    pub candidates: Option<i32>,
    /// The `open` event that was recorded with it; null for a likely match.
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
        let (found, user_errors) = settle(claim(request, input).await)?;
        let Some(Found { link, kept, event_id }) = found else {
            return Ok(ClaimLinkPayload { user_errors, ..Default::default() });
        };
        let is_certain = kept.method != links::ClaimMethod::Probabilistic;
        let referrer = match link.member_id() {
            Some(id) if kept.candidate_count == 1 => request.loaders.members.load(id).await?.map(Member),
            _ => None,
        };
        Ok(ClaimLinkPayload {
            link: is_certain.then_some(Link(link)),
            referrer,
            method: Some(kept.method.into()),
            confidence: Some(from_ppm(kept.confidence_ppm)),
            candidates: Some(kept.candidate_count),
            event_id,
            user_errors,
        })
    }
}

/// What is kept of a claim under its idempotency key.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: Uuid,
    link_id: Uuid,
    method: links::ClaimMethod,
    confidence_ppm: i32,
    candidate_count: i32,
    click_id: Option<Uuid>,
    at: DateTime<Utc>,
}

/// A claim with its link, and the event that was recorded with it.
struct Found {
    link: links::Link,
    kept: Kept,
    event_id: Option<ID>,
}

async fn claim(request: &RequestContext, input: ClaimLinkInput) -> base::Result<Found> {
    request.require(Permission::Ingest)?;
    let arguments = input.to_value();
    let key = input.idempotency_key;
    let wrong = |_: std::net::AddrParseError| Error::invalid(&["ip"], "Pass an IPv4 or IPv6 address.");
    let wanted = Claim {
        token: input.token,
        user_id: input.user_id,
        anonymous_id: input.anonymous_id,
        device_id: input.device_id,
        install_referrer: input.install_referrer,
        clipboard: input.clipboard,
        ip: input.ip.map(|ip| ip.trim().parse().map_err(wrong)).transpose()?,
        device: input.user_agent.as_deref().map(user_agents::device).filter(|device| *device != Platform::Web),
    };
    let (scope, env, keyring, claim) = (&request.scope, &request.app.env, &request.app.keyring, &wanted);
    let work = request.once("claimLink", Some(&key), &arguments, |conn| {
        async move {
            let claimed = links::claim(conn, scope, env, keyring, claim).await?;
            Ok(Kept {
                id: claimed.id,
                link_id: claimed.link.id,
                method: claimed.method,
                confidence_ppm: claimed.confidence_ppm,
                candidate_count: claimed.candidate_count,
                click_id: claimed.click_id,
                at: claimed.at,
            })
        }
        .scope_boxed()
    });
    let kept = work.await?;
    let link = links::by_ids(&mut *request.conn().await?, scope, &[kept.link_id]).await?.remove(&kept.link_id);
    let link = link.ok_or_else(|| Error::fault("reading a link back", "it is gone"))?;
    let event_id = match kept.method {
        links::ClaimMethod::Probabilistic => None,
        // Sent on a replay too, with the first moment: the log knows the claim's identifier and takes the open once.
        _ => send_open(request, &wanted, &link, &kept).await?,
    };
    Ok(Found { link, kept, event_id })
}

async fn send_open(
    request: &RequestContext,
    claim: &Claim,
    link: &links::Link,
    kept: &Kept,
) -> base::Result<Option<ID>> {
    let event = json!({
        "event_type": "open",
        "event_id": format!("claim:{}", kept.id),
        "timestamp": kept.at.to_rfc3339(),
        "link_token": link.token,
        "click_id": kept.click_id.map(|id| base::Kind::Event.id(id)),
        "user_id": claim.user_id,
        "anonymous_id": claim.anonymous_id,
        "device_id": claim.device_id,
        "platform": link.platform.as_str(),
    });
    let raw = event.to_string().into_bytes();
    let fields = serde_json::from_slice(&raw).map_err(|error| Error::fault("writing an open event", error))?;
    let item = Submission::Fields { fields: Box::new(fields), raw };
    // A claim that is made again, from another device for instance, is the same one: what is said of it the first time counts.
    let origin = Origin { names_its_events: true, ..Origin::first_party(request.scope.clone()) };
    let receipts = request.app.door.accept(&origin, vec![item]).await?;
    Ok(receipts.first().map(|receipt| super::context::to_id(base::Kind::Event, receipt.event_id)))
}
