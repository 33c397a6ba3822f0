//! Which path is whose, and what is done around every request: an id, a span, a count, and a net for panics.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use futures_util::FutureExt;
use tracing::Instrument;

use super::house::House;
use super::{answer, graphql, health, links, metrics, webhooks};

const REQUEST_ID: &str = "x-request-id";
const REQUEST_ID_LENGTH_MAX: usize = 64;

/// The id of a request: the caller's own if it is a plain word, else ours.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) String);

pub(super) fn router(house: House) -> Router {
    Router::new()
        .route("/", get(async || Redirect::to("/graphql")))
        .route("/graphql", any(graphql::graphql))
        .route("/webhooks/{source}", post(webhooks::receive).get(webhooks::shake).fallback(webhooks::refuse))
        .route("/r/{token}", get(links::follow))
        .route("/r/{brand}/{slug}", get(links::follow_of_brand))
        .route("/qr/{token}", get(links::qr))
        .route("/qr/{brand}/{slug}", get(links::qr_of_brand))
        .route("/gv.js", get(links::script))
        .route("/invite/{token}", get(links::invite))
        .route("/invite/{brand}/{slug}", get(links::invite_of_brand))
        .route("/.well-known/apple-app-site-association", get(links::apple_app_site_association))
        .route("/.well-known/assetlinks.json", get(links::asset_links))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .fallback(async || answer::error(StatusCode::NOT_FOUND, "NOT_FOUND", "There is nothing at this path."))
        .method_not_allowed_fallback(async || {
            answer::error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "This path does not take this method.")
        })
        .layer(from_fn_with_state(house.clone(), around))
        .with_state(house)
}

/// The template of a path. Never the path itself: tokens and slugs are secrets, and a counter's labels must be few.
fn route_of(path: &str) -> &'static str {
    match path {
        "/" => "/",
        "/graphql" => "/graphql",
        "/healthz" => "/healthz",
        "/readyz" => "/readyz",
        "/metrics" => "/metrics",
        _ if path.starts_with("/.well-known/") => "/.well-known/{file}",
        _ if path.starts_with("/webhooks/") => "/webhooks/{source}",
        "/gv.js" => "/gv.js",
        _ if path.starts_with("/qr/") => "/qr/{token}",
        _ if path.starts_with("/r/") => "/r/{token}",
        _ if path.starts_with("/invite/") => "/invite/{token}",
        _ => "other",
    }
}

async fn around(State(house): State<House>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = route_of(request.uri().path());
    let id = request_id(&house, request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!("request", request.id = %id, http.method = %request.method(), http.route = route);
    let outcome = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let mut response = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref().cloned());
        span.in_scope(|| tracing::error!(panic = text.unwrap_or_default(), "a handler panicked"));
        panicked(route, &id)
    });
    finish(&mut response, &id);
    let elapsed = started.elapsed();
    house.metrics.count_request(route, response.status(), elapsed);
    span.in_scope(|| {
        tracing::debug!(http.status = response.status().as_u16(), duration_us = elapsed.as_micros(), "answered");
    });
    response
}

fn panicked(route: &str, id: &str) -> Response {
    if route == "/graphql" {
        return graphql::internal(id);
    }
    answer::internal().into_response()
}

fn finish(response: &mut Response, id: &str) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.entry("referrer-policy").or_insert(HeaderValue::from_static("strict-origin-when-cross-origin"));
    headers.entry("cache-control").or_insert(HeaderValue::from_static("no-store"));
}

fn request_id(house: &House, headers: &HeaderMap) -> String {
    let is_plain = |text: &&str| {
        (1..=REQUEST_ID_LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    let theirs = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(is_plain);
    theirs.map_or_else(|| house.app.env.new_id().simple().to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    use super::*;
    use crate::app::App;
    use crate::base::Env;
    use crate::config::Settings;
    use crate::http::Options;

    /// A door behind which nothing answers.
    fn house() -> House {
        let settings = Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_url: "http://localhost".to_owned(),
            trusted_proxy_count: 0,
            database_url: "postgres://127.0.0.1:1/none".to_owned(),
            database_pool_size: 1,
            redis_url: "redis://127.0.0.1:1".to_owned(),
            redis_prefix: String::new(),
            secret: [0; 32],
            data_dir: "data".into(),
            events_retention_days: None,
            rate_limits: crate::config::RateLimits::default(),
            platforms: crate::config::PlatformSettings::default(),
            webhook_private_addresses: false,
        };
        let app = App::new(settings, Env::system()).unwrap();
        House::new(app, Options::default(), CancellationToken::new())
    }

    async fn get(router: Router, path: &str) -> (StatusCode, HeaderMap, String) {
        let request = Request::get(path).header("authorization", "Bearer gv_x").body(Body::empty()).unwrap();
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_says_nothing_of_it() {
        async fn panics() -> Response {
            panic!("the secret")
        }
        let routes =
            Router::new().route("/graphql", axum::routing::get(panics)).route("/other", axum::routing::get(panics));
        let router = routes.layer(from_fn_with_state(house(), around));
        for path in ["/graphql", "/other"] {
            let (status, headers, text) = get(router.clone(), path).await;
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            assert!(headers.contains_key(REQUEST_ID));
            assert!(text.contains("\"INTERNAL\"") && !text.contains("secret"), "{text}");
        }
    }

    #[tokio::test]
    async fn without_postgres_the_answer_is_come_back_later() {
        let router = router(house());
        for (path, has_retry) in [("/graphql?query=%7B__typename%7D", true), ("/readyz", false)] {
            let (status, headers, text) = get(router.clone(), path).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {text}");
            assert!(!has_retry || headers.contains_key("retry-after"), "{path}");
        }
        assert_eq!(get(router, "/healthz").await.0, StatusCode::OK);
    }
}
