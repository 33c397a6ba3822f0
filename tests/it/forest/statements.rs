//! A query takes as many statements for many members as for few.

use serde_json::{Value, json};
use uuid::Uuid;

use super::planting::{chain, grow};
use super::to_id;
use crate::support::TestApp;

/// How many statements a document takes. A connection that is opened costs some more, and keys that come late under load make a batch of
/// their own: the best of some runs counts.
async fn statements(app: &TestApp, query: &str, variables: Value) -> u64 {
    let mut best = u64::MAX;
    for _ in 0..3 {
        let before = app.statement_count();
        app.data(query, variables.clone()).await;
        best = best.min(app.statement_count() - before);
    }
    best
}

/// Asks for few and for many, which is the variable `n` or the length of `ids`, and compares. What still wavers is a part of the few; a
/// statement per member would be scores more.
async fn compare(app: &TestApp, what: &str, query: &str, ids: &[Uuid], few: usize, many: usize) {
    let variables = |n: usize| {
        let ids: Vec<String> = ids.iter().take(n).map(|id| to_id(*id)).collect();
        json!({ "n": n, "id": ids[0], "ids": ids })
    };
    let few_count = statements(app, query, variables(few)).await;
    let many_count = statements(app, query, variables(many)).await;
    eprintln!("{what}: {few_count} statements for {few}, {many_count} for {many}");
    assert!(
        many_count <= few_count + few_count / 2 + 2,
        "{what}: {few_count} statements for {few}, {many_count} for {many}"
    );
}

const ALL: &str = "id externalId depth refereeCount referrer { id } root { id } path campaign { id } creator { handle } risk { score }
    balances { amount } conversions(first: 2) { totalCount nodes { id } } rewards(first: 2) { totalCount nodes { id } }";

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_statements_does_not_grow_with_the_number_of_members() {
    let app = TestApp::start().await;
    // Fifty referees of one member, with a few members below each; a chain of 200 beside it.
    let mut above: Vec<Option<usize>> = vec![None];
    above.extend([Some(0); 50]);
    above.extend((0..200).map(|index| Some(1 + index % 50)));
    let bush = grow(&app, "m", &above).await;
    let line = grow(&app, "l", &chain(200)).await;
    for (index, id) in bush.iter().skip(1).take(30).enumerate() {
        let input = json!({ "memberId": to_id(*id), "newReferrerId": to_id(line[100]), "reason": "A test.", "idempotencyKey": format!("k{index}") });
        app.data(
            "mutation($i: MoveMemberInput!) { moveMember(input: $i) { userErrors { code } } }",
            json!({ "i": input }),
        )
        .await;
    }
    let lists = |list: &str| format!("query($n: Int) {{ members(first: $n) {{ nodes {{ {list} }} }} }}");
    for (what, list) in [
        ("members with everything", ALL),
        ("ancestors", "ancestors { id } near: ancestors(hops: 3) { id }"),
        ("referees", "referees(first: 3) { totalCount nodes { id referrer { id } } }"),
        (
            "downlines",
            "downline { size activeLast30Days value { amount } byDegree { degree rewards { amount } } } near: downline(maxDepth: 2) { size }",
        ),
        ("downlines since", "downline(since: \"2026-08-01T00:00:00Z\") { size activeLast30Days value { amount } }"),
        ("moves", "moves { reason movedMembers previousReferrer { id } newReferrer { id } }"),
    ] {
        compare(&app, what, &lists(list), &line, 3, 100).await;
    }
    compare(
        &app,
        "nodes",
        "query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Member { downline { size } ancestors { id } } } }",
        &bush,
        3,
        100,
    )
    .await;
    let descendants = format!(
        "query($id: ID, $n: Int) {{ member(id: $id) {{ descendants(first: $n) {{ totalCount nodes {{ {ALL} }} }} }} }}"
    );
    compare(&app, "descendants of a bush", &descendants, &bush, 3, 80).await;
    compare(&app, "descendants of a chain", &descendants, &line, 10, 80).await;
    compare(
        &app,
        "a long page of a chain",
        "query($id: ID, $n: Int) { member(id: $id) { descendants(first: $n) { nodes { id } } } }",
        &line,
        80,
        500,
    )
    .await;
    let tree = "query($id: ID!, $n: Int) { referralTree(rootId: $id, maxDepth: 2, perNode: $n) { truncated nodes { parentId depth refereeCount downlineSize value { amount } riskScore
        member { id referrer { id } downline { size } } } } }";
    compare(&app, "referralTree", tree, &bush, 3, 50).await;
    let leaders = "query($n: Int) { topReferrers(by: MULTI_HOP_REFERRALS, first: $n) { rank referrals value { amount } member { id referrer { id } downline { size } } } }";
    compare(&app, "topReferrers", leaders, &bush, 3, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_of_many_hops_takes_as_many_statements_as_one_of_few() {
    let app = TestApp::start().await;
    let line = grow(&app, "m", &chain(150)).await;
    let query = "query($a: ID!, $b: ID!) { referralPath(fromId: $a, toId: $b) { hops commonAncestor { id } members { id externalId downline { size } referrer { id } } } }";
    let variables = |from: usize| json!({ "a": to_id(line[from]), "b": to_id(line[0]) });
    let few = statements(&app, query, variables(2)).await;
    let many = statements(&app, query, variables(149)).await;
    assert!(many <= few + few / 2 + 2, "{few} statements for 2 hops, {many} for 149");
}
