//! TypeIDs (<https://github.com/jetify-com/typeid>, spec 0.3): a type's prefix and a UUID in Crockford base 32, the same string everywhere.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::chance::{Chance, random_bytes};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX_LENGTH: usize = 26;
const PREFIX_LENGTH_MAX: usize = 63;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $prefix:literal),+ $(,)?) => {
        /// What an identifier names. The prefix says it to people and to `node(id:)`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $variant),+ }

        impl Kind {
            #[must_use]
            pub fn prefix(self) -> &'static str {
                match self { $(Self::$variant => $prefix),+ }
            }

            /// The kind that a prefix names, if there is one.
            #[must_use]
            pub fn from_prefix(prefix: &str) -> Option<Self> {
                match prefix { $($prefix => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

kinds! {
    Brand = "brand",
    Key = "key",
    Creator = "creator",
    Campaign = "campaign",
    Link = "link",
    Member = "member",
    Touchpoint = "touch",
    Conversion = "conv",
    Attribution = "attr",
    Reward = "reward",
    Payout = "payout",
    Alert = "alert",
    Event = "event",
    Source = "source",
    Endpoint = "endpoint",
    PlatformAccount = "account",
    Merge = "merge",
}

impl Kind {
    /// The public string of `id` as this kind.
    #[must_use]
    pub fn id(self, id: Uuid) -> String {
        TypeId::new(self.prefix(), id).to_string()
    }

    /// Reads a public string; `None` if it is not an identifier of this kind.
    #[must_use]
    pub fn parse(self, text: &str) -> Option<Uuid> {
        let type_id = TypeId::from_str(text).ok()?;
        (type_id.prefix() == self.prefix()).then_some(type_id.uuid())
    }
}

/// A prefix and a UUID. The prefix may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeId {
    prefix: String,
    uuid: Uuid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeIdError {
    #[error("the prefix must be at most 63 letters a to z, with single or several underscores inside it only")]
    Prefix,
    #[error("the suffix must be 26 characters of 0-9 and a-z without i, l, o and u, the first at most 7")]
    Suffix,
}

impl TypeId {
    #[must_use]
    pub fn new(prefix: &str, uuid: Uuid) -> Self {
        Self { prefix: prefix.to_owned(), uuid }
    }

    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.prefix.is_empty() {
            write!(f, "{}_", self.prefix)?;
        }
        let value = self.uuid.as_u128();
        for index in (0..SUFFIX_LENGTH).rev() {
            let digit = (value >> (5 * index)) as usize & 31;
            write!(f, "{}", char::from(ALPHABET[digit]))?;
        }
        Ok(())
    }
}

impl FromStr for TypeId {
    type Err = TypeIdError;

    fn from_str(text: &str) -> Result<Self, TypeIdError> {
        let (prefix, suffix) = match text.rsplit_once('_') {
            Some(("", _)) => return Err(TypeIdError::Prefix),
            Some(parts) => parts,
            None => ("", text),
        };
        check_prefix(prefix)?;
        Ok(Self { prefix: prefix.to_owned(), uuid: decode_suffix(suffix)? })
    }
}

fn check_prefix(prefix: &str) -> Result<(), TypeIdError> {
    let is_letters = prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if prefix.len() > PREFIX_LENGTH_MAX || !is_letters || prefix.starts_with('_') || prefix.ends_with('_') {
        return Err(TypeIdError::Prefix);
    }
    Ok(())
}

fn decode_suffix(suffix: &str) -> Result<Uuid, TypeIdError> {
    if suffix.len() != SUFFIX_LENGTH || suffix.as_bytes().first().is_none_or(|first| *first > b'7') {
        return Err(TypeIdError::Suffix);
    }
    let mut value = 0_u128;
    for byte in suffix.bytes() {
        let digit = ALPHABET.iter().position(|letter| *letter == byte).ok_or(TypeIdError::Suffix)?;
        value = (value << 5) | digit as u128;
    }
    Ok(Uuid::from_u128(value))
}

/// A version 7 UUID (RFC 9562): ordered by the millisecond, random below it.
#[must_use]
pub fn time_ordered_id(now: DateTime<Utc>, chance: &dyn Chance) -> Uuid {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random_bytes(chance)).into_uuid()
}

/// The moment of an identifier that [`time_ordered_id`] made, to the millisecond. `None` for every other.
#[must_use]
pub fn time_of_id(id: Uuid) -> Option<DateTime<Utc>> {
    let is_ordered = id.get_version_num() == 7;
    let millis = i64::try_from(id.as_u128() >> 80).ok().filter(|_| is_ordered)?;
    DateTime::from_timestamp_millis(millis)
}

/// The identifier of a row that follows from its causes: the same causes give the same row, so a second run changes nothing.
/// A version 8 UUID over SHA-256 of the parts, each led by its length.
#[must_use]
pub fn derived_id(parts: &[&[u8]]) -> Uuid {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}
