//! The generic source: a JSON object or array, signed `x-webhook-signature: hex(HMAC-SHA256(secret, raw body))`.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::value::RawValue;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use super::{Authentic, EventFields, HeaderLookup, Parsed, Rejected, Submission, only};
use crate::base::limits::EVENTS_PER_REQUEST_MAX;

const HEADER: &str = "x-webhook-signature";
/// A secret that is brought along is at least as hard to guess as 24 characters are.
const SECRET_BYTES_MIN: usize = 24;
const SECRET_BYTES_MAX: usize = 256;

/// The signature of a body, as a sender makes it.
#[must_use]
pub fn sign(key: &[u8], raw: &[u8]) -> String {
    hex::encode(mac(key, raw))
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
pub(super) fn hmac(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("a key of any length")
}

fn mac(key: &[u8], raw: &[u8]) -> [u8; 32] {
    hmac(key).chain_update(raw).finalize().into_bytes().into()
}

/// The headers of a request, as a sender makes them.
pub(super) fn headers(key: &[u8], raw: &[u8]) -> Vec<(&'static str, String)> {
    vec![(HEADER, sign(key, raw))]
}

/// The key of a secret: the bytes of its own text.
pub(super) fn key_of(secret: &str) -> Option<Vec<u8>> {
    let is_text = secret.bytes().all(|byte| byte.is_ascii_graphic());
    (is_text && (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.len())).then(|| secret.as_bytes().to_vec())
}

pub(super) fn verify(keys: &[&[u8]], headers: HeaderLookup<'_>, raw: &[u8]) -> Result<Authentic, Rejected> {
    let mut digest = [0; 32];
    let is_digest = only(headers, HEADER).is_some_and(|value| hex::decode_to_slice(value, &mut digest).is_ok());
    // The same work whatever is wrong with the header, over every key, so that the time tells nothing.
    let is_signed = keys.iter().fold(Choice::from(0), |found, key| found | mac(key, raw).ct_eq(&digest));
    match (is_digest, bool::from(is_signed)) {
        (true, true) => Ok(Authentic { delivery_id: None }),
        (true, false) => Err(Rejected::Signature),
        (false, _) => Err(Rejected::Header),
    }
}

pub(super) fn parse(raw: &[u8]) -> Parsed {
    let is_array = raw.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if !is_array {
        return Parsed { is_array, items: vec![parse_one(raw)] };
    }
    let items = match serde_json::from_slice::<Vec<&RawValue>>(raw) {
        Ok(items) if items.len() > EVENTS_PER_REQUEST_MAX => {
            let reason = format!("An array holds at most {EVENTS_PER_REQUEST_MAX} events, this one {}.", items.len());
            vec![Submission::Unreadable { raw: raw.to_vec(), code: "TOO_MANY_EVENTS", reason }]
        }
        Ok(items) => items.into_iter().map(|item| parse_one(item.get().as_bytes())).collect(),
        Err(error) => vec![unreadable(raw, &error)],
    };
    Parsed { is_array, items }
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
    // The reader's own words can quote what was sent, which may be personal: they are not kept, the place is.
    let (code, what) = if error.is_data() {
        ("BAD_FIELD", "A field has the wrong type, or stands twice, or the event is no object")
    } else {
        ("BAD_JSON", "The body is not JSON, or nests too deep")
    };
    let reason = format!("{what} (line {}, column {}).", error.line(), error.column());
    Submission::Unreadable { raw: raw.to_vec(), code, reason }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::canonical_json;
    use super::*;

    fn check(secrets: &[&[u8]], values: &[&str], raw: &[u8], expected: Result<(), Rejected>) {
        let values: Vec<Vec<u8>> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        assert_eq!(verify(secrets, &|_| values.clone(), raw).map(|_| ()), expected, "{values:?}");
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
