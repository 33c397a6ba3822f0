//! F16: the whole inbox again, through the door of an empty database, in another order that keeps what caused what, and then once
//! more: the books come out the same.

use grapevine::ingest::{Origin, ReceiptStatus};
use grapevine::platforms::{Scheme, parse};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::stand::endow;
use super::{random_below, sized, tell};
use crate::flows::pipeline::{at, furnish};
use crate::support::TestApp;

/// Who has how much in which account, and what each was rewarded for, by the names that the brand knows them under. What is left, not what
/// was moved: a refund that is known at once moves less than one that comes later.
const BOOKS: &str = "
    select concat_ws(' ', 'account', a.bucket, coalesce(m.external_id, c.handle, p.slug), a.currency, a.credit_minor - a.debit_minor) as text
    from ledger_accounts a left join members m on m.id = a.owner_id left join creators c on c.id = a.owner_id left join campaigns p on p.id = a.owner_id
    union all
    select concat_ws(' ', 'reward', r.kind, r.degree, coalesce(b.external_id, c.handle), f.external_id, v.order_id, sum(r.amount_minor - r.reversed_minor))
    from rewards r left join members b on b.id = r.beneficiary_member_id left join creators c on c.id = r.beneficiary_creator_id
    left join members f on f.id = r.referee_id left join conversions v on v.id = r.conversion_id
    group by r.kind, r.degree, b.external_id, c.handle, f.external_id, v.order_id
    order by text";

/// What happened to two members and a passer-by, in the order in which it happened.
fn story(app: &TestApp, number: u64) -> Vec<Value> {
    let (ann, bob, shopper) = (format!("ann{number}"), format!("bob{number}"), format!("shopper{number}"));
    let address = format!("10.2.{}.{}", number >> 8 & 255, number & 255);
    let mut events = vec![
        json!({"event_type": "signup", "user_id": ann, "campaign": "launch"}),
        json!({"event_type": "click", "link_token": "zoe-link", "anonymous_id": shopper, "ip": address, "user_agent": "Mozilla/5.0 Firefox/140.0"}),
        json!({"event_type": "signup", "user_id": bob, "referrer_user_id": ann}),
        json!({"event_type": "activation", "user_id": bob}),
        json!({"event_type": "conversion", "anonymous_id": shopper, "order_id": format!("o{number}"), "conversion_value": "33.33"}),
        json!({"event_type": "activation", "user_id": bob}),
        json!({"event_type": "conversion", "user_id": bob, "order_id": format!("p{number}"), "conversion_value": "7.00"}),
        json!({"event_type": "refund", "order_id": format!("o{number}"), "conversion_value": "11.11"}),
    ];
    for (place, event) in events.iter_mut().enumerate() {
        event["event_id"] = json!(format!("{number}-{place}"));
        event["timestamp"] = json!(at(app, -60 + i64::try_from(place).unwrap()));
    }
    events
}

/// The stories laid into each other at random, each in its own order.
fn interleaved(mut stories: Vec<Vec<Value>>) -> Vec<Value> {
    stories.iter_mut().for_each(|story| story.reverse());
    let mut all = Vec::new();
    while !stories.is_empty() {
        let pick = usize::try_from(random_below(stories.len() as u64)).unwrap();
        all.extend(stories[pick].pop());
        stories.retain(|story| !story.is_empty());
    }
    all
}

/// Sends everything in groups of any size, the worker looking now and then, and returns how many were new.
async fn take(app: &TestApp, events: &[Value]) -> usize {
    let (mut rest, mut new) = (events, 0);
    while !rest.is_empty() {
        let (group, later) = rest.split_at(rest.len().min(1 + usize::try_from(random_below(60)).unwrap()));
        rest = later;
        let items = parse(Scheme::Generic, json!(group).to_string().as_bytes()).items;
        let receipts = app.door.accept(&Origin::first_party(app.scope.clone()), items).await.unwrap();
        new += receipts.iter().filter(|receipt| receipt.status == ReceiptStatus::Queued).count();
        if random_below(3) == 0 {
            app.drain().await;
        }
    }
    app.drain().await;
    new
}

async fn books(app: &TestApp) -> (Vec<String>, String) {
    #[derive(diesel::QueryableByName)]
    struct Line {
        #[diesel(sql_type = diesel::sql_types::Text)]
        text: String,
    }
    use diesel_async::RunQueryDsl;
    let mut conn = app.db.conn().await.unwrap();
    let lines: Vec<Line> = grapevine::db::sql(BOOKS).load(&mut conn).await.unwrap();
    let lines: Vec<String> = lines.into_iter().map(|line| line.text).collect();
    let hash = hex::encode(Sha256::digest(lines.join("\n")));
    (lines, hash)
}

async fn empty() -> TestApp {
    let app = TestApp::start().await;
    furnish(&app).await;
    endow(&app).await;
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_makes_the_same_books_in_any_order_that_keeps_causes_first() {
    let count = sized(20, 500);
    let first = empty().await;
    let stories: Vec<Vec<Value>> = (0..count).map(|number| story(&first, number)).collect();
    let inbox = stories.concat();
    assert_eq!(take(&first, &inbox).await, inbox.len());
    let (lines, hash) = books(&first).await;
    assert!(lines.len() > 4 * stories.len(), "the stories are too tame: {lines:#?}");
    let replays = 2;
    for _ in 0..replays {
        let again = empty().await;
        let shuffled = interleaved(stories.clone());
        assert_eq!(take(&again, &shuffled).await, inbox.len());
        let (own_lines, own_hash) = books(&again).await;
        let odd: Vec<&String> = own_lines.iter().filter(|line| !lines.contains(line)).take(5).collect();
        assert_eq!(own_hash, hash, "such as {odd:#?}");
        // And all of it once more where it has been.
        assert_eq!(take(&again, &interleaved(stories.clone())).await, 0);
        assert_eq!(books(&again).await.1, hash);
    }
    let transfers = first.sql_count("select count(*) from ledger_transfers").await;
    tell(
        "F16",
        json!({"acknowledged": inbox.len(), "lost": 0, "double": 0, "replays": 2 * replays, "transfers": transfers}),
    );
}
