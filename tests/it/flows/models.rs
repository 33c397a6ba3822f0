//! Every model over wild histories: what comes late, twice, back, or turns out to be somebody else's changes who is credited, and never how
//! much; and the log makes the same records again.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use grapevine::base::{Kind, SeededChance};
use grapevine::campaigns::AVAILABLE_MODELS;
use serde_json::{Value, json};
use uuid::Uuid;

use super::pipeline::{at, send, world};
use super::rebuild::{Cuts, Dice, differences, first_member, ledger_hash, look, rebuild, tables};
use crate::support::TestApp;

const GROUPS: u64 = 7;
const GROUP_EVENTS: u64 = 22;

/// What an order costs, in dollars.
fn price(order: u64) -> u64 {
    1 + order * 7 % 90
}

/// One thing that happens, any time within the last two days. Orders are sold, sold again under the same name, and refunded in part, as a whole,
/// or before they are known; devices turn out to be a user's after they have clicked and bought.
pub(super) fn event(app: &TestApp, dice: &Dice, number: u64) -> Value {
    let kind = dice.pick(&[
        "click",
        "click",
        "click",
        "click",
        "view",
        "signup",
        "signup",
        "activation",
        "conversion",
        "conversion",
        "conversion",
        "refund",
        "refund",
        "identify",
        "identify",
    ]);
    let minutes = i64::try_from(dice.below(3_000)).unwrap();
    // An address of its own: else most of them are taken for fraud, and nothing that is blocked changes any credit.
    let mut event = json!({"event_id": format!("n{number}"), "event_type": kind, "timestamp": at(app, -minutes),
        "ip": format!("198.18.{}.{}", number / 250, number % 250), "user_agent": "Mozilla/5.0 Firefox/140.0"});
    if matches!(kind, "signup" | "activation" | "identify") || dice.below(4) == 0 {
        event["user_id"] = json!(format!("u{}", dice.below(6)));
    }
    if kind != "activation" {
        event["anonymous_id"] = json!(format!("d{}", dice.below(9)));
    }
    match kind {
        "click" | "view" => event["link_token"] = json!(dice.pick(&["zoe-link", "zoe-link", "member-link"])),
        "signup" => {
            event["campaign"] = json!("launch");
            event["referrer_user_id"] = json!(format!("u{}", dice.below(8)));
        }
        "conversion" | "refund" => sell(&mut event, dice),
        _ => {}
    }
    event
}

fn sell(event: &mut Value, dice: &Dice) {
    let order = dice.below(40);
    event["order_id"] = json!(format!("o{order}"));
    event["conversion_value"] = json!(price(order));
    if event["event_type"] == "refund" && dice.below(3) > 0 {
        event["conversion_value"] = json!(price(order).div_ceil(3));
    } else if event["event_type"] == "conversion" && dice.below(3) == 0 {
        event["creator_id"] = json!("zoe");
        event["campaign"] = json!("launch");
    }
}

/// What every history has, whatever the dice say: an order that is refunded as a whole before it is known, one that is refunded in part, and
/// touches that come after both, the first and the last of those that led to them.
fn given(group: u64) -> Vec<Value> {
    let event = |id: &str, kind: &str, hour: u32| {
        json!({"event_id": id, "event_type": kind, "anonymous_id": "given", "timestamp": format!("2026-08-15T{hour:02}:00:00Z"),
            "ip": "198.19.0.1", "user_agent": "Mozilla/5.0 Firefox/140.0"})
    };
    let click = |id: &str, hour: u32| {
        let mut click = event(id, "click", hour);
        click["link_token"] = json!("zoe-link");
        click
    };
    let paid = |kind: &str, order: &str, hour: u32, value: u64| {
        let mut paid = event(&format!("{kind}-{order}"), kind, hour);
        paid["order_id"] = json!(order);
        paid["conversion_value"] = json!(value);
        paid
    };
    match group {
        1 => vec![paid("refund", "whole", 10, 12)],
        2 => vec![click("given-1", 6), paid("conversion", "whole", 8, 12)],
        3 => vec![paid("conversion", "part", 9, 12)],
        4 => vec![paid("refund", "part", 10, 5)],
        5 => vec![click("given-2", 5), click("given-3", 7)],
        _ => Vec::new(),
    }
}

/// Groups of events, each with some that were sent before, worked on as they come.
async fn history(app: &TestApp, dice: &Dice) -> Cuts {
    let mut cuts = first_member(app).await;
    let mut sent: Vec<Value> = Vec::new();
    for group in 0..GROUPS {
        let fresh = (0..GROUP_EVENTS).map(|place| event(app, dice, group * GROUP_EVENTS + place));
        let mut events: Vec<Value> = fresh.chain(given(group)).collect();
        let again = (0..3).filter_map(|_| sent.get(usize::try_from(dice.below(sent.len().max(1) as u64)).unwrap()));
        events.extend(again.cloned());
        send(app, Value::Array(events.clone())).await;
        sent.extend(events);
        app.advance(TimeDelta::minutes(1 + i64::try_from(dice.below(90)).unwrap()));
        look(app, &mut cuts).await;
    }
    cuts
}

