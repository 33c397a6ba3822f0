//! The generic source: a JSON object or array, signed `x-webhook-signature: hex(HMAC-SHA256(secret, raw body))`.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::value::RawValue;
use sha2::Sha256;

use super::{EventFields, HeaderLookup, Parsed, Rejected, Submission};
use crate::base::limits::EVENTS_PER_REQUEST_MAX;

const HEADER: &str = "x-webhook-signature";

/// The signature of a body, as a sender makes it.
#[must_use]
pub fn sign(secret: &[u8], raw: &[u8]) -> String {
    hex::encode(mac(secret, raw).finalize().into_bytes())
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn mac(secret: &[u8], raw: &[u8]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).expect("a key of any length");
    mac.update(raw);
    mac
}

pub(super) fn verify(secrets: &[Vec<u8>], headers: HeaderLookup<'_>, raw: &[u8]) -> Result<(), Rejected> {
    let values = headers(HEADER);
    let [value] = values.as_slice() else { return Err(Rejected::Header) };
    let mut digest = [0; 32];
    hex::decode_to_slice(value, &mut digest).map_err(|_error: hex::FromHexError| Rejected::Header)?;
    // Every secret is tried, so that the time does not tell which one was right.
    let is_authentic =
        secrets.iter().fold(false, |found, secret| mac(secret, raw).verify_slice(&digest).is_ok() | found);
    if is_authentic { Ok(()) } else { Err(Rejected::Signature) }
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
    use super::*;

    fn check(secrets: &[&[u8]], values: &[&str], raw: &[u8], expected: Result<(), Rejected>) {
        let secrets: Vec<Vec<u8>> = secrets.iter().map(|secret| secret.to_vec()).collect();
        let values: Vec<Vec<u8>> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        assert_eq!(verify(&secrets, &|_| values.clone(), raw), expected, "{values:?}");
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
}
