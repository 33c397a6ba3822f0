//! Deferred deep links: from an invitation through the store to the app's first open, and back to a claim.

use chrono::TimeDelta;
use futures_util::StreamExt;
use futures_util::stream;
use reqwest::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION, SET_COOKIE, USER_AGENT};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use url::Url;

use crate::graphql::world::setting;
use crate::support::TestApp;

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";
const ANDROID: &str = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36";
const PREVIEW: &str = "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)";

const BRAND: &str = "mutation($i: UpdateBrandInput!) { updateBrand(input: $i) {
    brand { iosApp { appIds storeUrl } androidApp { packageName fingerprints } probabilisticClaims } userErrors { code path } } }";
const CLAIM: &str = "mutation($i: ClaimLinkInput!) { claimLink(input: $i) {
    link { token } referrer { externalId } method confidence candidates eventId userErrors { code path message } } }";

/// The fingerprint of no certificate.
pub fn fingerprint() -> String {
    ["AB"; 32].join(":")
}

fn apps() -> Value {
    json!({ "iosApp": { "appIds": ["ABCDE12345.example.acme"], "storeUrl": "https://apps.apple.com/app/id123456789" },
            "androidApp": { "packageName": "com.example.acme", "fingerprints": [fingerprint()] } })
}

async fn set(app: &TestApp, settings: Value) -> Value {
    app.data(BRAND, json!({ "i": settings })).await["updateBrand"].take()
}

/// A link of the member `ann`, and its token.
async fn invitation(app: &TestApp, more: Value) -> String {
    let mut input = json!({ "campaignId": "campaign_00000000000000000000000051", "memberExternalId": "ann",
                            "destinationUrl": "https://acme.example/welcome" });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let query = "mutation($i: GenerateLinkInput!) { generateLink(input: $i) { link { token deepLink singleUse } userErrors { code path } } }";
    let made = app.data(query, json!({ "i": input })).await["generateLink"].take();
    made["link"]["token"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

async fn claim(app: &TestApp, mut input: Value) -> Value {
    let key = app.env.new_id().to_string();
    input.as_object_mut().unwrap().entry("idempotencyKey").or_insert(json!(key));
    app.data(CLAIM, json!({ "i": input })).await["claimLink"].take()
}

async fn open(app: &TestApp, base: &str, path: &str, agent: &str) -> Response {
    app.client.get(format!("{base}{path}")).header(USER_AGENT, agent).send().await.unwrap()
}

fn location(response: &Response) -> Url {
    assert_eq!(response.status(), StatusCode::FOUND);
    Url::parse(response.headers()[LOCATION].to_str().unwrap()).unwrap()
}

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(own, _)| own == name).unwrap_or_else(|| panic!("{name} in {url}")).1.into_owned()
}

#[tokio::test]
async fn on_android_the_store_hands_the_token_to_the_app() {
    let app = setting().await;
    set(&app, apps()).await;
    let (base, token) = (app.serve().await, invitation(&app, json!({})).await);
    let response = open(&app, &base, &format!("/invite/{token}"), ANDROID).await;
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    assert!(response.headers().contains_key(SET_COOKIE));
    let url = location(&response);
    assert_eq!((url.host_str(), url.path()), (Some("play.google.com"), "/store/apps/details"));
    assert_eq!(parameter(&url, "id"), "com.example.acme");
    let referrer = parameter(&url, "referrer");
    assert!(referrer.contains(&format!("gv_token={token}")) && referrer.contains("gv_click=event_"), "{referrer}");

    let claimed = claim(&app, json!({ "installReferrer": referrer, "userId": "bob" })).await;
    let expected = json!({ "link": { "token": token }, "referrer": { "externalId": "ann" }, "method": "INSTALL_REFERRER",
                           "confidence": 1.0, "candidates": 1, "eventId": claimed["eventId"], "userErrors": [] });
    assert_eq!(claimed, expected);
    app.drain().await;
    // The click in the browser and the open in the app are one person's.
    assert_eq!(
        app.sql_count("select count(distinct p.canonical_id) from touchpoints t join people p on p.id = t.person_id")
            .await,
        1
    );
    assert_eq!(app.texts("select kind as text from touchpoints order by 1").await, ["CLICK", "OPEN"]);

    // A sign-up that says nothing else hangs below who invited.
    let source = app.source().await;
    let (status, answer) = app.post_signed(&source, &json!({ "event_type": "signup", "user_id": "bob" })).await;
    assert_eq!(status, 202, "{answer}");
    app.drain().await;
    let member = app.data("{ member(externalId: \"bob\") { referrer { externalId } } }", json!({})).await;
    assert_eq!(member["member"]["referrer"]["externalId"], "ann");
}

