//! How requests prove who sent them: HMAC over what was sent, compared in constant time, or a token that is sent along. Every key and
//! every offer is tried, whatever is wrong with the rest, so that the time tells nothing.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use url::form_urlencoded;

use super::adapter::{Authentic, HeaderLookup, Rejected, Request, only};

/// HMAC-SHA256 over the parts in a row.
#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
pub(super) fn sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("a key of any length");
    parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
}

/// HMAC-SHA1 over the bytes, for senders who know no better.
#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
pub(super) fn sha1(key: &[u8], raw: &[u8]) -> [u8; 20] {
    let mac = <Hmac<Sha1> as KeyInit>::new_from_slice(key).expect("a key of any length");
    mac.chain_update(raw).finalize().into_bytes().into()
}

/// Whether one of the keys made one of the offers.
pub(super) fn is_signed<const N: usize>(keys: &[&[u8]], offers: &[[u8; N]], mac: impl Fn(&[u8]) -> [u8; N]) -> bool {
    let mut found = Choice::from(0);
    for key in keys {
        let own = mac(key);
        found = offers.iter().fold(found, |found, offer| found | own.as_slice().ct_eq(offer.as_slice()));
    }
    bool::from(found)
}

/// What a check came to: a header without an offer is malformed, one with others is wrong.
pub(super) fn outcome(has_offers: bool, is_signed: bool, delivery_id: Option<String>) -> Result<Authentic, Rejected> {
    match (has_offers, is_signed) {
        (true, true) => Ok(Authentic { delivery_id }),
        (true, false) => Err(Rejected::Signature),
        (false, _) => Err(Rejected::Header),
    }
}

/// A digest in lower-case hexadecimal.
pub(super) fn digest<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    hex::decode_to_slice(text, &mut bytes).ok().filter(|()| is_lower).map(|()| bytes)
}

/// Unix seconds in their one spelling: digits without a sign, a blank or a leading zero.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

/// The signed moment and the digests of a header such as `t=1492774577,v1=5257a8...`, which names the digests' scheme.
pub(super) fn timed(
    headers: HeaderLookup<'_>,
    name: &str,
    scheme: &str,
    offers_max: usize,
) -> Option<(i64, Vec<[u8; 32]>)> {
    let text = only(headers, name)?;
    let pairs: Vec<(&str, &str)> = text.split(',').filter_map(|pair| pair.split_once('=')).collect();
    let mut moments = pairs.iter().filter(|(name, _)| *name == "t").map(|(_, text)| *text);
    let sent_at = moments.next().filter(|_| moments.next().is_none()).and_then(seconds)?;
    let offers: Vec<[u8; 32]> = pairs
        .iter()
        .filter(|(name, _)| *name == scheme)
        .take(offers_max)
        .filter_map(|(_, text)| digest(text))
        .collect();
    (!offers.is_empty()).then_some((sent_at, offers))
}

/// Checks `HMAC-SHA256(key, moment + "." + body)` of a header with its moment, which may be `late_seconds_max` ago.
pub(super) fn verify_timed(
    keys: &[&[u8]],
    request: &Request<'_>,
    found: Option<(i64, Vec<[u8; 32]>)>,
    late_seconds_max: i64,
) -> Result<(), Rejected> {
    let has_offers = found.is_some();
    let (sent_at, offers) = found.unwrap_or_default();
    let text = sent_at.to_string();
    let is_signed = is_signed(keys, &offers, |key| sha256(key, &[text.as_bytes(), b".", request.raw]));
    if has_offers && request.now.timestamp().checked_sub(sent_at).is_none_or(|age| age > late_seconds_max) {
        return Err(Rejected::Stale);
    }
    outcome(has_offers, is_signed, None).map(|_| ())
}

/// Checks that the secret itself is sent along: in one of these headers, alone or behind `Bearer`, or as `token` in the query.
pub(super) fn verify_token(keys: &[&[u8]], request: &Request<'_>, headers: &[&str]) -> Result<Authentic, Rejected> {
    let in_headers = headers.iter().filter_map(|name| only(request.headers, name));
    let in_query = form_urlencoded::parse(request.query.as_bytes());
    let in_query = in_query.filter(|(name, _)| name == "token").map(|(_, value)| value.into_owned());
    let hash = |bytes: &[u8]| -> [u8; 32] { Sha256::digest(bytes).into() };
    let offers: Vec<[u8; 32]> = in_headers
        .chain(in_query)
        .take(headers.len() + 1)
        .map(|text| hash(text.strip_prefix("Bearer ").unwrap_or(&text).as_bytes()))
        .collect();
    let is_signed = is_signed(keys, &offers, hash);
    outcome(!offers.is_empty(), is_signed, None)
}
