//! A small brand with a history that came through the real door and the real worker.

use chrono::TimeDelta;
use grapevine::ingest::Origin;
use grapevine::platforms::{Scheme, parse};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::TestApp;

/// One campaign that pays, six creators, and a link of each.
const SETTING: &str = "
    insert into creators (brand_id, id, handle, display_name, status, created_at)
    select id, ('00000000-0000-0000-0000-0000000000c' || n)::uuid, 'creator' || n, 'Creator', 'ACTIVE', created_at + make_interval(secs => n)
    from brands, generate_series(1, 6) n;
    insert into campaigns (brand_id, id, slug, name, objective, status, currency, policy_version, budget_minor, created_at)
    select id, '00000000-0000-0000-0000-0000000000a1', 'launch', 'Launch', 'CONVERSION', 'ACTIVE', 'USD', 1, 1000000, created_at from brands;
    insert into campaign_policies (brand_id, campaign_id, version, attribution, reward, fraud, created_at)
    select id, '00000000-0000-0000-0000-0000000000a1', 1,
           '{\"model\": \"LINEAR\", \"lookback_hours\": 168, \"last_touch_weight_ppm\": 600000, \"half_life_hours\": 168, \"is_cross_device\": true}',
           '{\"kind\": \"CREDIT\", \"activation_threshold\": 1, \"referee_minor\": 100, \"per_member_per_day_max\": null, \"escrow_days\": 3,
             \"tiers\": [{\"degree\": 1, \"amount_minor\": 500, \"share_ppm\": 100000}]}',
           '{\"velocity_per_hour\": 1000, \"referrals_per_window\": 10, \"window_hours\": 24, \"ip_correlation_limit\": 5,
             \"block_score_ppm\": 500000, \"review_score_ppm\": 300000, \"signals\": [], \"model\": null}', created_at
    from brands;
    insert into links (brand_id, id, token, campaign_id, creator_id, platform, destination_url, utm_source, utm_medium, utm_campaign, created_at)
    select id, ('00000000-0000-0000-0000-0000000000b' || n)::uuid, 'link-' || n, '00000000-0000-0000-0000-0000000000a1',
           ('00000000-0000-0000-0000-0000000000c' || n)::uuid, 'WEB', 'https://acme.example/', 's', 'm', 'c', created_at
    from brands, generate_series(1, 6) n;
";

/// An app with the setting and no events yet.
pub async fn setting() -> TestApp {
    let app = TestApp::start().await;
    furnish(&app).await;
    app
}

/// Puts the setting into an app.
pub async fn furnish(app: &TestApp) {
    app.execute(SETTING).await;
    let amount = grapevine::base::Money::new(1_000_000, "USD".parse().unwrap());
    let campaign = Uuid::from_u128(0xa1);
    let mut conn = app.db.conn().await.unwrap();
    grapevine::ledger::fund_campaign(&mut conn, &app.scope, &app.env, campaign, amount, campaign).await.unwrap();
}

/// Sends events through the door and lets the worker process them.
pub async fn tell(app: &TestApp, events: Vec<Value>) {
    let items = parse(Scheme::Generic, Value::Array(events).to_string().as_bytes()).items;
    let receipts = app.door.accept(&Origin::first_party(app.scope.clone()), items).await.unwrap();
    assert!(receipts.iter().all(|receipt| receipt.code.is_none()), "{receipts:?}");
    app.drain().await;
}

/// A moment some minutes from now.
pub fn at(app: &TestApp, minutes: i64) -> String {
    (app.now() + TimeDelta::minutes(minutes)).to_rfc3339()
}

/// Ann touches the link of every creator, joins, invites Bob, and buys ten times; Bob becomes active.
pub async fn story(app: &TestApp) {
    let mut events: Vec<Value> = (1..=6)
        .map(|n| json!({"event_type": "click", "link_token": format!("link-{n}"), "anonymous_id": "phone", "timestamp": at(app, -90 + n)}))
        .collect();
    events.push(json!({"event_type": "signup", "user_id": "ann", "anonymous_id": "phone", "timestamp": at(app, -80)}));
    events
        .push(json!({"event_type": "signup", "user_id": "bob", "referrer_user_id": "ann", "timestamp": at(app, -70)}));
    events.push(json!({"event_type": "activation", "user_id": "bob", "timestamp": at(app, -60)}));
    let sale = |n: i64| json!({"event_type": "conversion", "user_id": "ann", "order_id": format!("o{n}"), "conversion_value": "10.01", "timestamp": at(app, -50 + n)});
    events.extend((1..=10).map(sale));
    tell(app, events).await;
}

/// The values at a path of keys in every element of a list.
pub fn pluck<'a>(list: &'a Value, pointer: &str) -> Vec<&'a Value> {
    list.as_array().unwrap().iter().map(|one| one.pointer(pointer).unwrap_or(&Value::Null)).collect()
}
