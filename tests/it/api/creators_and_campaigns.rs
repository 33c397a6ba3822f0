//! Creators and campaigns: made, changed, listed, and seen by whom.

use grapevine::access::{NewApiKey, Role, create_key};
use grapevine::base::Kind;
use serde_json::{Value, json};

use crate::support::TestApp;

pub async fn make_creator(app: &TestApp, handle: &str) -> String {
    let query =
        "mutation($i: CreateCreatorInput!) { createCreator(input: $i) { creator { id } userErrors { path message } } }";
    let data = app.data(query, json!({ "i": { "handle": handle } })).await;
    data["createCreator"]["creator"]["id"].as_str().unwrap_or_else(|| panic!("{data}")).to_owned()
}

pub async fn make_campaign(app: &TestApp, input: Value) -> Value {
    let query = "mutation($i: CreateCampaignInput!) { createCampaign(input: $i) {
        campaign { id budget { amount currency } spent { amount } attributionPolicy { version model lookbackHours lastTouchWeight }
                   rewardPolicy { version tiers { degree amount { amount } shareOfConversion } escrowDays }
                   fraudPolicy { blockScore reviewScore signals { name weight mode } } }
        userErrors { code path message } } }";
    app.data(query, json!({ "i": input })).await["createCampaign"].take()
}

fn paths(payload: &Value) -> Vec<String> {
    let errors = payload["userErrors"].as_array().unwrap();
    let path = |error: &Value| {
        let path = error["path"].as_array().unwrap();
        path.iter().map(|step| step.as_str().unwrap()).collect::<Vec<_>>().join(".")
    };
    errors.iter().map(path).collect()
}

#[tokio::test]
async fn a_campaign_has_exact_policies_and_a_funded_budget() {
    let app = TestApp::start().await;
    let made = make_campaign(
        &app,
        json!({
            "slug": "spring", "name": "Spring", "objective": "CONSIDERATION", "budget": { "amount": "1000.50", "currency": "EUR" },
            "attribution": { "model": "WEIGHTED_LAST_TOUCH", "lastTouchWeight": 0.7 },
            "reward": { "tiers": [{ "degree": 2, "shareOfConversion": 0.000001 }, { "degree": 1, "amount": { "amount": "5", "currency": "EUR" } }] },
            "fraud": { "signals": [{ "name": "VELOCITY", "weight": 0.4, "mode": "SHADOW" }] }
        }),
    )
    .await;
    let campaign = &made["campaign"];
    assert_eq!(campaign["budget"], json!({ "amount": "1000.50", "currency": "EUR" }));
    assert_eq!(campaign["spent"]["amount"], "0.00");
    let expected =
        json!({ "version": 1, "model": "WEIGHTED_LAST_TOUCH", "lookbackHours": 336, "lastTouchWeight": 0.7 });
    assert_eq!(campaign["attributionPolicy"], expected);
    assert_eq!(campaign["rewardPolicy"]["tiers"][0]["amount"]["amount"], "5.00");
    assert_eq!(campaign["rewardPolicy"]["tiers"][1]["shareOfConversion"], 0.000_001);
    let expected = json!([{ "name": "VELOCITY", "weight": 0.4, "mode": "SHADOW" }]);
    assert_eq!(campaign["fraudPolicy"]["signals"], expected);

    let query = "mutation($i: UpdateCampaignInput!) { updateCampaign(input: $i) {
        campaign { status budget { amount } attributionPolicy { version lookbackHours lastTouchWeight } } userErrors { code path } } }";
    let id = campaign["id"].clone();
    let data = app.data(query, json!({ "i": { "campaignId": id, "status": "PAUSED" } })).await;
    assert_eq!(data["updateCampaign"]["campaign"]["attributionPolicy"]["version"], 1, "{data}");
    let change = json!({ "campaignId": id, "attribution": { "lookbackHours": 24 }, "budget": { "amount": "2000", "currency": "EUR" } });
    let data = app.data(query, json!({ "i": change })).await;
    let expected = json!({ "status": "PAUSED", "budget": { "amount": "2000.00" },
        "attributionPolicy": { "version": 2, "lookbackHours": 24, "lastTouchWeight": 0.7 } });
    assert_eq!(data["updateCampaign"]["campaign"], expected);
    let lower = json!({ "campaignId": id, "budget": { "amount": "1", "currency": "EUR" } });
    let data = app.data(query, json!({ "i": lower })).await;
    assert_eq!(paths(&data["updateCampaign"]), ["budget.amount"]);
    let funded =
        app.sql_count("select sum(credit_minor)::int8 as count from ledger_accounts where bucket = 'budget'").await;
    assert_eq!(funded, 200_000);
}

