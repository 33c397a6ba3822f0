//! The published suite of Fractribution, walked from end to end (`tests/fixtures/fractribution`, its run is described in PROVENANCE.txt): sessions
//! become paths, paths a summary, the summary credit per channel, and that a return on what was spent. Sessions and their channels are taken as
//! published: how raw page views become sessions is the publisher's, and no business of ours. Its last figures carry an error of
//! their own (channels sum to 500.9200000006 of 500.92), so that they are compared to nine decimal places.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use grapevine::attribution::paths::{ChannelCredit, Summary, Transform, credit, last_touch, path_to};
use grapevine::attribution::{WEIGHT_UNITS, figures, shapley};

type Row = BTreeMap<String, String>;

/// The rows of a file, columns by their name in lower case.
fn rows(name: &str) -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fractribution").join(name);
    let mut reader = csv::Reader::from_path(path).unwrap();
    let columns: Vec<String> = reader.headers().unwrap().iter().map(str::to_lowercase).collect();
    let row = |record: csv::StringRecord| columns.iter().cloned().zip(record.iter().map(str::to_owned)).collect();
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn expected(name: &str) -> Vec<Row> {
    rows(&format!("snowplow_fractribution_{name}_expected.csv"))
}

fn split(text: &str) -> Vec<String> {
    text.split(" > ").map(str::to_owned).collect()
}

fn moment(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").unwrap().and_utc()
}

/// Hundredths of a decimal number.
fn minor(text: &str) -> u64 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{part:0<2}").parse().unwrap()
}

/// The sessions of each customer.
fn sessions() -> BTreeMap<String, Vec<(DateTime<Utc>, String)>> {
    let mut sessions: BTreeMap<String, Vec<(DateTime<Utc>, String)>> = BTreeMap::new();
    for row in expected("sessions_by_customer_id") {
        let session = (moment(&row["visit_start_tstamp"]), row["channel"].clone());
        sessions.entry(row["customer_id"].clone()).or_default().push(session);
    }
    sessions
}

/// The paths of those who converted (with the value in hundredths) and of those who did not.
type Paths = (BTreeMap<String, (Vec<String>, u64)>, BTreeMap<String, Vec<String>>);

fn paths() -> Paths {
    let lookback = TimeDelta::days(30);
    let mut sessions = sessions();
    let mut converting = BTreeMap::new();
    for row in expected("conversions_by_customer_id") {
        let visits = sessions.remove(&row["customer_id"]).unwrap_or_default();
        let path = path_to(moment(&row["conversion_tstamp"]), lookback, &visits);
        converting.insert(row["customer_id"].clone(), (path, minor(&row["revenue"])));
    }
    // Who did not convert is looked at from the last session on.
    let others = sessions.into_iter().map(|(customer, visits)| {
        let last = visits.iter().map(|(at, _)| *at).max().unwrap();
        (customer, path_to(last, lookback, &visits))
    });
    (converting, others.collect())
}

fn summary() -> Summary {
    let (converting, others) = paths();
    let mut summary = Summary::default();
    for (path, value_minor) in converting.into_values() {
        summary.add_conversion(Transform::Exposure.apply(path), value_minor);
    }
    for path in others.into_values() {
        summary.add_non_conversion(Transform::Exposure.apply(path));
    }
    summary
}

fn weights(summary: &Summary, kind: &str, path: &[String]) -> Vec<u64> {
    match kind {
        "shapley" => shapley::weights(summary, path),
        "last_touch" => last_touch(path),
        other => panic!("the suite has no {other}"),
    }
}

fn credits(kind: &str) -> BTreeMap<String, ChannelCredit> {
    let summary = summary();
    credit(&summary, |path| weights(&summary, kind, path))
}

#[expect(clippy::cast_precision_loss, reason = "compared to nine places with a published decimal")]
fn check_near(units: u128, per_one: u64, published: &str, what: &str) {
    let (found, expected) = (units as f64 / per_one as f64, published.parse::<f64>().unwrap());
    assert!((found - expected).abs() < 1e-9, "{what}: {found} is not {expected}");
}

#[test]
fn every_published_path_transformation_comes_out() {
    let direct = || "Direct".to_owned();
    let transforms = [
        ("trim_long_path", Transform::Trim(1)),
        ("trim_long_path2", Transform::Trim(2)),
        ("unique_path", Transform::AsIs),
        ("frequency_path", Transform::Frequency),
        ("exposure_path", Transform::Exposure),
        ("first_path", Transform::First),
        ("remove_if_not_all", Transform::RemoveIfNotAll(direct())),
        ("remove_if_last_and_not_all", Transform::RemoveIfLastAndNotAll(direct())),
    ];
    let cases = rows("path_transformations_cases.csv");
    assert_eq!(cases.len(), 7);
    for case in cases {
        assert_eq!(case.len(), transforms.len() + 1, "every column is tried");
        for (column, transform) in &transforms {
            let raw = &case["raw_array"];
            assert_eq!(transform.apply(split(raw)).join(" > "), case[*column], "{column} of {raw:?}");
        }
    }
}

