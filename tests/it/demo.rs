//! The demo brand: a lively one, the same for the same seed, and left alone once it is there.

use grapevine::demo::{DemoOptions, DemoSummary, load};

use crate::support::TestApp;

async fn small(app: &TestApp) -> DemoSummary {
    let started = std::time::Instant::now();
    let members = std::env::var("GRAPEVINE_DEMO_MEMBERS").map_or(300, |text| text.parse().unwrap());
    let summary = load(app, &DemoOptions { members, seed: 7 }, &|_| ()).await.unwrap();
    eprintln!("{summary:?} in {:?}", started.elapsed());
    summary
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_every_part_of_the_loop() {
    let app = TestApp::start().await;
    let summary = small(&app).await;
    assert_eq!((summary.creators, summary.campaigns), (20, 6));
    assert!(summary.members >= 300 && summary.conversions > 100 && summary.touchpoints > 500, "{summary:?}");
    assert!(summary.rewards > 50 && summary.alerts >= 3, "{summary:?}");
    assert_eq!(app.sql_count("select count(*) from events where state <> 'ACCEPTED'").await, 0);
    assert!(app.sql_count("select max(depth)::int8 as count from members").await >= 3);
    assert!(app.sql_count("select count(*) from attribution_records where superseded_at is null").await > 50);
    for signal in ["BOT_USER_AGENT", "SELF_REFERRAL", "REFERRAL_VELOCITY"] {
        let text = format!("select count(*) from fraud_alerts where signals @? '$[*] ? (@.name == \"{signal}\")'");
        assert!(app.sql_count(String::leak(text)).await > 0, "no alert tells of {signal}");
    }

    let again = small(&app).await;
    assert_eq!(again, DemoSummary { key: None, ..summary });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_tells_the_same_story() {
    let (one, other) = tokio::join!(TestApp::start(), TestApp::start());
    let (one, other) = tokio::join!(small(&one), small(&other));
    assert_eq!(DemoSummary { key: None, ..one }, DemoSummary { key: None, ..other });
}
