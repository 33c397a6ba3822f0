//! Sums that are kept of reports say what judging anew says, whatever happens between two turns of who keeps them.

use chrono::{DateTime, TimeDelta, Utc};
use diesel_async::SimpleAsyncConnection;
use grapevine::attribution::report::{Dimension, Question, Report, report};
use grapevine::base::{Chance, Kind, SeededChance};
use grapevine::campaigns::AttributionModel;
use grapevine::marks;
use grapevine::verify::check;
use grapevine::worker::keep_reports;
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{at, setting, tell};
use crate::support::TestApp;

const MODELS: [AttributionModel; 6] = [
    AttributionModel::Linear,
    AttributionModel::FirstTouch,
    AttributionModel::LastTouch,
    AttributionModel::TimeDecay,
    AttributionModel::PositionBased,
    AttributionModel::WeightedLastTouch,
];
const DAY: i64 = 1_440;

struct Dice(SeededChance);

impl Dice {
    fn below(&self, end: i64) -> i64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        i64::try_from(u64::from_be_bytes(bytes) % u64::try_from(end).unwrap()).unwrap()
    }
}

/// Keeps what can be kept, until nothing is left to do.
async fn keep(app: &TestApp) {
    while keep_reports(app, TimeDelta::zero()).await.unwrap() > 0 {}
    assert_eq!(app.sql_count("select count(*) from report_marks").await, 0);
}

fn question(dimension: Dimension, from: DateTime<Utc>, to: DateTime<Utc>) -> Question {
    Question {
        dimension,
        models: MODELS.to_vec(),
        from,
        to,
        campaign_id: None,
        lookback_hours: None,
        is_split_at_previous_conversion: None,
        currency: "USD".parse().unwrap(),
        spend: Vec::new(),
        has_upline: true,
    }
}

async fn ask(app: &TestApp, question: &Question) -> Report {
    let conn = &mut *app.db.conn().await.unwrap();
    conn.batch_execute("begin").await.unwrap();
    let found = report(conn, &app.scope, question).await.unwrap();
    conn.batch_execute("rollback").await.unwrap();
    found
}

/// The same reports from what is kept and judged anew: of all the time by every dimension, and of any times, models, campaigns and currencies.
async fn agree(app: &TestApp, dice: &Dice, what: &str) {
    let whole = (app.now() - TimeDelta::days(30), app.now() + TimeDelta::days(2));
    let mut questions = Vec::new();
    for dimension in Dimension::ALL {
        questions.push(question(*dimension, whole.0, whole.1));
        for _ in 0..2 {
            let from = app.now() - TimeDelta::seconds(60 * dice.below(16 * DAY) + dice.below(60));
            let to = from + TimeDelta::seconds(60 * (1 + dice.below(17 * DAY)) + dice.below(60));
            let count = usize::try_from(1 + dice.below(6)).unwrap();
            questions.push(Question {
                models: MODELS.iter().rev().copied().take(count).collect(),
                campaign_id: (dice.below(3) == 0).then_some(Uuid::from_u128(0xa1)),
                currency: (if dice.below(4) == 0 { "EUR" } else { "USD" }).parse().unwrap(),
                has_upline: dice.below(2) == 0,
                spend: vec![("WEB".to_owned(), 100)],
                ..question(*dimension, from, to)
            });
        }
    }
    let mut kept = Vec::new();
    for question in &questions {
        kept.push(ask(app, question).await);
    }
    // What is marked is judged anew.
    app.execute("insert into report_marks (brand_id, hour_at, marked_at) select brand_id, starts_at, '-infinity' from report_spans where span = 'HOUR'")
        .await;
    for (question, kept) in questions.iter().zip(kept) {
        assert_eq!(kept, ask(app, question).await, "after {what}: {question:?}");
    }
    app.execute("delete from report_marks where marked_at = '-infinity'").await;
}

fn click(app: &TestApp, user: &str, link: i64, minutes: i64) -> Value {
    json!({"event_type": "click", "user_id": user, "link_token": format!("link-{link}"), "sub_id": format!("s{}", link % 3), "timestamp": at(app, minutes)})
}

fn sale(app: &TestApp, user: &str, order: &str, minutes: i64) -> Value {
    json!({"event_type": "conversion", "user_id": user, "order_id": order, "conversion_value": "10.01", "timestamp": at(app, minutes)})
}

fn signup(app: &TestApp, user: &str, referrer: Option<&str>, minutes: i64) -> Value {
    json!({"event_type": "signup", "user_id": user, "referrer_user_id": referrer, "timestamp": at(app, minutes)})
}

