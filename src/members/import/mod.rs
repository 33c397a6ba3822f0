//! `import members FILE.csv`: history as a file, in any order of rows. Good rows come in, doubtful ones are told line by line, and the
//! same file a second time changes nothing. It never moves a member that has a referrer.
//! Start with [`import_members`]; `judge.rs` decides what becomes of each row.

mod join;
mod judge;
mod order;
mod plan;
mod roster;
mod row;
mod store;
mod write;

use std::io::{Read, Write};

use crate::access::{Permission, Scope};
use crate::base::limits::IMPORT_CHUNK_ROWS;
use crate::base::sheet::{ImportSummary, Progress, Sheet};
use crate::base::{Env, Result};
use crate::db::Db;

use plan::Plan;
use roster::Roster;
use row::{Names, Row};

/// Columns of the file: the first three must be there.
const REQUIRED: [&str; 3] = ["external_id", "referrer_external_id", "joined_at"];
const OPTIONAL: [&str; 3] = ["creator", "campaign", "status"];

/// Imports members, writes the rows that are worth a word to `report`, and tells after each chunk how far it has come. Chunks are
/// transactions of their own: an import that was interrupted is simply run again. At the end whoever waited for a referrer that is
/// there now joins it.
pub async fn import_members(
    db: &Db,
    scope: &Scope,
    env: &Env,
    input: impl Read,
    report: impl Write,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ImportSummary> {
    scope.require(Permission::WriteGrowth)?;
    let sheet = Sheet::read(input, &REQUIRED, &OPTIONAL)?;
    let names = names(db, scope, &sheet).await?;
    let (rows, mut roster, mut remarks) = row::read_all(&sheet, &names, env.now());
    know(db, scope, &mut roster).await?;
    let plan = Plan::new(&rows, &roster);
    remarks.extend(plan.remarks);

    let total_count = plan.order.rows.len() as u64;
    let (mut done_count, mut imported_count) = (0, 0);
    progress(Progress { done_count, total_count });
    for (index, chunk) in plan.order.chunks().enumerate() {
        let chunk: Vec<&Row> = chunk.iter().map(|index| &rows[*index]).collect();
        imported_count += write::write(db, scope, env, &chunk, &roster).await?;
        if index == 0 {
            store::analyze(&mut *db.conn().await?).await?;
        }
        done_count += chunk.len() as u64;
        progress(Progress { done_count, total_count });
    }
    let refused = join::join_waiting(db, scope, env).await?;
    remarks.extend(join::remarks(&refused, &rows, &roster));
    sheet.write_report(&remarks, report)?;
    Ok(sheet.summary(imported_count, &remarks))
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

/// Finds out who of those that the rows speak of are members already.
async fn know(db: &Db, scope: &Scope, roster: &mut Roster<'_>) -> Result<()> {
    let mut conn = db.conn().await?;
    for start in (0..roster.count()).step_by(IMPORT_CHUNK_ROWS) {
        let end = roster.count().min(start + IMPORT_CHUNK_ROWS);
        for (name, known) in store::known(&mut conn, scope, &roster.names()[start..end]).await? {
            roster.know(&name, known);
        }
    }
    Ok(())
}
