//! The log alone makes every derived row again, and the same ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use grapevine::base::{Chance, SeededChance};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::pipeline::{at, send, world};
use super::redis_lost::flush;
use crate::support::TestApp;

/// Every table that follows from the log.
const DERIVED: [&str; 23] = [
    "attribution_records",
    "conversions",
    "data_driven_models",
    "data_driven_weights",
    "event_properties",
    "fraud_alerts",
    "fraud_assessments",
    "identities",
    "identity_merges",
    "ledger_accounts",
    "ledger_chains",
    "ledger_transfers",
    "links",
    "member_activity_days",
    "member_downlines",
    "members",
    "outbox",
    "people",
    "refunds",
    "reward_caps",
    "reward_totals",
    "rewards",
    "touchpoints",
];

/// Empties what follows from the log and sends its reader back to the start. What people did by hand stays: here, the funding of a
/// campaign. Events that the line refused stand in it again, and will be refused again.
const FORGET: &str = "
    set session_replication_role = replica;
    delete from attribution_records; delete from conversions; delete from data_driven_weights; delete from data_driven_models; delete from event_properties; delete from fraud_alerts; delete from fraud_assessments;
    delete from identities; delete from identity_merges; delete from member_activity_days; delete from member_downlines; delete from members; delete from outbox;
    delete from report_marks; delete from report_policies; delete from report_sums; delete from report_totals; delete from report_uplines; delete from report_spans;
    delete from people; delete from refunds; delete from reward_caps; delete from reward_totals; delete from rewards; delete from touchpoints;
    delete from ledger_transfers where kind <> 'FUND';
    delete from ledger_chains;
    delete from ledger_chain_marks;
    update ledger_transfers set chain_seq = null, chain_hash = null;
    delete from ledger_accounts a where not exists (
        select from ledger_transfers t where t.brand_id = a.brand_id and a.id in (t.debit_account_id, t.credit_account_id));
    update ledger_accounts a set debit_minor = coalesce((select sum(amount_minor) from ledger_transfers where debit_account_id = a.id), 0),
        credit_minor = coalesce((select sum(amount_minor) from ledger_transfers where credit_account_id = a.id), 0);
    update links set click_count = 0, view_count = 0, signup_count = 0, conversion_count = 0;
    update brand_counters set value = 0;
    update positions set recorded_xid = 0, seq = 0, since = '1970-01-01 00:00:00Z';
    update merge_rulings set done_at = null;
    update events set state = 'ACCEPTED', code = null, reason = null where state = 'QUARANTINED' and payload is not null;
    set session_replication_role = origin;";

pub(super) type Tables = BTreeMap<&'static str, Vec<String>>;

pub(super) async fn tables(app: &TestApp) -> Tables {
    let mut tables = Tables::new();
    for table in DERIVED {
        let rows = app.texts(format!("select t::text as text from {table} t order by 1").leak()).await;
        tables.insert(table, rows);
    }
    tables
}

/// One number for all that the ledger says: who owed how much to whom, and why.
pub(super) async fn ledger_hash(app: &TestApp) -> String {
    let lines = app
        .texts(
            "select concat_ws(' ', t.id, t.kind, t.amount_minor, t.currency, d.bucket, d.owner_id, c.bucket, c.owner_id, t.reward_id) as text
             from ledger_transfers t
             join ledger_accounts d on d.brand_id = t.brand_id and d.id = t.debit_account_id
             join ledger_accounts c on c.brand_id = t.brand_id and c.id = t.credit_account_id
             order by t.id",
        )
        .await;
    hex::encode(Sha256::digest(lines.join("\n")))
}

pub(super) struct Dice(pub SeededChance);

impl Dice {
    pub fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_be_bytes(bytes) % end
    }

    pub fn pick<'a>(&self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

fn event(app: &TestApp, dice: &Dice, number: u64) -> Value {
    let kind = dice.pick(&[
        "click",
        "click",
        "click",
        "view",
        "signup",
        "signup",
        "activation",
        "activation",
        "conversion",
        "conversion",
        "refund",
        "identify",
    ]);
    let mut event = json!({"event_id": format!("n{number}"), "event_type": kind, "timestamp": at(app, -i64::try_from(dice.below(3_000)).unwrap()),
        "ip": format!("192.0.2.{}", dice.below(6)), "user_agent": dice.pick(&["Mozilla/5.0 Firefox/140.0", "Mozilla/5.0 Firefox/140.0", "curl/8.5.0"])});
    let (user, device) = (format!("u{}", dice.below(14)), format!("d{}", dice.below(14)));
    if matches!(kind, "signup" | "activation" | "identify") || dice.below(3) == 0 {
        event["user_id"] = json!(user);
    }
    if !matches!(kind, "activation") {
        event["anonymous_id"] = json!(device);
    }
    if matches!(kind, "click" | "view") && dice.below(4) > 0 {
        event["link_token"] = json!(dice.pick(&["zoe-link", "zoe-link", "member-link"]));
    }
    if matches!(kind, "activation" | "conversion") {
        event["properties"] = json!({ "level": number % 8 });
    }
    if kind == "signup" && dice.below(2) == 0 {
        event["referrer_user_id"] = json!(format!("u{}", dice.below(14)));
    }
    if kind == "signup" && dice.below(3) == 0 {
        event["campaign"] = json!("launch");
    }
    if matches!(kind, "conversion" | "refund") {
        event["order_id"] = json!(format!("o{}", dice.below(40)));
        event["conversion_value"] = json!(if kind == "refund" { dice.below(500) } else { 1 + dice.below(9_000) });
    }
    event
}

