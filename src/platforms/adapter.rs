//! What every adapter is made of: the request as the door has it, the post as the adapter reads it, and the few ways to say that
//! something is not understood. It knows no platform.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::{EventFields, Parsed, Submission};

/// All values of a request header, by its lower-case name.
pub type HeaderLookup<'a> = &'a (dyn Fn(&str) -> Vec<Vec<u8>> + Sync);

/// A request as it came, not yet known to be authentic.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub headers: HeaderLookup<'a>,
    /// The query of its address, without the question mark.
    pub query: &'a str,
    pub raw: &'a [u8],
    pub now: DateTime<Utc>,
}

/// A request that is not authentic. The door answers every cause with the same body; the cause is for our log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("a signature header is missing, repeated or malformed")]
    Header,
    #[error("the request is too old, or from the future")]
    Stale,
    #[error("the signature does not fit the body and the secret")]
    Signature,
}

/// What an authentic request says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentic {
    /// The sender's own name of the request, the same however often it is tried.
    pub delivery_id: Option<String>,
}

/// The headers with which a sender posts a body.
pub type SignedHeaders = Vec<(&'static str, String)>;

/// One kind of source. `docs/recipes.md` says how to add one.
pub(super) trait Adapter: Sync {
    /// The header that carries the proof: by it a request to an address that does not exist is taken for one of this kind.
    fn proof_header(&self) -> &'static str;

    /// Headers that say what the body is. They are kept with it, so that a mended adapter can read it again.
    fn kept_headers(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether the sender itself names what it posts: what comes under the same name is the same, whatever else it says by now.
    fn names_its_events(&self) -> bool {
        true
    }

    /// The key behind a secret as people write it down. `None`: it is no secret of this kind.
    fn key_of(&self, secret: &str) -> Option<Vec<u8>> {
        text_key(secret, PLATFORM_SECRET_BYTES_MIN)
    }

    /// What a secret must look like, for the refusal that says so.
    fn secret_expected(&self) -> &'static str {
        "Pass the secret that the platform shows, 16 to 256 visible ASCII characters, or leave it out."
    }

    /// A secret of these random bytes, as people write it down.
    fn secret_of(&self, key: &[u8; 32]) -> String {
        hex::encode(key)
    }

    /// The headers with which the sender posts these bytes.
    fn sign(&self, key: &[u8], delivery_id: &str, now: DateTime<Utc>, raw: &[u8]) -> SignedHeaders;

    /// Checks that one of the keys signed the bytes. What is wrong makes no difference to the work.
    fn verify(&self, keys: &[&[u8]], request: &Request<'_>) -> Result<Authentic, Rejected>;

    /// Which version of the platform's format the post is written in: as it says itself, else the one that this adapter was written
    /// for.
    fn schema_version(&self, _post: &Post<'_>) -> Option<String> {
        None
    }

    /// Whether a version is one that this adapter was written for.
    fn knows_version(&self, _version: &str) -> bool {
        true
    }

    /// Reads an authentic post. What cannot be read is a [`Submission::Unreadable`], never an error.
    fn parse(&self, post: &Post<'_>) -> Parsed;
}

/// What platforms give out is shorter than what we draw, but never as short as this.
const PLATFORM_SECRET_BYTES_MIN: usize = 16;
const SECRET_BYTES_MAX: usize = 256;

/// A secret whose key is its own text.
pub(super) fn text_key(secret: &str, bytes_min: usize) -> Option<Vec<u8>> {
    let is_text = secret.bytes().all(|byte| byte.is_ascii_graphic());
    (is_text && (bytes_min..=SECRET_BYTES_MAX).contains(&secret.len())).then(|| secret.as_bytes().to_vec())
}

/// A reason why something is not understood: a code of `docs/errors.md` and a sentence.
pub(super) type Doubt = (&'static str, String);

/// An authentic request as an adapter reads it: the headers that it keeps, and the body.
pub(super) struct Post<'a> {
    headers: BTreeMap<&'static str, &'a str>,
    pub(super) body: &'a [u8],
    /// Headers and body, as they are kept.
    pub(super) kept: &'a [u8],
}

/// A request as it is kept: where the adapter needs headers, a line for each that is there and an empty line, and then the body.
pub(super) fn keep(adapter: &dyn Adapter, headers: HeaderLookup<'_>, raw: &[u8]) -> Vec<u8> {
    if adapter.kept_headers().is_empty() {
        return raw.to_vec();
    }
    let mut kept = Vec::with_capacity(raw.len() + 256);
    for name in adapter.kept_headers() {
        if let Some(value) = only(headers, name) {
            kept.extend_from_slice(format!("{name}: {value}\n").as_bytes());
        }
    }
    kept.push(b'\n');
    kept.extend_from_slice(raw);
    kept
}

impl<'a> Post<'a> {
    /// Reads what [`keep`] wrote.
    pub(super) fn read(adapter: &dyn Adapter, kept: &'a [u8]) -> Self {
        let (mut headers, mut body) = (BTreeMap::new(), kept);
        if adapter.kept_headers().is_empty() {
            return Self { headers, body, kept };
        }
        while let Some(end) = body.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&body[..end], &body[end + 1..]);
            body = rest;
            let Some((name, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(": ")) else {
                break;
            };
            if let Some(known) = adapter.kept_headers().iter().find(|known| **known == name) {
                headers.insert(*known, value);
            }
        }
        Self { headers, body, kept }
    }

    /// A header that is kept.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name).copied()
    }

    /// The body as JSON. Unknown fields are tolerated: platforms add them without notice.
    pub(super) fn json<T: Deserialize<'a>>(&self) -> Result<T, Doubt> {
        serde_json::from_slice(self.body).map_err(|error| json_doubt(&error))
    }

    /// One event, none, or the reason why it is not known which.
    pub(super) fn one(&self, read: Result<Option<EventFields>, Doubt>) -> Parsed {
        Parsed::of(read.transpose().into_iter().map(|read| self.submission(read)).collect())
    }

    /// What one part of the post came to, kept with all of it.
    pub(super) fn submission(&self, read: Result<EventFields, Doubt>) -> Submission {
        match read {
            Ok(fields) => Submission::Fields { fields: Box::new(fields), raw: self.kept.to_vec() },
            Err((code, reason)) => Submission::Unreadable { raw: self.kept.to_vec(), code, reason },
        }
    }
}

