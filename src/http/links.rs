//! Share links: who follows one is recorded and sent on to the link's own destination, never to an address from the request.
//! A recording that is not possible now never holds anyone up.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_TYPE, COOKIE, LOCATION, RETRY_AFTER, SET_COOKIE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::to_raw_value;
use uuid::Uuid;

use super::answer;
use super::house::House;
use super::serve::Peer;
use crate::base::limits::EVENT_TEXT_BYTES_MAX;
use crate::base::{Error, Result, random_bytes};
use crate::events::{AgentClass, EventType};
use crate::ingest::{Origin, ReceiptStatus};
use crate::kv::Limit;
use crate::links::{self, Resolution, ResolvedLink};
use crate::platforms::{EventFields, Submission, user_agents};

const ANONYMOUS_COOKIE: &str = "gv_anon";
const COOKIE_SECONDS: u32 = 365 * 24 * 3_600;
/// A redirect waits no longer than this for its click to be durable.
const RECORD_TIME: Duration = Duration::from_secs(2);

/// Who follows the link, as far as the request tells.
struct Visitor {
    ip: Option<IpAddr>,
    user_agent: Option<String>,
    anonymous_id: Option<String>,
}

type Token = std::result::Result<Path<String>, PathRejection>;

pub(super) async fn follow(State(house): State<House>, token: Token, request: Request) -> Response {
    let Ok(Path(token)) = token else { return page(StatusCode::NOT_FOUND, "This link does not exist.") };
    let (parts, _) = request.into_parts();
    let app = &house.app;
    let resolution = links::resolve(&app.db, &app.kv, &app.keyring, &app.env, &token).await;
    match resolution {
        Ok(Resolution::Found(link)) => send_on(&house, &parts, &token, &link).await,
        Ok(Resolution::Unknown) => page(StatusCode::NOT_FOUND, "This link does not exist."),
        Ok(Resolution::Expired) => page(StatusCode::GONE, "This link has expired."),
        Ok(Resolution::Revoked) => page(StatusCode::GONE, "This link is no longer in use."),
        Err(error) => {
            log(&error);
            let mut response =
                page(StatusCode::SERVICE_UNAVAILABLE, "This link cannot be opened now. Please try again.");
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(answer::RETRY_AFTER_SECONDS));
            response
        }
    }
}

fn log(error: &Error) {
    tracing::warn!(error = error as &dyn std::error::Error, "a link could not be served in full");
}

async fn send_on(house: &House, parts: &Parts, token: &str, link: &ResolvedLink) -> Response {
    let mut visitor = visitor(house, parts);
    let kind = match touch_kind(parts, &visitor) {
        Some(kind) if is_within_limit(house, link, visitor.ip).await => Some(kind),
        _ => None,
    };
    let mut cookie = None;
    if kind == Some(EventType::Click) && visitor.anonymous_id.is_none() {
        let id = URL_SAFE_NO_PAD.encode(random_bytes::<16>(&*house.app.env.chance));
        cookie = Some(set_cookie(&id, &house.app.settings.public_url));
        visitor.anonymous_id = Some(id);
    }
    let click_id = match kind {
        Some(kind) => record(house, link, token, kind, visitor).await,
        None => None,
    };
    let url = link.link.url(click_id.filter(|_| kind == Some(EventType::Click)));
    let mut response = page(StatusCode::FOUND, "You are being taken to another page.");
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&url) {
        headers.insert(LOCATION, location);
    }
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        headers.insert(SET_COOKIE, cookie);
    }
    response
}

/// What following the link counts as: a person's click, a view by what only looks ahead, or nothing for HEAD.
fn touch_kind(parts: &Parts, visitor: &Visitor) -> Option<EventType> {
    if parts.method == Method::HEAD {
        return None;
    }
    let is_prefetch = ["purpose", "sec-purpose", "x-moz", "x-purpose"].iter().any(|name| {
        let values = parts.headers.get_all(*name).iter();
        values
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.contains("prefetch") || value.contains("preview"))
    });
    let is_preview = visitor.user_agent.as_deref().map(user_agents::classify) == Some(AgentClass::Preview);
    Some(if is_prefetch || is_preview { EventType::View } else { EventType::Click })
}

/// Whether one more touch from this address is recorded. A link leads on in any case: who follows it has done nothing wrong, and a
/// post that goes round must not lose the people that it brings.
async fn is_within_limit(house: &House, link: &ResolvedLink, ip: Option<IpAddr>) -> bool {
    let Some(network) = ip.and_then(visitor_network) else { return true };
    let (app, brand_id) = (&house.app, link.scope.brand_id);
    let subject = app.keyring.hash(brand_id, "rate limit", &network);
    app.limiter.spend(Limit::AddressClicks, brand_id, subject, 1, app.env.now()).await.is_ok()
}

/// An IPv4 address, or the /64 network of an IPv6 one, where it can be a visitor's own. Behind one of a private network stands a proxy
/// that we were not told of, and behind that everyone.
fn visitor_network(ip: IpAddr) -> Option<String> {
    match ip {
        IpAddr::V4(ip) if ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified() => None,
        IpAddr::V4(ip) => Some(ip.to_string()),
        IpAddr::V6(ip)
            if ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified() =>
        {
            None
        }
        IpAddr::V6(ip) => Some(format!("{:x?}", &ip.segments()[..4])),
    }
}

