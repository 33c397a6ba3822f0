//! What each platform posts, and what we make of it: one file a case, in `tests/fixtures/platforms/<scheme>`.

use std::collections::BTreeMap;
use std::path::Path;

use grapevine::platforms::{EventFields, Parsed, Scheme, Submission, keep, parse};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    payload: Option<Value>,
    text: Option<String>,
    version: Option<String>,
    events: Vec<Value>,
}

/// The fields that an adapter filled in, by the names of the generic source.
fn shown(fields: &EventFields) -> Value {
    let raw = |value: &Option<Box<RawValue>>| value.as_ref().map(|value| serde_json::from_str(value.get()).unwrap());
    let text = |value: &Option<String>| value.clone().map(Value::String);
    let all = [
        ("event_type", text(&fields.event_type)),
        ("timestamp", raw(&fields.timestamp)),
        ("event_id", text(&fields.event_id)),
        ("creator_id", text(&fields.creator_id)),
        ("campaign", text(&fields.campaign)),
        ("sub_id", text(&fields.sub_id)),
        ("user_id", text(&fields.user_id)),
        ("anonymous_id", text(&fields.anonymous_id)),
        ("link_token", text(&fields.link_token)),
        ("click_id", text(&fields.click_id)),
        ("referrer_user_id", text(&fields.referrer_user_id)),
        ("order_id", text(&fields.order_id)),
        ("conversion_value", raw(&fields.conversion_value)),
        ("currency", text(&fields.currency)),
        ("platform", text(&fields.platform)),
        ("url", text(&fields.url)),
        ("ip", text(&fields.ip)),
        ("user_agent", text(&fields.user_agent)),
        ("device_id", text(&fields.device_id)),
        ("account_id", text(&fields.account_id)),
        ("properties", raw(&fields.properties)),
    ];
    assert!(fields.consent.is_none(), "no platform says what its people agreed to");
    Value::Object(all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>())
}

fn said(item: &Submission) -> Value {
    match item {
        Submission::Fields { fields, .. } => shown(fields),
        Submission::Unreadable { code, reason, .. } => {
            assert!(reason.ends_with('.') && reason.len() < 200, "{reason}");
            json!({ "code": code })
        }
    }
}

fn raw(item: &Submission) -> &[u8] {
    match item {
        Submission::Fields { raw, .. } | Submission::Unreadable { raw, .. } => raw,
    }
}

fn read(scheme: Scheme, case: &Case) -> Parsed {
    let headers =
        |name: &str| case.headers.get(name).map(|value| value.clone().into_bytes()).into_iter().collect::<Vec<_>>();
    let body = case.text.clone().unwrap_or_else(|| case.payload.as_ref().unwrap().to_string());
    parse(scheme, &keep(scheme, &headers, body.as_bytes()))
}

fn cases(scheme: Scheme) -> Vec<(String, Case)> {
    let folder = Path::new("tests/fixtures/platforms").join(scheme.as_str().to_lowercase());
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &Path| {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).unwrap();
        (name.clone(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    paths.iter().map(|path| read(path)).collect()
}

#[test]
fn every_payload_becomes_the_events_that_stand_beside_it() {
    for scheme in Scheme::ALL.iter().copied().filter(|scheme| scheme.is_platform()) {
        let cases = cases(scheme);
        assert!(cases.len() >= 6, "{scheme:?} has {} cases", cases.len());
        for (name, case) in cases {
            assert!(!case.about.is_empty() && case.payload.is_some() != case.text.is_some(), "{name}");
            let parsed = read(scheme, &case);
            assert_eq!(parsed.items.iter().map(said).collect::<Vec<_>>(), case.events, "{name}: {}", case.about);
            assert_eq!(parsed.version, case.version, "{name}");
            // What is kept of a part reads as that part alone, however often it is taken in again.
            for item in &parsed.items {
                let again = parse(scheme, raw(item));
                assert_eq!(again.items.iter().map(said).collect::<Vec<_>>(), [said(item)], "{name}: kept");
                assert_eq!(raw(&again.items[0]), raw(item), "{name}: kept");
            }
        }
    }
}

#[test]
fn every_adapter_is_tried_with_what_it_knows_and_what_it_does_not() {
    for scheme in Scheme::ALL.iter().copied().filter(|scheme| scheme.is_platform()) {
        let events: Vec<Value> = cases(scheme).into_iter().flat_map(|(_, case)| case.events).collect();
        let codes = ["BAD_FIELD", if scheme == Scheme::Youtube { "UNKNOWN_VERSION" } else { "UNKNOWN_KIND" }];
        for code in codes {
            assert!(events.iter().any(|event| event["code"] == code), "{scheme:?} lacks {code}");
        }
        assert!(events.iter().any(|event| event["event_type"].is_string()), "{scheme:?} understands nothing");
    }
}

#[test]
fn whatever_is_posted_is_kept_and_nothing_panics() {
    let bodies: [&[u8]; 8] = [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"<a>", b"\n\n\n", b"5"];
    let deep = [b"[".repeat(100_000), b"<a>".repeat(80_000), b"{\"a\":".repeat(50_000)];
    for scheme in Scheme::ALL.iter().copied().filter(|scheme| scheme.is_platform()) {
        for body in bodies.iter().copied().chain(deep.iter().map(Vec::as_slice)) {
            let parsed = parse(scheme, &keep(scheme, &|_| Vec::new(), body));
            assert_eq!(parsed.items.len(), 1, "{scheme:?} lost a body of {} bytes", body.len());
            assert!(matches!(parsed.items[0], Submission::Unreadable { .. }), "{scheme:?}");
        }
    }
}
