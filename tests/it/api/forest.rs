//! The referral forest in the API, over segments too.

use std::collections::HashMap;

use grapevine::base::Kind;
use grapevine::members::{MemberStatus, NewMember, Placement, insert_members, next_numbers, place};
use serde_json::{Value, json};

use crate::support::TestApp;

/// Makes members named by their index; `referrers[i]` is the index of the referrer of member i, below i. Returns their ids.
async fn plant(app: &TestApp, referrers: &[Option<usize>]) -> Vec<String> {
    let mut conn = app.db.conn().await.unwrap();
    let first = next_numbers(&mut conn, &app.scope, referrers.len()).await.unwrap();
    let mut members: Vec<NewMember> = Vec::new();
    for (index, referrer) in referrers.iter().enumerate() {
        let number = first + i64::try_from(index).unwrap();
        let parent: Option<&NewMember> = referrer.map(|referrer| &members[referrer]);
        let placement: Placement = place(parent.map(|p| (p.placement.path.as_str(), p.placement.depth)), number);
        let joined_at = app.now() + chrono::TimeDelta::seconds(number);
        members.push(NewMember {
            id: app.env.new_id(),
            number,
            external_id: Some(format!("m{index}")),
            status: MemberStatus::SignedUp,
            referrer_id: parent.map(|parent| parent.id),
            creator_id: None,
            person_id: None,
            pending_referrer: None,
            campaign_id: None,
            placement,
            joined_at,
            signed_up_at: Some(joined_at),
            activated_at: (index % 2 == 1).then_some(joined_at),
            activation_count: i32::from(index % 2 == 1),
        });
    }
    insert_members(&mut conn, &app.scope, &members, app.now()).await.unwrap();
    members.iter().map(|member| Kind::Member.id(member.id)).collect()
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|node| node["externalId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_small_tree_answers_every_question() {
    let app = TestApp::start().await;
    // 0 → 1, 2; 1 → 3, 4; 3 → 5; and another tree 6 → 7.
    let ids = plant(&app, &[None, Some(0), Some(0), Some(1), Some(1), Some(3), None, Some(6)]).await;
    let query = "query($top: ID!, $leaf: ID!, $aunt: ID!, $stranger: ID!) {
        leaf: member(id: $leaf) { depth path root { externalId } referrer { externalId } ancestors { externalId }
            near: ancestors(hops: 2) { externalId } conversions { totalCount } rewards { totalCount } risk { score } balances { amount } }
        top: member(externalId: \"m0\") { referees { nodes { externalId } totalCount }
            descendants { nodes { externalId } totalCount } two: descendants(maxDepth: 2) { nodes { externalId } totalCount }
            downline { size activeLast30Days value { amount currency } byDegree { degree members activated value { amount } rewards { amount } } } }
        members(filter: { rootsOnly: true }) { nodes { externalId } totalCount }
        referralTree(rootId: $top) { truncated root { externalId } nodes { member { externalId } parentId depth refereeCount downlineSize value { amount } riskScore } }
        cut: referralTree(rootId: $top, maxDepth: 1, perNode: 1) { truncated nodes { depth } }
        way: referralPath(fromId: $leaf, toId: $aunt) { hops commonAncestor { externalId } members { externalId } }
        none: referralPath(fromId: $leaf, toId: $stranger) { hops }
        leaders: topReferrers(by: MULTI_HOP_REFERRALS, first: 2) { rank member { externalId } referrals value { amount } }
        direct: topReferrers(by: DIRECT_REFERRALS) { member { externalId } referrals } value: topReferrers { rank } }";
    let variables = json!({ "top": ids[0], "leaf": ids[5], "aunt": ids[2], "stranger": ids[7] });
    let data = app.data(query, variables).await;
    assert_eq!(data["leaf"]["path"], json!([ids[0], ids[1], ids[3], ids[5]]));
    assert_eq!((&data["leaf"]["depth"], &data["leaf"]["root"]["externalId"]), (&json!(3), &json!("m0")));
    assert_eq!(names(&data["leaf"]["ancestors"]), ["m3", "m1", "m0"]);
    assert_eq!(names(&data["leaf"]["near"]), ["m3", "m1"]);
    let top = &data["top"];
    assert_eq!(names(&top["referees"]["nodes"]), ["m1", "m2"]);
    assert_eq!(names(&top["descendants"]["nodes"]), ["m1", "m2", "m3", "m4", "m5"]);
    assert_eq!((&top["descendants"]["totalCount"], &top["two"]["totalCount"]), (&json!(5), &json!(4)));
    let degrees = top["downline"]["byDegree"].as_array().unwrap();
    let counts: Vec<(i64, i64, i64)> = degrees
        .iter()
        .map(|d| (d["degree"].as_i64().unwrap(), d["members"].as_i64().unwrap(), d["activated"].as_i64().unwrap()))
        .collect();
    assert_eq!(counts, [(1, 2, 1), (2, 2, 1), (3, 1, 1)]);
    assert_eq!(names(&data["members"]["nodes"]), ["m0", "m6"]);
    let nodes = data["referralTree"]["nodes"].as_array().unwrap();
    let sizes: HashMap<&str, i64> = nodes
        .iter()
        .map(|n| (n["member"]["externalId"].as_str().unwrap(), n["downlineSize"].as_i64().unwrap()))
        .collect();
    assert_eq!(sizes, HashMap::from([("m0", 5), ("m1", 3), ("m2", 0), ("m3", 1), ("m4", 0), ("m5", 0)]));
    assert_eq!(nodes[0]["parentId"], Value::Null);
    assert_eq!(data["referralTree"]["truncated"], false);
    assert_eq!((&data["cut"]["truncated"], data["cut"]["nodes"].as_array().unwrap().len()), (&json!(true), 2));
    assert_eq!(names(&data["way"]["members"]), ["m5", "m3", "m1", "m0", "m2"]);
    assert_eq!((&data["way"]["commonAncestor"]["externalId"], &data["way"]["hops"]), (&json!("m0"), &json!(4)));
    assert_eq!(data["none"], Value::Null);
    let leaders = data["leaders"].as_array().unwrap();
    assert_eq!((&leaders[0]["member"]["externalId"], &leaders[0]["referrals"]), (&json!("m0"), &json!(5)));
    assert_eq!((&leaders[1]["member"]["externalId"], &leaders[1]["referrals"]), (&json!("m1"), &json!(3)));
    assert_eq!(data["direct"][0]["referrals"], 2);
    assert_eq!(data["value"], json!([]));
}

