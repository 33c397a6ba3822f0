//! shim
use crate::{
    access::{Keyring, Scope},
    base::{Env, Result},
    db::Db,
    kv::Kv,
    links::Link,
};
pub struct ResolvedLink {
    pub scope: Scope,
    pub link: Link,
}
pub enum Resolution {
    Found(ResolvedLink),
    Unknown,
    Expired,
    Revoked,
}
pub async fn resolve(_db: &Db, _kv: &Kv, _keyring: &Keyring, _env: &Env, _token: &str) -> Result<Resolution> {
    Ok(Resolution::Unknown)
}
