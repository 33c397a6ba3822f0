//! The parser and the canonical form: nothing panics, nothing is lost, and a second spelling of the same JSON hashes the same.
#![no_main]

use grapevine::platforms::{Scheme, Submission, canonical_json, parse};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

fuzz_target!(|raw: &[u8]| {
    for scheme in Scheme::ALL.iter().copied().filter(|scheme| scheme.is_platform()) {
        // As it is, and with a head that could be ours.
        for kept in [raw.to_vec(), [b"x-shopify-topic: orders/paid\n\n", raw].concat()] {
            let parsed = parse(scheme, &kept);
            assert!(parsed.items.len() <= 1_001 && parsed.is_array == (parsed.items.len() != 1));
        }
    }
    let parsed = parse(Scheme::Generic, raw);
    assert!(parsed.items.len() <= 1_000);
    assert!(parsed.is_array || parsed.items.len() == 1);
    for item in &parsed.items {
        match item {
            Submission::Fields { raw, .. } => {
                assert!(serde_json::from_slice::<&RawValue>(raw).is_ok());
                // What nests deeper than any event stands for itself.
                if raw.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() <= 16 {
                    assert_eq!(canonical_json(raw), canonical_json(&[b" \n", raw.as_slice(), b"\t "].concat()));
                }
            }
            Submission::Unreadable { code, reason, .. } => assert!(!code.is_empty() && reason.len() < 200),
        }
    }
    let canonical = canonical_json(raw);
    assert!(canonical.len() <= 7 * raw.len() + 2);
    assert_eq!(canonical_json(raw), canonical);
});