async fn change_policy(app: &TestApp, attribution: Value) {
    let set = "mutation($id: ID!, $draft: AttributionPolicyInput!) { updateCampaign(input: {campaignId: $id, attribution: $draft}) { userErrors { code path } } }";
    let id = Kind::Campaign.id(Uuid::from_u128(0xa1));
    let done = app.data(set, json!({ "id": id, "draft": attribution })).await;
    assert_eq!(done["updateCampaign"]["userErrors"], json!([]));
}

/// Sends a mutation with an input that must be taken.
async fn change(app: &TestApp, name: &str, input: Value) {
    let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
    let mutation =
        format!("mutation($input: {kind}!) {{ {name}(input: $input) {{ userErrors {{ code path message }} }} }}");
    let done = app.data(&mutation, json!({ "input": input })).await;
    assert_eq!(done[name]["userErrors"], json!([]), "{name}");
}

async fn id_of(app: &TestApp, kind: Kind, text: &'static str) -> String {
    kind.id(app.texts(text).await[0].parse().unwrap())
}

/// A random history over two weeks: people with touches of many ages, who buy, some of them in another currency or without any touch.
async fn history(app: &TestApp, dice: &Dice, round: i64) {
    let mut events = Vec::new();
    for number in 0..40 {
        let user = format!("u{}", dice.below(9));
        let minutes = -dice.below(14 * DAY);
        let order = format!("{round}-{number}");
        events.push(match dice.below(8) {
            0..4 => click(app, &user, 1 + dice.below(6), minutes),
            4 => json!({"event_type": "refund", "order_id": format!("{}-{}", dice.below(round + 1), dice.below(40)), "conversion_value": "3.00", "timestamp": at(app, 0)}),
            5 => json!({"event_type": "conversion", "user_id": user, "order_id": order, "conversion_value": "7.77", "currency": "EUR", "timestamp": at(app, minutes)}),
            _ => sale(app, &user, &order, minutes),
        });
    }
    tell(app, events).await;
}

/// A brand with a history of which everything is kept. Cat is below Bob, who waits for Ann, and bought. Eve bought ten days after her click, which
/// is more than a week: no campaign judges that.
async fn kept(dice: &Dice) -> TestApp {
    let app = setting().await;
    change_policy(&app, json!({ "upline": [0.5, 0.25, 0.125] })).await;
    let story = vec![
        signup(&app, "bob", Some("ann"), -12 * DAY),
        signup(&app, "cat", Some("bob"), -11 * DAY),
        click(&app, "cat", 2, -9 * DAY),
        sale(&app, "cat", "cat-1", -8 * DAY),
        click(&app, "eve", 3, -13 * DAY),
        sale(&app, "eve", "eve-1", -3 * DAY),
        click(&app, "dan", 1, -6 * DAY),
        sale(&app, "dan", "dan-1", -5 * DAY),
        click(&app, "now", 5, 0),
    ];
    tell(&app, story).await;
    history(&app, dice, 0).await;
    agree(&app, dice, "nothing is kept").await;
    keep(&app).await;
    assert!(app.sql_count("select count(*) from report_spans where span = 'DAY'").await > 5);
    agree(&app, dice, "all is kept").await;
    app
}

/// What a change left, before and after it is kept.
async fn settle(app: &TestApp, dice: &Dice, what: &str) {
    agree(app, dice, what).await;
    keep(app).await;
    agree(app, dice, &format!("{what}, and all was kept")).await;
}

/// Each change comes alone, after everything was kept. It fails without the marks of any of these: the conversions that are attributed
/// (`attribute_targets`), new touches (`record_touches`), touches that get their owner (`name_referrers`), members who are moved (`plant`).
#[tokio::test(flavor = "multi_thread")]
async fn whatever_events_change_is_judged_anew() {
    let dice = Dice(SeededChance::from_seed(11));
    let app = kept(&dice).await;
    tell(&app, vec![click(&app, "dan", 2, -7 * DAY)]).await;
    settle(&app, &dice, "a late touch").await;
    let refund =
        json!({"event_type": "refund", "order_id": "dan-1", "conversion_value": "5.00", "timestamp": at(&app, 0)});
    tell(&app, vec![refund]).await;
    settle(&app, &dice, "a refund").await;
    tell(&app, vec![signup(&app, "ann", None, -1)]).await;
    settle(&app, &dice, "a late referrer").await;
    let alone = json!({"event_type": "click", "anonymous_id": "phone", "link_token": "link-6", "timestamp": at(&app, -7 * DAY)});
    tell(&app, vec![alone]).await;
    settle(&app, &dice, "a stranger's touch").await;
    let joining =
        json!({"event_type": "identify", "user_id": "dan", "anonymous_id": "phone", "timestamp": at(&app, 0)});
    tell(&app, vec![joining]).await;
    settle(&app, &dice, "a merge").await;
}

