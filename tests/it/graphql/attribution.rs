//! Attribution records, touchpoints and conversions.

use std::pin::Pin;
use std::time::Duration;

use async_graphql::{Request, Variables};
use chrono::TimeDelta;
use futures_util::{Stream, StreamExt};
use grapevine::access::Role;
use grapevine::base::Kind;
use grapevine::graphql::{RequestContext, schema};
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{at, pluck, setting, story, tell};
use crate::support::TestApp;

const PAGE: &str = "query($first: Int, $after: String, $last: Int, $before: String, $filter: AttributionFilter) {
    attributionRecords(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
        nodes { id weight value { amount } creator { handle } occurredAt }
        pageInfo { startCursor endCursor hasNextPage hasPreviousPage } totalCount } }";

async fn page(app: &TestApp, variables: Value) -> Value {
    app.data(PAGE, variables).await["attributionRecords"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_walk_the_same_list_both_ways() {
    let app = setting().await;
    story(&app).await;
    // Ten conversions with six touches each; touches of one conversion share its moment, so ties are broken by the identifier.
    let whole = page(&app, json!({ "first": 100 })).await;
    assert_eq!(whole["totalCount"], 60);
    let ids: Vec<Value> = pluck(&whole["nodes"], "/id").into_iter().cloned().collect();
    let times = pluck(&whole["nodes"], "/occurredAt");
    assert!(times.windows(2).all(|pair| pair[0].as_str() >= pair[1].as_str()), "newest first");

    let mut forward = Vec::new();
    let mut after = Value::Null;
    loop {
        let found = page(&app, json!({ "first": 7, "after": after })).await;
        forward.extend(pluck(&found["nodes"], "/id").into_iter().cloned());
        after = found["pageInfo"]["endCursor"].clone();
        if found["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(forward, ids);
    let mut backward: Vec<Value> = Vec::new();
    let mut before = Value::Null;
    loop {
        let found = page(&app, json!({ "last": 7, "before": before })).await;
        let nodes: Vec<Value> = pluck(&found["nodes"], "/id").into_iter().cloned().collect();
        backward = [nodes, backward].concat();
        before = found["pageInfo"]["startCursor"].clone();
        if found["pageInfo"]["hasPreviousPage"] == false {
            break;
        }
    }
    assert_eq!(backward, ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_one_statement_and_filters_hold() {
    let app = setting().await;
    story(&app).await;
    let creator = Kind::Creator.id(Uuid::from_u128(0xc3));
    let query = "query($id: ID!) { attributionRecords(first: 50, filter: {creatorId: $id}) { nodes { id weight degree model policyVersion recordedAt value { amount currency } } } }";
    app.data(query, json!({ "id": creator })).await;
    let before = app.statement_count();
    let data = app.data(query, json!({ "id": creator })).await;
    assert!(app.statement_count() - before <= 2, "the page, and the pool's look at the connection");
    let nodes = &data["attributionRecords"]["nodes"];
    assert_eq!(pluck(nodes, "/id").len(), 10);
    assert_eq!(nodes[0]["model"], "LINEAR");
    assert_eq!(nodes[0]["weight"].as_str().map(|weight| &weight[..8]), Some("0.166666"));
    let none = page(&app, json!({ "filter": { "creatorId": creator, "model": "FIRST_TOUCH" } })).await;
    assert_eq!((none["totalCount"].as_i64(), pluck(&none["nodes"], "/id").len()), (Some(0), 0));
    let wrong = app.gql(PAGE, json!({ "filter": { "creatorId": "campaign_00000000000000000000000000" } })).await;
    assert_eq!(wrong["errors"][0]["extensions"]["argument"], "filter.creatorId");
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_lists_take_a_statement_per_level() {
    let app = setting().await;
    story(&app).await;
    let query = "query($first: Int!) { campaign(slug: \"launch\") { creators(first: $first) { nodes { handle
        attributionRecords(first: 5) { nodes { weight conversion { value { amount } member { externalId } attribution { id } }
            touchpoint { kind link { token } } campaign { slug } } } } } } }";
    let mut counts = Vec::new();
    for first in [1, 6, 1, 6] {
        let before = app.statement_count();
        let data = app.data(query, json!({ "first": first })).await;
        counts.push(app.statement_count() - before);
        let creators = data["campaign"]["creators"]["nodes"].as_array().unwrap();
        assert_eq!(creators.len(), first);
        for creator in creators {
            assert_eq!(pluck(&creator["attributionRecords"]["nodes"], "/conversion/value/amount"), ["10.01"; 5]);
        }
    }
    assert_eq!(counts[2], counts[3], "as many statements for six creators as for one: {counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversion_sums_to_itself_and_is_explained() {
    let app = setting().await;
    story(&app).await;
    let query = "{ attributionRecords(first: 1) { nodes { conversion { id value { amount } refunded { amount }
        attribution { weight value { amount } } } } } }";
    let data = app.data(query, json!({})).await;
    let conversion = &data["attributionRecords"]["nodes"][0]["conversion"];
    let minor = |amount: &Value| amount.as_str().unwrap().replace('.', "").parse::<i64>().unwrap();
    let values = pluck(&conversion["attribution"], "/value/amount");
    assert_eq!(values.into_iter().map(minor).sum::<i64>(), 1_001);
    let parts = |weight: &Value| format!("{:0<14}", weight.as_str().unwrap()).replace('.', "").parse::<u64>().unwrap();
    assert_eq!(pluck(&conversion["attribution"], "/weight").into_iter().map(parts).sum::<u64>(), 1_000_000_000_000);

    let query = "query($id: ID!) { explainConversion(conversionId: $id) { conversion { id } policy { version model }
        considered { credited code reason weight touchpoint { kind creator { handle } } } } }";
    let data = app.data(query, json!({ "id": conversion["id"] })).await;
    let considered = &data["explainConversion"]["considered"];
    // Six clicks, and the sign-up that nobody shared.
    let codes: Vec<&str> = pluck(considered, "/code").into_iter().filter_map(Value::as_str).collect();
    assert_eq!(codes.iter().filter(|code| **code == "CREDITED").count(), 6, "{considered:#}");
    assert_eq!(data["explainConversion"]["policy"]["model"], "LINEAR");
    let node = app.data("query($id: ID!) { node(id: $id) { __typename } }", json!({ "id": conversion["id"] })).await;
    assert_eq!(node["node"]["__typename"], "Conversion");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_is_told_so() {
    let app = setting().await;
    for role in [Role::Bot, Role::Ingest] {
        let refused = app.gql_as(&app.key_of(role).await, PAGE, json!({})).await;
        assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN", "{role:?}");
    }
}

