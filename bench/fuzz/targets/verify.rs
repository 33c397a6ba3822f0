//! The verifiers: nothing panics, what was not signed never passes, what was signed well does, and one changed byte undoes it.
#![no_main]

use arbitrary::Arbitrary;
use chrono::DateTime;
use grapevine::platforms::{Request, Scheme, guess_scheme, key_of, sign, verify};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    is_standard: bool,
    key: [u8; 32],
    previous: Option<[u8; 32]>,
    now: u32,
    skew: i16,
    id: String,
    secret: String,
    body: Vec<u8>,
    /// Headers of the fuzzer's own, by number.
    forged: Vec<(u8, Vec<u8>)>,
    /// Which header or the body, where in it, and by which bits.
    change: (u8, u16, u8),
}

const NAMES: [&str; 4] = ["webhook-id", "webhook-timestamp", "webhook-signature", "x-webhook-signature"];

const PLATFORM_NAMES: [&str; 6] = [
    "stripe-signature",
    "x-shopify-hmac-sha256",
    "x-hub-signature-256",
    "x-hub-signature",
    "tiktok-signature",
    "authorization",
];

type Headers = Vec<(String, Vec<u8>)>;

fn passes(scheme: Scheme, keys: &[&[u8]], headers: &Headers, body: &[u8], now: i64) -> bool {
    let lookup =
        |name: &str| headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.clone()).collect::<Vec<_>>();
    guess_scheme(&lookup);
    let now = DateTime::from_timestamp(now, 0).unwrap();
    verify(scheme, keys, &Request { headers: &lookup, query: "", raw: body, now }).is_ok()
}

fuzz_target!(|input: Input| {
    let scheme = if input.is_standard { Scheme::StandardWebhooks } else { Scheme::Generic };
    let _ = key_of(scheme, &input.secret);
    // What the fuzzer says in the headers of platforms is never taken for theirs.
    for scheme in Scheme::ALL.iter().copied().filter(|scheme| scheme.is_platform()) {
        let forged: Headers = input
            .forged
            .iter()
            .map(|(name, value)| (PLATFORM_NAMES[usize::from(*name) % 6].to_owned(), value.clone()))
            .collect();
        assert!(!passes(scheme, &[&[7; 32]], &forged, &input.body, i64::from(input.now)), "forged for {scheme:?}");
    }
    let now = i64::from(input.now);
    let keys: Vec<&[u8]> =
        [Some(&input.key), input.previous.as_ref()].into_iter().flatten().map(<[u8; 32]>::as_slice).collect();

    let forged: Headers =
        input.forged.iter().map(|(name, value)| (NAMES[usize::from(*name) % 4].to_owned(), value.clone())).collect();
    assert!(!passes(scheme, &keys, &forged, &input.body, now), "forged");

    let signer = keys[keys.len() - 1];
    let mut headers: Headers = sign(scheme, signer, &input.id, DateTime::from_timestamp(now, 0).unwrap(), &input.body)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into_bytes()))
        .collect();
    let later = now + i64::from(input.skew);
    let is_word =
        (1..=255).contains(&input.id.len()) && input.id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.');
    let is_good = !input.is_standard || (is_word && input.skew.unsigned_abs() <= 300 && now > 0);
    assert_eq!(passes(scheme, &keys, &headers, &input.body, later), is_good, "signed");

    let (which, place, bits) = input.change;
    let mut body = input.body.clone();
    let parts = headers.len();
    let changed = if usize::from(which) % (parts + 1) == parts {
        &mut body
    } else {
        &mut headers[usize::from(which) % (parts + 1)].1
    };
    if bits == 0 || changed.is_empty() {
        return;
    }
    let place = usize::from(place) % changed.len();
    let before = changed[place];
    changed[place] ^= bits;
    // Hexadecimal digits may be written large.
    if !before.eq_ignore_ascii_case(&changed[place]) || input.is_standard {
        assert!(!passes(scheme, &keys, &headers, &body, later), "changed");
    }
});
