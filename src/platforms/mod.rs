//! One adapter per inbound source: `verify` the signature over the raw bytes, `parse` the body into our vocabulary.
//! Pure: it never reads a database, a clock or a secret store; what it needs is handed in.
//! Start with [`EventFields`], what every adapter produces.

mod fields;
pub mod generic;

pub use fields::{Consent, EventFields, Parsed, Submission};

use crate::text_enum;

text_enum! {
    /// How a source signs what it posts.
    Scheme { Generic = "GENERIC", StandardWebhooks = "STANDARD_WEBHOOKS" }
}

/// A request that is not authentic. The door answers every cause with the same body; the cause is for our log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("a signature header is missing, repeated or malformed")]
    Header,
    #[error("the signature does not fit the body and the secret")]
    Signature,
    #[error("the timestamp is outside of the tolerance")]
    Stale,
}