type Records = Pin<Box<dyn Stream<Item = Value> + Send>>;

/// Subscribes in the process, as the socket does.
fn subscribe(app: &TestApp, after: Option<&str>, filter: Value) -> Records {
    let query = "subscription($after: String, $filter: AttributionFilter) { attributionRecords(after: $after, filter: $filter) {
        cursor node { id value { amount } creator { handle } conversion { value { amount } } } } }";
    let variables = Variables::from_json(json!({ "after": after, "filter": filter }));
    let request = Request::new(query).variables(variables).data(RequestContext::new(app, app.scope.clone()));
    let told = schema(grapevine::app::App::clone(app)).execute_stream(request).map(|response| {
        assert!(response.errors.is_empty(), "{:?}", response.errors);
        response.data.into_json().unwrap()["attributionRecords"].take()
    });
    Box::pin(told)
}

async fn next(records: &mut Records) -> Value {
    tokio::time::timeout(Duration::from_secs(20), records.next()).await.unwrap().unwrap()
}

/// A click on a link and then a sale, of one person.
async fn click_and_buy(app: &TestApp, person: &str, link: i64) {
    let click = json!({"event_type": "click", "link_token": format!("link-{link}"), "anonymous_id": person, "timestamp": at(app, -60)});
    let sale = json!({"event_type": "conversion", "anonymous_id": person, "order_id": person, "conversion_value": "4.00", "timestamp": at(app, -30)});
    tell(app, vec![click, sale]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_each_record_once_and_goes_on_where_it_was_left() {
    let app = setting().await;
    let mut records = subscribe(&app, None, Value::Null);
    assert!(tokio::time::timeout(Duration::from_millis(300), records.next()).await.is_err(), "it starts now");
    click_and_buy(&app, "a", 1).await;
    let first = next(&mut records).await;
    assert_eq!(first["node"]["creator"]["handle"], "creator1", "{first:#}");
    drop(records);
    // Two more, one of them after a touch that came late: its credit is divided anew.
    app.advance(TimeDelta::seconds(1));
    click_and_buy(&app, "b", 2).await;
    app.advance(TimeDelta::seconds(1));
    tell(
        &app,
        vec![json!({"event_type": "click", "link_token": "link-3", "anonymous_id": "a", "timestamp": at(&app, -50)})],
    )
    .await;
    let mut records = subscribe(&app, first["cursor"].as_str(), Value::Null);
    let mut told = Vec::new();
    for _ in 0..3 {
        let record = next(&mut records).await;
        told.push(format!("{} {}", record["node"]["creator"]["handle"], record["node"]["value"]["amount"]));
    }
    assert_eq!(told[0], "\"creator2\" \"4.00\"");
    told[1..].sort_unstable();
    assert_eq!(told[1..], ["\"creator1\" \"2.00\"", "\"creator3\" \"2.00\""]);
    // What another filter leaves out does not stop the stream.
    let own = json!({ "creatorId": Kind::Creator.id(Uuid::from_u128(0xc3)), "current": false });
    let mut records = subscribe(&app, first["cursor"].as_str(), own);
    assert_eq!(next(&mut records).await["node"]["creator"]["handle"], "creator3");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_touches_cost_what_they_may_hold() {
    let app = setting().await;
    for costly in [
        "{ attributionRecords(first: 1) { nodes { conversion { attribution { conversion { attribution { conversion { attribution { id } } } } } } } } }",
        "{ explainConversion(conversionId: \"cnv_\") { considered { touchpoint { creator { links(first: 500) { nodes { id } } } } } } }",
    ] {
        let answer = app.gql(costly, json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "QUERY_TOO_COSTLY", "{answer:#}");
    }
}
