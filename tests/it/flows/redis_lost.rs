//! Redis is speed, never truth: flushed or gone, nothing is lost and links still resolve.

use grapevine::app::App;
use grapevine::config::Settings;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::TestApp;

const WORLD: &str = r#"mutation {
    createCampaign(input: {slug: "launch", name: "Launch", objective: CONVERSION, destinationUrl: "https://shop.example/"}) { campaign { id } }
    createCreator(input: {handle: "zoe"}) { creator { id } }
}"#;

const LINK: &str = "mutation($campaign: ID!, $creator: ID!) {
    generateLink(input: {campaignId: $campaign, creatorId: $creator}) { link { token } userErrors { message } }
}";

async fn token(app: &TestApp) -> String {
    let world = app.data(WORLD, json!({})).await;
    let ids = json!({"campaign": world["createCampaign"]["campaign"]["id"], "creator": world["createCreator"]["creator"]["id"]});
    let link = app.data(LINK, ids).await;
    link["generateLink"]["link"]["token"].as_str().unwrap().to_owned()
}

async fn status_of(app: &TestApp, base: &str, token: &str) -> u16 {
    let request = app.client.get(format!("{base}/r/{token}")).header("user-agent", "Mozilla/5.0 Firefox/140.0");
    request.send().await.unwrap().status().as_u16()
}

/// Removes every key of the test, as a flush does.
pub(super) async fn flush(app: &TestApp) -> usize {
    let client = redis::Client::open(app.settings.redis_url.as_str()).unwrap();
    let mut conn = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{}*", app.settings.redis_prefix)).query_async(&mut conn).await.unwrap();
    if !keys.is_empty() {
        redis::cmd("DEL").arg(&keys).exec_async(&mut conn).await.unwrap();
    }
    keys.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_in_the_middle_loses_nothing() {
    let app = TestApp::start().await;
    let (token, base) = (token(&app).await, app.serve().await);
    assert_eq!(status_of(&app, &base, &token).await, 302);
    app.drain().await;
    assert!(flush(&app).await > 0, "the link was cached");
    assert_eq!(status_of(&app, &base, &token).await, 302);
    let source = app.source().await;
    let bots: Vec<_> = (0..30)
        .map(|index| {
            json!({"event_id": format!("{index}"), "event_type": "click", "link_token": token,
        "ip": "198.51.100.9", "user_agent": "curl/8.5.0"})
        })
        .collect();
    assert_eq!(app.post_signed(&source, &json!(bots)).await.0, 202);
    app.drain().await;
    flush(&app).await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from touchpoints").await, 32);
    let alerts = app.data("{ fraudAlerts { nodes { occurrences } } }", json!({})).await;
    assert_eq!(alerts["fraudAlerts"]["nodes"], json!([{"occurrences": 30}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_everything_works_only_slower() {
    let app = TestApp::start().await;
    let token = token(&app).await;
    let settings = Settings { redis_url: "redis://127.0.0.1:1/".to_owned(), ..app.settings.clone() };
    let lonely = App::new(settings, app.env.clone()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let served = tokio::spawn(grapevine::http::serve(lonely.clone(), listener, stop.clone()));
    assert_eq!(status_of(&app, &base, &token).await, 302);
    assert_eq!(grapevine::worker::drain(&lonely).await.unwrap(), 1);
    let ready = app.client.get(format!("{base}/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200, "Redis only degrades");
    stop.cancel();
    served.await.unwrap().unwrap();
}
