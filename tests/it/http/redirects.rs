//! Share links: who follows one is recorded once and sent on; nothing else is.

use chrono::TimeDelta;
use grapevine::campaigns::{self, CampaignObjective, CampaignStatus, NewCampaign, PoliciesDraft};
use grapevine::creators::{self, NewCreator, Platform};
use grapevine::links::{self, Link, NewLink, NewOwner, NewUtm};
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE, USER_AGENT};
use reqwest::{Response, StatusCode};
use url::Url;

use super::front::Front;

const BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36";
const PREVIEW: &str = "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)";

/// Makes a creator, a campaign and a link to a page with parameters of its own.
pub async fn link(front: &Front) -> Link {
    let (app, scope) = (&front.app, &front.app.scope);
    let mut conn = app.db.conn().await.unwrap();
    let creator = NewCreator { handle: "mia".into(), display_name: None, tier: None };
    let creator_id = creators::create(&mut conn, scope, &app.env, &creator).await.unwrap();
    let campaign = NewCampaign {
        slug: "spring".into(),
        name: "Spring".into(),
        objective: CampaignObjective::Conversion,
        status: CampaignStatus::Active,
        starts_at: None,
        ends_at: None,
        budget: None,
        destination_url: None,
        policies: PoliciesDraft::default(),
    };
    let campaign_id = campaigns::create(&mut conn, scope, &app.env, &campaign).await.unwrap();
    let link = NewLink {
        campaign_id,
        owner: NewOwner::Creator(creator_id),
        platform: Platform::Tiktok,
        sub_id: Some("bio".into()),
        destination_url: Some("https://shop.example/p?size=m&utm_source=theirs#top".into()),
        ios_url: None,
        android_url: None,
        slug: None,
        utm: NewUtm::default(),
        is_single_use: false,
        ttl_seconds: Some(3_600),
    };
    let ids = links::generate(&mut conn, scope, &app.env, &app.keyring, &[link], None).await.unwrap();
    links::by_ids(&mut conn, scope, &ids).await.unwrap().remove(&ids[0]).unwrap()
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
    let token = link.token.as_str();
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
    let path = format!("/r/{}", link.token);
    let head = front.client.head(format!("{}{path}", front.url)).header(USER_AGENT, BROWSER).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::FOUND);
    let looks: [&[(&str, &str)]; 2] =
        [&[(USER_AGENT.as_str(), PREVIEW)], &[(USER_AGENT.as_str(), BROWSER), ("x-purpose", "preview")]];
    for headers in looks {
        let response = follow(&front, &path, headers).await;
        assert_eq!(response.status(), StatusCode::FOUND);
        let chain = destination(response.headers());
        assert!(chain.iter().all(|(name, _)| name != "gv_click"), "{headers:?}: {chain:?}");
        assert!(response.headers().get(SET_COOKIE).is_none(), "{headers:?}");
    }
    // What is fetched ahead is refused, so that the browser asks again when the person clicks.
    for ahead in [("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch"), ("x-moz", "Prefetch")] {
        let response = follow(&front, &path, &[(USER_AGENT.as_str(), BROWSER), ahead]).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{ahead:?}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(response.headers().get(LOCATION).is_none() && response.headers().get(SET_COOKIE).is_none());
    }
    assert_eq!((count(&front, "click").await, count(&front, "view").await), (0, 6));
    front.close().await;
}

#[tokio::test]
async fn a_link_that_is_over_is_gone() {
    let front = Front::open().await;
    let link = link(&front).await;
    let path = format!("/r/{}", link.token);
    assert_eq!(follow(&front, &path, &[]).await.status(), StatusCode::FOUND);
    let app = &front.app;
    app.advance(TimeDelta::hours(2));
    assert_eq!(follow(&front, &path, &[]).await.status(), StatusCode::GONE, "expired");
    app.advance(TimeDelta::hours(-2));
    let mut conn = app.db.conn().await.unwrap();
    links::revoke(&mut conn, &app.scope, &app.env, link.id).await.unwrap();
    links::forget(&app.kv, &link.token).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_the_visitors_address_counts() {
    let app = crate::support::TestApp::start().await;
    let settings = grapevine::config::Settings { trusted_proxy_count: 1, ..app.settings.clone() };
    let behind = grapevine::app::App::new(settings, app.env.clone()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let stop = tokio_util::sync::CancellationToken::new();
    let served = tokio::spawn(grapevine::http::serve(behind, listener, stop.clone()));
    let campaign = "mutation { createCampaign(input: {slug: \"c\", name: \"C\", objective: CONVERSION, destinationUrl: \"https://shop.example/\"}) { campaign { id } }
                    createCreator(input: {handle: \"zoe\"}) { creator { id } } }";
    let made = app.data(campaign, serde_json::json!({})).await;
    let (campaign, creator) = (&made["createCampaign"]["campaign"]["id"], &made["createCreator"]["creator"]["id"]);
    let link = "mutation($c: ID!, $z: ID!) { generateLink(input: {campaignId: $c, creatorId: $z}) { link { token } } }";
    let link = app.data(link, serde_json::json!({"c": campaign, "z": creator})).await;
    let token = link["generateLink"]["link"]["token"].as_str().unwrap();
    for visitor in ["203.0.113.1", "203.0.113.2", "203.0.113.2"] {
        let request = app.client.get(format!("{base}/r/{token}")).header("user-agent", "Mozilla/5.0 Firefox/140.0");
        // What the visitor claims stands first; what the proxy saw stands last.
        let answer = request.header("x-forwarded-for", format!("198.51.100.1, {visitor}")).send().await.unwrap();
        assert_eq!(answer.status(), 302);
    }
    app.drain().await;
    assert_eq!(app.sql_count("select count(distinct ip_hash) from touchpoints").await, 2);
    stop.cancel();
    served.await.unwrap().unwrap();
}
