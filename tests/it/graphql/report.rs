//! The report of credit by group, against sums worked out by hand.

use grapevine::access::Role;
use grapevine::base::Kind;
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{at, pluck, setting, story, tell};
use crate::support::TestApp;

const REPORT: &str = "query($input: AttributionReportInput!) { attributionReport(input: $input) {
    truncated conversions value { amount currency } unattributed { conversions value { amount } }
    rows { key touches clicks spend { amount }
           results { model conversions value { amount } costPerConversion { amount } returnOnSpend } } } }";

fn input(app: &TestApp, group_by: &str, models: &[&str]) -> Value {
    json!({ "groupBy": group_by, "models": models, "from": at(app, -20_000), "to": at(app, 0) })
}

async fn report(app: &TestApp, input: Value) -> Value {
    app.data(REPORT, json!({ "input": input })).await["attributionReport"].take()
}

/// The key, and the conversions and the value under each model, of every row.
fn rows(report: &Value) -> Vec<String> {
    let result =
        |one: &Value| format!(" {} {}", one["conversions"].as_str().unwrap(), one["value"]["amount"].as_str().unwrap());
    let row = |row: &Value| {
        let results = row["results"].as_array().unwrap().iter().map(result).collect::<String>();
        format!("{}{results}", row["key"].as_str().unwrap())
    };
    report["rows"].as_array().unwrap().iter().map(row).collect()
}

fn creator(number: u128) -> String {
    Kind::Creator.id(Uuid::from_u128(0xc0 + number))
}

