//! Each platform through its real handshake, signature, retry and replay: signed by others, posted over HTTP, worked to its effect.

use chrono::TimeDelta;
use grapevine::base::Kind;
use grapevine::platforms::{Scheme, key_of, sign as sign_ours, youtube_topic};
use serde_json::{Value, json};
use uuid::Uuid;

use super::signers::{Headers, is_taken, sign};
use crate::flows::pipeline::{at, furnish, send};
use crate::support::{TestApp, TestSource};

const EVENTS: &str =
    "query($filter: EventFilter) { events(filter: $filter) { nodes { id state code source { name } } } }";
const REPLAY: &str = "mutation { replayEvents(input: {reason: \"It can be used now.\"}) { replay { queued quarantined } userErrors { message } } }";

/// How one platform is walked through.
struct Walk {
    scheme: Scheme,
    /// A case that is understood, and the headers that say what it is.
    known: &'static str,
    /// The same thing told anew: the platform tries again, and writes the body a little differently where it does.
    again: fn(&str) -> String,
    /// A case that is not understood, and its code.
    unknown: (&'static str, &'static str),
    /// What the known one does: a count that is 0 before and 1 after it.
    effect: &'static str,
    /// What makes the known one usable after it was not.
    mend: &'static str,
}

fn same(body: &str) -> String {
    body.to_owned()
}

const NAMES: &str = "update creators set handle = 'zoe'; update links set token = 'zoe-link'";
const CONVERSIONS: &str = "select count(*) from conversions";

fn walks() -> Vec<Walk> {
    let account = |platform: &str, id: &str| -> &'static str {
        let insert = "insert into platform_accounts (brand_id, id, creator_id, platform, external_id, created_at)
             select brand_id, gen_random_uuid(), id";
        format!("{insert}, '{platform}', '{id}', created_at from creators").leak()
    };
    let posts = "select count(*) from events where event_type = 'post' and state = 'ACCEPTED' and payload ->> 'creator_id' is not null";
    let touches = "select count(*) from touchpoints where link_id is not null";
    vec![
        Walk {
            scheme: Scheme::Stripe,
            known: "checkout_metadata",
            // Stripe counts in the body how many endpoints it still waits for.
            again: |body| body.replace("\"pending_webhooks\":1", "\"pending_webhooks\":0"),
            unknown: ("kind_unknown", "UNKNOWN_KIND"),
            effect: CONVERSIONS,
            mend: NAMES,
        },
        Walk {
            scheme: Scheme::Shopify,
            known: "paid",
            again: same,
            unknown: ("version_unknown", "UNKNOWN_VERSION"),
            effect: CONVERSIONS,
            mend: NAMES,
        },
        Walk {
            scheme: Scheme::Meta,
            known: "referral",
            again: same,
            unknown: ("message_unknown", "UNKNOWN_KIND"),
            effect: touches,
            mend: NAMES,
        },
        Walk {
            scheme: Scheme::Tiktok,
            known: "public",
            again: same,
            unknown: ("event_unknown", "UNKNOWN_KIND"),
            effect: posts,
            mend: account("TIKTOK", "act.example12345"),
        },
        Walk {
            scheme: Scheme::Youtube,
            known: "video",
            again: same,
            unknown: ("namespace_unknown", "UNKNOWN_VERSION"),
            effect: posts,
            mend: account("YOUTUBE", "UC1"),
        },
        Walk {
            scheme: Scheme::Branch,
            known: "install",
            again: same,
            unknown: ("custom", "UNKNOWN_KIND"),
            effect: touches,
            mend: NAMES,
        },
        Walk {
            scheme: Scheme::Appsflyer,
            known: "purchase",
            again: same,
            unknown: ("custom", "UNKNOWN_KIND"),
            effect: CONVERSIONS,
            mend: NAMES,
        },
    ]
}

