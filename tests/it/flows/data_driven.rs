//! DATA_DRIVEN as a policy's model: when what channels are worth is computed, which version judges, and what is credited by it.

use grapevine::base::Kind;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::graphql::world::{at, setting, tell};
use crate::support::TestApp;

async fn follow_data(app: &TestApp, data_driven: Value) {
    let part = json!({ "model": "DATA_DRIVEN", "data_driven": data_driven });
    app.execute(&format!("update campaign_policies set attribution = attribution || '{part}'")).await;
}

/// Clicks on these creators' links, a minute apart, the last one `ago` minutes before now.
fn clicks(app: &TestApp, person: &str, links: &[i64], ago: i64) -> Vec<Value> {
    let places = links.iter().rev().zip(0..);
    let click = |(link, place): (&i64, i64)| json!({"event_type": "click", "link_token": format!("link-{link}"), "anonymous_id": person, "timestamp": at(app, -ago - place)});
    places.map(click).collect()
}

fn sale(app: &TestApp, person: &str, value: &str, ago: i64) -> Value {
    json!({"event_type": "conversion", "anonymous_id": person, "order_id": person, "conversion_value": value, "timestamp": at(app, -ago)})
}

/// What stands of an order: the version of what channels are worth, and each creator's number with the minor units.
async fn credited(app: &TestApp, order: &str) -> Vec<String> {
    let text = format!(
        "select concat_ws(' ', r.model_version, right(r.creator_id::text, 1), r.amount_minor) as text
         from attribution_records r join conversions c on c.id = r.conversion_id
         where c.order_id = '{order}' and r.superseded_at is null order by 1"
    );
    app.texts(text.leak()).await
}

