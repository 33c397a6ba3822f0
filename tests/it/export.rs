//! `grapevine export`: what the books hold, as files.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::graphql::world::{at, setting, story, tell};
use crate::support::{TestApp, binary};

async fn export(app: &TestApp, arguments: &[&str]) -> String {
    let done = binary(app).arg("export").args(arguments).output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// A value in cents, and a weight in parts of 10^12.
fn sums(row: &Value) -> (i64, u64) {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    let (whole, part) = text("weight")
        .split_once('.')
        .map_or_else(|| (text("weight"), String::new()), |(a, b)| (a.to_owned(), b.to_owned()));
    (text("value").replace('.', "").parse().unwrap(), format!("{whole}{part:0<12}").parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn attribution_is_exported_whole_and_runs_no_formula() {
    let app = setting().await;
    story(&app).await;
    let order = "=HYPERLINK(\"https://evil.example\")";
    let sale = json!({"event_type": "conversion", "user_id": "ann", "order_id": order, "conversion_value": "7.77", "timestamp": at(&app, -5)});
    tell(&app, vec![sale]).await;
    let lines = export(&app, &["attribution", "--format", "ndjson"]).await;
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = app.sql_count("select count(*) from attribution_records").await;
    assert_eq!(i64::try_from(rows.len()).unwrap(), count);
    let mut conversions: BTreeMap<String, (i64, u64)> = BTreeMap::new();
    for row in &rows {
        let sum = conversions.entry(row["order_id"].as_str().unwrap().to_owned()).or_default();
        let (value, weight) = sums(row);
        *sum = (sum.0 + value, sum.1 + weight);
    }
    assert_eq!(conversions.remove(order), Some((777, 1_000_000_000_000)));
    assert_eq!(conversions.len(), 10);
    assert!(conversions.values().all(|sum| *sum == (1_001, 1_000_000_000_000)), "{conversions:?}");
    assert!(rows.iter().all(|row| row["campaign"] == "launch" && row["model"] == "LINEAR"), "{rows:#?}");
    let times: Vec<&str> = rows.iter().map(|row| row["occurred_at"].as_str().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] >= pair[1]), "the latest conversion first");

    let text = export(&app, &["attribution", "--campaign", "campaign_00000000000000000000000051"]).await;
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("record_id,conversion_id,order_id,touchpoint_id,creator_id,"), "{text}");
    assert_eq!(lines.count(), rows.len());
    assert!(text.contains("\"'=HYPERLINK(\"\"https://evil.example\"\")\""), "{text}");
    let none = export(&app, &["attribution", "--model", "FIRST_TOUCH", "--superseded"]).await;
    assert_eq!(none.lines().count(), 1, "the names alone");
    let refused = binary(&app).args(["export", "attribution", "--creator", "zoe"]).output().await.unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("creator_"));
}