/// A chain of 300 with a twig of one at every tenth member.
fn chain_with_twigs() -> Vec<Option<usize>> {
    let chain = (0..300_usize).map(|index| index.checked_sub(1));
    chain.chain((0..30).map(|twig| Some(twig * 10))).collect()
}

#[tokio::test]
async fn a_chain_over_segments_is_one_tree() {
    let app = TestApp::start().await;
    let ids = plant(&app, &chain_with_twigs()).await;
    assert!(app.sql_count("select count(*) from members where is_anchor").await >= 4);
    let query = "query($top: ID!, $deep: ID!, $after: String) { top: member(id: $top) {
            downline { size byDegree { degree members } }
            descendants(first: 100, after: $after) { totalCount nodes { externalId depth } pageInfo { hasNextPage endCursor } } }
        deep: member(id: $deep) { depth root { externalId } path ancestors(hops: 3) { externalId } } }";
    for (top, below) in [(0_usize, 329), (70, 229 + 23), (299, 0)] {
        let (mut after, mut seen) = (Value::Null, Vec::new());
        loop {
            let data = app.data(query, json!({ "top": ids[top], "deep": ids[299], "after": after })).await;
            assert_eq!(data["top"]["downline"]["size"], below, "below {top}");
            assert_eq!(data["top"]["descendants"]["totalCount"], below);
            let nodes = data["top"]["descendants"]["nodes"].as_array().unwrap();
            seen.extend(
                nodes
                    .iter()
                    .map(|node| (node["depth"].as_i64().unwrap(), node["externalId"].as_str().unwrap().to_owned())),
            );
            after = data["top"]["descendants"]["pageInfo"]["endCursor"].clone();
            if data["top"]["descendants"]["pageInfo"]["hasNextPage"] == false {
                assert_eq!((&data["deep"]["depth"], &data["deep"]["root"]["externalId"]), (&json!(299), &json!("m0")));
                assert_eq!(data["deep"]["path"].as_array().unwrap().len(), 300);
                assert_eq!(names(&data["deep"]["ancestors"]), ["m298", "m297", "m296"]);
                break;
            }
        }
        assert!(seen.is_sorted_by_key(|(depth, _)| *depth));
        let distinct: std::collections::HashSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), distinct.len()), (below, below), "below {top}");
    }
}