/// The value of each owner's credit as the records have it: of the creator, and of members together.
async fn recorded(app: &TestApp) -> [i64; 2] {
    [
        app.sql_count("select coalesce(sum(amount_minor), 0)::int8 as count from attribution_records where superseded_at is null and creator_id is not null").await,
        app.sql_count("select coalesce(sum(amount_minor), 0)::int8 as count from attribution_records where superseded_at is null and creator_id is null").await,
    ]
}

fn minor(value: &Value) -> i64 {
    value["amount"].as_str().unwrap().replace('.', "").parse().unwrap()
}

/// The same as a report works it out afresh, which adds up to the whole.
async fn reported(app: &TestApp, model: &str) -> [i64; 2] {
    let report = "query($input: AttributionReportInput!) { attributionReport(input: $input) {
        value { amount } unattributed { value { amount } } rows { key results { value { amount } } } } }";
    let input = json!({"groupBy": "CREATOR", "models": [model], "from": at(app, -100_000), "to": at(app, 100)});
    let found = app.data(report, json!({ "input": input })).await["attributionReport"].take();
    let zoe = Kind::Creator.id(Uuid::from_u128(0xc1));
    let of = |key: &str| {
        let rows = found["rows"].as_array().unwrap().iter().filter(|row| row["key"] == key);
        rows.map(|row| minor(&row["results"][0]["value"])).sum::<i64>()
    };
    let owned = [of(&zoe), of("")];
    let whole = owned.iter().sum::<i64>() + minor(&found["unattributed"][0]["value"]);
    assert_eq!(whole, minor(&found["value"]), "{model}: {found:#}");
    owned
}

/// Conversions of any generation whose credit is not the whole of them.
const BROKEN: &str = "select count(*) from (
    select from attribution_records r join conversions c on c.brand_id = r.brand_id and c.id = r.conversion_id
    group by c.brand_id, c.id, r.generation, c.amount_minor
    having sum(r.weight_units) <> 1000000000000 or sum(r.amount_minor) <> c.amount_minor) broken";

#[tokio::test(flavor = "multi_thread")]
async fn credit_is_conserved_under_every_model_whatever_comes_and_the_log_makes_it_again() {
    let mut happened: BTreeMap<&str, i64> = BTreeMap::new();
    for (seed, model) in (23..).zip(AVAILABLE_MODELS) {
        let model = model.as_str();
        let app = world().await;
        // Every other model with journeys of their own and with sales that are touches.
        let is_odd = seed % 2 == 1;
        let part = json!({"model": model, "is_split_at_previous_conversion": is_odd, "has_converting_event": is_odd,
            "data_driven": {"method": "MARKOV", "transform": "UNIQUE", "conversions_min": 4}});
        app.execute(&format!("update campaign_policies set attribution = attribution || '{part}'")).await;
        let cuts = history(&app, &Dice(SeededChance::from_seed(seed))).await;
        for (what, count) in [
            ("superseded", "select count(*) from attribution_records where superseded_at is not null"),
            ("merged", "select count(*) from identity_merges"),
            (
                "refunded in part",
                "select count(*) from conversions where refunded_minor between 1 and amount_minor - 1",
            ),
            ("refunded", "select count(*) from conversions where refunded_minor = amount_minor"),
            (
                "late",
                "select count(*) from touchpoints t join conversions c on c.person_id = t.person_id and t.occurred_at < c.occurred_at and t.recorded_at > c.recorded_at",
            ),
        ] {
            *happened.entry(what).or_default() += app.sql_count(count).await;
        }
        assert_eq!(app.sql_count(BROKEN).await, 0, "{model}");
        let recorded = recorded(&app).await;
        assert!(recorded.iter().all(|minor| *minor > 0), "{model}: {recorded:?}");
        let reported = reported(&app, model).await;
        // A report has data-driven credit follow from the paths of its own time: only the whole is the same.
        if model == "DATA_DRIVEN" {
            let versions = "select count(distinct model_version) from attribution_records";
            assert!(app.sql_count(versions).await > 2, "before the first version, under it, and under the next");
            assert_eq!(recorded.iter().sum::<i64>(), reported.iter().sum::<i64>());
        } else {
            assert_eq!(recorded, reported, "{model}: worked out afresh");
        }
        let (live, ledger) = (tables(&app).await, ledger_hash(&app).await);
        let (again, ledger_again) = rebuild(&app, &cuts).await;
        assert_eq!(differences(&live, &again), Vec::<String>::new(), "{model}");
        assert_eq!(ledger, ledger_again, "{model}");
    }
    assert!(happened.values().all(|count| *count > 1), "the histories are too tame: {happened:?}");
}