/// A golden case as it is posted, with identifiers of this test's world.
fn case(scheme: Scheme, name: &str) -> (Headers, String) {
    let path = format!("tests/fixtures/platforms/{}/{name}.json", scheme.as_str().to_lowercase());
    let case: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let body = case["text"].as_str().map_or_else(|| case["payload"].to_string(), str::to_owned);
    let body = body.replace("event_01", &Kind::Event.id(Uuid::from_u128(1))).replace("tok-1", "zoe-link");
    let body = body.replace("\"tok\"", "\"zoe-link\"");
    let headers = case["headers"].as_object().cloned().unwrap_or_default();
    (headers.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect(), body)
}

/// An address as the platform knows it: Branch has its token in it.
async fn address(app: &TestApp, scheme: Scheme, source: &TestSource) -> String {
    let query = if scheme == Scheme::Branch { format!("?token={}", source.secret) } else { String::new() };
    format!("{}/webhooks/{}{query}", app.serve().await, source.slug)
}

async fn post(app: &TestApp, url: &str, headers: &Headers, body: &str) -> (u16, Value) {
    let request = headers.iter().fold(app.client.post(url), |request, (name, value)| request.header(name, value));
    let response = request.body(body.to_owned()).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

/// Signs as the platform does and posts, and returns what became of it.
async fn deliver(app: &TestApp, scheme: Scheme, source: &TestSource, kind: &Headers, body: &str) -> (u16, Value) {
    let mut headers = sign(scheme, &source.secret, app.now().timestamp(), body).await;
    headers.extend(kind.iter().cloned());
    post(app, &address(app, scheme, source).await, &headers, body).await
}

async fn world() -> TestApp {
    let app = TestApp::start().await;
    furnish(&app).await;
    // Nothing that the platforms name is there yet.
    app.execute("update creators set handle = 'nobody'; update links set token = 'other'").await;
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn every_platform_is_walked_from_its_handshake_to_its_effect() {
    for walk in walks() {
        let app = world().await;
        let source = app.source_of(walk.scheme, None).await;
        let (kind, body) = case(walk.scheme, walk.known);
        let name = format!("{:?}", walk.scheme);

        // Who cannot prove it is refused, whatever it says.
        let url = format!("{}/webhooks/{}", app.serve().await, source.slug);
        assert_eq!(post(&app, &url, &kind, &body).await.0, 401, "{name} without a proof");
        let stranger = TestSource { slug: source.slug.clone(), secret: "x".repeat(64) };
        assert_eq!(deliver(&app, walk.scheme, &stranger, &kind, &body).await.0, 401, "{name} by a stranger");
        assert_eq!(app.sql_count("select count(*) from events").await, 0, "{name}");

        // What names nobody whom we know is kept, and works when it does; the platform's own retries add nothing.
        let (status, first) = deliver(&app, walk.scheme, &source, &kind, &body).await;
        assert_eq!((status, &first["status"]), (200, &json!("quarantined")), "{name}: {first}");
        app.drain().await;
        assert_eq!(app.sql_count(walk.effect).await, 0, "{name}");
        app.advance(TimeDelta::minutes(7));
        let retried = deliver(&app, walk.scheme, &source, &kind, &(walk.again)(&body)).await;
        assert_eq!(retried, (200, json!({"status": "duplicate", "event_id": first["event_id"]})), "{name} tried again");

        app.execute(walk.mend).await;
        let answer = app.data(REPLAY, json!({})).await;
        assert_eq!(answer["replayEvents"]["replay"], json!({"queued": 1, "quarantined": 0}), "{name}");
        app.drain().await;
        assert_eq!(app.sql_count(walk.effect).await, 1, "{name} after the replay");
        let retried = deliver(&app, walk.scheme, &source, &kind, &body).await;
        assert_eq!(retried.0, 200, "{name} tried after the replay");
        app.drain().await;
        assert_eq!(app.sql_count(walk.effect).await, 1, "{name} counts once");

        // What this adapter does not know is kept with its reason, once.
        let (kind, body) = case(walk.scheme, walk.unknown.0);
        let (status, unknown) = deliver(&app, walk.scheme, &source, &kind, &body).await;
        assert_eq!((status, &unknown["code"]), (200, &json!(walk.unknown.1)), "{name}: {unknown}");
        assert_eq!(deliver(&app, walk.scheme, &source, &kind, &body).await.0, 200, "{name}: the unknown one again");
        let listed = app.data(EVENTS, json!({"filter": {"code": walk.unknown.1}})).await;
        assert_eq!(listed["events"]["nodes"][0]["id"], unknown["event_id"], "{name}");
        assert_eq!(listed["events"]["nodes"].as_array().unwrap().len(), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn official_packages_take_what_we_sign() {
    let app = TestApp::start().await;
    let now = app.now().timestamp();
    for (scheme, name) in [(Scheme::Stripe, "charge"), (Scheme::Shopify, "paid")] {
        let secret = "a secret of 32 bytes or a few mor".replace(' ', "_");
        let (kind, body) = case(scheme, name);
        let key = key_of(scheme, &secret).unwrap();
        let mut headers: serde_json::Map<String, Value> =
            kind.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        for (name, value) in sign_ours(scheme, &key, "delivery-1", app.now(), body.as_bytes()) {
            headers.insert(name.to_owned(), Value::String(value));
        }
        let headers = Value::Object(headers);
        assert!(is_taken(scheme, &secret, now, &headers, &body).await, "{scheme:?}");
        assert!(!is_taken(scheme, &secret, now, &headers, &format!("{body} ")).await, "{scheme:?}");
    }
}

#[tokio::test]
async fn meta_is_agreed_with_by_the_word_that_its_source_shows() {
    let app = TestApp::start().await;
    let create =
        "mutation { createWebhookSource(input: {name: \"ig\", scheme: META, secret: \"0123456789abcdef0123\"}) {
        source { id url scheme verifyToken schemaVersion } userErrors { message } } }";
    app.serve().await;
    let made = app.data(create, json!({})).await["createWebhookSource"]["source"].take();
    let (url, word) = (made["url"].as_str().unwrap(), made["verifyToken"].as_str().unwrap());
    let ask = async |url: &str, query: &str| {
        let response = app.client.get(format!("{url}?{query}")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let good = format!("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={word}");
    assert_eq!(ask(url, &good).await, (200, "1158201444".to_owned()));
    for bad in [
        format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={}", word.to_uppercase()),
        "hub.mode=subscribe&hub.challenge=1".to_owned(),
        format!("hub.mode=unsubscribe&hub.challenge=1&hub.verify_token={word}"),
    ] {
        assert_eq!(ask(url, &bad).await.0, 404, "{bad}");
    }
    assert_eq!(ask(&format!("{}/webhooks/{}", app.serve().await, "0".repeat(32)), &good).await.0, 404);
    assert_eq!(ask(url, "").await.0, 405, "there is nothing to read");
    let other = app.source_of(Scheme::Stripe, None).await;
    assert_eq!(
        ask(&format!("{}/webhooks/{}", app.serve().await, other.slug), &good).await.0,
        404,
        "Stripe shakes no hands"
    );
}

#[tokio::test]
async fn a_hub_is_granted_a_lease_for_channels_of_our_creators_only() {
    let app = world().await;
    let source = app.source_of(Scheme::Youtube, None).await;
    let base = app.serve().await;
    let ask = async |mode: &str, topic: &str, lease: &str| {
        let query = [("hub.mode", mode), ("hub.topic", topic), ("hub.challenge", "c1"), ("hub.lease_seconds", lease)];
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let response = app.client.get(format!("{base}/webhooks/{}?{query}", source.slug)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let topic = youtube_topic("UC1");
    assert_eq!(ask("subscribe", &topic, "432000").await.0, 404, "nobody has connected it");
    let connect = walks().into_iter().find(|walk| walk.scheme == Scheme::Youtube).unwrap().mend;
    app.execute(connect).await;
    assert_eq!(ask("subscribe", &topic, "432000").await, (200, "c1".to_owned()));
    let lease = "select count(*) from channel_watches where channel_id = 'UC1' and expires_at = timestamptz '2026-08-20 12:00:00Z'";
    assert_eq!(app.sql_count(lease).await, 1);
    app.advance(TimeDelta::days(1));
    assert_eq!(ask("subscribe", &topic, "432000").await.0, 200, "renewed");
    let lease = "select count(*) from channel_watches where channel_id = 'UC1' and expires_at = timestamptz '2026-08-21 12:00:00Z'";
    assert_eq!(app.sql_count(lease).await, 1);
    assert_eq!(ask("unsubscribe", &topic, "432000").await.0, 404, "we did not ask for that");
    assert_eq!(ask("subscribe", &youtube_topic("UC2"), "432000").await.0, 404);
    assert_eq!(ask("subscribe", "https://www.youtube.com/", "432000").await.0, 404);
}

/// The moment that a platform signs keeps old requests out; where it signs none, what was taken once is not taken twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_caught_on_its_way_counts_no_second_time() {
    let app = world().await;
    app.execute(NAMES).await;
    let source = app.source_of(Scheme::Shopify, None).await;
    let (kind, body) = case(Scheme::Shopify, "paid");
    let mut once = kind.clone();
    once.push(("x-shopify-webhook-id".to_owned(), "w1".to_owned()));
    let (status, first) = deliver(&app, Scheme::Shopify, &source, &once, &body).await;
    assert_eq!((status, &first["status"]), (200, &json!("queued")), "{first}");
    let mut twice = kind;
    twice.push(("x-shopify-webhook-id".to_owned(), "w2".to_owned()));
    let caught = deliver(&app, Scheme::Shopify, &source, &twice, &body).await;
    assert_eq!(caught, (200, json!({"status": "duplicate", "event_id": first["event_id"]})), "the name is not signed");

    let source = app.source_of(Scheme::Tiktok, None).await;
    let (_, body) = case(Scheme::Tiktok, "public");
    let headers = sign(Scheme::Tiktok, &source.secret, app.now().timestamp(), &body).await;
    app.advance(TimeDelta::seconds(301));
    assert_eq!(post(&app, &address(&app, Scheme::Tiktok, &source).await, &headers, &body).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_stripe_tells_three_times_is_one_and_its_refunds_are_exact() {
    let app = world().await;
    let source = app.source_of(Scheme::Stripe, None).await;
    let tell = async |name: &str, id: &str| {
        let (_, body) = case(Scheme::Stripe, name);
        let answer = deliver(&app, Scheme::Stripe, &source, &Vec::new(), &body.replace("evt_1PgX2aJ8", id)).await;
        assert_eq!((answer.0, &answer.1["status"]), (200, &json!("queued")), "{name}: {}", answer.1);
    };
    for (name, id) in [("charge", "evt_1"), ("checkout", "evt_2"), ("intent", "evt_3")] {
        tell(name, id).await;
    }
    app.drain().await;
    assert_eq!(
        app.sql_count("select count(*) from conversions where amount_minor = 4999 and order_id = 'pi_3Pg'").await,
        1
    );
    assert_eq!(app.sql_count(CONVERSIONS).await, 1);
    assert_eq!(app.sql_count("select count(*) from events where code = 'DUPLICATE_ORDER'").await, 2);
    for (name, id) in [("refund_part", "evt_4"), ("refund_second_part", "evt_5"), ("refund_full", "evt_6")] {
        tell(name, id).await;
    }
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from conversions where refunded_minor = 4999").await, 1);
    tell("dispute_lost", "evt_7").await;
    app.drain().await;
    assert_eq!(app.sql_count("select count(*) from events where code = 'REFUND_EXCEEDS_ORDER'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_dispute_takes_what_a_refund_left() {
    let app = world().await;
    let source = app.source_of(Scheme::Stripe, None).await;
    for (name, id) in [("charge", "evt_1"), ("refund_part", "evt_2"), ("dispute_lost", "evt_3")] {
        let (_, body) = case(Scheme::Stripe, name);
        deliver(&app, Scheme::Stripe, &source, &Vec::new(), &body.replace("evt_1PgX2aJ8", id)).await;
        app.drain().await;
    }
    assert_eq!(app.sql_count("select count(*) from conversions where refunded_minor = 4999").await, 1);
    assert_eq!(app.sql_count("select sum(amount_minor)::int8 as count from refunds").await, 4999);
    assert_eq!(app.sql_count("select count(*) from events where code is not null").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_sold_by_its_charge_credited_by_its_checkout_and_refunded() {
    let app = world().await;
    app.execute(NAMES).await;
    let source = app.source_of(Scheme::Stripe, None).await;
    let names = ["charge", "checkout_subscription_led", "intent", "refund_part", "refund_second_part", "refund_full"];
    let credited = "select count(*) from attribution_records where superseded_at is null";
    for (number, name) in names.into_iter().enumerate() {
        let (_, body) = case(Scheme::Stripe, name);
        let body = body.replace("evt_1PgX2aJ8", &format!("evt_{number}"));
        let (_, answer) = deliver(&app, Scheme::Stripe, &source, &Vec::new(), &body).await;
        assert_eq!(answer["status"], "queued", "{name}: {answer}");
        app.drain().await;
        match name {
            "charge" => assert_eq!(app.sql_count(credited).await, 0, "nobody is known yet who led to it"),
            "intent" => assert_eq!(app.sql_count(credited).await, 1, "the link led to the charge"),
            _ => {}
        }
    }
    assert_eq!(app.sql_count(CONVERSIONS).await, 1);
    let whole =
        "select count(*) from conversions where order_id = 'pi_3Pg' and amount_minor = 4999 and refunded_minor = 4999";
    assert_eq!(app.sql_count(whole).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_is_only_held_is_no_sale_until_it_is_taken() {
    let app = world().await;
    let source = app.source_of(Scheme::Stripe, None).await;
    for (name, id, count) in [("charge_held", "evt_1", 0), ("refund_held", "evt_2", 0), ("charge_captured", "evt_3", 1)]
    {
        let (_, body) = case(Scheme::Stripe, name);
        let (status, answer) =
            deliver(&app, Scheme::Stripe, &source, &Vec::new(), &body.replace("evt_1PgX2aJ8", id)).await;
        assert!(status < 300, "{name}: {answer}");
        app.drain().await;
        assert_eq!(app.sql_count(CONVERSIONS).await, count, "{name}");
    }
    assert_eq!(app.sql_count("select count(*) from conversions where amount_minor = 2500").await, 1);
    assert_eq!(app.sql_count("select count(*) from refunds").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_foreign_buyer_gets_back_takes_the_commission_back() {
    let app = world().await;
    app.execute(NAMES).await;
    let source = app.source_of(Scheme::Shopify, None).await;
    // The buyer came by the creator's link: what the sale says of itself counts only where a policy wants that.
    let click = json!([{"event_type": "click", "anonymous_id": "shopify:115310627314723954", "link_token": "zoe-link",
        "timestamp": at(&app, -60)}]);
    send(&app, click).await;
    for (name, days) in [("paid", 0), ("refund_abroad", 2)] {
        app.advance(TimeDelta::days(days));
        let (kind, body) = case(Scheme::Shopify, name);
        let body = body.replace("398.00", "3.98").replace("361.00", "3.61");
        let (_, answer) = deliver(&app, Scheme::Shopify, &source, &kind, &body).await;
        assert_eq!(answer["status"], "queued", "{name}: {answer}");
        app.drain().await;
    }
    let refunded =
        "select count(*) from conversions where amount_minor = 398 and currency = 'USD' and refunded_minor = 398";
    assert_eq!(app.sql_count(refunded).await, 1);
    let reversed =
        "select count(*) from rewards where kind = 'COMMISSION' and amount_minor = 39 and reversed_minor = 39";
    assert_eq!(app.sql_count(reversed).await, 1);
}
