//! The way to a WebSocket: only `graphql-transport-ws`, only from our own pages or from no page at all. What is said on it is in
//! `socket_session.rs`.

use axum::extract::FromRequestParts;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use url::Url;

use super::auth::bearer;
use super::graphql::refuse;
use super::house::House;
use super::router::RequestId;
use super::serve::Seat;
use super::socket_session::Session;
use crate::base::limits::SOCKET_MESSAGE_BYTES_MAX;

const PROTOCOL: &str = "graphql-transport-ws";

pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

pub(super) async fn upgrade(house: House, mut parts: Parts) -> Response {
    let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    if !is_own_origin(&parts.headers, &house.app.settings.public_url) {
        let message = "A page of another site may not open a socket.";
        return refuse(StatusCode::FORBIDDEN, "FORBIDDEN_ORIGIN", message, &request_id);
    }
    if !offers_protocol(&parts.headers) {
        let message = "Offer the subprotocol graphql-transport-ws.";
        return refuse(StatusCode::BAD_REQUEST, "BAD_SUBPROTOCOL", message, &request_id);
    }
    let key = bearer(&parts.headers);
    let seat = parts.extensions.get::<Seat>().cloned();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    // One more byte than we take: what is just too long is told so (1009) by us.
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(SOCKET_MESSAGE_BYTES_MAX + 1);
    let upgrade = upgrade.max_frame_size(SOCKET_MESSAGE_BYTES_MAX + 1);
    upgrade.on_upgrade(move |socket| {
        let tasks = house.tasks.clone();
        tasks.track_future(async move {
            Session::new(house, request_id, key).serve(socket).await;
            drop(seat);
        })
    })
}

fn offers_protocol(headers: &HeaderMap) -> bool {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|protocol| protocol.trim() == PROTOCOL)
}

/// Browsers send the page's origin and nothing else stops a foreign page: sockets know no CORS. Ours are those of the public URL
/// and those that were opened under the very host that is asked now (`localhost` and `127.0.0.1` alike).
fn is_own_origin(headers: &HeaderMap, public_url: &str) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let host = |text: &str| {
        let url = Url::parse(text).ok()?;
        Some((url.host_str()?.to_owned(), url.port_or_known_default()))
    };
    let Some(origin) = origin.to_str().ok().filter(|origin| origin.contains("://")) else { return false };
    let asked = headers.get(HOST).and_then(|value| value.to_str().ok());
    let scheme = if origin.starts_with("https:") { "https" } else { "http" };
    let asked = asked.and_then(|asked| host(&format!("{scheme}://{asked}")));
    let origin = host(origin);
    origin.is_some() && (origin == host(public_url) || origin == asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_may_open_a_socket() {
        let check = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "127.0.0.1:8080".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            is_own_origin(&headers, "http://localhost:8080")
        };
        assert!(check(None));
        assert!(check(Some("http://localhost:8080")));
        assert!(check(Some("http://127.0.0.1:8080")));
        for other in ["https://evil.example", "null", "http://localhost:8081", "http://localhost.evil.example:8080", ""]
        {
            assert!(!check(Some(other)), "{other}");
        }
    }
}
