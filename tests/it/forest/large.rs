//! A chain and a star of any size pass every query and every mutation. `GRAPEVINE_TEST_CHAIN_MEMBERS` and
//! `GRAPEVINE_TEST_STAR_MEMBERS` set the sizes, 10000 and 1000000 in full; how long each question took is printed.

use std::time::Instant;

use serde_json::{Value, json};
use uuid::Uuid;

use super::planting::{chain, grow};
use super::{setting, to_id};
use crate::support::TestApp;

/// Asks, says how long it took, and returns the part of the answer that a pointer names.
async fn ask(app: &TestApp, what: &str, query: &str, variables: Value, pointer: &str) -> Value {
    let begin = Instant::now();
    let data = app.data(query, variables).await;
    eprintln!("{:>9.1} ms  {what}", begin.elapsed().as_secs_f64() * 1e3);
    data.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not in {data}")).clone()
}

/// Asks about one member; the answer is the member.
async fn of_member(app: &TestApp, what: &str, id: Uuid, fields: &str) -> Value {
    let query = format!("query($id: ID!) {{ member(id: $id) {{ {fields} }} }}");
    ask(app, what, &query, json!({ "id": to_id(id) }), "/member").await
}

async fn shift(app: &TestApp, what: &str, id: Uuid, below: Option<Uuid>) -> Value {
    let query = "mutation($i: MoveMemberInput!) { moveMember(input: $i) { member { depth } userErrors { code } } }";
    let key = app.env.new_id().to_string();
    let input =
        json!({ "memberId": to_id(id), "newReferrerId": below.map(to_id), "reason": "A test.", "idempotencyKey": key });
    ask(app, what, query, json!({ "i": input }), "/moveMember").await
}

async fn moved(app: &TestApp, what: &str, id: Uuid, below: Option<Uuid>) {
    let made = shift(app, what, id, below).await;
    assert_eq!(made["userErrors"], json!([]), "{what}");
}

async fn refused_as_a_cycle(app: &TestApp, what: &str, id: Uuid, below: Uuid) {
    let made = shift(app, what, id, Some(below)).await;
    assert_eq!(made["userErrors"], json!([{ "code": "CYCLE" }]), "{what}");
}

/// Events, as the brand's own back end sends them.
async fn tell(app: &TestApp, what: &str, events: Value) {
    let query = "mutation($e: [EventInput!]!) { ingestEvents(input: {events: $e}) { results { code } } }";
    let begin = Instant::now();
    app.data(query, json!({ "e": events })).await;
    app.drain().await;
    eprintln!("{:>9.1} ms  {what}", begin.elapsed().as_secs_f64() * 1e3);
}

const SUMS: &str = "downline { size activeLast30Days value { amount } byDegree { degree members activated value { amount } rewards { amount } } }";

/// What every ranking says of its first place.
async fn first_places(app: &TestApp) -> Vec<Value> {
    let mut found = Vec::new();
    for by in ["DIRECT_REFERRALS", "MULTI_HOP_REFERRALS", "DIRECT_VALUE", "MULTI_HOP_VALUE"] {
        for since in [Value::Null, json!(app.now() - chrono::TimeDelta::days(365))] {
            let query = "query($by: ReferrerRanking, $since: DateTime) { topReferrers(by: $by, since: $since, hops: 10, first: 20) {
                member { externalId } referrals value { amount } } }";
            let what = format!("topReferrers {by}{}", if since.is_null() { "" } else { " since" });
            let leaders = ask(app, &what, query, json!({ "by": by, "since": since }), "/topReferrers").await;
            found.push(leaders.get(0).cloned().unwrap_or(Value::Null));
        }
    }
    found
}

/// The descendants who joined last, by their places in the order in which all joined.
async fn newest(app: &TestApp, what: &str, id: Uuid, ids: &[Uuid]) -> Vec<usize> {
    let fields = "list: descendants(first: 50, orderBy: NEWEST) { nodes { id } }";
    let found = of_member(app, &format!("{what}: descendants(orderBy: NEWEST)"), id, fields).await;
    let nodes = found["list"]["nodes"].as_array().unwrap().clone();
    let place = |node: &Value| ids.iter().position(|id| node["id"] == to_id(*id)).unwrap();
    nodes.iter().map(place).collect()
}

