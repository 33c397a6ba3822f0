//! F14: everything in the wrong order: the refund before the purchase, the purchase before the click, and a reward that is released
//! and taken back at the same moment.

use std::sync::Arc;

use grapevine::base::{Clock, Kind, SystemClock};
use grapevine::platforms::sign_generic;
use serde_json::{Value, json};
use uuid::Uuid;

use super::stand::Stand;
use super::{random_below, sized, tell};

const BALANCE: &str = "select (credit_minor - debit_minor) as count from ledger_accounts where bucket = 'budget'";

fn shuffle<T>(items: &mut [T]) {
    for end in (1..items.len()).rev() {
        items.swap(end, usize::try_from(random_below(end as u64 + 1)).unwrap());
    }
}

/// A click, a purchase and a refund of 4.00 of its 10.00, in the order in which they happened.
fn story(number: u64) -> Vec<Value> {
    let time = |minutes: i64| (SystemClock.now() - chrono::TimeDelta::minutes(minutes)).to_rfc3339();
    let order = format!("order-{number}");
    let address = format!("10.1.{}.{}", number >> 8 & 255, number & 255);
    vec![
        json!({"event_id": format!("c-{number}"), "event_type": "click", "link_token": "zoe-link", "anonymous_id": format!("p{number}"),
            "ip": address, "timestamp": time(30), "user_agent": "Mozilla/5.0 Firefox/140.0"}),
        json!({"event_id": format!("b-{number}"), "event_type": "conversion", "anonymous_id": format!("p{number}"), "order_id": order,
            "conversion_value": "10.00", "timestamp": time(20)}),
        json!({"event_id": format!("r-{number}"), "event_type": "refund", "order_id": order, "conversion_value": "4.00", "timestamp": time(10)}),
    ]
}

async fn post(stand: Arc<Stand>, event: Value) {
    let raw = event.to_string();
    let signature = sign_generic(stand.source.secret.as_bytes(), raw.as_bytes());
    let url = format!("{}/webhooks/{}", stand.url(), stand.source.slug);
    let answer = stand.client.post(url).header("x-webhook-signature", signature).body(raw).send().await.unwrap();
    assert_eq!(answer.status(), 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn purchases_come_out_alike_in_whatever_order_their_events_come() {
    let stand = Arc::new(Stand::on(None, None).await);
    let _processes = stand.processes().await;
    let count = sized(40, 1_000);
    let mut events: Vec<Value> = (0..count).flat_map(story).collect();
    shuffle(&mut events);
    for group in events.chunks(8) {
        let posts = group.iter().map(|event| tokio::spawn(post(Arc::clone(&stand), event.clone())));
        for done in posts.collect::<Vec<_>>() {
            done.await.unwrap();
        }
    }
    stand.read_through(3 * count).await;
    let expected = count.cast_signed();
    let credited = "select count(*) from attribution_records r join conversions c on c.brand_id = r.brand_id and c.id = r.conversion_id
        where r.superseded_at is null and r.creator_id is not null and r.amount_minor = 1000 and c.refunded_minor = 400";
    assert_eq!(stand.count(credited).await, expected);
    let earned =
        "select coalesce(sum(amount_minor - reversed_minor), 0)::int8 as count from rewards where kind = 'COMMISSION'";
    assert_eq!(stand.count(earned).await, 60 * expected, "a tenth of what was not refunded");
    tell("F14", json!({"acknowledged": 3 * count, "lost": 0, "double": 0, "purchases": count}));
}

const ISSUE: &str =
    "mutation($input: IssueRewardInput!) { issueReward(input: $input) { reward { id } userErrors { code } } }";
const RELEASE: &str =
    "mutation($id: ID!) { releaseReward(input: {rewardId: $id}) { reward { state } userErrors { code } } }";
const REVERSE: &str = "mutation($id: ID!) { reverseReward(input: {rewardId: $id, reason: \"Fraud.\"}) { reward { state } userErrors { code } } }";

async fn ask(stand: &Stand, query: &str, variables: Value) -> Value {
    let body = json!({ "query": query, "variables": variables });
    let request = stand.client.post(format!("{}/graphql", stand.url())).bearer_auth(&stand.key).json(&body);
    request.send().await.unwrap().json().await.unwrap()
}

/// Whether the change was made, or refused because of another; nothing else is legal.
fn is_done(answer: &Value, verb: &str) -> bool {
    match answer["data"][verb]["userErrors"][0]["code"].as_str() {
        None => {
            assert!(answer["data"][verb]["reward"].is_object(), "{answer}");
            true
        }
        code => {
            assert_eq!(code, Some("CONFLICT"), "{answer}");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reward_that_is_released_and_taken_back_at_once_ends_in_one_state() {
    let stand = Stand::on(None, None).await;
    let _processes = stand.processes().await;
    let before = stand.count(BALANCE).await;
    let (mut released, count) = (0_i64, sized(25_i64, 1_000));
    for number in 0..count {
        let input = json!({"campaignId": Kind::Campaign.id(Uuid::from_u128(0xa1)), "creatorId": Kind::Creator.id(Uuid::from_u128(0xc1)),
            "kind": "CREDIT", "amount": {"amount": "1.00", "currency": "USD"}, "reason": "A race.", "idempotencyKey": format!("k{number}")});
        let issued = ask(&stand, ISSUE, json!({ "input": input })).await;
        let id = &issued["data"]["issueReward"]["reward"]["id"];
        assert!(id.is_string(), "{issued}");
        let (release, first, second) = tokio::join!(
            ask(&stand, RELEASE, json!({ "id": id })),
            ask(&stand, REVERSE, json!({ "id": id })),
            ask(&stand, REVERSE, json!({ "id": id })),
        );
        released += i64::from(is_done(&release, "releaseReward"));
        let reversals = [&first, &second].into_iter().filter(|answer| is_done(answer, "reverseReward")).count();
        assert_eq!(reversals, 1, "{first} {second}");
    }
    assert_eq!(
        stand.count("select count(*) from rewards where state = 'REVERSED' and reversed_minor = amount_minor").await,
        count
    );
    assert_eq!(stand.count("select count(*) from ledger_transfers where kind = 'CLAWBACK'").await, released);
    assert_eq!(stand.count(BALANCE).await, before, "the budget is whole again");
    tell("F14b", json!({"races": count, "released_first": released, "lost": 0, "double": 0}));
}
