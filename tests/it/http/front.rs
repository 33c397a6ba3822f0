//! A door on a free port of this machine, with its own deadlines, and what tests say to it.

use std::time::Duration;

use grapevine::app::App;
use grapevine::http::{Options, serve_with};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::TestApp;

/// A subscription that stays silent in an empty brand.
pub const SUBSCRIPTION: &str = "subscription { fraudAlerts { __typename } }";

/// The open door.
pub struct Front {
    pub app: TestApp,
    pub url: String,
    pub key: String,
    pub client: Client,
    stop: CancellationToken,
    served: JoinHandle<grapevine::base::Result<()>>,
}

/// Deadlines that a test can wait for.
pub fn short_deadlines() -> Options {
    Options {
        header_read: Duration::from_millis(300),
        body_read: Duration::from_millis(300),
        socket_init: Duration::from_millis(300),
        key_check: Duration::from_millis(100),
        shutdown_grace: Duration::from_secs(2),
        ..Options::default()
    }
}

impl Front {
    pub async fn open() -> Self {
        Self::open_with(Options::default()).await
    }

    pub async fn open_with(options: Options) -> Self {
        let app = TestApp::start().await;
        let key = app.key.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve_with(App::clone(&app), listener, stop.clone(), options));
        let client = app.client.clone();
        Self { app, url, key, client, stop, served }
    }

    pub fn graphql_url(&self) -> String {
        format!("{}/graphql", self.url)
    }

    /// A POST to `/graphql` with the key, without a body yet.
    pub fn post(&self) -> RequestBuilder {
        self.client.post(self.graphql_url()).bearer_auth(&self.key)
    }

    pub async fn query(&self, query: &str) -> Response {
        self.post().json(&json!({ "query": query })).send().await.unwrap()
    }

    /// The status and the code of the first error.
    pub async fn code_of(response: Response) -> (u16, String) {
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap();
        assert!(body.get("data").is_none(), "a refused request has no data: {body}");
        (status, body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned())
    }

    /// Stops the server and waits for its end, in at most five seconds.
    pub async fn close(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.served).await.unwrap().unwrap().unwrap();
    }

    pub fn stop(&self) {
        self.stop.cancel();
    }
}
