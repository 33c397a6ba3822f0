//! What the last look at a brand's books found. `verify` looks and this keeps it, so that an approval can refuse without counting all of
//! the books itself.

use chrono::{DateTime, Utc};

use super::store;
use crate::access::Scope;
use crate::base::{Code, Error, Result};
use crate::db::Conn;

/// What a look at the books found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Rows in breach.
    pub breach_count: i64,
    /// The first invariant that does not hold; none where all do.
    pub invariant: Option<&'static str>,
    /// Whether all of the books were looked at.
    pub is_whole: bool,
}

/// Keeps what was found in place of what was found before.
pub async fn record_audit(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, audit: &Audit) -> Result<()> {
    store::write_audit(conn, scope, now, audit).await
}

/// How many brands' books were found broken at the last look. It is for those who watch the installation, and no brand's.
pub async fn broken_count(conn: &mut Conn) -> Result<i64> {
    store::broken_count(conn).await
}

/// Whether the brand's books were broken at the last look.
pub async fn is_broken(conn: &mut Conn, scope: &Scope) -> Result<bool> {
    store::is_broken(conn, scope).await
}

/// The refusal of a payout whose books do not add up.
pub(super) fn broken() -> Error {
    let message = "The books do not add up, so that nothing is paid out: `grapevine verify` says where. They are looked at every minute.";
    Error::refused(Code::LedgerBroken, &["payoutId"], message)
}

/// Refuses while the brand's books were broken at the last look.
pub(super) async fn require_whole(conn: &mut Conn, scope: &Scope) -> Result<()> {
    if is_broken(conn, scope).await? { Err(broken()) } else { Ok(()) }
}
