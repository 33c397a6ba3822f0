//! One adapter per inbound source: `verify` the signature over the raw bytes, `parse` the body into our vocabulary.
//! Pure: it never reads a database, a clock or a secret store; what it needs is handed in.
//! Start with [`EventFields`], what every adapter produces.

mod canonical;
mod fields;
mod generic;
pub mod user_agents;

pub use canonical::canonical_json;
pub use fields::{Consent, EventFields, Parsed, Submission};
pub use generic::sign as sign_generic;

use crate::text_enum;

text_enum! {
    /// How a source signs what it posts.
    Scheme {
        /// `x-webhook-signature`: hexadecimal HMAC-SHA256 over the raw body.
        Generic = "GENERIC",
    }
}

/// A request that is not authentic. The door answers every cause with the same body; the cause is for our log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("a signature header is missing, repeated or malformed")]
    Header,
    #[error("the signature does not fit the body and the secret")]
    Signature,
}

/// All values of a request header, by its lower-case name.
pub type HeaderLookup<'a> = &'a (dyn Fn(&str) -> Vec<Vec<u8>> + Sync);

/// Checks that one of the source's live secrets signed these bytes.
pub fn verify(scheme: Scheme, secrets: &[Vec<u8>], headers: HeaderLookup<'_>, raw: &[u8]) -> Result<(), Rejected> {
    match scheme {
        Scheme::Generic => generic::verify(secrets, headers, raw),
    }
}

/// Reads an authentic body. What cannot be read is an [`Submission::Unreadable`], never an error.
#[must_use]
pub fn parse(scheme: Scheme, raw: &[u8]) -> Parsed {
    match scheme {
        Scheme::Generic => generic::parse(raw),
    }
}
