//! Roots that wait for a referrer of whom only the name was known join it, with all below them, once that one is a member.

use std::borrow::Cow;
use std::collections::HashSet;

use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use super::roster::Roster;
use super::row::Row;
use super::store;
use crate::access::Scope;
use crate::base::limits::IMPORT_CHUNK_ROWS;
use crate::base::sheet::Remark;
use crate::base::{Env, Result};
use crate::db::{Conn, Db};
use crate::members::{attach, lock_forest};

const CYCLE: &str = "A member that waited for this one stands above it: it stays a root, and waits no more.";

/// A page of those who wait.
struct Page {
    /// Where the next page starts; `None` after the last.
    next: Option<(String, Uuid)>,
    /// Referrers that stand below who waited for them.
    refused: Vec<String>,
}

/// Joins everybody whose referrer has come, a page per transaction, and returns the names of the referrers that could not be joined
/// because they stand below who waited for them. It looks at all who wait, not only at those of one file: an import that was
/// interrupted, or a sign-up at the same time, may have left some.
pub(super) async fn join_waiting(db: &Db, scope: &Scope, env: &Env) -> Result<HashSet<String>> {
    let mut refused = HashSet::new();
    let mut next = Some((String::new(), Uuid::nil()));
    while let Some(after) = &next {
        let page = db.transaction(|conn| join_page(conn, scope, env, after).scope_boxed()).await?;
        refused.extend(page.refused);
        next = page.next;
    }
    Ok(refused)
}

async fn join_page(conn: &mut Conn, scope: &Scope, env: &Env, after: &(String, Uuid)) -> Result<Page> {
    lock_forest(conn, scope).await?;
    let waiting = store::waiting(conn, scope, (&after.0, after.1), IMPORT_CHUNK_ROWS).await?;
    let pairs: Vec<(Uuid, Uuid)> = waiting.iter().filter_map(|one| Some((one.id, one.referrer_id?))).collect();
    let attached: HashSet<Uuid> = attach(conn, scope, &pairs, env.now()).await?.into_iter().collect();
    let is_full = waiting.len() == IMPORT_CHUNK_ROWS;
    let next = waiting.last().filter(|_| is_full).map(|last| (last.pending_referrer.clone(), last.id));
    let refused = waiting.into_iter().filter(|one| one.referrer_id.is_some() && !attached.contains(&one.id));
    Ok(Page { next, refused: refused.map(|one| one.pending_referrer).collect() })
}

/// What to tell of the rows that brought a referrer who could not be joined.
pub(super) fn remarks(refused: &HashSet<String>, rows: &[Row], roster: &Roster<'_>) -> Vec<Remark> {
    if refused.is_empty() {
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let rows = rows.iter().filter(|row| refused.contains(roster.name(row.member)) && seen.insert(row.member));
    rows.map(|row| Remark { row: row.index, code: "CYCLE", reason: Cow::Borrowed(CYCLE), is_in: true }).collect()
}
