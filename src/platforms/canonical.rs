//! One spelling per JSON value: keys sorted, no white space, numbers and strings as the sender wrote them. So a retry that was
//! serialised anew hashes the same, and two numbers that a float would merge do not.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Levels that are spelled anew; what lies deeper stands as it was sent. A reader of raw JSON has no bound of its own.
const LEVELS_MAX: usize = 64;

/// The canonical bytes of a JSON text; bytes that are not JSON stand for themselves.
#[must_use]
pub fn canonical_json(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    match serde_json::from_slice::<&RawValue>(raw) {
        Ok(value) if write(value, LEVELS_MAX, &mut out).is_ok() => out,
        _ => raw.to_vec(),
    }
}

fn write(value: &RawValue, levels: usize, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'{') if levels > 0 => {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            out.push(b'{');
            for (name, field) in fields {
                serde_json::to_writer(&mut *out, &name)?;
                out.push(b':');
                write(field, levels - 1, out)?;
                out.push(b',');
            }
            out.push(b'}');
        }
        Some(b'[') if levels > 0 => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            out.push(b'[');
            for item in items {
                write(item, levels - 1, out)?;
                out.push(b',');
            }
            out.push(b']');
        }
        _ => out.extend_from_slice(text.as_bytes()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::canonical_json;

    #[test]
    fn order_and_white_space_do_not_matter_but_digits_do() {
        let spelling = |text: &str| canonical_json(text.as_bytes());
        assert_eq!(spelling(r#"{"a":1,"b":[1,{"d":2,"c":3}]}"#), spelling(r#" { "b" : [1,{"c":3,"d":2}] , "a":1 } "#));
        assert_ne!(spelling(r#"{"v":12345678901234567890}"#), spelling(r#"{"v":12345678901234567891}"#));
        assert_ne!(spelling(r#"{"v":"1"}"#), spelling(r#"{"v":1}"#));
        assert_eq!(canonical_json(b"\xff{"), b"\xff{");
    }
}