/// The same of what people do by hand. It fails without the marks of rewards that are issued (`insert_rewards`) or changed (`change`), of members
/// who are moved (`plant`), of conversions after a merge is undone; and where it is not seen that policies, or the longest window, are no longer
/// those that hours were kept under.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_people_change_is_judged_anew() {
    let dice = Dice(SeededChance::from_seed(12));
    let app = kept(&dice).await;
    let issued = json!({ "campaignId": Kind::Campaign.id(Uuid::from_u128(0xa1)), "creatorId": Kind::Creator.id(Uuid::from_u128(0xc1)),
        "kind": "CREDIT", "amount": { "amount": "4.00", "currency": "USD" }, "reason": "Thanks", "idempotencyKey": "issue" });
    change(&app, "issueReward", issued).await;
    settle(&app, &dice, "a reward by hand").await;
    let last = "select id::text as text from rewards where kind = 'CREDIT' order by triggered_at desc, id limit 1";
    let reward = id_of(&app, Kind::Reward, last).await;
    change(&app, "reverseReward", json!({ "rewardId": reward, "reason": "Too much", "idempotencyKey": "back" })).await;
    settle(&app, &dice, "a reward taken back").await;

    let cat = id_of(&app, Kind::Member, "select id::text as text from members where external_id = 'cat'").await;
    change(&app, "moveMember", json!({ "memberId": cat, "reason": "A mistake", "idempotencyKey": "move" })).await;
    settle(&app, &dice, "a move").await;

    let joined = [
        json!({"event_type": "click", "anonymous_id": "phone", "link_token": "link-6", "timestamp": at(&app, -7 * DAY)}),
        json!({"event_type": "identify", "user_id": "dan", "anonymous_id": "phone", "timestamp": at(&app, 0)}),
    ];
    tell(&app, joined.to_vec()).await;
    keep(&app).await;
    let merge = "select id::text as text from identity_merges order by merged_at desc, id limit 1";
    let merge = id_of(&app, Kind::Merge, merge).await;
    let parting = json!({ "mergeId": merge, "reason": "A phone that was lent", "idempotencyKey": "part" });
    change(&app, "unmergeIdentities", parting).await;
    settle(&app, &dice, "a merge undone").await;

    change_policy(&app, json!({ "lookbackHours": 400 })).await;
    settle(&app, &dice, "a longer window").await;
    change_policy(&app, json!({ "lookbackHours": 100, "upline": [0.1] })).await;
    settle(&app, &dice, "a shorter window").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_history_reads_the_same_from_kept_sums() {
    let app = setting().await;
    for seed in 0..3 {
        let dice = Dice(SeededChance::from_seed(seed));
        for round in 0..4 {
            history(&app, &dice, i64::try_from(seed).unwrap() * 4 + round).await;
            // Some turns, or none: what is left is marked.
            for _ in 0..dice.below(3) {
                keep_reports(&app, TimeDelta::zero()).await.unwrap();
            }
            if dice.below(2) == 0 {
                change_policy(&app, json!({ "lookbackHours": 24 + dice.below(400) })).await;
            }
            agree(&app, &dice, &format!("round {round} of {seed}")).await;
        }
    }
    keep(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_commits_beside_a_turn_stays_marked() {
    let app = setting().await;
    let dice = Dice(SeededChance::from_seed(5));
    history(&app, &dice, 0).await;
    // Who never buys: another touch of theirs changes nothing but its own hour.
    let mut lone = click(&app, "lone", 1, -3 * DAY);
    lone["sub_id"] = json!("lone");
    tell(&app, vec![lone]).await;
    keep(&app).await;
    // A batch that has written, and has not committed when the turn takes its snapshot.
    let batch = &mut *app.db.conn().await.unwrap();
    batch.batch_execute("begin").await.unwrap();
    let moment = app.now() - TimeDelta::days(2);
    marks::mark(batch, &app.scope, app.now(), &[moment]).await.unwrap();
    let copy = format!(
        "insert into touchpoints (brand_id, id, person_id, kind, occurred_at, recorded_at, creator_id, link_id, campaign_id, platform, agent_class, has_consent, decision)
         select brand_id, '{}', person_id, kind, '{}', recorded_at, creator_id, link_id, campaign_id, platform, agent_class, has_consent, decision
         from touchpoints where sub_id = 'lone'",
        Uuid::from_u128(0xfeed),
        moment.to_rfc3339()
    );
    batch.batch_execute(&copy).await.unwrap();
    // The hour is due for another reason, and kept without what nobody sees yet.
    marks::mark(&mut app.db.conn().await.unwrap(), &app.scope, app.now(), &[moment]).await.unwrap();
    assert_eq!(keep_reports(&app, TimeDelta::zero()).await.unwrap(), 1);
    batch.batch_execute("commit").await.unwrap();
    assert_eq!(app.sql_count("select count(*) from report_marks").await, 1, "the batch's own stands");
    agree(&app, &dice, "a batch beside a turn").await;
    keep(&app).await;
    agree(&app, &dice, "the next turn").await;
    app.execute(&format!("delete from touchpoints where id = '{}'", Uuid::from_u128(0xfeed))).await;
    marks::mark(&mut app.db.conn().await.unwrap(), &app.scope, app.now(), &[moment]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_and_keepers_at_once_agree_in_the_end() {
    let app = setting().await;
    let dice = Dice(SeededChance::from_seed(6));
    for round in 0..4 {
        let keeping = async {
            for _ in 0..5 {
                keep_reports(&app, TimeDelta::zero()).await.unwrap();
            }
        };
        tokio::join!(history(&app, &dice, round), keeping);
        agree(&app, &dice, "both at once").await;
    }
    let both = tokio::join!(keep_reports(&app, TimeDelta::zero()), keep_reports(&app, TimeDelta::zero()));
    assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
    keep(&app).await;
    agree(&app, &dice, "all is kept").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_that_still_changes_is_left_to_be_judged() {
    let app = setting().await;
    tell(&app, vec![click(&app, "ann", 1, -200), sale(&app, "ann", "a", -100)]).await;
    assert_eq!(keep_reports(&app, TimeDelta::seconds(10)).await.unwrap(), 0);
    app.advance(TimeDelta::seconds(11));
    assert!(keep_reports(&app, TimeDelta::seconds(10)).await.unwrap() > 0);
    assert_eq!(keep_reports(&app, TimeDelta::seconds(10)).await.unwrap(), 0, "nothing is kept twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_read_what_is_kept_and_verify_knows_what_it_should_be() {
    let app = setting().await;
    tell(&app, vec![click(&app, "ann", 1, -3 * DAY), sale(&app, "ann", "a", -2 * DAY)]).await;
    keep(&app).await;
    let asked = question(Dimension::Creator, app.now() - TimeDelta::days(9), app.now());
    let before = ask(&app, &asked).await;
    let broken = async || {
        let findings = check(&mut app.db.conn().await.unwrap(), &app.brand, app.now()).await.unwrap();
        findings
            .into_iter()
            .filter(|finding| finding.breach_count > 0)
            .map(|finding| finding.invariant)
            .collect::<Vec<_>>()
    };
    assert_eq!(broken().await, Vec::<&str>::new());
    for span in ["DAY", "HOUR"] {
        let change = |by: &str| {
            format!(
                "update report_sums set touch_count = touch_count {by} where span = '{span}' and dimension = 'CREATOR'"
            )
        };
        app.execute(&change("+ 1")).await;
        assert_eq!(broken().await, ["kept sums of reports equal the live computation"], "{span}");
        assert_eq!(ask(&app, &asked).await == before, span == "HOUR", "of whole days the days are read");
        app.execute(&change("- 1")).await;
    }
    assert_eq!(ask(&app, &asked).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statements_do_not_grow_with_what_is_kept() {
    let app = setting().await;
    let dice = Dice(SeededChance::from_seed(7));
    let asked = question(Dimension::Creator, app.now() - TimeDelta::days(20), app.now() + TimeDelta::days(1));
    let mut counts = Vec::new();
    for round in 0..3 {
        history(&app, &dice, round).await;
        keep(&app).await;
        ask(&app, &asked).await;
        let before = app.statement_count();
        ask(&app, &asked).await;
        counts.push(app.statement_count() - before);
    }
    assert_eq!(counts, vec![counts[0]; 3]);
}