#[tokio::test]
async fn every_parameter_of_a_model_is_kept_shown_and_versioned() {
    let app = TestApp::start().await;
    let input = json!({ "slug": "decay", "name": "Decay", "objective": "AWARENESS",
        "attribution": { "model": "TIME_DECAY", "splitAtPreviousConversion": true } });
    let id = make_campaign(&app, input).await["campaign"]["id"].clone();
    let shown = "attributionPolicy { version model lookbackHours lastTouchWeight halfLifeHours crossDevice splitAtPreviousConversion countConvertingEvent }";
    let data = app.data(&format!("query($id: ID!) {{ campaign(id: $id) {{ {shown} }} }}"), json!({ "id": id })).await;
    let expected = json!({ "version": 1, "model": "TIME_DECAY", "lookbackHours": 720, "lastTouchWeight": null, "halfLifeHours": 168, "crossDevice": true,
        "splitAtPreviousConversion": true, "countConvertingEvent": false });
    assert_eq!(data["campaign"]["attributionPolicy"], expected);
    let update = format!(
        "mutation($i: UpdateCampaignInput!) {{ updateCampaign(input: $i) {{ campaign {{ {shown} }} userErrors {{ path }} }} }}"
    );
    let change = async |attribution: Value| {
        let data = app.data(&update, json!({ "i": { "campaignId": id, "attribution": attribution } })).await;
        (data["updateCampaign"]["campaign"]["attributionPolicy"].clone(), paths(&data["updateCampaign"]))
    };
    let (policy, _) = change(json!({ "halfLifeHours": 24, "crossDevice": false, "countConvertingEvent": true })).await;
    let expected = json!({ "version": 2, "model": "TIME_DECAY", "lookbackHours": 720, "lastTouchWeight": null, "halfLifeHours": 24, "crossDevice": false,
        "splitAtPreviousConversion": true, "countConvertingEvent": true });
    assert_eq!(policy, expected);
    let (policy, _) = change(json!({ "model": "POSITION_BASED", "splitAtPreviousConversion": false })).await;
    assert_eq!(
        (&policy["version"], &policy["model"], &policy["halfLifeHours"]),
        (&json!(3), &json!("POSITION_BASED"), &Value::Null)
    );
    assert_eq!(change(json!({ "halfLifeHours": 0 })).await.1, ["attribution.halfLifeHours"]);
}

#[tokio::test]
async fn what_is_wrong_is_told_by_path_and_nothing_is_made() {
    let app = TestApp::start().await;
    let wrong =
        json!({ "slug": "Not A Slug", "name": " ", "objective": "AWARENESS", "destinationUrl": "javascript:alert(1)" });
    assert_eq!(paths(&make_campaign(&app, wrong).await), ["slug", "name", "destinationUrl"]);
    let wrong = json!({ "slug": "a", "name": "A", "objective": "AWARENESS", "attribution": { "lookbackHours": 0 },
        "reward": { "escrowDays": 1000, "tiers": [{ "degree": 1 }] } });
    let expected = ["attribution.lookbackHours", "reward.tiers.0.amount", "reward.escrowDays"];
    assert_eq!(paths(&make_campaign(&app, wrong).await), expected);
    let wrong = json!({ "slug": "a", "name": "A", "objective": "AWARENESS", "reward": { "tiers": [{ "degree": 1, "shareOfConversion": 0.1234567 }] } });
    assert_eq!(paths(&make_campaign(&app, wrong).await), ["reward.tiers.0.shareOfConversion"]);
    let wrong = json!({ "slug": "a", "name": "A", "objective": "AWARENESS", "fraud": { "signals": [{ "name": "NONSENSE", "weight": 1, "mode": "ON" }] } });
    assert_eq!(paths(&make_campaign(&app, wrong).await), ["fraud.signals.0.name"]);
    assert_eq!(app.sql_count("select count(*) from campaigns").await, 0);
    make_campaign(&app, json!({ "slug": "a", "name": "A", "objective": "AWARENESS" })).await;
    let again = make_campaign(&app, json!({ "slug": "a", "name": "A", "objective": "AWARENESS" })).await;
    assert_eq!(again["userErrors"][0]["code"], "CONFLICT");
}

