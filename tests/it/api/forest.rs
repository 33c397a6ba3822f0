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

#[tokio::test]
async fn a_chain_over_segments_is_one_tree() {
    let app = TestApp::start().await;
    // A chain of 300 with a twig of one at every tenth member.
    let mut referrers: Vec<Option<usize>> = (0..300_usize).map(|index| index.checked_sub(1)).collect();
    referrers.extend((0..30).map(|twig| Some(twig * 10)));
    let ids = plant(&app, &referrers).await;
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
