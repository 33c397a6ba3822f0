//! Who may do what: API keys, roles, and the [`Scope`] that every query takes. A `Scope` comes only from an authenticated key
//! (or, inside the process, from a brand that the worker serves), so that a brand sees only itself.
//! It never reads another brand's rows, and never keeps a key in clear.

mod brand;
mod idempotency;
mod key;
mod role;
mod secrets;
mod store;

pub use brand::{Brand, NewBrand, all_brands, brand_by_id, brand_by_slug, brand_scope, create_brand};
pub use idempotency::once;
pub use key::{ApiKey, KeyCache, NewApiKey, authenticate, create_key, key_by_id, revoke_key};
pub use role::{Permission, Role};
pub use secrets::{Keyring, SealError};

use uuid::Uuid;

use crate::base::{Code, Currency, Error, Result};

/// A brand, and what the bearer may do in it.
#[derive(Clone, Debug)]
pub struct Scope {
    pub brand_id: Uuid,
    /// The brand's shard of the event log.
    pub shard: i16,
    /// The brand's own currency, for sums that no campaign names one for.
    pub currency: Currency,
    /// The key that was shown; `None` for work of the process itself.
    pub key_id: Option<Uuid>,
    pub role: Role,
    /// The one creator whom a key of role `creator` may see.
    pub creator_id: Option<Uuid>,
}

impl Scope {
    /// Refuses with FORBIDDEN unless the role carries the permission.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.role.allows(permission) {
            return Ok(());
        }
        let message = format!("A key of role {} may not {}.", self.role.as_str(), permission.describe());
        Err(Error::refused(Code::Forbidden, &[], message))
    }
}
