//! Links: made, resolved, revoked, claimed.

use chrono::TimeDelta;
use grapevine::links::{Resolution, resolve};
use serde_json::{Value, json};

use super::creators_and_campaigns::{make_campaign, make_creator};
use crate::support::TestApp;

const GENERATE: &str = "mutation($i: GenerateLinkInput!) { generateLink(input: $i) {
    link { id token url shortUrl expiresAt owner { __typename ... on Member { externalId status } } utm { source medium campaign } }
    userErrors { code path message } } }";

async fn campaign(app: &TestApp) -> Value {
    let input = json!({ "slug": "spring", "name": "S", "objective": "CONVERSION", "destinationUrl": "https://shop.example/p?x=1" });
    make_campaign(app, input).await["campaign"]["id"].take()
}

#[tokio::test]
async fn a_link_resolves_until_it_expires_or_is_revoked() {
    let app = TestApp::start().await;
    let campaign = campaign(&app).await;
    let creator = make_creator(&app, "cr_test1").await;
    let data =
        app.data(GENERATE, json!({ "i": { "campaignId": campaign, "creatorId": creator, "subId": "story 1" } })).await;
    let link = &data["generateLink"]["link"];
    assert_eq!(link["utm"], json!({ "source": "cr_test1", "medium": "creator", "campaign": "spring" }), "{data}");
    assert!(link["url"].as_str().unwrap().starts_with("https://shop.example/p?x=1&utm_source=cr_test1&"));
    let token = link["token"].as_str().unwrap();
    let find = async || resolve(&app.db, &app.kv, &app.keyring, &app.env, token).await.unwrap();
    assert!(matches!(find().await, Resolution::Found(found) if found.link.token == token));
    assert!(matches!(find().await, Resolution::Found(_)), "from the cache");
    let revoke = "mutation($i: RevokeLinkInput!) { revokeLink(input: $i) { link { revokedAt } userErrors { code } } }";
    let data = app.data(revoke, json!({ "i": { "linkId": link["id"] } })).await;
    assert!(data["revokeLink"]["link"]["revokedAt"].is_string());
    assert!(matches!(find().await, Resolution::Revoked));
    let data =
        app.data(GENERATE, json!({ "i": { "campaignId": campaign, "creatorId": creator, "ttlSeconds": 60 } })).await;
    let token = data["generateLink"]["link"]["token"].as_str().unwrap().to_owned();
    let find = async || resolve(&app.db, &app.kv, &app.keyring, &app.env, &token).await.unwrap();
    assert!(matches!(find().await, Resolution::Found(_)));
    app.advance(TimeDelta::seconds(60));
    assert!(matches!(find().await, Resolution::Expired));
    let before = app.statement_count();
    let forged = resolve(&app.db, &app.kv, &app.keyring, &app.env, &"0".repeat(32)).await.unwrap();
    assert!(matches!(forged, Resolution::Unknown));
    assert_eq!(app.statement_count(), before, "a forged token costs no statement");
}

#[tokio::test]
async fn an_unknown_member_becomes_invited_once() {
    let app = TestApp::start().await;
    let campaign = campaign(&app).await;
    let input = json!({ "i": { "campaignId": campaign, "memberExternalId": "u1" } });
    let (one, other) = tokio::join!(app.data(GENERATE, input.clone()), app.data(GENERATE, input));
    for data in [one, other] {
        let owner = &data["generateLink"]["link"]["owner"];
        assert_eq!(*owner, json!({ "__typename": "Member", "externalId": "u1", "status": "INVITED" }), "{data}");
    }
    assert_eq!(app.sql_count("select count(*) from members").await, 1);
    assert_eq!(app.sql_count("select count(*) from links").await, 2);
}