#[test]
fn every_published_path_comes_out_of_the_sessions() {
    let (converting, others) = paths();
    let published = expected("paths_to_conversion");
    assert_eq!((published.len(), converting.len()), (6, 6));
    for row in published {
        let (path, value_minor) = &converting[&row["customer_id"]];
        assert_eq!((path.join(" > "), *value_minor), (row["path"].clone(), minor(&row["revenue"])));
        assert_eq!(Transform::Exposure.apply(path.clone()).join(" > "), row["transformed_path"]);
    }
    let published = expected("paths_to_non_conversion");
    assert_eq!((published.len(), others.len()), (61, 61));
    for row in published {
        let path = &others[&row["customer_id"]];
        assert_eq!(path.join(" > "), row["path"]);
        assert_eq!(Transform::Exposure.apply(path.clone()).join(" > "), row["transformed_path"]);
    }
}

#[test]
fn the_published_path_summary_comes_out() {
    let published = expected("path_summary").into_iter().map(|row| {
        let number = |column: &str| row[column].parse::<u64>().unwrap();
        let revenue = if row["revenue"].is_empty() { 0 } else { minor(&row["revenue"]) };
        (split(&row["transformed_path"]), (number("conversions"), number("non_conversions"), u128::from(revenue)))
    });
    let summary = summary();
    let found = summary.iter().map(|(path, outcomes)| {
        (path.to_vec(), (outcomes.conversion_count, outcomes.non_conversion_count, outcomes.value_minor))
    });
    assert_eq!(found.collect::<BTreeMap<_, _>>(), published.collect::<BTreeMap<_, _>>());
}

#[test]
fn the_published_sessions_per_channel_come_out() {
    let mut counts: BTreeMap<[String; 4], usize> = BTreeMap::new();
    let key = |row: &Row| ["channel", "campaign", "source", "medium"].map(|column| row[column].clone());
    for row in expected("sessions_by_customer_id") {
        *counts.entry(key(&row)).or_default() += 1;
    }
    let published = expected("channel_counts");
    let published = published.iter().map(|row| (key(row), row["number_of_sessions"].parse().unwrap()));
    assert_eq!(counts, published.collect());
}

#[test]
fn the_published_weights_of_every_path_come_out() {
    let summary = summary();
    let published = expected("path_summary_with_channels");
    assert_eq!(published.len(), 18);
    for row in published {
        let path = split(&row["transformed_path"]);
        for (channel, weight) in path.iter().zip(weights(&summary, &row["attribution_type"], &path)) {
            // Published to three places.
            let thousandths = (weight + WEIGHT_UNITS / 2_000) / (WEIGHT_UNITS / 1_000);
            let cell = format!("{:.3}", row[&channel.to_lowercase()].parse::<f64>().unwrap());
            let found = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
            assert_eq!(found, cell, "{channel} of {path:?}");
        }
    }
}

#[test]
fn the_published_credit_of_every_channel_comes_out() {
    let published = expected("channel_attribution");
    assert_eq!(published.len(), 12);
    for row in published {
        let kind = &row["attribution_type"];
        let found = credits(kind)[&row["channel"]];
        let what = format!("{kind} of {}", row["channel"]);
        check_near(found.conversion_units, WEIGHT_UNITS, &row["conversions"], &what);
        check_near(found.value_units, WEIGHT_UNITS * 100, &row["revenue"], &what);
    }
    for kind in ["shapley", "last_touch"] {
        let (conversions, value) = credits(kind)
            .values()
            .fold((0, 0), |(conversions, value), one| (conversions + one.conversion_units, value + one.value_units));
        assert_eq!(
            (conversions, value),
            (6 * u128::from(WEIGHT_UNITS), 50_092 * u128::from(WEIGHT_UNITS)),
            "ours is exact"
        );
    }
}

#[test]
fn the_published_return_on_spend_comes_out() {
    let spend = expected("channel_spend");
    let spend: BTreeMap<&str, u64> = spend.iter().map(|row| (row["channel"].as_str(), minor(&row["spend"]))).collect();
    let published = expected("report_table");
    assert_eq!(published.len(), 12);
    for row in published {
        let found = credits(&row["attribution_type"])[&row["channel"]];
        let spend_minor = spend[row["channel"].as_str()];
        let what = format!("{} of {}", row["attribution_type"], row["channel"]);
        assert_eq!(minor(&row["spend"]), spend_minor);
        check_near(found.conversion_units, WEIGHT_UNITS, &row["conversions"], &what);
        check_near(found.value_units, WEIGHT_UNITS * 100, &row["revenue"], &what);
        let return_units = figures::return_on_spend(found.value_units, spend_minor.into()).unwrap();
        check_near(return_units, WEIGHT_UNITS, &row["roas"], &what);
    }
}