/// Why a text is not the JSON that it should be. The reader's own words can quote what was sent, which may be personal: they are not
/// kept, the place is.
pub(super) fn json_doubt(error: &serde_json::Error) -> Doubt {
    let (code, what) = if error.is_data() {
        ("BAD_FIELD", "A field has the wrong type, or stands twice, or is missing, or the event is no object")
    } else {
        ("BAD_JSON", "The body is not JSON, or nests too deep")
    };
    (code, format!("{what} (line {}, column {}).", error.line(), error.column()))
}

/// The platform posts something that this adapter does not know.
pub(super) fn unknown_kind(kind: &str) -> Doubt {
    let reason = format!("This adapter knows no events of the kind {}: it is kept until one does.", quoted(kind));
    ("UNKNOWN_KIND", reason)
}

/// The platform writes in a version that this adapter was not written for.
pub(super) fn unknown_version(version: &str) -> Doubt {
    let reason = format!("This adapter was not written for the version {}: it is kept until one is.", quoted(version));
    ("UNKNOWN_VERSION", reason)
}

/// A field is not as this adapter knows it.
pub(super) fn bad_field(path: &str, expected: &str) -> Doubt {
    ("BAD_FIELD", format!("{path} is not {expected}."))
}

/// A body that is not the XML that it should be.
pub(super) fn bad_xml() -> Doubt {
    ("BAD_XML", "The body is not well-formed XML, or nests too deep.".to_owned())
}

/// A name that the platform made, if it looks like one: what else stands in its place may be personal.
fn quoted(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/: ".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(is_plain) {
        format!("`{name}`")
    } else {
        "it names".to_owned()
    }
}

/// A value as the generic event carries it.
pub(super) fn raw(value: impl Serialize) -> Option<Box<RawValue>> {
    to_raw_value(&value).ok()
}

/// Reads our own identifiers where a platform lets its customer attach names and texts to what it sells.
pub(super) fn identify(fields: &mut EventFields, get: impl Fn(&str) -> Option<String>) {
    let text = |names: &[&str]| names.iter().find_map(|name| get(name)).filter(|text| !text.is_empty());
    fields.user_id = text(&["user_id"]);
    fields.anonymous_id = text(&["anonymous_id"]);
    fields.click_id = text(&["gv_click", "click_id"]);
    fields.link_token = text(&["gv_token", "link_token"]);
    fields.creator_id = text(&["creator_id"]);
    fields.campaign = text(&["campaign"]);
    fields.sub_id = text(&["sub_id"]);
    fields.referrer_user_id = text(&["referrer_user_id"]);
}

/// A text, or a number that stands where a text is expected, as it was written; or a truth value.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Loose {
    Text(String),
    Whole(u64),
    Flag(bool),
    Other(serde::de::IgnoredAny),
}

impl Loose {
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Whole(number) => Some(number.to_string()),
            Self::Flag(_) | Self::Other(_) => None,
        }
    }

    /// Whether it says no, as a truth value or in words.
    pub(super) fn is_false(&self) -> bool {
        match self {
            Self::Flag(flag) => !flag,
            Self::Text(text) => text.eq_ignore_ascii_case("false"),
            Self::Whole(_) | Self::Other(_) => false,
        }
    }
}

/// Names and values that a customer attached.
pub(super) type Attached = BTreeMap<String, Loose>;

/// The text under a name.
pub(super) fn attached(map: &Attached, name: &str) -> Option<String> {
    map.get(name).and_then(Loose::text)
}

/// The first identifier of a device. Who does not want to be tracked has the same one, all zeros, as everyone else who does not.
pub(super) fn device_of<const N: usize>(ids: [Option<String>; N]) -> Option<String> {
    ids.into_iter().flatten().find(|id| id.bytes().any(|byte| byte.is_ascii_alphanumeric() && byte != b'0'))
}

/// The value of a header that stands once and is a plain word or list of words: not empty, visible ASCII and spaces.
pub(super) fn only(headers: HeaderLookup<'_>, name: &str) -> Option<String> {
    let mut values = headers(name);
    let value = values.pop().filter(|value| values.is_empty() && !value.is_empty())?;
    let is_plain = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    String::from_utf8(value).ok().filter(|_| is_plain)
}
