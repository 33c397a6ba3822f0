//! Webhooks that go out, to a receiver that verifies them with the official library.

mod endpoints;
mod failing;
mod sending;

use std::collections::VecDeque;

use chrono::TimeDelta;
use grapevine::base::Kind;
use grapevine::worker::deliver;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::graphql::world::furnish;
use crate::support::TestApp;
use crate::support::peers::Peer;

const CREATE: &str = "mutation($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) {
    endpoint { id url kinds } secret userErrors { code path message } } }";
const UPDATE: &str = "mutation($input: UpdateWebhookEndpointInput!) { updateWebhookEndpoint(input: $input) {
    endpoint { url kinds disabledAt disabledReason failingSince } userErrors { code path message } } }";
const ROTATE: &str =
    "mutation($input: RotateWebhookEndpointSecretInput!) { rotateWebhookEndpointSecret(input: $input) {
    endpoint { previousSecretExpiresAt } secret userErrors { code path message } } }";
const REPLAY: &str = "mutation($input: ReplayWebhookDeliveriesInput!) { replayWebhookDeliveries(input: $input) {
    replay { queued endSequence hasMore } userErrors { code path message } } }";
const LOG: &str = "query($state: [WebhookDeliveryState!]) { webhookEndpoints { totalCount nodes {
    id url kinds disabledAt disabledReason failingSince previousSecretExpiresAt
    deliveries(first: 100, state: $state) { totalCount nodes { messageId sequence kind payload state attempts nextAttemptAt lastAttemptAt
        lastStatus lastError deliveredAt } } } } }";
const ISSUE: &str =
    "mutation($input: IssueRewardInput!) { issueReward(input: $input) { reward { id } userErrors { code message } } }";

/// A brand whose webhooks may go to this machine.
async fn brand() -> TestApp {
    let app = TestApp::start_with_receivers().await;
    furnish(&app).await;
    app
}

/// Does a mutation with this input and returns its payload.
async fn ask(app: &TestApp, query: &str, input: Value) -> Value {
    let mut data = app.data(query, json!({ "input": input })).await;
    data.as_object_mut().unwrap().values_mut().next().unwrap().take()
}

/// Issues a reward, which the brand is told of, and returns its identifier.
async fn issue(app: &TestApp, key: &str) -> String {
    let input = json!({ "campaignId": Kind::Campaign.id(Uuid::from_u128(0xa1)), "creatorId": Kind::Creator.id(Uuid::from_u128(0xc1)),
        "kind": "CREDIT", "amount": { "amount": "12.50", "currency": "USD" }, "reason": "A good month.", "idempotencyKey": key });
    let made = ask(app, ISSUE, input).await;
    made["reward"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

/// The endpoint, and its deliveries from the first to the last.
async fn log(app: &TestApp) -> (Value, Vec<Value>) {
    let mut endpoint = app.data(LOG, json!({})).await["webhookEndpoints"]["nodes"][0].take();
    let mut deliveries = endpoint["deliveries"]["nodes"].take().as_array().unwrap().clone();
    deliveries.reverse();
    (endpoint, deliveries)
}

/// A receiver with its own endpoint.
struct Receiver {
    peer: Peer,
    /// What it printed while it was told something.
    seen: VecDeque<Value>,
    url: String,
    endpoint_id: Value,
    secret: Value,
}

impl Receiver {
    /// A receiver that hears of rewards, and answers 200.
    async fn open(app: &TestApp) -> Self {
        Self::open_for(app, &["reward.*"]).await
    }

    async fn open_for(app: &TestApp, kinds: &[&str]) -> Self {
        let mut peer = Peer::start("receiver.mjs").await;
        let port = peer.hear().await["port"].clone();
        let url = format!("http://127.0.0.1:{port}/hooks?of=acme");
        let made = ask(app, CREATE, json!({ "url": url, "kinds": kinds })).await;
        assert_eq!(made["userErrors"], json!([]), "{made}");
        let (endpoint_id, secret) = (made["endpoint"]["id"].clone(), made["secret"].clone());
        let mut receiver = Self { peer, seen: VecDeque::new(), url, endpoint_id, secret: secret.clone() };
        receiver.tell(json!({ "secret": secret, "now": app.now().timestamp() })).await;
        receiver
    }

    async fn tell(&mut self, line: Value) {
        self.peer.tell(&line).await;
        loop {
            let heard = self.peer.hear().await;
            if heard["set"] == true {
                return;
            }
            self.seen.push_back(heard);
        }
    }

    /// Its clock follows the app's.
    async fn set_clock(&mut self, app: &TestApp) {
        self.tell(json!({ "now": app.now().timestamp() })).await;
    }

    /// The next request that it gets.
    async fn next(&mut self) -> Value {
        match self.seen.pop_front() {
            Some(request) => request,
            None => self.peer.hear().await,
        }
    }

    /// What it got and has not told yet, where nothing more is under way.
    async fn rest(&mut self) -> Vec<Value> {
        self.tell(json!({})).await;
        self.seen.drain(..).collect()
    }
}

/// Moves both clocks.
async fn advance(app: &TestApp, receiver: &mut Receiver, by: TimeDelta) {
    app.advance(by);
    receiver.set_clock(app).await;
}

/// Sends what is due, which must take so many tries, and returns what the receiver got.
async fn send(app: &TestApp, receiver: &mut Receiver, count: usize) -> Vec<Value> {
    assert_eq!(deliver(app).await.unwrap(), count);
    receiver.rest().await
}
