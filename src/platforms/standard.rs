//! Standard Webhooks 1.0 (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>): the sender
//! signs its own name of the request, the moment and the body, so that an old request cannot be sent again. A verifier of our own:
//! the published crate panics at some timestamps before it has checked who sent them.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chrono::{DateTime, Utc};

use super::adapter::{Adapter, Authentic, Post, Rejected, Request, SignedHeaders, only};
use super::signing::{is_signed, seconds, sha256};
use super::{Parsed, generic};
use crate::base::limits::{
    DELIVERY_ID_BYTES_MAX, WEBHOOK_KEY_BYTES_MAX, WEBHOOK_KEY_BYTES_MIN, WEBHOOK_SIGNATURES_MAX,
    WEBHOOK_TOLERANCE_SECONDS,
};

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
const PREFIX: &str = "whsec_";
/// Other implementations write secrets with and without padding.
const SECRET: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) struct Standard;

impl Adapter for Standard {
    fn proof_header(&self) -> &'static str {
        SIGNATURE
    }

    fn names_its_events(&self) -> bool {
        false
    }

    /// With its prefix or without.
    fn key_of(&self, secret: &str) -> Option<Vec<u8>> {
        let key = SECRET.decode(secret.strip_prefix(PREFIX).unwrap_or(secret)).ok()?;
        (WEBHOOK_KEY_BYTES_MIN..=WEBHOOK_KEY_BYTES_MAX).contains(&key.len()).then_some(key)
    }

    fn secret_expected(&self) -> &'static str {
        "Pass a secret as whsec_ and the base64 of 24 to 64 bytes, or leave it out."
    }

    fn secret_of(&self, key: &[u8; 32]) -> String {
        secret_of(key)
    }

    fn sign(&self, key: &[u8], delivery_id: &str, now: DateTime<Utc>, raw: &[u8]) -> SignedHeaders {
        let sent_at = now.timestamp().to_string();
        let mac = mac(key, delivery_id, &sent_at, raw);
        vec![(ID, delivery_id.to_owned()), (TIMESTAMP, sent_at), (SIGNATURE, format!("v1,{}", STANDARD.encode(mac)))]
    }

    fn verify(&self, keys: &[&[u8]], request: &Request<'_>) -> Result<Authentic, Rejected> {
        let [id, sent_at, signature] = [ID, TIMESTAMP, SIGNATURE].map(|name| only(request.headers, name));
        let offers = signature.and_then(|text| offers(&text)).unwrap_or_default();
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        // The same work whatever is wrong with the headers, over every key and every offer, so that the time tells nothing.
        let is_signed = is_signed(keys, &offers, |key| mac(key, &text(&id), &text(&sent_at), request.raw));
        let delivery_id = id.clone().filter(|id| id.len() <= DELIVERY_ID_BYTES_MAX && !id.contains(['.', ' ']));
        let seconds = sent_at.as_deref().and_then(seconds);
        let (Some(delivery_id), Some(seconds), false) = (delivery_id, seconds, offers.is_empty()) else {
            return Err(Rejected::Header);
        };
        let age = request.now.timestamp().checked_sub(seconds).map(i64::unsigned_abs);
        if age.is_none_or(|age| age > WEBHOOK_TOLERANCE_SECONDS) {
            return Err(Rejected::Stale);
        }
        if is_signed { Ok(Authentic { delivery_id: Some(delivery_id) }) } else { Err(Rejected::Signature) }
    }

    fn parse(&self, post: &Post<'_>) -> Parsed {
        generic::parse(post.body)
    }
}

/// The secret of a key, as it is written down.
fn secret_of(key: &[u8]) -> String {
    format!("{PREFIX}{}", STANDARD.encode(key))
}

fn mac(key: &[u8], id: &str, sent_at: &str, raw: &[u8]) -> [u8; 32] {
    sha256(key, &[id.as_bytes(), b".", sent_at.as_bytes(), b".", raw])
}

