//! A thousand callers at once, through the router of the HTTP door: of the last units of a budget exactly what is there is granted, and one
//! key is one reward. Whoever is told that the service is busy asks again under the same key, as callers should.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use grapevine::app::App;
use grapevine::base::Kind;
use grapevine::http::in_process;
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{CAMPAIGN, Desk, creator};

const CALLERS: usize = 1_000;
/// Rewards that the budget of the desk, 1,000,000 minor units, holds.
const UNITS: usize = 100;
/// What each of them costs.
const UNIT: &str = "100.00";

const ISSUE: &str =
    "mutation($i: IssueRewardInput!) { issueReward(input: $i) { reward { id } userErrors { code path message } } }";

/// What one caller was told in the end: the identifier of the reward, or the code of the refusal.
type Told = Result<String, String>;

/// Asks until it is told of: an answer that says UNAVAILABLE says nothing. It rests longer each time, so that those who wait do not keep
/// the machine from those who are served.
async fn ask(router: Router, key: String, input: Value) -> Told {
    let mut rest = Duration::from_millis(20);
    loop {
        let body = json!({ "query": ISSUE, "variables": { "i": input } }).to_string();
        let request = Request::post("/graphql").header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {key}")).body(Body::from(body)).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        let payload = &answer["data"]["issueReward"];
        if let Some(id) = payload["reward"]["id"].as_str() {
            return Ok(id.to_owned());
        }
        if let Some(code) = payload["userErrors"][0]["code"].as_str() {
            assert!(payload["userErrors"][0]["message"].as_str().is_some_and(|text| !text.is_empty()), "{answer}");
            return Err(code.to_owned());
        }
        assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer}");
        tokio::time::sleep(rest).await;
        rest = (2 * rest).min(Duration::from_secs(1));
    }
}

/// All callers with the input that each of them sends. They wait for each other and then ask at once.
async fn all_at_once(desk: &Desk, input: impl Fn(usize) -> Value) -> Vec<Told> {
    let stop = CancellationToken::new();
    let router = in_process(App::clone(&desk.app), stop.clone());
    let barrier = Arc::new(Barrier::new(CALLERS));
    let mut asking = JoinSet::new();
    for number in 0..CALLERS {
        let (router, key, input) = (router.clone(), desk.maker_key.clone(), input(number));
        let barrier = Arc::clone(&barrier);
        asking.spawn(async move {
            barrier.wait().await;
            ask(router, key, input).await
        });
    }
    let told = asking.join_all().await;
    stop.cancel();
    told
}

fn input(creator_number: u128, key: &str) -> Value {
    json!({ "campaignId": Kind::Campaign.id(CAMPAIGN), "creatorId": Kind::Creator.id(creator(creator_number).id()), "kind": "CREDIT",
        "amount": { "amount": UNIT, "currency": "USD" }, "reason": "The last of it.", "idempotencyKey": key })
}

/// How often each answer was given.
fn tally(told: &[Told]) -> BTreeMap<&str, usize> {
    let mut tally = BTreeMap::new();
    for answer in told {
        *tally.entry(answer.as_ref().map_or_else(String::as_str, |_| "GRANTED")).or_default() += 1;
    }
    tally
}

async fn breach_count(desk: &Desk) -> i64 {
    let mut conn = desk.db.conn().await.unwrap();
    let findings = grapevine::verify::check(&mut conn, &desk.brand, desk.now()).await.unwrap();
    findings.iter().map(|finding| finding.breach_count).sum()
}

/// Fails without `from.balance_minor() < amount_minor` in `src/ledger/books.rs` (the CHECK then refuses, and the callers are told of a
/// fault), and without `for no key update` in `lock_accounts` and `lock_chain` of `src/ledger/store.rs` (the chain forks, or the CHECK refuses).
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_are_granted_exactly_what_is_left_of_a_budget() {
    let desk = Desk::open().await;
    let told = all_at_once(&desk, |number| input(1 + (number % 6) as u128, &format!("crowd-{number}"))).await;
    let expected = BTreeMap::from([("GRANTED", UNITS), ("INSUFFICIENT_BUDGET", CALLERS - UNITS)]);
    assert_eq!(tally(&told), expected);
    let granted =
        desk.sql_count("select count(*) from rewards where state = 'ESCROWED' and amount_minor = 10000").await;
    assert_eq!((granted, desk.budget().await), (i64::try_from(UNITS).unwrap(), 0));
    assert_eq!(desk.sql_count("select count(*) from rewards").await, granted, "a refusal leaves no row");
    let posted = "select count(*) from ledger_transfers where kind = 'GRANT'";
    assert_eq!(desk.sql_count(posted).await, granted);
    assert_eq!(breach_count(&desk).await, 0);
}

/// Fails without `on_conflict_do_nothing` in `claim_key` of `src/access/store.rs`, and where `once` of `src/access/idempotency.rs` works
/// for a key that is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_with_one_key_are_told_of_one_reward() {
    let desk = Desk::open().await;
    let told = all_at_once(&desk, |_| input(1, "crowd")).await;
    assert_eq!(tally(&told), BTreeMap::from([("GRANTED", CALLERS)]));
    assert!(told.iter().all(|answer| *answer == told[0]), "one of them was told of another reward");
    assert_eq!(desk.sql_count("select count(*) from rewards").await, 1);
    assert_eq!(desk.budget().await, 1_000_000 - 10_000);
    assert_eq!(breach_count(&desk).await, 0);
}
