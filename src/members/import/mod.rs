//! `import members FILE.csv`: history as a file, in any order of rows. Good rows come in, bad ones are told line by line, and the same
//! file a second time changes nothing. It never moves a member that is already there.
//! Start with [`import_members`]; `plan.rs` decides what becomes of each row.

mod plan;
mod row;
mod store;
mod write;

use std::io::{Read, Write};

use crate::access::{Permission, Scope};
use crate::base::limits::IMPORT_CHUNK_ROWS;
use crate::base::sheet::{ImportSummary, Progress, Sheet};
use crate::base::{Env, Result};
use crate::db::Db;

use plan::{Known, Plan};
use row::{Names, Row};

/// Columns of the file: the first three must be there.
const REQUIRED: [&str; 3] = ["external_id", "referrer_external_id", "joined_at"];
const OPTIONAL: [&str; 3] = ["creator", "campaign", "status"];

/// Imports members, writes the rows that were turned away to `rejected`, and tells after each chunk how far it has come. Chunks are
/// transactions of their own: an import that was interrupted is simply run again.
pub async fn import_members(
    db: &Db,
    scope: &Scope,
    env: &Env,
    input: impl Read,
    rejected: impl Write,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ImportSummary> {
    scope.require(Permission::WriteGrowth)?;
    let sheet = Sheet::read(input, &REQUIRED, &OPTIONAL)?;
    let names = names(db, scope, &sheet).await?;
    let (rows, mut rejects) = row::read_all(&sheet, &names, env.now());
    let known = known(db, scope, &rows).await?;
    let plan = Plan::new(&rows, &known);
    rejects.extend(plan.rejects);

    let mut writer = write::Writer::new(&rows, known);
    let total_count = plan.order.len() as u64;
    let mut done_count = 0;
    progress(Progress { done_count, total_count });
    for (index, chunk) in plan.order.chunks(IMPORT_CHUNK_ROWS).enumerate() {
        writer.write(db, scope, env, chunk).await?;
        if index == 0 {
            store::analyze(&mut *db.conn().await?).await?;
        }
        done_count += chunk.len() as u64;
        progress(Progress { done_count, total_count });
    }
    let imported_count = writer.imported_count;
    sheet.write_rejects(&rejects, rejected)?;
    Ok(sheet.summary(imported_count, &rejects))
}

/// The creators and campaigns that the file names.
async fn names(db: &Db, scope: &Scope, sheet: &Sheet) -> Result<Names> {
    let (creators, campaigns) = row::names_of(sheet);
    let mut conn = db.conn().await?;
    Ok(Names {
        creators: store::creators(&mut conn, scope, &creators).await?,
        campaigns: store::campaigns(&mut conn, scope, &campaigns).await?,
    })
}

/// Which of the members that the rows speak of are there already.
async fn known(db: &Db, scope: &Scope, rows: &[Row]) -> Result<Known> {
    let mut ids: Vec<String> =
        rows.iter().flat_map(|row| std::iter::once(&row.external_id).chain(&row.referrer)).cloned().collect();
    ids.sort_unstable();
    ids.dedup();
    let mut known = Known::new();
    let mut conn = db.conn().await?;
    for chunk in ids.chunks(IMPORT_CHUNK_ROWS) {
        known.extend(store::members(&mut conn, scope, chunk).await?);
    }
    Ok(known)
}