/// The digests of version 1 in a list of signatures, `None` where the list is too long. Other versions are for other receivers.
fn offers(text: &str) -> Option<Vec<[u8; 32]>> {
    let all: Vec<&str> = text.split(' ').filter(|part| !part.is_empty()).take(WEBHOOK_SIGNATURES_MAX + 1).collect();
    let digest = |part: &str| STANDARD.decode(part.strip_prefix("v1,")?).ok()?.try_into().ok();
    (all.len() <= WEBHOOK_SIGNATURES_MAX).then(|| all.into_iter().filter_map(digest).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SENT_AT: i64 = 1_614_265_330;
    const GOOD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn key() -> Vec<u8> {
        Standard.key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
    }

    fn outcome(headers: &[(&str, &[u8])], now: i64) -> Result<Authentic, Rejected> {
        let lookup = |name: &str| {
            headers.iter().filter(|(other, _)| *other == name).map(|(_, value)| value.to_vec()).collect::<Vec<_>>()
        };
        let now = DateTime::from_timestamp(now, 0).unwrap();
        Standard.verify(&[&key()], &Request { headers: &lookup, query: "", raw: BODY, now })
    }

    fn check(id: &str, sent_at: &str, signature: &str, now: i64, expected: Result<(), Rejected>) {
        let headers = [(ID, id.as_bytes()), (TIMESTAMP, sent_at.as_bytes()), (SIGNATURE, signature.as_bytes())];
        assert_eq!(outcome(&headers, now).map(|_| ()), expected, "{id} {sent_at} {signature} at {now}");
    }

    #[test]
    fn only_a_fresh_signature_over_all_three_parts_passes() {
        let (id, at) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", SENT_AT.to_string());
        check(id, &at, GOOD, SENT_AT, Ok(()));
        check(id, &at, &format!("v1a,x v2,y {GOOD}"), SENT_AT + 300, Ok(()));
        check(id, &at, &format!("v1,AAAA  {GOOD}"), SENT_AT - 300, Ok(()));
        check(id, &at, GOOD, SENT_AT + 301, Err(Rejected::Stale));
        check(id, &at, GOOD, SENT_AT - 301, Err(Rejected::Stale));
        check("msg_other", &at, GOOD, SENT_AT, Err(Rejected::Signature));
        check(id, &(SENT_AT + 1).to_string(), GOOD, SENT_AT, Err(Rejected::Signature));
        check(id, &at, &format!("{}{GOOD}", "v1,AAAA ".repeat(5)), SENT_AT, Err(Rejected::Header));
        for signature in
            ["", "v1,", "v1", &GOOD[3..], &format!("v2{}", &GOOD[2..]), &GOOD[..40], &GOOD.replace('=', "")]
        {
            check(id, &at, signature, SENT_AT, Err(Rejected::Header));
        }
        for sent_at in
            ["", "hello", "+1614265330", "01614265330", "1614265330.0", "-9223372036854775808", "18446744073709551615"]
        {
            check(id, sent_at, GOOD, SENT_AT, Err(Rejected::Header));
        }
        check(id, &i64::MAX.to_string(), GOOD, SENT_AT, Err(Rejected::Stale));
        for id in ["", "a.b", "a b", &"x".repeat(DELIVERY_ID_BYTES_MAX + 1)] {
            check(id, &at, GOOD, SENT_AT, Err(Rejected::Header));
        }
    }

    #[test]
    fn a_header_that_is_missing_repeated_or_not_ascii_is_none() {
        let at = SENT_AT.to_string();
        let good =
            [(ID, &b"msg_p5jXN8AQM9LWM0D4loKWxJek"[..]), (TIMESTAMP, at.as_bytes()), (SIGNATURE, GOOD.as_bytes())];
        assert!(outcome(&good, SENT_AT).is_ok());
        for index in 0..3 {
            let mut missing = good.to_vec();
            missing.remove(index);
            let mut repeated = good.to_vec();
            repeated.push(good[index]);
            let mut foreign = good.to_vec();
            foreign[index].1 = b"\xfc\xff";
            for headers in [missing, repeated, foreign] {
                assert_eq!(outcome(&headers, SENT_AT), Err(Rejected::Header), "{headers:?}");
            }
        }
    }

    #[test]
    fn a_secret_is_24_to_64_bytes_with_or_without_prefix_and_padding() {
        for length in [24, 31, 32, 64] {
            let key = vec![7; length];
            let secret = secret_of(&key);
            assert!(secret.starts_with("whsec_"));
            for spelling in [secret.as_str(), secret.trim_end_matches('='), &secret["whsec_".len()..]] {
                assert_eq!(Standard.key_of(spelling), Some(key.clone()), "{spelling}");
            }
        }
        for secret in
            [&secret_of(&[7; 23]), &secret_of(&[7; 65]), "whsec_", "", "whsec_not base64 at all, whatever one says"]
        {
            assert_eq!(Standard.key_of(secret), None, "{secret}");
        }
    }

    proptest! {
        #[test]
        fn what_is_signed_is_verified_and_nothing_else_ever_panics(
            id in "[!-~]{0,40}", sent_at in any::<i64>(), skew in -400_i64..400, raw in prop::collection::vec(any::<u8>(), 0..200),
            values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4),
        ) {
            let now = DateTime::from_timestamp(sent_at.rem_euclid(4_000_000_000), 0).unwrap();
            let signed = Standard.sign(&key(), &id, now, &raw);
            let headers = |name: &str| signed.iter().filter(|(own, _)| *own == name).map(|(_, value)| value.clone().into_bytes()).collect::<Vec<_>>();
            let later = now + chrono::TimeDelta::seconds(skew);
            let is_good = !id.is_empty() && !id.contains('.') && skew.abs() <= 300 && now.timestamp() > 0;
            let request = Request { headers: &headers, query: "", raw: &raw, now: later };
            prop_assert_eq!(Standard.verify(&[&key()], &request).is_ok(), is_good);
            prop_assert!(Standard.verify(&[&[1; 32]], &request).is_err());
            prop_assert!(Standard.verify(&[], &request).is_err());
            let forged = Request { headers: &|_| values.clone(), ..request };
            prop_assert!(Standard.verify(&[&key()], &forged).is_err());
        }
    }
}