#[tokio::test]
async fn an_iphone_is_offered_the_clipboard_on_the_way_to_the_store() {
    let app = setting().await;
    set(&app, apps()).await;
    let (base, token) = (app.serve().await, invitation(&app, json!({ "slug": "come-along" })).await);
    let response = open(&app, &base, "/invite/acme/come-along", IPHONE).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        (&response.headers()[CACHE_CONTROL], &response.headers()[CONTENT_TYPE]),
        (&"no-store".parse().unwrap(), &"text/html; charset=utf-8".parse().unwrap())
    );
    let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(policy.ends_with("frame-ancestors 'none'"), "it could be framed: {policy}");
    let html = response.text().await.unwrap();
    assert!(html.contains("href=\"https://apps.apple.com/app/id123456789\""), "{html}");
    let copied = html.split("data-invitation=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert!(copied.starts_with(&format!("{base}/invite/{token}?gv_click=event_")), "{copied}");
    let claimed = claim(&app, json!({ "clipboard": copied, "userId": "bob" })).await;
    assert_eq!((&claimed["method"], &claimed["link"]["token"]), (&json!("CLIPBOARD"), &json!(token)), "{claimed}");

    // An app that is there already is opened with the address itself, by whatever name. In a clipboard the name alone says nothing.
    let address = format!("{base}/invite/acme/come-along");
    let claimed = claim(&app, json!({ "token": address, "userId": "zoe" })).await;
    assert_eq!((&claimed["method"], &claimed["link"]["token"]), (&json!("EXACT_TOKEN"), &json!(token)), "{claimed}");
    let claimed = claim(&app, json!({ "clipboard": address, "userId": "eve" })).await;
    assert_eq!(claimed["userErrors"][0]["code"], "NOT_FOUND", "{claimed}");
    app.drain().await;
}

