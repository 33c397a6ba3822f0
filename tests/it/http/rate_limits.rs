//! Rate limits: shared by all processes through Redis, held by each alone without it, and never in the way of a click.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use grapevine::access::Role;
use grapevine::app::App;
use grapevine::base::{SeededChance, random_bytes};
use grapevine::config::{RateLimits, Settings};
use grapevine::kv::{Kv, Limit, Limiter};
use grapevine::platforms::sign_generic;
use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{TestApp, TestSource, servers};

const NONE: RateLimits = RateLimits {
    source_requests_per_second: 0,
    key_requests_per_minute: 0,
    key_cost_per_minute: 0,
    address_clicks_per_minute: 0,
    // On a machine that is busy with other tests, an answer in 5 ms is not certain.
    rate_limit_wait_ms: 5_000,
};
/// Where no Redis answers.
const NOWHERE: &str = "redis://127.0.0.1:1/";

/// One more process of the test's installation.
struct Process {
    url: String,
    stop: CancellationToken,
    served: JoinHandle<grapevine::base::Result<()>>,
}

impl Process {
    async fn open(app: &TestApp, rate_limits: RateLimits) -> Self {
        Self::open_with(app, Settings { rate_limits, ..app.settings.clone() }).await
    }

    async fn open_with(app: &TestApp, settings: Settings) -> Self {
        let own = App::new(settings, app.env.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let served = tokio::spawn(grapevine::http::serve(own, listener, stop.clone()));
        Self { url, stop, served }
    }

    async fn close(self) {
        self.stop.cancel();
        self.served.await.unwrap().unwrap();
    }

    async fn post(&self, app: &TestApp, source: &TestSource, secret: &str) -> Response {
        let body = r#"{"event_type":"click","anonymous_id":"a"}"#;
        let request = app.client.post(format!("{}/webhooks/{}", self.url, source.slug)).body(body);
        request.header("x-webhook-signature", sign_generic(secret.as_bytes(), body.as_bytes())).send().await.unwrap()
    }

    async fn query(&self, app: &TestApp, key: &str, query: &str, accept: &str) -> Response {
        let request = app.client.post(format!("{}/graphql", self.url)).bearer_auth(key).header(ACCEPT, accept);
        request.json(&json!({ "query": query })).send().await.unwrap()
    }
}

fn retry_after(response: &Response) -> &str {
    response.headers()[RETRY_AFTER].to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_over_its_limit_is_told_when_to_come_back() {
    let app = TestApp::start().await;
    let limits = RateLimits { source_requests_per_second: 3, ..NONE };
    let (one, two) = (Process::open(&app, limits).await, Process::open(&app, limits).await);
    let (source, other) = (app.source().await, app.source().await);
    for _ in 0..9 {
        assert_eq!(one.post(&app, &source, "wrong").await.status(), 401, "what is not authentic uses nothing up");
    }
    for process in [&one, &two, &one] {
        assert!(process.post(&app, &source, &source.secret).await.status().is_success());
    }
    for process in [&one, &two] {
        let refused = process.post(&app, &source, &source.secret).await;
        assert_eq!((refused.status().as_u16(), retry_after(&refused)), (429, "1"), "all processes count together");
        assert_eq!(refused.json::<Value>().await.unwrap()["code"], "RATE_LIMITED");
    }
    assert!(two.post(&app, &other, &other.secret).await.status().is_success(), "each source has its own limit");
    app.advance(TimeDelta::milliseconds(334));
    assert!(two.post(&app, &source, &source.secret).await.status().is_success(), "what flows in is there");
    assert_eq!(one.post(&app, &source, &source.secret).await.status(), 429);
    let metrics = app.client.get(format!("{}/metrics", one.url)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("grapevine_rate_limited_total{limit=\"source_requests\"} 2"), "{metrics}");
    one.close().await;
    two.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_over_its_requests_gets_429_in_graphql_s_own_words() {
    let app = TestApp::start().await;
    let process = Process::open(&app, RateLimits { key_requests_per_minute: 2, ..NONE }).await;
    let other = app.key_of(Role::Viewer).await;
    let media = ["application/graphql-response+json", "application/json", "text/event-stream"];
    for _ in 0..2 {
        assert_eq!(process.query(&app, &app.key, "{ __typename }", media[0]).await.status(), StatusCode::OK);
    }
    for accept in media {
        let refused = process.query(&app, &app.key, "{ __typename }", accept).await;
        assert_eq!((refused.status().as_u16(), retry_after(&refused)), (429, "30"), "{accept}");
        let content_type = refused.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        let expected = if accept == media[2] { media[1] } else { accept };
        assert!(content_type.starts_with(expected), "{accept}: {content_type}");
        let body: Value = refused.json().await.unwrap();
        let extensions = &body["errors"][0]["extensions"];
        assert_eq!((&extensions["code"], &extensions["retryAfter"]), (&json!("RATE_LIMITED"), &json!(30)), "{body}");
        assert!(body.get("data").is_none(), "{body}");
    }
    assert_eq!(process.query(&app, &other, "{ __typename }", media[0]).await.status(), 200, "each key has its own");
    app.advance(TimeDelta::seconds(30));
    assert_eq!(process.query(&app, &app.key, "{ __typename }", media[0]).await.status(), 200);
    let socket = json!([
        { "type": "connection_init", "payload": { "authorization": format!("Bearer {other}") } },
        { "id": "1", "type": "subscribe", "payload": { "query": "{ __typename }" } },
        { "id": "2", "type": "subscribe", "payload": { "query": "{ __typename }" } },
        { "id": "3", "type": "subscribe", "payload": { "query": "{ __typename }" } },
        200,
        {},
    ]);
    let url = format!("{}/graphql", process.url);
    let said = crate::support::peers::run("socket.mjs", &[&url, &socket.to_string(), "{}"]).await;
    let of = |id: &str| {
        let is_next = |line: &&Value| line["message"]["id"] == id && line["message"]["type"] == "next";
        said.lines.iter().find(is_next).unwrap_or_else(|| panic!("{:?} {}", said.lines, said.error))["message"]["payload"].clone()
    };
    assert_eq!((&of("1")["data"]["__typename"], &of("2")["data"]["__typename"]), (&json!("Query"), &json!("Query")));
    assert_eq!(of("3")["errors"][0]["extensions"]["code"], "RATE_LIMITED", "an operation on a socket is a request");
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_over_its_cost_is_refused_before_anything_is_done() {
    let app = TestApp::start().await;
    let process = Process::open(&app, RateLimits { key_cost_per_minute: 100, ..NONE }).await;
    let media = "application/graphql-response+json";
    let costly = "{ creators(first: 500) { nodes { id } } }";
    let invalid = process.query(&app, &app.key, "{ nothing }", media).await;
    assert_eq!(invalid.status(), 400);
    assert_eq!(process.query(&app, &app.key, costly, media).await.status(), 200, "a full bucket pays for any document");
    let create = "mutation { createCreator(input: {handle: \"mia\"}) { creator { id } } }";
    let refused = process.query(&app, &app.key, create, media).await;
    assert_eq!((refused.status().as_u16(), retry_after(&refused)), (429, "2"));
    assert_eq!(app.sql_count("select count(*) from creators").await, 0);
    let streamed = process.query(&app, &app.key, create, "text/event-stream").await.text().await.unwrap();
    assert!(streamed.contains("event: next") && streamed.contains("RATE_LIMITED"), "{streamed}");
    app.advance(TimeDelta::seconds(2));
    assert_eq!(process.query(&app, &app.key, create, media).await.status(), 200);
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_leads_on_over_the_limit_and_is_not_recorded() {
    let app = TestApp::start().await;
    let rate_limits = RateLimits { address_clicks_per_minute: 2, ..NONE };
    let settings = Settings { rate_limits, trusted_proxy_count: 1, ..app.settings.clone() };
    let process = Process::open_with(&app, settings).await;
    let made = "mutation { createCampaign(input: {slug: \"c\", name: \"C\", objective: CONVERSION, destinationUrl: \"https://shop.example/\"}) { campaign { id } }
                createCreator(input: {handle: \"zoe\"}) { creator { id } } }";
    let made = app.data(made, json!({})).await;
    let ids = json!({"c": made["createCampaign"]["campaign"]["id"], "z": made["createCreator"]["creator"]["id"]});
    let link = "mutation($c: ID!, $z: ID!) { generateLink(input: {campaignId: $c, creatorId: $z}) { link { token } } }";
    let token = app.data(link, ids).await["generateLink"]["link"]["token"].as_str().unwrap().to_owned();
    let click = async |visitor: &str| {
        let request = app.client.get(format!("{}/r/{token}", process.url)).header("x-forwarded-for", visitor);
        let answer = request.header("user-agent", "Mozilla/5.0 Firefox/140.0").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FOUND, "{visitor}");
        answer.headers()["location"].to_str().unwrap().contains("gv_click")
    };
    let mut recorded = Vec::new();
    for visitor in
        ["203.0.113.1", "203.0.113.1", "203.0.113.1", "203.0.113.2", "2001:db8::1", "2001:db8::2", "2001:db8::3"]
    {
        recorded.push(click(visitor).await);
    }
    assert_eq!(recorded, [true, true, false, true, true, true, false], "per address, and per /64 network");
    for _ in 0..3 {
        assert!(click("10.0.0.1").await, "behind an address of a private network may be anyone");
    }
    assert_eq!(app.sql_count("select count(*) from events where event_type = 'click'").await, 8);
    process.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_process_counts_alone() {
    let app = TestApp::start().await;
    let source = app.source().await;
    let rate_limits = RateLimits { source_requests_per_second: 3, rate_limit_wait_ms: 5, ..NONE };
    // One Redis that is not there, and one that takes the call and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("redis://{}/", silent.local_addr().unwrap());
    for redis_url in [NOWHERE, silent.as_str()] {
        let settings = Settings { rate_limits, redis_url: redis_url.to_owned(), ..app.settings.clone() };
        let process = Process::open_with(&app, settings).await;
        for _ in 0..3 {
            assert!(process.post(&app, &source, &source.secret).await.status().is_success(), "{redis_url}");
        }
        assert_eq!(process.post(&app, &source, &source.secret).await.status(), 429, "{redis_url}");
        let metrics = app.client.get(format!("{}/metrics", process.url)).send().await.unwrap().text().await.unwrap();
        assert!(metrics.contains("grapevine_rate_limits_local_total 4"), "{redis_url}: {metrics}");
        process.close().await;
    }
}

/// The same random calls, told to a limiter with Redis and to one without, which has the arithmetic in Rust.
#[tokio::test]
async fn the_script_and_the_arithmetic_decide_alike() {
    let app = TestApp::start().await;
    let limits = RateLimits { key_cost_per_minute: 60, ..NONE };
    let kv = |url: &str| Kv::connect(url, &app.settings.redis_prefix).unwrap();
    let (shared, alone) = (Limiter::new(kv(&servers().redis_url), &limits), Limiter::new(kv(NOWHERE), &limits));
    let chance = Arc::new(SeededChance::from_seed(7));
    let mut now: DateTime<Utc> = app.now();
    let mut refused_count = 0;
    for round in 0..2_000 {
        let [subject, count, pause, unit] = random_bytes::<4>(&*chance);
        // Mostly forward by up to a minute, at times back as a clock that is set does.
        let pause = i64::from(pause) * if unit < 20 { -100_000 } else { i64::from(unit) * 1_000 };
        now += TimeDelta::microseconds(pause);
        let (brand_id, subject) = (Uuid::nil(), [subject % 3; 16]);
        let call = async |limiter: &Limiter| {
            limiter.spend(Limit::KeyCost, brand_id, subject, u64::from(count % 90), now).await
        };
        let (first, second) = (call(&shared).await, call(&alone).await);
        assert_eq!(first, second, "round {round} at {now}");
        refused_count += usize::from(first.is_err());
    }
    assert!((200..1_800).contains(&refused_count), "{refused_count} of 2,000 refused: the calls try both");
    assert_eq!((shared.local_count(), alone.local_count()), (0, 2_000));
}

/// A busy source must not cost a call to Redis per request.
#[tokio::test]
async fn a_busy_subject_takes_its_units_in_lots_and_gets_no_more_for_it() {
    let app = TestApp::start().await;
    let limits = RateLimits { source_requests_per_second: 10_000, ..NONE };
    let kv = Kv::connect(&servers().redis_url, &app.settings.redis_prefix).unwrap();
    let limiter = Limiter::new(kv, &limits);
    let mut granted = 0;
    for _ in 0..10_500 {
        let spent = limiter.spend(Limit::SourceRequests, Uuid::nil(), [1; 16], 1, app.now()).await;
        granted += usize::from(spent.is_ok());
    }
    assert_eq!((granted, limiter.local_count()), (10_000, 0));
}
