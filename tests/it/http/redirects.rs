//! Share links: who follows one is recorded once and sent on; nothing else is.

use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE, USER_AGENT};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::front::Front;

const BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36";
const PREVIEW: &str = "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)";

/// Makes a creator, a campaign and a link to a page with parameters of its own; returns the link.
async fn link(front: &Front) -> Value {
    let ask = async |query: &str, input: Value| {
        let body = json!({ "query": query, "variables": { "input": input } });
        let mut answer: Value = front.post().json(&body).send().await.unwrap().json().await.unwrap();
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"]["made"].take()
    };
    let query = "mutation($input: CreateCreatorInput!) { made: createCreator(input: $input) { creator { id } userErrors { message } } }";
    let creator = ask(query, json!({ "handle": "mia" })).await;
    let query = "mutation($input: CreateCampaignInput!) { made: createCampaign(input: $input) { campaign { id } userErrors { message } } }";
    let campaign = ask(query, json!({ "slug": "spring", "name": "Spring", "objective": "CONVERSION" })).await;
    let query = "mutation($input: GenerateLinkInput!) { made: generateLink(input: $input) { link { id token } userErrors { message } } }";
    let input = json!({
        "campaignId": campaign["campaign"]["id"], "creatorId": creator["creator"]["id"], "subId": "bio", "platform": "TIKTOK",
        "destinationUrl": "https://shop.example/p?size=m&utm_source=theirs#top",
    });
    let mut made = ask(query, input).await;
    assert_eq!(made["userErrors"], json!([]));
    made["link"].take()
}

async fn follow(front: &Front, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = front.client.get(format!("{}{path}", front.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

/// Where the answer leads, which must be the link's own destination.
fn destination(headers: &HeaderMap) -> Vec<(String, String)> {
    let url = Url::parse(headers[LOCATION].to_str().unwrap()).unwrap();
    assert_eq!((url.host_str(), url.path(), url.fragment()), (Some("shop.example"), "/p", Some("top")));
    url.query_pairs().into_owned().collect()
}

async fn count(front: &Front, event_type: &str) -> i64 {
    match event_type {
        "click" => front.app.sql_count("select count(*) from events where event_type = 'click'").await,
        _ => front.app.sql_count("select count(*) from events where event_type = 'view'").await,
    }
}

#[tokio::test]
async fn a_click_is_recorded_and_carries_its_identifiers_on() {
    let front = Front::open().await;
    let link = link(&front).await;
    let token = link["token"].as_str().unwrap();
    let first = follow(&front, &format!("/invite/{token}"), &[(USER_AGENT.as_str(), BROWSER)]).await;
    assert_eq!(first.status(), StatusCode::FOUND);
    let chain = destination(first.headers());
    let value = |name: &str| {
        let found: Vec<&str> = chain.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect();
        assert_eq!(found.len(), 1, "{name} in {chain:?}");
        found[0].to_owned()
    };
    assert_eq!((value("size").as_str(), value("sub_id").as_str(), value("gv_token").as_str()), ("m", "bio", token));
    assert_ne!(value("utm_source"), "theirs");
    assert!(value("creator_id").starts_with("creator_") && value("gv_click").starts_with("event_"), "{chain:?}");
    let cookie = first.headers()[SET_COOKIE].to_str().unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Max-Age=31536000"),
        "{cookie}"
    );

    let cookie = cookie.split(';').next().unwrap();
    let second =
        follow(&front, &format!("/r/{token}"), &[(USER_AGENT.as_str(), BROWSER), (COOKIE.as_str(), cookie)]).await;
    assert!(second.headers().get(SET_COOKIE).is_none(), "a visitor whom we know keeps the cookie");
    assert_ne!(second.headers()[LOCATION], first.headers()[LOCATION], "each click is its own");
    assert_eq!(count(&front, "click").await, 2);
    front.close().await;
}

#[tokio::test]
async fn what_only_looks_ahead_is_not_a_click() {
    let front = Front::open().await;
    let link = link(&front).await;
    let path = format!("/r/{}", link["token"].as_str().unwrap());
    let head = front.client.head(format!("{}{path}", front.url)).header(USER_AGENT, BROWSER).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::FOUND);
    let looks: [&[(&str, &str)]; 3] = [
        &[(USER_AGENT.as_str(), PREVIEW)],
        &[(USER_AGENT.as_str(), BROWSER), ("sec-purpose", "prefetch;prerender")],
        &[(USER_AGENT.as_str(), BROWSER), ("purpose", "prefetch")],
    ];
    for headers in looks {
        let response = follow(&front, &path, headers).await;
        assert_eq!(response.status(), StatusCode::FOUND);
        let chain = destination(response.headers());
        assert!(chain.iter().all(|(name, _)| name != "gv_click"), "{headers:?}: {chain:?}");
        assert!(response.headers().get(SET_COOKIE).is_none(), "{headers:?}");
    }
    assert_eq!((count(&front, "click").await, count(&front, "view").await), (0, 3));
    front.close().await;
}

#[tokio::test]
async fn a_link_that_is_over_is_gone() {
    let front = Front::open().await;
    let link = link(&front).await;
    let path = format!("/r/{}", link["token"].as_str().unwrap());
    let query = "mutation($input: RevokeLinkInput!) { revokeLink(input: $input) { userErrors { message } } }";
    let body = json!({ "query": query, "variables": { "input": { "linkId": link["id"] } } });
    let answer: Value = front.post().json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["data"]["revokeLink"]["userErrors"], json!([]), "{answer}");
    let response = follow(&front, &path, &[]).await;
    assert_eq!(response.status(), StatusCode::GONE);
    assert!(response.headers().get(LOCATION).is_none());
    front.close().await;
}

#[tokio::test]
async fn an_unknown_link_is_a_plain_page_and_never_a_redirect() {
    let front = Front::open().await;
    let long = format!("/r/{}", "x".repeat(9_000));
    for path in ["/r/unknown", "/invite/unknown", "/r/https:%2F%2Fevil.example", "/r/%ff", "/r/%00", &long] {
        let response = follow(&front, path, &[]).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(response.headers().get(LOCATION).is_none());
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let text = response.text().await.unwrap();
        assert!(text.contains("<!doctype html>") && !text.contains("evil"), "{path}: {text}");
    }
    front.close().await;
}