#[tokio::test(flavor = "multi_thread")]
async fn models_stand_side_by_side_and_sum_to_the_whole() {
    let app = setting().await;
    story(&app).await;
    // Ten sales of 10.01 after a click on each of six links. Linear gives 166.8 cents each: of 1001, the later five get 167. By position
    // the ends get 400.4 and the others 50.05: the cent that is left goes to the last.
    let models = ["LINEAR", "FIRST_TOUCH", "LAST_TOUCH", "POSITION_BASED"];
    let found = report(&app, input(&app, "CREATOR", &models)).await;
    let middle = |number, linear| format!("{} {linear} 16.70 0 0.00 0 0.00 0.5 5.00", creator(number));
    let expected = [
        middle(2, "1.66666666666"),
        middle(3, "1.66666666667"),
        middle(4, "1.66666666667"),
        middle(5, "1.66666666667"),
        format!("{} 1.66666666667 16.70 0 0.00 10 100.10 4 40.10", creator(6)),
        format!("{} 1.66666666666 16.60 10 100.10 0 0.00 4 40.00", creator(1)),
    ];
    let sums: Vec<String> = rows(&found).into_iter().filter(|row| !row.starts_with(' ')).collect();
    assert_eq!(sums, expected);
    assert_eq!(found["value"], json!({ "amount": "100.10", "currency": "USD" }));
    assert_eq!((&found["conversions"], &found["truncated"]), (&json!(10), &json!(false)));
    let nothing = json!({ "conversions": "0", "value": { "amount": "0.00" } });
    assert_eq!(pluck(&found["unattributed"], ""), [&nothing; 4]);
    // Under the policy's own model it tells what the records say.
    let recorded = app
        .texts("select sum(amount_minor)::text as text from attribution_records where superseded_at is null group by creator_id order by 1")
        .await;
    assert_eq!(recorded, ["1660", "1670", "1670", "1670", "1670", "1670"]);
    for row in found["rows"].as_array().unwrap().iter().filter(|row| row["key"] != "") {
        assert_eq!((&row["touches"], &row["clicks"]), (&json!(1), &json!(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spend_is_what_rewards_cost_and_what_the_caller_adds() {
    let app = setting().await;
    story(&app).await;
    let found = report(&app, input(&app, "CREATOR", &["LINEAR"])).await;
    let first = found["rows"].as_array().unwrap().iter().find(|row| row["key"] == creator(6).as_str()).unwrap().clone();
    // A tenth of each credit of 1.67, rounded down.
    assert_eq!(first["spend"]["amount"], "1.60", "{first:#}");
    assert_eq!(first["results"][0]["costPerConversion"]["amount"], "0.96");
    assert_eq!(first["results"][0]["returnOnSpend"], "10.4375");
    let members = found["rows"].as_array().unwrap().iter().find(|row| row["key"] == "").unwrap().clone();
    let owed = app
        .sql_count("select sum(amount_minor - reversed_minor)::int8 as count from rewards where beneficiary_member_id is not null and state <> 'REJECTED'")
        .await;
    assert_eq!(members["spend"]["amount"], format!("{}.{:02}", owed / 100, owed % 100), "{members:#}");

    let unknown = report(&app, input(&app, "PLATFORM", &["LINEAR"])).await;
    assert_eq!(unknown["rows"][0]["spend"], Value::Null);
    let mut asked = input(&app, "PLATFORM", &["LINEAR", "LAST_TOUCH"]);
    asked["spend"] = json!([{ "key": "WEB", "amount": { "amount": "30.03", "currency": "USD" } },
        { "key": "TIKTOK", "amount": { "amount": "5", "currency": "USD" } }]);
    let found = report(&app, asked.clone()).await;
    assert_eq!(rows(&found), ["WEB 10 100.10 10 100.10", "TIKTOK 0 0.00 0 0.00"]);
    let result = &found["rows"][0]["results"][0];
    assert_eq!(
        (&result["costPerConversion"]["amount"], &result["returnOnSpend"]),
        (&json!("3.00"), &json!("3.333333333333"))
    );
    let none = &found["rows"][1]["results"][0];
    assert_eq!((&none["costPerConversion"], &none["returnOnSpend"]), (&Value::Null, &json!("0")));
    asked["spend"][1]["key"] = json!("WEB");
    let twice = app.gql(REPORT, json!({ "input": asked })).await;
    assert_eq!(twice["errors"][0]["extensions"]["argument"], "input.spend", "{twice:#}");
}

/// A click of an old month, one of yesterday with a sub id, and two sales of today.
async fn two_sales(app: &TestApp) {
    let click = |link: &str, minutes: i64| json!({"event_type": "click", "link_token": link, "anonymous_id": "tab", "timestamp": at(app, minutes)});
    let sale = |order: &str, minutes: i64| {
        json!({"event_type": "conversion", "anonymous_id": "tab", "order_id": order,
        "conversion_value": "7.00", "campaign": "launch", "timestamp": at(app, minutes)})
    };
    let mut young = click("link-2", -1_500);
    young["sub_id"] = json!("story");
    tell(app, vec![click("link-1", -14_000), young, sale("a", -120), sale("b", -60)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_window_and_another_journey_are_tried_without_writing() {
    let app = setting().await;
    two_sales(&app).await;
    let before = app.texts("select r::text as text from attribution_records r order by 1").await;
    let asked = |change: Value| {
        let mut asked = input(&app, "SUB_ID", &["FIRST_TOUCH"]);
        asked.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        asked
    };
    let found = report(&app, asked(json!({}))).await;
    assert_eq!(rows(&found), ["story 2 14.00", " 0 0.00"], "the old click is there, and too old");
    let found = report(&app, asked(json!({ "lookbackHours": 300 }))).await;
    assert_eq!(rows(&found), [" 2 14.00", "story 0 0.00"]);
    let found = report(&app, asked(json!({ "splitAtPreviousConversion": true }))).await;
    assert_eq!(rows(&found), ["story 1 7.00", " 0 0.00"]);
    assert_eq!(found["unattributed"], json!([{ "conversions": "1", "value": { "amount": "7.00" } }]));
    assert_eq!(found["conversions"], 2);
    assert_eq!(app.texts("select r::text as text from attribution_records r order by 1").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_is_grouped_by_the_channel_of_the_address() {
    let app = setting().await;
    // A link of ours would say its own channel: these name the creator alone.
    let click = |number: u128, minutes: i64, medium: &str| {
        json!({"event_type": "click", "creator_id": creator(number), "campaign": "launch", "anonymous_id": "tab",
            "timestamp": at(&app, minutes), "url": format!("https://shop.example/?utm_source=instagram&utm_medium={medium}")})
    };
    let sale = json!({"event_type": "conversion", "anonymous_id": "tab", "order_id": "a", "conversion_value": "9.00",
        "campaign": "launch", "timestamp": at(&app, -60)});
    tell(&app, vec![click(1, -300, "social"), click(2, -200, "cpc"), sale]).await;
    let found = report(&app, input(&app, "CHANNEL", &["LAST_TOUCH", "DATA_DRIVEN"])).await;
    assert_eq!(rows(&found), ["PAID_SOCIAL 1 9.00 0.5 4.50", "ORGANIC_SOCIAL 0 0.00 0.5 4.50"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_driven_credit_follows_from_the_paths_of_everybody() {
    let app = setting().await;
    let person = |name: &str, links: &[i64], sale: Option<&str>| {
        let clicks = links.iter().zip(1..).map(|(link, place)| {
            json!({"event_type": "click", "link_token": format!("link-{link}"), "anonymous_id": name, "timestamp": at(&app, -100 + place)})
        });
        let sale = sale.map(|value| {
            json!({"event_type": "conversion", "anonymous_id": name, "order_id": name, "conversion_value": value, "timestamp": at(&app, -50)})
        });
        clicks.chain(sale).collect::<Vec<_>>()
    };
    // The textbook's three people: who went over all three bought, who saw only the first did not, nor who began at the second.
    let story = [person("a", &[1, 2, 3], Some("9.99")), person("b", &[1], None), person("c", &[2, 3], None)];
    tell(&app, story.concat()).await;
    let found = report(&app, input(&app, "CREATOR", &["DATA_DRIVEN", "LINEAR"])).await;
    // Without the first creator half of the sales would be left, without either of the others none: 1 to 2 to 2.
    let expected = [
        format!("{} 0.4 4.00 0.333333333334 3.33", creator(3)),
        format!("{} 0.4 3.99 0.333333333333 3.33", creator(2)),
        format!("{} 0.2 2.00 0.333333333333 3.33", creator(1)),
    ];
    assert_eq!(rows(&found), expected);
    let days = report(&app, input(&app, "DAY", &["DATA_DRIVEN"])).await;
    assert_eq!(rows(&days)[0], "2026-08-15 1 9.99");
}

#[tokio::test(flavor = "multi_thread")]
async fn periods_days_and_campaigns_are_kept_apart() {
    let app = setting().await;
    two_sales(&app).await;
    // Noon of the 15th: a day before there is a sale of somebody whom nobody sent.
    tell(&app, vec![json!({"event_type": "conversion", "anonymous_id": "stranger", "order_id": "c", "conversion_value": "1.00", "timestamp": at(&app, -1_440)})])
        .await;
    let found = report(&app, input(&app, "DAY", &["LAST_TOUCH"])).await;
    assert_eq!(rows(&found)[0], "2026-08-15 2 14.00");
    assert_eq!((&found["conversions"], &found["value"]["amount"]), (&json!(3), &json!("15.00")));
    assert_eq!(found["unattributed"], json!([{ "conversions": "1", "value": { "amount": "1.00" } }]));
    let campaign = Kind::Campaign.id(Uuid::from_u128(0xa1));
    let mut asked = input(&app, "CAMPAIGN", &["LAST_TOUCH"]);
    asked["campaignId"] = json!(campaign);
    let found = report(&app, asked.clone()).await;
    assert_eq!(rows(&found), [format!("{campaign} 2 14.00")]);
    assert_eq!(found["conversions"], 2, "the stranger's is nobody's to judge");
    // Both ends of the time: the first is in, the last is not.
    (asked["from"], asked["to"]) = (json!(at(&app, -120)), json!(at(&app, -60)));
    assert_eq!(report(&app, asked).await["conversions"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statements_do_not_grow_with_the_groups() {
    let app = setting().await;
    story(&app).await;
    let mut counts = Vec::new();
    for group_by in ["CREATOR", "DAY", "CREATOR", "DAY"] {
        let before = app.statement_count();
        report(&app, input(&app, group_by, &["LINEAR", "TIME_DECAY"])).await;
        counts.push(app.statement_count() - before);
    }
    assert_eq!(counts[2], counts[3], "as many for six groups as for one: {counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_questions_and_wrong_keys_are_told_so() {
    let app = setting().await;
    let argument = async |change: Value| {
        let mut asked = input(&app, "CREATOR", &["LINEAR"]);
        asked.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        app.gql(REPORT, json!({ "input": asked })).await["errors"][0]["extensions"]["argument"].clone()
    };
    assert_eq!(argument(json!({ "models": [] })).await, "input.models");
    assert_eq!(argument(json!({ "models": ["LINEAR", "LINEAR"] })).await, "input.models");
    assert_eq!(argument(json!({ "to": at(&app, -30_000) })).await, "input.to");
    assert_eq!(argument(json!({ "lookbackHours": 0 })).await, "input.lookbackHours");
    assert_eq!(argument(json!({ "campaignId": creator(1) })).await, "input.campaignId");
    let spend = json!({ "spend": [{ "key": "a", "amount": { "amount": "1", "currency": "EUR" } }] });
    assert_eq!(argument(spend).await, "input.spend.0.amount");
    let bot =
        app.gql_as(&app.key_of(Role::Bot).await, REPORT, json!({ "input": input(&app, "DAY", &["LINEAR"]) })).await;
    assert_eq!(bot["errors"][0]["extensions"]["code"], "FORBIDDEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_above_a_buyer_is_credited_by_degree_apart_from_touches() {
    let app = setting().await;
    let set = "mutation($id: ID!, $upline: [Float!]) { updateCampaign(input: {campaignId: $id, attribution: {upline: $upline}}) {
        campaign { attributionPolicy { upline } } userErrors { path } } }";
    let id = Kind::Campaign.id(Uuid::from_u128(0xa1));
    let wrong = app.data(set, json!({ "id": id, "upline": [0.5, 0.6] })).await;
    assert_eq!(wrong["updateCampaign"]["userErrors"], json!([{ "path": ["attribution", "upline"] }]));
    let right = app.data(set, json!({ "id": id, "upline": [0.5, 0.25, 0.125] })).await;
    assert_eq!(right["updateCampaign"]["campaign"]["attributionPolicy"]["upline"], json!([0.5, 0.25, 0.125]));
    let signup = |user: &str, referrer: Option<&str>, minutes: i64| json!({"event_type": "signup", "user_id": user, "referrer_user_id": referrer, "timestamp": at(&app, minutes)});
    let sale = |user: &str, value: &str| {
        [
            json!({"event_type": "click", "user_id": user, "link_token": "link-1", "timestamp": at(&app, -50)}),
            json!({"event_type": "conversion", "user_id": user, "order_id": user, "conversion_value": value, "timestamp": at(&app, -40)}),
        ]
    };
    let people = [signup("ann", None, -90), signup("bob", Some("ann"), -80), signup("cat", Some("bob"), -70)];
    // Cat has two above her, Bob one, Ann none; and who bought without a touch credits nobody.
    let lone = json!({"event_type": "conversion", "user_id": "cat", "order_id": "old", "conversion_value": "1.00", "timestamp": at(&app, -75)});
    tell(
        &app,
        [
            people.to_vec(),
            sale("ann", "1.00").to_vec(),
            sale("bob", "1.01").to_vec(),
            sale("cat", "10.00").to_vec(),
            vec![lone],
        ]
        .concat(),
    )
    .await;
    let query =
        "query($input: AttributionReportInput!) { attributionReport(input: $input) { conversions value { amount }
        upline { degree members conversions value { amount } } uplineUnassigned { conversions value { amount } } } }";
    let found = app.data(query, json!({ "input": input(&app, "DAY", &["LINEAR"]) })).await["attributionReport"].take();
    assert_eq!((&found["conversions"], &found["value"]["amount"]), (&json!(4), &json!("13.01")));
    // Half of Cat's ten and of Bob's 1.01 to the first degree, a quarter of Cat's ten to the second.
    let expected = json!([
        { "degree": 1, "members": 2, "conversions": "1", "value": { "amount": "5.50" } },
        { "degree": 2, "members": 1, "conversions": "0.25", "value": { "amount": "2.50" } },
    ]);
    assert_eq!(found["upline"], expected);
    assert_eq!(found["uplineUnassigned"], json!({ "conversions": "2.75", "value": { "amount": "5.01" } }));
}
