//! The one client that posts to endpoints: it connects to public addresses alone, follows no redirect, waits for a limited time and reads
//! a limited answer. It logs neither addresses nor what was answered: both can hold credentials.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::TokioExecutor;

use super::addresses::is_public;
use super::rules::Answer;
use crate::base::limits::{DELIVERY_ANSWER_BYTES_MAX, DELIVERY_MS, DELIVERY_REST_MS};

type Https = Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>;

/// The client, with its connections.
pub(super) struct Postman {
    allows_private: bool,
    client: OnceLock<Https>,
}

impl Postman {
    /// Opens no connection yet.
    pub(super) fn new(allows_private: bool) -> Self {
        Self { allows_private, client: OnceLock::new() }
    }

    /// Whether it connects to addresses of our own network too.
    pub(super) fn allows_private(&self) -> bool {
        self.allows_private
    }

    /// Posts a body, and says what came of it.
    pub(super) async fn post(&self, url: &str, headers: &[(&'static str, String)], body: String) -> Answer {
        let failed = |error: &str| Answer::Failed { status: None, error: error.to_owned(), retry_after: None };
        let Ok(uri) = url.parse::<Uri>() else { return failed("Its address is none that can be asked.") };
        // A name is looked at when it is resolved; an address that stands in the URL is resolved by nobody.
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        if !self.allows_private && host.parse::<IpAddr>().is_ok_and(|address| !is_public(address)) {
            return failed(PRIVATE);
        }
        let request = Request::post(uri).header(USER_AGENT, "grapevine").header(CONTENT_TYPE, "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let Ok(request) = request.body(Full::new(Bytes::from(body))) else {
            return failed("Its address is none that can be asked.");
        };
        let client = self.client.get_or_init(|| connections(self.allows_private));
        match tokio::time::timeout(Duration::from_millis(DELIVERY_MS), client.request(request)).await {
            Err(_) => failed("It did not answer in time."),
            Ok(Err(error)) => failed(described(&error)),
            Ok(Ok(response)) => {
                let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                let answer = Answer::of_status(response.status().as_u16(), retry_after);
                // Read to its end, so that the connection can be used again. The status has said everything.
                let rest = Limited::new(response.into_body(), DELIVERY_ANSWER_BYTES_MAX).collect();
                let is_reusable = tokio::time::timeout(Duration::from_millis(DELIVERY_REST_MS), rest).await;
                tracing::trace!(is_reusable = is_reusable.is_ok_and(|rest| rest.is_ok()), "an endpoint answered");
                answer
            }
        }
    }
}

const PRIVATE: &str = "Its name leads to no public address: private ones are not sent to.";

/// Why there was no answer, in words that hold nothing of the address.
fn described(error: &ClientError) -> &'static str {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<Unresolved>() {
            Some(Unresolved::Private) => return PRIVATE,
            Some(Unresolved::Unknown(_)) => return "Its name is not known.",
            None => cause = error.source(),
        }
    }
    if error.is_connect() { "No connection to it could be made." } else { "It ended the connection without an answer." }
}

/// With the certificates of Mozilla's list.
fn connections(allows_private: bool) -> Https {
    let mut http = HttpConnector::new_with_resolver(Resolver { allows_private });
    http.enforce_http(false);
    let connector = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1();
    Client::builder(TokioExecutor::new()).build(connector.wrap_connector(http))
}

/// Why a name led nowhere.
#[derive(Debug, thiserror::Error)]
enum Unresolved {
    #[error("the name leads to no public address")]
    Private,
    #[error("the name is not known")]
    Unknown(#[source] io::Error),
}

/// Looks names up, and keeps the addresses that may be connected to: the check is on the very addresses that are used, so that a name
/// cannot lead elsewhere between the one and the other.
#[derive(Clone, Copy)]
struct Resolver {
    allows_private: bool,
}

impl tower::Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Unresolved;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Unresolved>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let allows_private = self.allows_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(Unresolved::Unknown)?;
            let allowed: Vec<SocketAddr> = found.filter(|address| allows_private || is_public(address.ip())).collect();
            if allowed.is_empty() { Err(Unresolved::Private) } else { Ok(allowed.into_iter()) }
        })
    }
}
