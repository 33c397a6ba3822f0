//! The generic source: a JSON object or array, signed `x-webhook-signature: hex(HMAC-SHA256(secret, raw body))`.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::adapter::{Adapter, Authentic, Post, Rejected, Request, SignedHeaders, json_doubt, only, text_key};
use super::signing::{is_signed, outcome, sha256};
use super::{EventFields, Parsed, Submission};
use crate::base::limits::EVENTS_PER_REQUEST_MAX;

const HEADER: &str = "x-webhook-signature";
/// A secret that is brought along is at least as hard to guess as 24 characters are.
const SECRET_BYTES_MIN: usize = 24;

pub(super) struct Generic;

impl Adapter for Generic {
    fn proof_header(&self) -> &'static str {
        HEADER
    }

    fn names_its_events(&self) -> bool {
        false
    }

    fn key_of(&self, secret: &str) -> Option<Vec<u8>> {
        text_key(secret, SECRET_BYTES_MIN)
    }

    fn secret_expected(&self) -> &'static str {
        "Pass a secret of 24 to 256 visible ASCII characters, or leave it out."
    }

    fn sign(&self, key: &[u8], _delivery_id: &str, _now: DateTime<Utc>, raw: &[u8]) -> SignedHeaders {
        vec![(HEADER, sign(key, raw))]
    }

    fn verify(&self, keys: &[&[u8]], request: &Request<'_>) -> Result<Authentic, Rejected> {
        let mut digest = [0; 32];
        let value = only(request.headers, HEADER);
        let is_digest = value.is_some_and(|value| hex::decode_to_slice(value, &mut digest).is_ok());
        let is_signed = is_signed(keys, &[digest], |key| sha256(key, &[request.raw]));
        outcome(is_digest, is_signed, None)
    }

    fn parse(&self, post: &Post<'_>) -> Parsed {
        parse(post.body)
    }
}

/// The signature of a body, as a sender makes it.
#[must_use]
pub fn sign(key: &[u8], raw: &[u8]) -> String {
    hex::encode(sha256(key, &[raw]))
}

pub(super) fn parse(raw: &[u8]) -> Parsed {
    let is_array = raw.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if !is_array {
        return Parsed { is_array, items: vec![parse_one(raw)], version: None };
    }
    let items = match serde_json::from_slice::<Vec<&RawValue>>(raw) {
        Ok(items) if items.len() > EVENTS_PER_REQUEST_MAX => {
            let reason = format!("An array holds at most {EVENTS_PER_REQUEST_MAX} events, this one {}.", items.len());
            vec![Submission::Unreadable { raw: raw.to_vec(), code: "TOO_MANY_EVENTS", reason }]
        }
        Ok(items) => items.into_iter().map(|item| parse_one(item.get().as_bytes())).collect(),
        Err(error) => vec![unreadable(raw, &error)],
    };
    Parsed { is_array, items, version: None }
}

fn parse_one(raw: &[u8]) -> Submission {
    match serde_json::from_slice::<EventFields>(raw) {
        Ok(fields) if raw.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') => {
            Submission::Fields { fields: Box::new(fields), raw: raw.to_vec() }
        }
        Ok(_) => Submission::Unreadable {
            raw: raw.to_vec(),
            code: "BAD_JSON",
            reason: "An event is a JSON object with the fields of the documentation.".to_owned(),
        },
        Err(error) => unreadable(raw, &error),
    }
}

fn unreadable(raw: &[u8], error: &serde_json::Error) -> Submission {
    let (code, reason) = json_doubt(error);
    Submission::Unreadable { raw: raw.to_vec(), code, reason }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::canonical_json;
    use super::*;

    fn check(secrets: &[&[u8]], values: &[&str], raw: &[u8], expected: Result<(), Rejected>) {
        let values: Vec<Vec<u8>> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        let now = DateTime::UNIX_EPOCH;
        let request = Request { headers: &|_| values.clone(), query: "", raw, now };
        assert_eq!(Generic.verify(secrets, &request).map(|_| ()), expected, "{values:?}");
    }

    #[test]
    fn only_a_live_secret_over_the_same_bytes_passes() {
        let good = sign(b"new", b"{}");
        check(&[b"new"], &[&good], b"{}", Ok(()));
        check(&[b"new", b"old"], &[&sign(b"old", b"{}")], b"{}", Ok(()));
        check(&[b"new"], &[&good.to_uppercase()], b"{}", Ok(()));
        check(&[b"new"], &[&good], b"{} ", Err(Rejected::Signature));
        check(&[b"other"], &[&good], b"{}", Err(Rejected::Signature));
        check(&[], &[&good], b"{}", Err(Rejected::Signature));
        check(&[b"new"], &[&good, &good], b"{}", Err(Rejected::Header));
        for wrong in ["", "zz", &good[1..], &format!("{good}00"), "ünïcode"] {
            check(&[b"new"], &[wrong], b"{}", Err(Rejected::Header));
        }
        check(&[b"new"], &[], b"{}", Err(Rejected::Header));
    }

    #[test]
    fn a_reason_never_quotes_what_was_sent() {
        let Some(Submission::Unreadable { reason, .. }) = parse(br#"{"consent": "ann@example.com"}"#).items.pop()
        else {
            panic!("a text is no consent");
        };
        assert!(reason.contains("column") && !reason.contains("ann@"), "{reason}");
    }

    #[test]
    fn what_cannot_be_read_is_kept_with_a_reason() {
        let code = |raw: &[u8]| match parse(raw).items.first() {
            Some(Submission::Unreadable { code, .. }) => *code,
            _ => "",
        };
        assert_eq!(code(b""), "BAD_JSON");
        assert_eq!(code(b"\xff"), "BAD_JSON");
        assert_eq!(code(b"5"), "BAD_FIELD");
        assert_eq!(code(br#"{"user_id": 5}"#), "BAD_FIELD");
        assert_eq!(code(br#"{"user_id":"a","user_id":"b"}"#), "BAD_FIELD");
        assert_eq!(code("[".repeat(100_000).as_bytes()), "BAD_JSON");
        assert_eq!(code(br#"{"event_type":"click","new_field":[1]}"#), "");
        assert!(parse(b"[]").items.is_empty());
    }

    /// JSON in which fields that we know meet values that we do not expect.
    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            "[\\PC\u{0}]{0,12}".prop_map(Into::into),
        ];
        let name = prop_oneof![Just("event_type"), Just("timestamp"), Just("consent"), Just("properties"), Just("x")];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let fields = prop::collection::btree_map(name.clone(), inner.clone(), 0..5);
            let object =
                fields.prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
            prop_oneof![
                prop::collection::vec(inner, 0..5).prop_map(Into::into),
                object.prop_map(serde_json::Value::Object)
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_kept(raw in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(!parse(&raw).items.is_empty() || raw.contains(&b'['));
        }

        #[test]
        fn an_event_is_what_it_is_in_any_order_of_its_fields(value in any_json()) {
            let (plain, pretty) = (value.to_string(), serde_json::to_string_pretty(&value).unwrap());
            let (first, second) = (parse(plain.as_bytes()), parse(pretty.as_bytes()));
            prop_assert_eq!(first.is_array, value.is_array());
            prop_assert_eq!(first.items.len(), value.as_array().map_or(1, Vec::len));
            for (first, second) in first.items.iter().zip(&second.items) {
                let raw = |item: &Submission| match item {
                    Submission::Fields { raw, .. } => (canonical_json(raw), None),
                    Submission::Unreadable { raw, code, .. } => (canonical_json(raw), Some(*code)),
                };
                prop_assert_eq!(raw(first), raw(second));
            }
        }
    }
}