#[tokio::test]
async fn creators_are_listed_forward_and_backward_in_either_order() {
    let app = TestApp::start().await;
    for handle in ["c", "a", "b"] {
        make_creator(&app, handle).await;
        app.advance(chrono::TimeDelta::seconds(1));
    }
    let handles = async |arguments: &str| {
        let query = format!(
            "{{ creators({arguments}) {{ nodes {{ handle }} totalCount pageInfo {{ hasNextPage hasPreviousPage endCursor startCursor }} }} }}"
        );
        let data = app.data(&query, Value::Null).await["creators"].take();
        let list: Vec<String> =
            data["nodes"].as_array().unwrap().iter().map(|n| n["handle"].as_str().unwrap().to_owned()).collect();
        (list.concat(), data["pageInfo"].clone(), data["totalCount"].clone())
    };
    let (list, info, total) = handles("first: 2").await;
    assert_eq!((list.as_str(), &info["hasNextPage"], total), ("ca", &json!(true), json!(3)));
    let after = info["endCursor"].as_str().unwrap().to_owned();
    assert_eq!(handles(&format!("first: 2, after: \"{after}\"")).await.0, "b");
    assert_eq!(handles("last: 2").await.0, "ab");
    let (list, info, _) = handles("first: 2, orderBy: HANDLE").await;
    assert_eq!(list, "ab");
    let after = info["endCursor"].as_str().unwrap().to_owned();
    assert_eq!(handles(&format!("first: 2, orderBy: HANDLE, after: \"{after}\"")).await.0, "c");
    assert_eq!(handles(&format!("last: 2, orderBy: HANDLE, before: \"{after}\"")).await.0, "a");
    assert_eq!(handles("filter: { search: \"A\" }").await.0, "a");
    assert_eq!(handles("filter: { search: \"%\" }").await.0, "");
    assert_eq!(handles("first: 0").await.0, "");
    let answer = app.gql("{ creators(first: 501) { nodes { id } } }", Value::Null).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "INVALID", "{answer}");
}

#[tokio::test]
async fn a_creators_key_sees_that_creator_only() {
    let app = TestApp::start().await;
    let (own, other) = (make_creator(&app, "own").await, make_creator(&app, "other").await);
    let input =
        NewApiKey { name: "own".into(), role: Role::Creator, creator_id: Kind::Creator.parse(&own), expires_at: None };
    let key = create_key(&mut app.db.conn().await.unwrap(), &app.scope, &app.env, input).await.unwrap().1;
    let query = "query($own: ID!, $other: ID!) { viewer { role scopes brand { slug } } own: creator(id: $own) { handle balances { amount } performance { clicks attributedValue { amount currency } } }
        other: creator(id: $other) { handle } byHandle: creator(handle: \"other\") { handle } node(id: $other) { id } creators { nodes { handle } totalCount } }";
    let answer = app.gql_as(&key, query, json!({ "own": own, "other": other })).await;
    let data = &answer["data"];
    assert_eq!(data["own"]["handle"], "own", "{answer}");
    assert_eq!((&data["other"], &data["byHandle"], &data["node"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!(data["creators"], json!({ "nodes": [{ "handle": "own" }], "totalCount": 1 }));
    let create = "mutation { createCreator(input: { handle: \"x\" }) { userErrors { code } } }";
    let answer = app.gql_as(&key, create, Value::Null).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer}");
}

#[tokio::test]
async fn nested_lists_cost_one_statement_each() {
    let app = TestApp::start().await;
    let campaign = make_campaign(
        &app,
        json!({ "slug": "a", "name": "A", "objective": "AWARENESS", "destinationUrl": "https://x.example" }),
    )
    .await;
    let statements = async |count: usize| {
        for index in 0..count {
            let creator = make_creator(&app, &format!("c{count}_{index}")).await;
            let link = json!({ "i": { "campaignId": campaign["campaign"]["id"], "creatorId": creator } });
            app.data("mutation($i: GenerateLinkInput!) { generateLink(input: $i) { link { id } } }", link).await;
        }
        let before = app.statement_count();
        let query = "{ creators(first: 100) { nodes { platformAccounts { platform } balances { amount } performance { clicks }
            links(first: 5) { totalCount nodes { campaign { slug attributionPolicy { model } creators { nodes { handle } } } owner { ... on Creator { handle } } } } } } }";
        let data = app.data(query, Value::Null).await;
        assert_eq!(
            data["creators"]["nodes"][0]["links"]["nodes"][0]["campaign"]["attributionPolicy"]["model"],
            "LAST_TOUCH"
        );
        app.statement_count() - before
    };
    let (few, many) = (statements(2).await, statements(30).await);
    assert!(many <= few + 4, "{few} statements for 2 creators, {many} for 32");
}
