//! Signatures that other implementations made or refused: ours say the same of each.

use std::collections::BTreeMap;

use chrono::DateTime;
use grapevine::platforms::{Request, Scheme, verify};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    scheme: Scheme,
    name: String,
    secret: String,
    now: Option<i64>,
    headers: BTreeMap<String, String>,
    payload: String,
    valid: bool,
}

#[test]
fn every_published_signature_is_taken_and_refused_as_others_do() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../../fixtures/webhooks/platforms.json")).unwrap();
    assert_eq!(vectors.len(), 27);
    for vector in vectors {
        let headers = |name: &str| {
            vector.headers.get(name).map(|value| value.clone().into_bytes()).into_iter().collect::<Vec<_>>()
        };
        let now = DateTime::from_timestamp(vector.now.unwrap_or_default(), 0).unwrap();
        let request = Request { headers: &headers, query: "", raw: vector.payload.as_bytes(), now };
        let verified = verify(vector.scheme, &[b"another secret", vector.secret.as_bytes()], &request);
        assert_eq!(verified.is_ok(), vector.valid, "{:?} {}: {verified:?}", vector.scheme, vector.name);
        assert!(verify(vector.scheme, &[b"another secret"], &request).is_err(), "{}", vector.name);
        assert!(verify(vector.scheme, &[], &request).is_err(), "{}", vector.name);
    }
}

#[test]
fn the_literals_of_the_documentation_pass() {
    let check = |scheme: Scheme, secret: &str, now: i64, header: (&str, &str), body: &str| {
        let headers = |name: &str| if name == header.0 { vec![header.1.as_bytes().to_vec()] } else { Vec::new() };
        let now = DateTime::from_timestamp(now, 0).unwrap();
        let request = Request { headers: &headers, query: "", raw: body.as_bytes(), now };
        assert!(verify(scheme, &[secret.as_bytes()], &request).is_ok(), "{scheme:?}");
        let changed = Request { raw: &[body.as_bytes(), b" "].concat(), ..request };
        assert!(verify(scheme, &[secret.as_bytes()], &changed).is_err(), "{scheme:?}");
    };
    let stripe = "t=1492774577,v1=b3e13e5447fdc7345d487944bdbf0936288eae7f90ef03fd6b930d5d5a1d35d8";
    let body = r#"{"id":"evt_1","object":"event","type":"charge.succeeded"}"#;
    check(Scheme::Stripe, "whsec_test", 1_492_774_577, ("stripe-signature", stripe), body);
}

/// The moment of a header is signed with the body, and must be about now.
#[test]
fn an_old_request_cannot_be_sent_again() {
    for (scheme, name) in [(Scheme::Stripe, "stripe-signature"), (Scheme::Tiktok, "tiktok-signature")] {
        let sent_at = DateTime::from_timestamp(1_786_795_200, 0).unwrap();
        let signed = grapevine::platforms::sign(scheme, b"secret", "", sent_at, b"{}");
        let check = |value: &str, ahead: i64, is_good: bool| {
            let headers = |wanted: &str| if wanted == name { vec![value.as_bytes().to_vec()] } else { Vec::new() };
            let now = sent_at + chrono::TimeDelta::seconds(ahead);
            let request = Request { headers: &headers, query: "", raw: b"{}", now };
            assert_eq!(verify(scheme, &[b"secret"], &request).is_ok(), is_good, "{scheme:?} {value} {ahead}");
        };
        let good = signed[0].1.as_str();
        check(good, 0, true);
        check(good, 300, true);
        check(good, 301, false);
        check(&good.replace("t=1786795200", "t=1786795201"), 0, false);
        check(&format!("t=1786795200,{good}"), 0, false);
        for bad in ["", "t=", "t=1786795200", "t=-1,v1=00,s=00", "t=9223372036854775807,v1=,s=", &good.to_uppercase()] {
            check(bad, 0, false);
        }
    }
}