/// How far the log had come, and when, each time that the worker looked.
pub(super) type Cuts = Vec<(i64, DateTime<Utc>)>;

/// Waits until the worker may read all that is there: a transaction anywhere on the server holds the horizon, and would cut a batch.
pub(super) async fn all_below_the_horizon(app: &TestApp) {
    let above =
        "select count(*) from events where recorded_xid >= pg_snapshot_xmin(pg_current_snapshot())::text::bigint";
    while app.sql_count(above).await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Lets the worker look, and notes how far the log had come.
pub(super) async fn look(app: &TestApp, cuts: &mut Cuts) {
    all_below_the_horizon(app).await;
    app.drain().await;
    cuts.push((app.sql_count("select count(*) from events").await, app.now()));
}

/// The first member joins and has a link.
pub(super) async fn first_member(app: &TestApp) -> Cuts {
    send(app, json!([{"event_id": "first", "event_type": "signup", "user_id": "u0", "campaign": "launch", "timestamp": at(app, -4_000)}])).await;
    app.drain().await;
    app.execute(
        "insert into links (brand_id, id, token, campaign_id, member_id, platform, destination_url, utm_source, utm_medium, utm_campaign, created_at)
         select brand_id, gen_random_uuid(), 'member-link', '00000000-0000-0000-0000-0000000000a1', id, 'WEB', 'https://acme.example/', 'm', 'm', 'l',
                created_at from members where external_id = 'u0'",
    )
    .await;
    vec![(1, app.now())]
}

/// A history as it comes: in groups of any size, sometimes several before the worker looks, over days.
async fn history(app: &TestApp, dice: &Dice, count: u64) -> Cuts {
    let mut cuts = first_member(app).await;
    let mut number = 0;
    while number < count {
        let group = 1 + dice.below(12);
        send(app, Value::Array((number..number + group).map(|number| event(app, dice, number)).collect())).await;
        number += group;
        app.advance(TimeDelta::minutes(1 + i64::try_from(dice.below(90)).unwrap()));
        if dice.below(2) == 0 || number >= count {
            look(app, &mut cuts).await;
        }
    }
    cuts
}

/// Forgets all that follows from the log and reads it again, with the worker looking when it looked then.
pub(super) async fn rebuild(app: &TestApp, cuts: &Cuts) -> (Tables, String) {
    app.execute(FORGET).await;
    flush(app).await;
    // Out of the worker's sight, and back as far as it saw.
    app.execute("update events set shard = shard + 100").await;
    for (count, time) in cuts {
        app.advance(*time - app.now());
        app.execute(&format!(
            "update events set shard = shard - 100 where shard >= 100
                and id in (select id from events order by recorded_xid, seq limit {count})"
        ))
        .await;
        app.drain().await;
    }
    (tables(app).await, ledger_hash(app).await)
}

pub(super) fn differences(left: &Tables, right: &Tables) -> Vec<String> {
    let mut found = Vec::new();
    for table in DERIVED {
        let (left, right) = (&left[table], &right[table]);
        let only = |these: &Vec<String>, those: &Vec<String>| {
            these.iter().filter(|row| !those.contains(row)).cloned().collect::<Vec<_>>()
        };
        let (left, right) = (only(left, right), only(right, left));
        if !left.is_empty() || !right.is_empty() {
            found.push(format!(
                "{table}: {} and {} rows differ, such as\n  {:?}\n  {:?}",
                left.len(),
                right.len(),
                left.first(),
                right.first()
            ));
        }
    }
    found
}

/// A policy that counts by a rule, caps a campaign, and asks what referees and their cohorts have bought.
const STRICTER: &str = r#"
    update brands set keeps_properties = true;
    update campaign_policies set reward = reward || '{"per_member_max": 3, "activation": {"event_names": ["activation", "conversion"],
        "conditions": [{"property": "level", "operator": "AT_LEAST", "value": "2"}]},
        "tiers": [{"degree": 1, "amount_minor": 500, "share_ppm": 100000},
                  {"degree": 1, "amount_minor": 7, "share_ppm": null, "activation_value_min_minor": 100, "cohort_value_min_minor": 50},
                  {"degree": 2, "amount_minor": 50, "share_ppm": null}]}';"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_log_makes_the_same_rows_and_the_same_ledger_again() {
    let seed = std::env::var("GRAPEVINE_TEST_SEED").map_or(7, |text| text.parse().unwrap());
    let app = world().await;
    app.execute(STRICTER).await;
    let cuts = history(&app, &Dice(SeededChance::from_seed(seed)), 200).await;
    let (live, ledger) = (tables(&app).await, ledger_hash(&app).await);
    for table in ["attribution_records", "fraud_alerts", "identity_merges", "ledger_transfers", "refunds", "rewards"] {
        assert!(live[table].len() > 3, "the history is too tame: {} rows in {table}", live[table].len());
    }
    let (rebuilt, rebuilt_ledger) = rebuild(&app, &cuts).await;
    assert_eq!(differences(&live, &rebuilt), Vec::<String>::new());
    assert_eq!(ledger, rebuilt_ledger);
    // At full width it may come out otherwise than it came live, since a batch sees all of its events at once; but always alike.
    let whole = cuts.last().copied().into_iter().collect();
    let (first, first_ledger) = rebuild(&app, &whole).await;
    let (second, second_ledger) = rebuild(&app, &whole).await;
    assert_eq!(differences(&first, &second), Vec::<String>::new());
    assert_eq!(first_ledger, second_ledger);
}
