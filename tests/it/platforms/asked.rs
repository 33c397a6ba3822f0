//! Platforms are asked about creators' accounts with care: what they say is kept, and one in trouble is left alone until it recovers.

use chrono::TimeDelta;
use grapevine::creators::Platform;
use grapevine::platforms::{Scheme, sign};
use grapevine::worker::ask_platforms;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::fake::{Fake, Mood, id_of};
use crate::flows::pipeline::{at, furnish, send};
use crate::support::TestApp;

const CONNECT: &str = "mutation($input: ConnectPlatformAccountInput!) { connectPlatformAccount(input: $input) {
    creator { platformAccounts { platform externalId username verified followers checkedAt verificationCode } } userErrors { message } } }";
const HEALTH: &str = "{ platformHealth { platform state lastSuccessAt lastFailureAt lastFailure schemaVersion quarantined lastEventAt } }";

async fn world() -> (TestApp, Fake) {
    let fake = Fake::open().await;
    let app = TestApp::start_with(fake.settings()).await;
    furnish(&app).await;
    (app, fake)
}

/// Connects the creator's account on a platform and returns it as it is after that.
async fn connect(app: &TestApp, platform: Platform, external_id: &str) -> Value {
    connect_as(app, platform, external_id, None).await
}

/// The same with the name that it goes by.
async fn connect_as(app: &TestApp, platform: Platform, external_id: &str, username: Option<&str>) -> Value {
    let creator = grapevine::base::Kind::Creator.id(uuid::Uuid::from_u128(0xc1));
    let input =
        json!({"creatorId": creator, "platform": platform.as_str(), "externalId": external_id, "username": username});
    let answer = app.data(CONNECT, json!({ "input": input })).await["connectPlatformAccount"].take();
    assert_eq!(answer["userErrors"], json!([]), "{answer}");
    let accounts = answer["creator"]["platformAccounts"].as_array().unwrap();
    let is_it = |account: &&Value| account["platform"] == platform.as_str() && account["externalId"] == external_id;
    accounts.iter().find(is_it).unwrap().clone()
}