async fn weights(app: &TestApp) -> Vec<String> {
    app.texts(
        "select concat_ws(' ', version, right(channel, 1), weight_units) as text from data_driven_weights order by 1",
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversion_is_judged_by_the_newest_version_and_keeps_it() {
    let app = setting().await;
    follow_data(&app, json!({"method": "MARKOV", "transform": "AS_IS", "conversions_min": 2})).await;
    // The textbook's three people: who went over all three bought, who saw only the first did not, nor who began at the second.
    tell(&app, [clicks(&app, "a", &[1, 2, 3], 90), vec![sale(&app, "a", "9.00", 80)]].concat()).await;
    assert_eq!(credited(&app, "a").await, ["0 1 300", "0 2 300", "0 3 300"], "there was no version yet: as LINEAR");
    assert!(weights(&app).await.is_empty());
    let others = [clicks(&app, "b", &[1], 85), clicks(&app, "c", &[2, 3], 85), vec![sale(&app, "d", "1.00", 82)]];
    tell(&app, others.concat()).await;
    let worth = ["1 * 833333333333", "1 1 500000000000", "1 2 1000000000000", "1 3 1000000000000"];
    assert_eq!(weights(&app).await, worth);
    // By the first creator a third, and by one that nobody knew yet as by the mean of those who are known.
    tell(&app, [clicks(&app, "e", &[1, 2], 60), vec![sale(&app, "e", "3.00", 50)]].concat()).await;
    assert_eq!(credited(&app, "e").await, ["1 1 100", "1 2 200"]);
    tell(&app, clicks(&app, "e", &[4], 55)).await;
    assert_eq!(credited(&app, "e").await, ["1 1 64", "1 2 129", "1 4 107"]);
    // What was judged before there was a version is not judged by one because a touch came late.
    tell(&app, clicks(&app, "a", &[6], 85)).await;
    assert_eq!(credited(&app, "a").await, ["0 1 225", "0 2 225", "0 3 225", "0 6 225"]);
    // The fourth sale makes the second version, and is judged by it.
    tell(&app, [clicks(&app, "f", &[5], 40), vec![sale(&app, "f", "1.00", 30)]].concat()).await;
    assert_eq!(credited(&app, "f").await, ["2 5 100"]);
    assert_eq!(credited(&app, "e").await, ["1 1 64", "1 2 129", "1 4 107"], "the version that judged it");
    let id: Uuid = app.texts("select id::text as text from conversions where order_id = 'e'").await[0].parse().unwrap();
    let query = "query($id: ID!) { explainConversion(conversionId: $id) { modelVersion policy { model dataDrivenMethod pathTransform modelConversionsMin }
        considered { code weight } } attributionRecords(filter: {conversionId: $id}) { nodes { model modelVersion } } }";
    let told = app.data(query, json!({ "id": Kind::Conversion.id(id) })).await;
    assert_eq!(told["explainConversion"]["modelVersion"], 1);
    let policy = json!({ "model": "DATA_DRIVEN", "dataDrivenMethod": "MARKOV", "pathTransform": "AS_IS", "modelConversionsMin": 2 });
    assert_eq!(told["explainConversion"]["policy"], policy);
    let query = "query($id: ID!, $version: Int) { channelWeights(campaignId: $id, version: $version) { version conversions paths
        weights { key weight creator { handle } } } }";
    let campaign = Kind::Campaign.id(Uuid::from_u128(0xa1));
    let newest = app.data(query, json!({ "id": campaign })).await["channelWeights"].take();
    assert_eq!(newest["version"], 2);
    let first = app.data(query, json!({ "id": campaign, "version": 1 })).await["channelWeights"].take();
    assert_eq!((&first["conversions"], &first["paths"]), (&json!(1), &json!(3)));
    let best =
        json!({ "key": Kind::Creator.id(Uuid::from_u128(0xc2)), "weight": "1", "creator": { "handle": "creator2" } });
    assert_eq!(first["weights"][0], best, "{first:#}");
    assert_eq!(first["weights"][2], json!({ "key": "*", "weight": "0.833333333333", "creator": null }));
    assert_eq!(app.data(query, json!({ "id": campaign, "version": 9 })).await["channelWeights"], Value::Null);
    let shares: Vec<&str> = told["explainConversion"]["considered"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["weight"].as_str())
        .collect();
    assert_eq!(shares.len(), 3, "{told:#}");
    assert_eq!(told["attributionRecords"]["nodes"][0], json!({ "model": "DATA_DRIVEN", "modelVersion": 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn contributions_and_transforms_are_the_policys_to_choose() {
    let app = setting().await;
    follow_data(&app, json!({"method": "SHAPLEY", "transform": "FIRST", "conversions_min": 1})).await;
    // Of the first creator's two touches in a row one is counted: the path is that of the two who did not buy.
    let story = [
        clicks(&app, "a", &[1, 1, 2], 90),
        clicks(&app, "b", &[1, 2], 90),
        clicks(&app, "c", &[2], 90),
        vec![sale(&app, "a", "9.00", 80)],
    ];
    tell(&app, story.concat()).await;
    assert_eq!(weights(&app).await, ["1 * 500000000000", "1 1 500000000000", "1 2 500000000000"]);
    assert_eq!(credited(&app, "a").await, ["1 1 225", "1 1 225", "1 2 450"], "the touches of a creator share its part");
    let kept = "select concat_ws(' ', method, transform, version, conversion_total, conversion_count, path_count) as text from data_driven_models";
    assert_eq!(app.texts(kept).await, ["SHAPLEY FIRST 1 1 1 2"]);
    let set = "mutation($id: ID!) { updateCampaign(input: {campaignId: $id, attribution: {dataDrivenMethod: MARKOV, pathTransform: UNIQUE, modelConversionsMin: 0}}) {
        userErrors { path } } }";
    let campaign = Kind::Campaign.id(Uuid::from_u128(0xa1));
    let refused = app.data(set, json!({ "id": campaign })).await;
    assert_eq!(refused["updateCampaign"]["userErrors"], json!([{ "path": ["attribution", "modelConversionsMin"] }]));
    let set = set.replace("modelConversionsMin: 0", "modelConversionsMin: 7");
    app.data(&set, json!({ "id": campaign })).await;
    let shown = app.data("{ campaign(slug: \"launch\") { attributionPolicy { version dataDrivenMethod pathTransform modelConversionsMin } } }", json!({})).await;
    let expected =
        json!({ "version": 2, "dataDrivenMethod": "MARKOV", "pathTransform": "UNIQUE", "modelConversionsMin": 7 });
    assert_eq!(shown["campaign"]["attributionPolicy"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_follow_from_the_log_wherever_batches_end() {
    let mut outcomes = Vec::new();
    for batch_max in [1, 7, 1_000] {
        let app = setting().await;
        follow_data(&app, json!({"method": "MARKOV", "transform": "AS_IS", "conversions_min": 3})).await;
        let person = |number: i64| {
            let name = format!("p{number}");
            let mut events = clicks(&app, &name, &[1 + number % 3, 4 + number % 2], 90 - number);
            events.extend((number % 4 > 0).then(|| sale(&app, &name, "9.00", 60 - number)));
            events
        };
        let story: Vec<Value> = (0..16).flat_map(person).collect();
        for batch in story.chunks(batch_max) {
            tell(&app, batch.to_vec()).await;
        }
        let credited = "select concat_ws(' ', c.order_id, r.model_version, right(r.creator_id::text, 1), r.amount_minor) as text
             from attribution_records r join conversions c on c.id = r.conversion_id where r.superseded_at is null order by 1";
        outcomes.push((weights(&app).await, app.texts(credited).await));
    }
    assert!(outcomes[0].0.len() > 8 && outcomes[0].1.len() == 24, "{:?}", outcomes[0]);
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(outcomes[0], outcomes[2]);
}