#[tokio::test]
async fn everybody_else_follows_an_invitation_as_any_link() {
    let app = setting().await;
    let (base, token) = (app.serve().await, invitation(&app, json!({})).await);
    let path = format!("/invite/{token}");
    for agent in [BROWSER, IPHONE, ANDROID] {
        assert_eq!(
            location(&open(&app, &base, &path, agent).await).host_str(),
            Some("acme.example"),
            "no app: {agent}"
        );
    }
    let link = app.data("query($t: String!) { link(token: $t) { deepLink } }", json!({ "t": token })).await;
    assert_eq!(link["link"]["deepLink"], Value::Null);
    set(&app, apps()).await;
    app.kv.forget_global(&format!("link:{token}")).await.unwrap();
    let link = app.data("query($t: String!) { link(token: $t) { deepLink } }", json!({ "t": token })).await;
    assert_eq!(link["link"]["deepLink"], format!("{base}{path}"));
    for agent in [BROWSER, PREVIEW] {
        assert_eq!(location(&open(&app, &base, &path, agent).await).host_str(), Some("acme.example"), "{agent}");
    }
    assert_eq!(open(&app, &base, &format!("/invite/{}", "0".repeat(32)), IPHONE).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_well_known_files_are_those_of_the_brand_of_the_host() {
    let app = setting().await;
    let base = app.serve().await;
    let file = async |name: &str, host: Option<&str>| {
        let mut request = app.client.get(format!("{base}/.well-known/{name}"));
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        assert!(!headers.contains_key(LOCATION));
        assert_eq!(headers[CONTENT_TYPE], "application/json");
        assert!(status != 200 || headers[CACHE_CONTROL] == "public, max-age=3600");
        (status, response.json::<Value>().await.unwrap())
    };
    for name in ["apple-app-site-association", "assetlinks.json"] {
        assert_eq!(file(name, None).await.0, 404);
    }
    let mut settings = apps();
    settings["linkHosts"] = json!(["go.acme.example"]);
    set(&app, settings).await;
    // The installation's own address is the only brand's that has an app; a host of nobody's has none.
    for host in [None, Some("go.acme.example"), Some("GO.acme.example:443")] {
        let (status, apple) = file("apple-app-site-association", host).await;
        assert_eq!(status, 200, "{host:?}");
        let detail = &apple["applinks"]["details"][0];
        assert_eq!(detail["appIDs"], json!(["ABCDE12345.example.acme"]));
        assert_eq!(detail["components"], json!([{ "#": "no_universal_links", "exclude": true }, { "/": "/invite/*" }]));
        let (_, android) = file("assetlinks.json", host).await;
        assert_eq!(android[0]["relation"], json!(["delegate_permission/common.handle_all_urls"]));
        let target = json!({ "namespace": "android_app", "package_name": "com.example.acme", "sha256_cert_fingerprints": [fingerprint()] });
        assert_eq!(android[0]["target"], target);
    }
    assert_eq!(file("assetlinks.json", Some("go.globex.example")).await.0, 404);
    set(&app, json!({ "androidApp": null })).await;
    assert_eq!(file("assetlinks.json", Some("go.acme.example")).await.0, 404);
    assert_eq!(file("apple-app-site-association", Some("go.acme.example")).await.0, 200);
}

#[tokio::test]
async fn apps_are_named_as_their_stores_do() {
    let app = setting().await;
    let check = async |settings: Value, path: Value| {
        let refused = set(&app, settings.clone()).await;
        assert_eq!(refused["userErrors"], json!([{ "code": "INVALID", "path": path }]), "{settings}");
    };
    let store = "https://apps.apple.com/app/id1";
    check(json!({ "iosApp": { "appIds": ["acme"], "storeUrl": store } }), json!(["iosApp", "appIds", "0"])).await;
    check(json!({ "iosApp": { "appIds": [], "storeUrl": store } }), json!(["iosApp", "appIds"])).await;
    check(
        json!({ "iosApp": { "appIds": ["ABCDE12345.a"], "storeUrl": "https://evil.example/" } }),
        json!(["iosApp", "storeUrl"]),
    )
    .await;
    check(
        json!({ "androidApp": { "packageName": "acme", "fingerprints": [fingerprint()] } }),
        json!(["androidApp", "packageName"]),
    )
    .await;
    check(
        json!({ "androidApp": { "packageName": "com.acme", "fingerprints": ["AB"] } }),
        json!(["androidApp", "fingerprints", "0"]),
    )
    .await;
    let kept = set(&app, apps()).await;
    assert_eq!(kept["brand"]["androidApp"], apps()["androidApp"], "{kept}");
    assert_eq!(kept["brand"]["probabilisticClaims"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_who_claim_a_link_for_one_at_once_one_gets_it() {
    let app = setting().await;
    let token = invitation(&app, json!({ "singleUse": true })).await;
    app.serve().await;
    let claims =
        stream::iter(0..1_000).map(|index| claim(&app, json!({ "token": token, "userId": format!("u{index}") })));
    let answers: Vec<Value> = claims.buffer_unordered(64).collect().await;
    let winners: Vec<&Value> = answers.iter().filter(|answer| !answer["link"].is_null()).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    let refused = answers.iter().filter(|answer| answer["userErrors"][0]["code"] == "CONFLICT").count();
    assert_eq!(refused, 999);
    assert_eq!(app.sql_count("select count(*) from link_claims").await, 1);
    assert_eq!(app.sql_count("select count(*) from events where event_type = 'open'").await, 1);
    assert_eq!(app.sql_count("select count(*) from links where redeemed_at is not null").await, 1);
    // Who has it, keeps it: asked again, the answer is the same.
    let user = app.texts("select payload->>'user_id' as text from events where event_type = 'open'").await.remove(0);
    let again = claim(&app, json!({ "token": token, "userId": user })).await;
    assert_eq!(again["eventId"], winners[0]["eventId"], "{again}");
    app.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_claims_of_one_person_at_once_all_are_the_same_one() {
    let app = setting().await;
    let token = invitation(&app, json!({})).await;
    app.serve().await;
    let claims = stream::iter(0..100)
        .map(|index| claim(&app, json!({ "token": token, "userId": "bob", "deviceId": format!("d{}", index % 7) })));
    let answers: Vec<Value> = claims.buffer_unordered(32).collect().await;
    for answer in &answers {
        assert_eq!((&answer["userErrors"], &answer["eventId"]), (&json!([]), &answers[0]["eventId"]), "{answer}");
    }
    assert_eq!(app.sql_count("select count(*) from link_claims").await, 1);
    assert_eq!(app.sql_count("select count(*) from events").await, 1);
    app.drain().await;
}

#[tokio::test]
async fn who_claims_before_and_after_signing_in_and_on_another_phone_is_one_person() {
    let app = setting().await;
    let token = invitation(&app, json!({ "singleUse": true })).await;
    let first = claim(&app, json!({ "token": token, "anonymousId": "a1" })).await;
    assert_eq!(first["userErrors"], json!([]), "{first}");
    for more in [
        json!({ "anonymousId": "a1", "userId": "bob" }),
        json!({ "anonymousId": "a2", "userId": "bob", "deviceId": "d2" }),
        json!({ "userId": "bob" }),
    ] {
        let mut input = json!({ "token": token });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let again = claim(&app, input).await;
        assert_eq!((&again["userErrors"], &again["eventId"]), (&json!([]), &first["eventId"]), "{more}");
    }
    let other = claim(&app, json!({ "token": token, "anonymousId": "a1", "userId": "eve" })).await;
    assert_eq!(other["userErrors"][0]["code"], "CONFLICT", "somebody else on the same phone: {other}");
    assert_eq!(app.sql_count("select count(*) from link_claims").await, 1);
    assert_eq!(app.sql_count("select count(*) from events where state = 'QUARANTINED'").await, 0);
    app.drain().await;
}

#[tokio::test]
async fn a_claim_that_names_nobody_who_can_be_kept_redeems_nothing() {
    let app = setting().await;
    let token = invitation(&app, json!({ "singleUse": true })).await;
    for user in ["u".repeat(513), String::new(), "a\u{0}b".to_owned()] {
        let refused = claim(&app, json!({ "token": token, "userId": user })).await;
        assert_eq!(refused["userErrors"][0]["code"], "INVALID", "{refused}");
    }
    let good = claim(&app, json!({ "token": token, "userId": "u".repeat(512) })).await;
    assert_eq!(good["userErrors"], json!([]), "{good}");
    assert_eq!(app.sql_count("select count(*) from events where event_type = 'open' and state = 'ACCEPTED'").await, 1);
    app.drain().await;
}

#[tokio::test]
async fn a_name_behind_another_brands_slug_is_another_link() {
    let app = setting().await;
    let token = invitation(&app, json!({ "slug": "spring" })).await;
    let foreign = claim(&app, json!({ "token": "https://go.example/invite/globex/spring", "userId": "bob" })).await;
    assert_eq!(foreign["userErrors"][0]["code"], "NOT_FOUND", "{foreign}");
    let own = claim(&app, json!({ "token": "https://go.example/invite/acme/spring", "userId": "bob" })).await;
    assert_eq!(own["link"]["token"], json!(token), "{own}");
    app.drain().await;
}

/// Somebody joins and becomes active: nobody is the referrer, and nothing is owed.
async fn joins_and_is_nobodys_referee(app: &TestApp, user: &str) {
    assert_eq!(app.sql_count("select count(*) from events where event_type = 'open'").await, 0);
    let source = app.source().await;
    let events = json!([{ "event_type": "signup", "user_id": user }, { "event_type": "activation", "user_id": user }]);
    assert_eq!(app.post_signed(&source, &events).await.0, 202);
    app.drain().await;
    assert_eq!(
        app.sql_count("select count(*) from members where external_id is not null and status = 'ACTIVATED' and referrer_id is null").await,
        1
    );
    assert_eq!(app.sql_count("select count(*) from rewards").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_likely_match_is_off_until_it_is_wanted_and_never_pays() {
    let app = setting().await;
    set(&app, apps()).await;
    let settings = grapevine::config::Settings { trusted_proxy_count: 1, ..app.settings.clone() };
    let behind = grapevine::app::App::new(settings, app.env.clone()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let stop = tokio_util::sync::CancellationToken::new();
    let served = tokio::spawn(grapevine::http::serve(behind, listener, stop.clone()));
    let visit = async |token: &str, agent: &str, ip: &str| {
        let request =
            app.client.get(format!("{base}/invite/{token}")).header(USER_AGENT, agent).header("x-forwarded-for", ip);
        assert!(request.send().await.unwrap().status().as_u16() < 400);
    };
    let (first, second) =
        (invitation(&app, json!({})).await, invitation(&app, json!({ "memberExternalId": "zoe" })).await);
    let likely = async |user: &str, ip: &str, agent: &str| {
        claim(&app, json!({ "userId": user, "ip": ip, "userAgent": agent })).await
    };

    visit(&first, IPHONE, "203.0.113.9").await;
    let off = likely("bob", "203.0.113.200", "iPhone").await;
    assert_eq!((&off["userErrors"][0]["code"], &off["method"]), (&json!("INVALID"), &Value::Null), "{off}");
    assert_eq!(app.sql_count("select count(*) from link_visits").await, 0, "nothing is kept of who does not want it");

    set(&app, json!({ "probabilisticClaims": true })).await;
    for token in [&first, &second] {
        app.kv.forget_global(&format!("link:{token}")).await.unwrap();
    }
    visit(&first, IPHONE, "203.0.113.9").await;
    visit(&second, ANDROID, "203.0.113.9").await;
    visit(&second, BROWSER, "203.0.113.9").await;
    let found = likely("bob", "203.0.113.200", "Acme/1.0 (iPhone)").await;
    let expected = json!({ "link": null, "referrer": { "externalId": "ann" }, "method": "PROBABILISTIC", "confidence": 0.9,
                           "candidates": 1, "eventId": null, "userErrors": [] });
    assert_eq!(found, expected);
    visit(&second, IPHONE, "203.0.113.10").await;
    app.advance(TimeDelta::minutes(15));
    let found = likely("eve", "203.0.113.1", "iPhone").await;
    assert_eq!(
        (&found["referrer"], &found["candidates"], &found["confidence"]),
        (&Value::Null, &json!(2), &json!(0.3375)),
        "{found}"
    );
    for (ip, agent) in [("203.0.114.1", "iPhone"), ("203.0.113.1", "Mozilla/5.0 (X11; Linux)")] {
        assert!(likely("mia", ip, agent).await["userErrors"][0]["code"].is_string(), "{ip} {agent}");
    }
    app.advance(TimeDelta::minutes(20));
    assert_eq!(likely("mia", "203.0.113.1", "iPhone").await["userErrors"][0]["code"], "NOT_FOUND");
    assert_eq!(app.sql_count("select count(*) from link_claims where method = 'PROBABILISTIC'").await, 2);
    grapevine::worker::forget_visits(&app).await.unwrap();
    assert_eq!(app.sql_count("select count(*) from link_visits").await, 0, "nobody looks back to them any more");

    joins_and_is_nobodys_referee(&app, "bob").await;

    // A token that turns up later makes the match certain.
    let certain = claim(&app, json!({ "userId": "bob", "token": first })).await;
    assert_eq!((&certain["method"], &certain["confidence"]), (&json!("EXACT_TOKEN"), &json!(1.0)), "{certain}");
    assert_eq!(app.sql_count("select count(*) from link_claims where method = 'PROBABILISTIC'").await, 1);
    app.drain().await;
    stop.cancel();
    served.await.unwrap().unwrap();
}