async fn health_of(app: &TestApp, platform: Platform) -> Value {
    let all = app.data(HEALTH, json!({})).await["platformHealth"].take();
    all.as_array().unwrap().iter().find(|one| one["platform"] == platform.as_str()).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_verified_once_it_shows_the_code_and_fraud_knows() {
    let (app, fake) = world().await;
    for (platform, followers, username) in [
        (Platform::Youtube, 12_345, json!("@zoe")),
        (Platform::Instagram, 777, json!("UC1")),
        (Platform::Tiktok, 99, json!(null)),
    ] {
        fake.feel(Mood::Fine("tea and more tea".to_owned()));
        let account = connect(&app, platform, "UC1").await;
        assert_eq!(account["verified"], false, "{platform:?}: {account}");
        assert_eq!((&account["followers"], &account["username"]), (&json!(followers), &username), "{platform:?}");
        assert!(account["checkedAt"].is_string(), "{platform:?}: {account}");
        let code = account["verificationCode"].as_str().unwrap();

        fake.feel(Mood::Fine(format!("tea {code} and more tea")));
        assert_eq!(connect(&app, platform, "UC1").await["verified"], true, "{platform:?}");
        // It need not be shown for ever; an account that is gone proves nothing.
        fake.feel(Mood::Fine("tea".to_owned()));
        assert_eq!(connect(&app, platform, "UC1").await["verified"], true, "{platform:?}");
        fake.feel(Mood::Gone);
        assert_eq!(connect(&app, platform, "UC1").await["verified"], false, "{platform:?}");
        fake.feel(Mood::Fine(code.to_owned()));
        assert_eq!(connect(&app, platform, "UC1").await["verified"], true, "{platform:?}");
    }

    let touch = |id: &str| json!([{"event_id": id, "event_type": "click", "anonymous_id": "a", "link_token": "zoe-link", "platform": "youtube", "timestamp": at(&app, -1)}]);
    let suspicions = "select count(*) from fraud_assessments where signals::text like '%UNVERIFIED_PLATFORM%'";
    send(&app, touch("1")).await;
    app.drain().await;
    assert_eq!(app.sql_count(suspicions).await, 0, "a verified creator's touch");
    fake.feel(Mood::Gone);
    app.advance(TimeDelta::hours(25));
    assert_eq!(ask_platforms(&app).await.unwrap(), 3);
    send(&app, touch("2")).await;
    app.drain().await;
    assert_eq!(app.sql_count(suspicions).await, 1, "an account that is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_proves_one_account_of_one_creator() {
    let (app, fake) = world().await;
    let youtube = connect(&app, Platform::Youtube, "UC1").await;
    let instagram = connect(&app, Platform::Instagram, "zoe").await;
    assert_ne!(youtube["verificationCode"], instagram["verificationCode"]);
    fake.feel(Mood::Fine(instagram["verificationCode"].as_str().unwrap().to_owned()));
    assert_eq!(connect(&app, Platform::Youtube, "UC1").await["verified"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_on_ones_own_account_proves_nothing_of_anothers() {
    let (app, fake) = world().await;
    let (mine, stars) = (id_of("mine"), id_of("star"));
    let code = connect_as(&app, Platform::Instagram, &stars, Some("mine")).await["verificationCode"].take();
    fake.feel(Mood::Fine(code.as_str().unwrap().to_owned()));
    assert_eq!(connect_as(&app, Platform::Instagram, &stars, Some("mine")).await["verified"], false, "a star's");
    let code = connect_as(&app, Platform::Instagram, &mine, Some("mine")).await["verificationCode"].take();
    fake.feel(Mood::Fine(code.as_str().unwrap().to_owned()));
    assert_eq!(connect_as(&app, Platform::Instagram, &mine, Some("@Mine")).await["verified"], true);

    // Where the platform says no identifier, another name is another account.
    let code = connect_as(&app, Platform::Tiktok, "open-1", Some("mine")).await["verificationCode"].take();
    fake.feel(Mood::Fine(code.as_str().unwrap().to_owned()));
    assert_eq!(connect_as(&app, Platform::Tiktok, "open-1", Some("mine")).await["verified"], true);
    fake.feel(Mood::Fine("nothing of ours".to_owned()));
    assert_eq!(connect_as(&app, Platform::Tiktok, "open-1", Some("@mine")).await["verified"], true, "the same name");
    assert_eq!(connect_as(&app, Platform::Tiktok, "open-1", Some("star")).await["verified"], false);
}

/// An account that a platform will not talk about is asked about in its turn, and keeps no other from its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_an_answer_keeps_no_other_from_being_asked_about() {
    let (app, fake) = world().await;
    connect(&app, Platform::Instagram, "ann").await;
    app.advance(TimeDelta::minutes(1));
    connect(&app, Platform::Instagram, "bob").await;
    app.advance(TimeDelta::hours(25));
    fake.riddle("ann");
    let before = fake.asked_count();
    assert_eq!(ask_platforms(&app).await.unwrap(), 1, "bob, though ann comes first");
    assert_eq!(fake.asked_count() - before, 2);
    assert_eq!(ask_platforms(&app).await.unwrap(), 0);
    assert_eq!(fake.asked_count() - before, 2, "she is not asked about again and again");
    app.advance(TimeDelta::minutes(61));
    fake.riddle("");
    assert_eq!(ask_platforms(&app).await.unwrap(), 1, "but after a while");
    assert_eq!(fake.asked_count() - before, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_refuses_works_and_is_not_left_alone() {
    let (app, fake) = world().await;
    fake.feel(Mood::Refusing);
    for _ in 0..7 {
        connect(&app, Platform::Instagram, "ann").await;
    }
    assert_eq!(fake.asked_count(), 7, "no breaker keeps the others from being asked about");
    let health = health_of(&app, Platform::Instagram).await;
    assert_eq!(health["state"], "CLOSED", "{health}");
    assert!(health["lastFailure"].is_string(), "{health}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_in_trouble_is_left_alone_and_everything_stays_until_it_recovers() {
    let (app, fake) = world().await;
    let code = connect(&app, Platform::Youtube, "UC1").await["verificationCode"].as_str().unwrap().to_owned();
    fake.feel(Mood::Fine(code.clone()));
    assert_eq!(connect(&app, Platform::Youtube, "UC1").await["verified"], true);
    let health = health_of(&app, Platform::Youtube).await;
    assert_eq!((&health["state"], &health["lastFailureAt"]), (&json!("CLOSED"), &json!(null)), "{health}");

    fake.feel(Mood::Failing);
    let before = fake.asked_count();
    assert_eq!(connect(&app, Platform::Youtube, "UC1").await["verified"], true, "what was known stands");
    assert_eq!(fake.asked_count() - before, 3, "it is tried three times");
    connect(&app, Platform::Youtube, "UC1").await;
    assert_eq!(fake.asked_count() - before, 5, "after five failures in a row it is left alone");
    let health = health_of(&app, Platform::Youtube).await;
    assert_eq!(
        (&health["state"], &health["lastFailure"]),
        (&json!("OPEN"), &json!("it cannot answer now")),
        "{health}"
    );
    for _ in 0..3 {
        connect(&app, Platform::Youtube, "UC1").await;
    }
    app.advance(TimeDelta::hours(25));
    app.advance(TimeDelta::hours(-25));
    assert_eq!(fake.asked_count() - before, 5, "nobody asks");
    let url = format!("{}/metrics", app.serve().await);
    let metrics = app.client.get(url).bearer_auth(&app.key).send().await.unwrap().text().await.unwrap();
    for line in [
        r#"grapevine_platform_breaker{platform="YOUTUBE"} 2"#,
        r#"grapevine_platform_breaker{platform="TIKTOK"} 0"#,
        r#"grapevine_platform_calls_total{platform="YOUTUBE",outcome="failed"} 2"#,
        r#"grapevine_platform_calls_total{platform="YOUTUBE",outcome="spared"} 3"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }

    // One call on trial; it fails, and the wait is longer.
    app.advance(TimeDelta::seconds(15));
    connect(&app, Platform::Youtube, "UC1").await;
    assert_eq!(fake.asked_count() - before, 6);
    app.advance(TimeDelta::seconds(29));
    connect(&app, Platform::Youtube, "UC1").await;
    assert_eq!(fake.asked_count() - before, 6);
    // It answers again: the next trial closes it, and the worker catches up.
    fake.feel(Mood::Fine(code));
    app.advance(TimeDelta::hours(25));
    assert_eq!(ask_platforms(&app).await.unwrap(), 1);
    let health = health_of(&app, Platform::Youtube).await;
    assert_eq!(
        (&health["state"], &health["lastSuccessAt"]),
        (&json!("CLOSED"), &json!(app.now().to_rfc3339())),
        "{health}"
    );
    assert_eq!(ask_platforms(&app).await.unwrap(), 0, "what was heard today is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stalls_refuses_or_changes_its_shape_is_told_by_name_and_harms_nothing() {
    for (mood, tries, failure) in [
        (Mood::Stalling, 3, "it did not answer in time, or not at all"),
        (Mood::Refusing, 1, "it does not let us ask: the credentials are wrong, or they lack a permission"),
        (Mood::Changed, 1, "its answer is not as this adapter knows it"),
    ] {
        let (app, fake) = world().await;
        for platform in [Platform::Youtube, Platform::Instagram, Platform::Tiktok] {
            fake.feel(Mood::Fine(String::new()));
            let code = connect(&app, platform, "UC1").await["verificationCode"].as_str().unwrap().to_owned();
            fake.feel(Mood::Fine(code));
            let known = connect(&app, platform, "UC1").await;
            assert_eq!(known["verified"], true, "{platform:?} {mood:?}");
            fake.feel(mood.clone());
            let before = fake.asked_count();
            assert_eq!(connect(&app, platform, "UC1").await, known, "{platform:?} {mood:?}");
            assert_eq!(fake.asked_count() - before, tries, "{platform:?} {mood:?}");
            let health = health_of(&app, platform).await;
            assert_eq!(health["lastFailure"], failure, "{platform:?} {mood:?}: {health}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_without_credentials_is_never_asked() {
    let fake = Fake::open().await;
    let mut settings = fake.settings();
    settings.youtube_api_key = None;
    let app = TestApp::start_with(settings).await;
    furnish(&app).await;
    let account = connect(&app, Platform::Youtube, "UC1").await;
    assert_eq!((&account["verified"], &account["checkedAt"]), (&json!(false), &json!(null)));
    connect(&app, Platform::Shopify, "acme").await;
    assert_eq!(ask_platforms(&app).await.unwrap(), 0);
    assert_eq!(fake.asked_count(), 0);
    assert_eq!(health_of(&app, Platform::Youtube).await["state"], json!(null), "it was never asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_asked_for_granted_and_renewed_before_it_ends() {
    let (app, fake) = world().await;
    let source = app.source_of(Scheme::Youtube, None).await;
    assert_eq!(ask_platforms(&app).await.unwrap(), 0, "nobody has connected a channel");
    connect(&app, Platform::Youtube, "UC1").await;
    ask_platforms(&app).await.unwrap();
    let asked = fake.take_subscriptions();
    let form: std::collections::BTreeMap<String, String> =
        form_urlencoded::parse(asked[0].as_bytes()).into_owned().collect();
    assert_eq!((asked.len(), form["hub.mode"].as_str()), (1, "subscribe"));
    assert_eq!(form["hub.topic"], "https://www.youtube.com/xml/feeds/videos.xml?channel_id=UC1");

    // The hub asks back at the address that it was given, and posts with the secret that it was given.
    let base = app.serve().await;
    assert_eq!(form["hub.callback"], format!("{base}/webhooks/{}", source.slug));
    let query = [
        ("hub.mode", "subscribe"),
        ("hub.topic", &form["hub.topic"]),
        ("hub.challenge", "c"),
        ("hub.lease_seconds", "432000"),
    ];
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let shaken = app.client.get(format!("{}?{query}", form["hub.callback"])).send().await.unwrap();
    assert_eq!((shaken.status().as_u16(), shaken.text().await.unwrap().as_str()), (200, "c"));
    let case: Value = serde_json::from_str(include_str!("../../fixtures/platforms/youtube/video.json")).unwrap();
    let atom = case["text"].as_str().unwrap().to_owned();
    let signed = sign(Scheme::Youtube, form["hub.secret"].as_bytes(), "", app.now(), atom.as_bytes());
    let request = signed
        .into_iter()
        .fold(app.client.post(&form["hub.callback"]), |request, (name, value)| request.header(name, value));
    assert_eq!(request.body(atom).send().await.unwrap().status().as_u16(), 200);
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from events where event_type = 'post' and state = 'ACCEPTED'").await, 1);

    app.advance(TimeDelta::days(4) - TimeDelta::minutes(1));
    ask_platforms(&app).await.unwrap();
    assert_eq!(fake.take_subscriptions().len(), 0, "there is a day left");
    app.advance(TimeDelta::minutes(2));
    ask_platforms(&app).await.unwrap();
    assert_eq!(fake.take_subscriptions().len(), 1, "renewed before it ends");
    ask_platforms(&app).await.unwrap();
    assert_eq!(fake.take_subscriptions().len(), 0, "the hub is given time to answer");
    app.advance(TimeDelta::minutes(61));
    ask_platforms(&app).await.unwrap();
    assert_eq!(fake.take_subscriptions().len(), 1, "and is asked again where it does not");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_is_told_to_the_hub_at_once_and_is_one_that_it_takes() {
    let (app, fake) = world().await;
    let source = app.source_of(Scheme::Youtube, None).await;
    connect(&app, Platform::Youtube, "UC1").await;
    let base = app.serve().await;
    let secret_asked = async || {
        ask_platforms(&app).await.unwrap();
        let asked = fake.take_subscriptions();
        let forms = asked.iter().map(|form| form_urlencoded::parse(form.as_bytes()).into_owned().collect::<Vec<_>>());
        let secrets = forms.flatten().filter(|(name, _)| name == "hub.secret").map(|(_, secret)| secret);
        secrets.collect::<Vec<String>>()
    };
    assert_eq!(secret_asked().await, std::slice::from_ref(&source.secret));
    let topic = grapevine::platforms::youtube_topic("UC1");
    let query =
        [("hub.mode", "subscribe"), ("hub.topic", &topic), ("hub.challenge", "c"), ("hub.lease_seconds", "432000")];
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let shaken = app.client.get(format!("{base}/webhooks/{}?{query}", source.slug)).send().await.unwrap();
    assert_eq!(shaken.status().as_u16(), 200);
    app.advance(TimeDelta::minutes(61));
    assert!(secret_asked().await.is_empty(), "there are days left");

    let listed = app.data("{ webhookSources { nodes { id } } }", json!({})).await;
    let id = &listed["webhookSources"]["nodes"][0]["id"];
    let rotate = "mutation($input: RotateWebhookSecretInput!) { rotateWebhookSecret(input: $input) { secret userErrors { path } } }";
    let long = app.data(rotate, json!({"input": {"sourceId": id, "secret": "x".repeat(200)}})).await;
    assert_eq!(
        long["rotateWebhookSecret"]["userErrors"],
        json!([{"path": ["secret"]}]),
        "the hub would not take it: {long}"
    );
    let rotated = app.data(rotate, json!({"input": {"sourceId": id, "overlapSeconds": 0}})).await;
    let secret = rotated["rotateWebhookSecret"]["secret"].as_str().unwrap().to_owned();
    assert_eq!(secret_asked().await, [secret]);
    assert!(secret_asked().await.is_empty(), "the hub is given time to answer");
}

/// It is the worker that asks, and another process that is asked how that goes.
#[tokio::test(flavor = "multi_thread")]
async fn the_metric_of_a_breaker_is_that_of_whoever_asks() {
    let (app, fake) = world().await;
    let settings = grapevine::config::Settings { platforms: fake.settings(), ..app.settings.clone() };
    let worker = grapevine::app::App::new(settings, app.env.clone()).unwrap();
    connect(&app, Platform::Youtube, "UC1").await;
    app.advance(TimeDelta::hours(25));
    fake.feel(Mood::Failing);
    for _ in 0..2 {
        ask_platforms(&worker).await.unwrap();
        app.advance(TimeDelta::minutes(61));
    }
    let url = format!("{}/metrics", app.serve().await);
    let metrics = app.client.get(url).bearer_auth(&app.key).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"grapevine_platform_breaker{platform="YOUTUBE"} 2"#), "{metrics}");
    assert_eq!(health_of(&app, Platform::Youtube).await["state"], "OPEN");
}