/// The rows of a list and whether more follow.
fn rows(list: &Value) -> (usize, bool) {
    (list["nodes"].as_array().unwrap().len(), list["pageInfo"]["hasNextPage"] == true)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_passes_every_query_and_mutation() {
    let app = TestApp::start().await;
    let length = usize::try_from(setting("GRAPEVINE_TEST_CHAIN_MEMBERS", 1_500)).unwrap();
    let begin = Instant::now();
    let ids = grow(&app, "m", &chain(length)).await;
    eprintln!("{:>9.1} ms  a chain of {length}", begin.elapsed().as_secs_f64() * 1e3);
    app.execute("analyze members").await;
    let (top, end) = (ids[0], ids[length - 1]);
    let below = |place: usize| json!(length - 1 - place);

    let found = of_member(
        &app,
        "the end: depth, root, ancestors(hops: 100)",
        end,
        "depth root { id } near: ancestors(hops: 100) { id }",
    )
    .await;
    assert_eq!((&found["depth"], &found["root"]["id"]), (&below(0), &json!(to_id(top))));
    assert_eq!(found["near"][99]["id"], to_id(ids[length - 101]));
    let found = of_member(&app, "the end: path", end, "path").await;
    assert!(found["path"].as_array().unwrap().iter().eq(ids.iter().map(|id| to_id(*id)).collect::<Vec<_>>().iter()));
    let found = of_member(&app, "the end: ancestors", end, "ancestors { id }").await;
    assert_eq!(found["ancestors"].as_array().unwrap().len(), length - 1);
    let sizes = "{ members(first: 100) { nodes { downline { size value { amount } } } } }";
    let found = ask(&app, "the sizes of a page of members", sizes, json!({}), "/members/nodes").await;
    let found = found.as_array().unwrap().iter().map(|node| &node["downline"]["size"]);
    assert!(found.eq((0..100).map(below).collect::<Vec<_>>().iter()));
    for place in [0, length / 2, length - 1] {
        chain_answers(&app, &ids, place).await;
    }
    let way = "query($a: ID!, $b: ID!) { referralPath(fromId: $a, toId: $b) { hops commonAncestor { id } } }";
    let found =
        ask(&app, "referralPath from end to end", way, json!({ "a": to_id(end), "b": to_id(top) }), "/referralPath")
            .await;
    assert_eq!((&found["hops"], &found["commonAncestor"]["id"]), (&below(0), &json!(to_id(top))));
    chain_changes(&app, &ids).await;
}

/// Everything that can be asked about one member of a chain.
async fn chain_answers(app: &TestApp, ids: &[Uuid], place: usize) {
    let (length, id) = (ids.len(), ids[place]);
    let below = |place: usize| json!(length - 1 - place);
    let found = of_member(app, &format!("member {place}: referees"), id, "referees { totalCount nodes { id } }").await;
    assert_eq!(found["referees"]["totalCount"], usize::from(place + 1 < length));
    let found = of_member(app, &format!("member {place}: downline"), id, SUMS).await;
    assert_eq!(found["downline"]["size"], below(place));
    assert_eq!(found["downline"]["byDegree"].as_array().unwrap().len(), length - 1 - place);
    let found = of_member(
        app,
        &format!("member {place}: downline(maxDepth: 100)"),
        id,
        "downline(maxDepth: 100) { size activeLast30Days }",
    )
    .await;
    assert_eq!(found["downline"]["size"], 100.min(length - 1 - place));
    let found = of_member(
        app,
        &format!("member {place}: downline(since:)"),
        id,
        "downline(since: \"2020-01-01T00:00:00Z\") { size value { amount } activeLast30Days }",
    )
    .await;
    assert_eq!((&found["downline"]["size"], &found["downline"]["activeLast30Days"]), (&below(place), &below(place)));
    for first in [20, 500] {
        let fields = format!("descendants(first: {first}) {{ totalCount nodes {{ id }} pageInfo {{ hasNextPage }} }}");
        let found = of_member(app, &format!("member {place}: descendants(first: {first})"), id, &fields).await;
        let expected = first.min(length - 1 - place);
        assert_eq!(rows(&found["descendants"]), (expected, expected == first));
    }
    let last = (place + 1..length).rev().take(50);
    assert_eq!(newest(app, &format!("member {place}"), id, ids).await, last.collect::<Vec<_>>());
    let query = "query($id: ID!) { referralTree(rootId: $id, maxDepth: 100) { truncated nodes { depth downlineSize riskScore } } }";
    let tree = ask(
        app,
        &format!("member {place}: referralTree(maxDepth: 100)"),
        query,
        json!({ "id": to_id(id) }),
        "/referralTree",
    )
    .await;
    let sizes: Vec<&Value> = tree["nodes"].as_array().unwrap().iter().map(|node| &node["downlineSize"]).collect();
    let shown = place..length.min(place + 101);
    assert_eq!(sizes, shown.map(below).collect::<Vec<_>>().iter().collect::<Vec<_>>());
}

async fn chain_changes(app: &TestApp, ids: &[Uuid]) {
    let length = ids.len();
    let (top, middle, end) = (ids[0], ids[length / 2], ids[length - 1]);
    let name = format!("m{}", length - 1);
    tell(
        app,
        "a sign-up, an activation and a sale at the end",
        json!([
            { "eventType": "signup", "userId": "new", "referrerUserId": name },
            { "eventType": "activation", "userId": "new" },
            { "eventType": "conversion", "userId": "new", "orderId": "o", "conversionValue": "12.00" },
        ]),
    )
    .await;
    let found = of_member(app, "the top: downline", top, SUMS).await;
    let last = &found["downline"]["byDegree"][length - 1];
    assert_eq!(
        *last,
        json!({ "degree": length, "members": 1, "activated": 1, "value": { "amount": "12.00" }, "rewards": { "amount": "0.00" } })
    );
    let places = first_places(app).await;
    assert_eq!(
        (&places[0]["referrals"], &places[2]["referrals"], &places[4]["member"]["externalId"]),
        (&json!(1), &json!(10), &json!(name))
    );

    refused_as_a_cycle(app, "the top below the end: refused", top, end).await;
    refused_as_a_cycle(app, "the middle below the end: refused", middle, end).await;
    moved(app, "the lower half to a tree of its own", middle, None).await;
    moved(app, "the upper half below the end of the lower one", top, Some(end)).await;
    let found = of_member(app, "what is the end now", ids[length / 2 - 1], "depth root { id } downline { size }").await;
    assert_eq!(
        (&found["depth"], &found["root"]["id"], &found["downline"]["size"]),
        (&json!(length - 1), &json!(to_id(middle)), &json!(0))
    );
    refused_as_a_cycle(app, "a member of the lower half below the upper one: refused", middle, top).await;
    moved(app, "the end of the lower half with the whole upper one, below its first member", end, Some(middle)).await;
    let found = of_member(app, "what is the end now", ids[length / 2 - 1], "depth").await;
    assert_eq!(found["depth"], length / 2 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_star_passes_every_query_and_mutation() {
    let app = TestApp::start().await;
    let count = usize::try_from(setting("GRAPEVINE_TEST_STAR_MEMBERS", 20_000)).unwrap();
    // The centre stands 63 levels down, where a segment ends.
    let mut above = chain(64);
    above.extend(std::iter::repeat_n(Some(63), count));
    let begin = Instant::now();
    let ids = grow(&app, "m", &above).await;
    eprintln!("{:>9.1} ms  a star of {count} below a chain of 64", begin.elapsed().as_secs_f64() * 1e3);
    app.execute("analyze members").await;
    star_answers(&app, &ids).await;
    star_changes(&app, &ids).await;
}

async fn star_answers(app: &TestApp, ids: &[Uuid]) {
    let (top, centre, count) = (ids[0], ids[63], ids.len() - 64);
    let found = of_member(app, "the centre", centre, "depth refereeCount path root { id }").await;
    assert_eq!((&found["depth"], &found["refereeCount"]), (&json!(63), &json!(count)));
    for first in [20, 500] {
        let page = "totalCount nodes { id } pageInfo { hasNextPage endCursor }";
        let found = of_member(
            app,
            &format!("the centre: referees(first: {first})"),
            centre,
            &format!("list: referees(first: {first}) {{ {page} }}"),
        )
        .await;
        assert_eq!(
            (&found["list"]["totalCount"], rows(&found["list"])),
            (&json!(count), (first.min(count), count > first))
        );
        let (list, after) = (
            format!("list: referees(first: {first}, after: $after) {{ {page} }}"),
            &found["list"]["pageInfo"]["endCursor"],
        );
        let query = format!("query($id: ID!, $after: String) {{ member(id: $id) {{ {list} }} }}");
        let variables = json!({ "id": to_id(centre), "after": after });
        let found = ask(app, &format!("the centre: the next {first} referees"), &query, variables, "/member").await;
        assert_eq!(found["list"]["nodes"][0]["id"], to_id(ids[64 + first]));
        for (who, id, more) in [("the centre", centre, 0), ("the top", top, 63)] {
            let found = of_member(
                app,
                &format!("{who}: descendants(first: {first})"),
                id,
                &format!("list: descendants(first: {first}) {{ {page} }}"),
            )
            .await;
            assert_eq!((&found["list"]["totalCount"], rows(&found["list"])), (&json!(count + more), (first, true)));
        }
    }
    for (who, id, more) in [("the centre", centre, 0), ("the top", top, 63)] {
        let found = of_member(app, &format!("{who}: downline"), id, SUMS).await;
        assert_eq!(found["downline"]["size"], count + more);
        let found = of_member(
            app,
            &format!("{who}: downline(maxDepth: 100)"),
            id,
            "downline(maxDepth: 100) { size activeLast30Days }",
        )
        .await;
        assert_eq!(
            (&found["downline"]["size"], &found["downline"]["activeLast30Days"]),
            (&json!(count + more), &json!(count + more))
        );
        let found = of_member(
            app,
            &format!("{who}: downline(since:)"),
            id,
            "downline(since: \"2020-01-01T00:00:00Z\") { size value { amount } activeLast30Days }",
        )
        .await;
        assert_eq!(found["downline"]["size"], count + more);
        let last = (0..ids.len()).rev().take(50);
        assert_eq!(newest(app, who, id, ids).await, last.collect::<Vec<_>>());
        let query = "query($id: ID!) { referralTree(rootId: $id, maxDepth: 3, perNode: 500) { truncated nodes { depth downlineSize riskScore value { amount } } } }";
        let what = format!("{who}: referralTree(perNode: 500)");
        let tree = ask(app, &what, query, json!({ "id": to_id(id) }), "/referralTree").await;
        assert_eq!(tree["nodes"][0]["downlineSize"], count + more);
    }
    leaf_answers(app, ids).await;
    ask(app, "members: the first page", "{ members(first: 500) { nodes { id } } }", json!({}), "/members").await;
    let total = ask(app, "members: the count", "{ members { totalCount } }", json!({}), "/members/totalCount").await;
    assert_eq!(total, count + 64);
}

async fn leaf_answers(app: &TestApp, ids: &[Uuid]) {
    let (top, centre, count) = (ids[0], ids[63], ids.len() - 64);
    let leaf = ids[64 + count / 2];
    let found =
        of_member(app, "a leaf: path, ancestors, root", leaf, "path ancestors { id } root { id } downline { size }")
            .await;
    assert_eq!((found["path"].as_array().unwrap().len(), &found["root"]["id"]), (65, &json!(to_id(top))));
    let way = "query($a: ID!, $b: ID!) { referralPath(fromId: $a, toId: $b) { hops commonAncestor { id } } }";
    let found = ask(
        app,
        "referralPath between two leaves",
        way,
        json!({ "a": to_id(leaf), "b": to_id(ids[64]) }),
        "/referralPath",
    )
    .await;
    assert_eq!(found, json!({ "hops": 2, "commonAncestor": { "id": to_id(centre) } }));
}

async fn star_changes(app: &TestApp, ids: &[Uuid]) {
    let (top, centre, count) = (ids[0], ids[63], ids.len() - 64);
    let leaf = 64 + count / 2;
    tell(
        app,
        "a sign-up below the centre and one below a leaf, with sales",
        json!([
            { "eventType": "signup", "userId": "new", "referrerUserId": "m63" },
            { "eventType": "signup", "userId": "newer", "referrerUserId": format!("m{leaf}") },
            { "eventType": "conversion", "userId": "newer", "orderId": "o", "conversionValue": "12.00" },
            { "eventType": "conversion", "userId": format!("m{leaf}"), "orderId": "p", "conversionValue": "30.00" },
            { "eventType": "refund", "orderId": "p", "conversionValue": "10.00" },
        ]),
    )
    .await;
    let degrees = |found: &Value| -> Vec<(i64, String)> {
        let all = found["downline"]["byDegree"].as_array().unwrap().iter();
        all.map(|one| (one["members"].as_i64().unwrap(), one["value"]["amount"].as_str().unwrap().to_owned())).collect()
    };
    let members = i64::try_from(count).unwrap() + 1;
    let expected = [(members, "20.00".to_owned()), (1, "12.00".to_owned())];
    let found = of_member(app, "the centre: downline", centre, SUMS).await;
    assert_eq!(degrees(&found), expected);
    let places = first_places(app).await;
    assert_eq!((&places[0]["member"]["externalId"], &places[0]["referrals"]), (&json!("m63"), &json!(members)));
    assert_eq!((&places[6]["value"]["amount"], &places[7]["value"]["amount"]), (&json!("32.00"), &json!("32.00")));

    refused_as_a_cycle(app, "the centre below a leaf: refused", centre, ids[leaf]).await;
    moved(app, "a leaf to a tree of its own", ids[64], None).await;
    moved(app, "a leaf back below the centre", ids[64], Some(centre)).await;
    moved(app, "the centre to depth 11, so that anchors change", centre, Some(ids[10])).await;
    let found = of_member(app, "the top: downline", top, SUMS).await;
    assert_eq!(
        (&found["downline"]["size"], &found["downline"]["byDegree"][11]["value"]["amount"]),
        (&json!(65 + count), &json!("20.00"))
    );
    moved(app, "the centre to a tree of its own", centre, None).await;
    moved(app, "the centre to depth 63 again", centre, Some(ids[62])).await;
    let found =
        of_member(app, "the centre: downline, moves", centre, &format!("{SUMS} moves {{ movedMembers }}")).await;
    assert_eq!(degrees(&found), expected);
    assert_eq!(found["moves"][0]["movedMembers"], count + 3);
    let found = of_member(app, "the top: downline", top, SUMS).await;
    assert_eq!(found["downline"]["size"], 65 + count);
}