#[tokio::test]
async fn the_newest_descendants_come_first_page_by_page() {
    let app = TestApp::start().await;
    let ids = plant(&app, &chain_with_twigs()).await;
    let query = "query($top: ID!, $depth: Int, $after: String) { member(id: $top) {
        descendants(orderBy: NEWEST, maxDepth: $depth, first: 7, after: $after) { nodes { externalId } pageInfo { hasNextPage endCursor } } } }";
    for (depth, expected) in [
        (json!(3), vec!["m307", "m73", "m72", "m71"]),
        (json!(10), vec!["m307", "m80", "m79", "m78", "m77", "m76", "m75", "m74", "m73", "m72", "m71"]),
    ] {
        let (mut after, mut seen) = (Value::Null, Vec::new());
        loop {
            let data = app.data(query, json!({ "top": ids[70], "depth": depth, "after": after })).await;
            let page = &data["member"]["descendants"];
            seen.extend(names(&page["nodes"]));
            after = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        assert_eq!(seen, expected, "depth {depth}");
    }
}

#[tokio::test]
async fn a_cursor_of_nothing_is_refused() {
    let app = TestApp::start().await;
    let ids = plant(&app, &[None, Some(0)]).await;
    let cursor = grapevine::base::Cursor::new(1, app.env.new_id()).encode();
    let query = "query($top: ID!, $after: String) { member(id: $top) { descendants(after: $after) { nodes { id } } } }";
    let answer = app.gql(query, json!({ "top": ids[0], "after": cursor })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "INVALID", "{answer}");
}

#[tokio::test]
async fn rankings_from_kept_sums_equal_those_that_are_counted() {
    let app = TestApp::start().await;
    let mut referrers = chain_with_twigs();
    referrers.extend((0..40).map(|star| Some(if star < 25 { 61 } else { 126 })));
    referrers.extend([None, Some(370), Some(370)]);
    plant(&app, &referrers).await;
    let source = app.source().await;
    let sale = |index: usize| {
        json!({ "event_type": "conversion", "event_id": format!("sale-{index}"), "timestamp": app.now().to_rfc3339(),
                "user_id": format!("m{}", index * 7 % 373), "conversion_value": format!("{}.5", index * index % 97), "currency": "USD" })
    };
    app.post_signed(&source, &Value::Array((0..120).map(sale).collect())).await;
    app.drain().await;
    let query = "query($by: ReferrerRanking!, $hops: Int!, $since: DateTime, $first: Int!) {
        topReferrers(by: $by, hops: $hops, since: $since, first: $first) { rank referrals value { amount } member { externalId } } }";
    for by in ["DIRECT_REFERRALS", "MULTI_HOP_REFERRALS", "DIRECT_VALUE", "MULTI_HOP_VALUE"] {
        for (hops, first) in [(1, 5), (3, 10), (10, 3), (10, 500)] {
            let ask = |since: Value| json!({ "by": by, "hops": hops, "since": since, "first": first });
            let kept = app.data(query, ask(Value::Null)).await;
            let counted = app.data(query, ask(json!("2000-01-01T00:00:00Z"))).await;
            assert_eq!(kept, counted, "{by} over {hops} hops");
            assert!(kept["topReferrers"].as_array().unwrap().len() >= 3, "{by} over {hops} hops");
        }
    }
}