#[tokio::test]
async fn many_links_are_made_all_or_none() {
    let app = TestApp::start().await;
    let campaign = campaign(&app).await;
    let creator = make_creator(&app, "a").await;
    let query =
        "mutation($i: GenerateLinksInput!) { generateLinks(input: $i) { links { token } userErrors { code path } } }";
    let good = json!({ "campaignId": campaign, "creatorId": creator });
    let bad = json!({ "campaignId": campaign, "creatorId": creator, "ttlSeconds": 1 });
    let two = json!({ "campaignId": campaign, "creatorId": creator, "memberExternalId": "u" });
    let data = app.data(query, json!({ "i": { "links": [good, bad] } })).await;
    let expected = json!([{ "code": "INVALID", "path": ["links", "1", "ttlSeconds"] }]);
    assert_eq!(data["generateLinks"], json!({ "links": null, "userErrors": expected }));
    let data = app.data(query, json!({ "i": { "links": [good, two] } })).await;
    assert_eq!(data["generateLinks"]["userErrors"][0]["path"], json!(["links", "1", "creatorId"]));
    assert_eq!(app.sql_count("select count(*) from links").await, 0);
    let mut many = vec![good; 200];
    many.extend((0..50).map(|index| json!({ "campaignId": campaign, "memberExternalId": format!("u{}", index % 25) })));
    let before = app.statement_count();
    let data = app.data(query, json!({ "i": { "links": many } })).await;
    assert_eq!(data["generateLinks"]["links"].as_array().map(Vec::len), Some(250), "{data}");
    assert!(app.statement_count() - before < 25);
    assert_eq!(app.sql_count("select count(*) from members where status = 'INVITED'").await, 25);
}

#[tokio::test]
async fn a_claim_finds_the_link_wherever_the_token_is() {
    let app = TestApp::start().await;
    let campaign = campaign(&app).await;
    let data = app.data(GENERATE, json!({ "i": { "campaignId": campaign, "memberExternalId": "u1" } })).await;
    let token = data["generateLink"]["link"]["token"].as_str().unwrap();
    let query = "mutation($i: ClaimLinkInput!) { claimLink(input: $i) { link { token } referrer { externalId } method confidence candidates eventId userErrors { code path } } }";
    let claim = async |mut input: Value, key: &str| {
        input["idempotencyKey"] = json!(key);
        app.data(query, json!({ "i": input })).await["claimLink"].take()
    };
    let exact = claim(json!({ "token": token, "userId": "u2" }), "k1").await;
    assert_eq!(exact["method"], "EXACT_TOKEN", "{exact}");
    assert_eq!(
        (&exact["referrer"]["externalId"], &exact["confidence"], &exact["candidates"]),
        (&json!("u1"), &json!(1.0), &json!(1))
    );
    assert_eq!(claim(json!({ "token": token, "userId": "u2" }), "k1").await, exact, "a replay");
    app.advance(TimeDelta::seconds(1));
    assert_eq!(
        claim(json!({ "token": token, "userId": "u2" }), "k2").await["eventId"],
        exact["eventId"],
        "one claim per claimant"
    );
    let referrer = json!({ "installReferrer": format!("utm_source=x&gv_token={token}"), "deviceId": "d" });
    assert_eq!(claim(referrer, "k3").await["method"], "INSTALL_REFERRER");
    let clipboard = json!({ "clipboard": format!("https://x.example/r/{token}"), "anonymousId": "a" });
    assert_eq!(claim(clipboard, "k4").await["method"], "CLIPBOARD");
    assert_eq!(claim(json!({ "clipboard": "hello", "userId": "u" }), "k5").await["userErrors"][0]["code"], "NOT_FOUND");
    assert_eq!(claim(json!({ "token": token }), "k6").await["userErrors"][0]["path"], json!(["userId"]));
    assert_eq!(
        claim(json!({ "token": "x", "userId": "u" }), "k1").await["userErrors"][0]["code"],
        "IDEMPOTENCY_KEY_REUSED"
    );
    assert_eq!(app.sql_count("select count(*) from link_claims").await, 3);
    assert_eq!(app.sql_count("select count(*) from events where event_type = 'open'").await, 3);
    app.drain().await;
}