/// The identifier of the recorded event; `None` where it could not be recorded now, or only into quarantine.
async fn record(house: &House, link: &ResolvedLink, token: &str, kind: EventType, visitor: Visitor) -> Option<Uuid> {
    let origin = Origin::first_party(link.scope.clone());
    let outcome = match submission(house, token, kind, visitor) {
        Ok(submission) => tokio::time::timeout(RECORD_TIME, house.app.door.accept(&origin, vec![submission])).await,
        Err(error) => Ok(Err(error)),
    };
    let receipts = match outcome {
        Ok(Ok(receipts)) => receipts,
        Ok(Err(error)) => {
            log(&error);
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

/// The click as an event of our own. Its raw form, which quarantine keeps, holds nothing of the person.
fn submission(house: &House, token: &str, kind: EventType, visitor: Visitor) -> Result<Submission> {
    let env = &house.app.env;
    let event_id = env.new_id().simple().to_string();
    let fault = |error: serde_json::Error| Error::fault("writing a click as JSON", error);
    let raw = serde_json::json!({ "event_type": kind.as_str(), "event_id": event_id, "link_token": token });
    let fields = EventFields {
        event_type: Some(kind.as_str().to_owned()),
        timestamp: Some(to_raw_value(&env.now().to_rfc3339()).map_err(fault)?),
        event_id: Some(event_id),
        link_token: Some(token.to_owned()),
        anonymous_id: visitor.anonymous_id,
        ip: visitor.ip.map(|ip| ip.to_string()),
        user_agent: visitor.user_agent,
        ..EventFields::default()
    };
    Ok(Submission::Fields { fields: Box::new(fields), raw: raw.to_string().into_bytes() })
}

fn visitor(house: &House, parts: &Parts) -> Visitor {
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
    let user_agent = parts.headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Visitor {
        ip: client_ip(peer, &parts.headers, house.options.trusted_proxy_count),
        user_agent: user_agent.map(|text| text.chars().take(EVENT_TEXT_BYTES_MAX / 4).collect()),
        anonymous_id: anonymous_id(&parts.headers),
    }
}

/// The visitor's address: the peer's, or what the outermost proxy that we trust wrote. Everything left of that is hearsay.
fn client_ip(peer: Option<IpAddr>, headers: &HeaderMap, trusted_proxy_count: usize) -> Option<IpAddr> {
    if trusted_proxy_count == 0 {
        return peer.map(|ip| ip.to_canonical());
    }
    let values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let hop = hops.len().checked_sub(trusted_proxy_count).and_then(|index| hops.get(index));
    hop.and_then(|hop| hop.parse().ok()).or(peer).map(|ip| ip.to_canonical())
}

fn anonymous_id(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, id) = pairs.find(|(name, _)| *name == ANONYMOUS_COOKIE)?;
    let is_ours = URL_SAFE_NO_PAD.decode(id).is_ok_and(|bytes| bytes.len() == 16);
    is_ours.then(|| id.to_owned())
}

fn set_cookie(id: &str, public_url: &str) -> String {
    let secure = if public_url.starts_with("https:") { "; Secure" } else { "" };
    format!("{ANONYMOUS_COOKIE}={id}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax{secure}")
}

/// A small page that loads nothing and says nothing of the request.
fn page(status: StatusCode, sentence: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"robots\" content=\"noindex\">\
         <title>Link</title><p>{sentence}</p></html>"
    );
    let headers = [
        (CONTENT_TYPE.as_str(), "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'"),
    ];
    (status, headers, html).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_that_can_be_a_visitors_own_is_limited() {
        let check = |ip: &str, expected: Option<&str>| {
            assert_eq!(visitor_network(ip.parse().unwrap()).as_deref(), expected, "{ip}");
        };
        check("203.0.113.9", Some("203.0.113.9"));
        check("2001:db8:1:2:3::4", Some("[2001, db8, 1, 2]"));
        for ip in ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.1.1", "0.0.0.0", "::1", "fd00::1", "fe80::1", "::"]
        {
            check(ip, None);
        }
    }

    #[test]
    fn only_what_a_trusted_proxy_wrote_counts() {
        let peer: Option<IpAddr> = Some("::ffff:10.0.0.1".parse().unwrap());
        let check = |forwarded: &[&str], trusted: usize, expected: &str| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            let ip = client_ip(peer, &headers, trusted).map(|ip| ip.to_string());
            assert_eq!(ip.as_deref(), Some(expected), "{forwarded:?} {trusted}");
        };
        check(&["1.1.1.1"], 0, "10.0.0.1");
        check(&["1.1.1.1, 2.2.2.2"], 1, "2.2.2.2");
        check(&["1.1.1.1", "2.2.2.2"], 2, "1.1.1.1");
        check(&["2.2.2.2"], 2, "10.0.0.1");
        check(&["nonsense"], 1, "10.0.0.1");
        check(&[], 1, "10.0.0.1");
    }
}
