//! Brands: the tenants.

use uuid::Uuid;

use super::{Role, Scope, store};
use crate::base::limits::SHARD_COUNT;
use crate::base::{Currency, Env, Error, Result};
use crate::db::Conn;

/// One tenant.
#[derive(Clone, Debug)]
pub struct Brand {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub currency: Currency,
    pub shard: i16,
    /// Whether `properties` of events are stored.
    pub keeps_properties: bool,
}

/// What a new brand needs.
#[derive(Clone, Debug)]
pub struct NewBrand {
    /// Lower-case letters, digits and hyphens.
    pub slug: String,
    pub name: String,
    pub currency: Currency,
}

/// Makes a brand with its counters. A slug that is taken is a CONFLICT.
pub async fn create_brand(conn: &mut Conn, env: &Env, input: NewBrand) -> Result<Brand> {
    let id = env.new_id();
    let shard = i16::from(id.as_bytes()[15]) % SHARD_COUNT;
    let brand =
        Brand { id, slug: input.slug, name: input.name, currency: input.currency, shard, keeps_properties: false };
    store::insert_brand(conn, &brand, env.now()).await?;
    Ok(brand)
}

/// The brand of this slug, if there is one.
pub async fn brand_by_slug(conn: &mut Conn, slug: &str) -> Result<Option<Brand>> {
    store::brand_by_slug(conn, slug).await
}

/// The brand of this identifier, if there is one.
pub async fn brand_by_id(conn: &mut Conn, id: Uuid) -> Result<Option<Brand>> {
    store::brand_by_id(conn, id).await
}

/// Every brand, for the worker and `verify`.
pub async fn all_brands(conn: &mut Conn) -> Result<Vec<Brand>> {
    store::all_brands(conn).await
}

/// The scope in which the process itself works for a brand. A brand that is gone is NOT_FOUND.
pub async fn brand_scope(conn: &mut Conn, brand_id: Uuid) -> Result<Scope> {
    let brand = store::brand_by_id(conn, brand_id).await?;
    let brand = brand.ok_or_else(|| Error::not_found(&[], "There is no such brand."))?;
    Ok(brand.scope())
}

impl Brand {
    /// The scope in which the process itself works for this brand.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope {
            brand_id: self.id,
            shard: self.shard,
            currency: self.currency,
            key_id: None,
            role: Role::Admin,
            creator_id: None,
        }
    }
}
