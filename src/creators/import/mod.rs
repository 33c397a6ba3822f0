//! `import creators FILE.csv`: handle, display name and tier. It never changes a creator that is there already, so the same file a
//! second time changes nothing.

mod store;

use std::collections::HashSet;
use std::io::{Read, Write};

use chrono::{DateTime, Utc};
use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use crate::access::{Permission, Scope};
use crate::base::limits::IMPORT_CHUNK_ROWS;
use crate::base::sheet::{ImportSummary, Progress, Remark, Sheet};
use crate::base::{Env, Result};
use crate::db::Db;

/// Columns of the file: the first two must be there.
const REQUIRED: [&str; 2] = ["handle", "display_name"];
const OPTIONAL: [&str; 1] = ["tier"];

/// Longest display name and tier.
const NAME_BYTES_MAX: usize = 200;
const HANDLE_BYTES_MAX: usize = 64;

/// A creator as the file names it.
#[derive(Clone, Debug)]
struct NewRow {
    id: Uuid,
    handle: String,
    display_name: String,
    tier: Option<String>,
    created_at: DateTime<Utc>,
}

/// Imports creators, writes the rows that were turned away to `rejected`, and tells after each chunk how far it has come.
pub async fn import_creators(
    db: &Db,
    scope: &Scope,
    env: &Env,
    input: impl Read,
    rejected: impl Write,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ImportSummary> {
    scope.require(Permission::WriteGrowth)?;
    let sheet = Sheet::read(input, &REQUIRED, &OPTIONAL)?;
    let (rows, rejects) = read_all(&sheet, env);
    let total_count = rows.len() as u64;
    let (mut done_count, mut imported_count) = (0, 0);
    for chunk in rows.chunks(IMPORT_CHUNK_ROWS) {
        imported_count += db.transaction(|conn| store::insert(conn, scope, chunk).scope_boxed()).await?;
        done_count += chunk.len() as u64;
        progress(Progress { done_count, total_count });
    }
    sheet.write_report(&rejects, rejected)?;
    Ok(sheet.summary(imported_count, &rejects))
}

/// The first row of each handle, and the rows that cannot be read.
fn read_all(sheet: &Sheet, env: &Env) -> (Vec<NewRow>, Vec<Remark>) {
    let (mut rows, mut rejects, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for row in 0..sheet.row_count() {
        let fields = sheet.fields(row).map_err(|reason| ("BAD_ROW", reason));
        match fields.and_then(|fields| to_row(&fields, env)) {
            Ok(new) if seen.insert(new.handle.clone()) => rows.push(new),
            Ok(_) => {}
            Err((code, reason)) => rejects.push(Remark { row, code, reason: reason.into(), is_in: false }),
        }
    }
    (rows, rejects)
}

fn to_row(fields: &[Option<&str>], env: &Env) -> Result<NewRow, (&'static str, String)> {
    let [handle, display_name, tier] = fields else {
        return Err(("BAD_ROW", "The row has not the fields of the header.".to_owned()));
    };
    let handle = handle.unwrap_or_default().to_lowercase();
    if !is_handle(&handle) {
        let expected = format!(
            "handle must be 1 to {HANDLE_BYTES_MAX} letters, digits, '_', '.' and '-', not starting with '.' or '-'."
        );
        return Err(("BAD_HANDLE", expected));
    }
    let name = |text: &&str| text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control);
    let bad_name = |column: &str| {
        ("BAD_NAME", format!("{column} must be 1 to {NAME_BYTES_MAX} bytes without control characters."))
    };
    let display_name = display_name.filter(name).ok_or_else(|| bad_name("display_name"))?;
    if !tier.as_ref().is_none_or(name) {
        return Err(bad_name("tier"));
    }
    let (display_name, tier) = (display_name.to_owned(), tier.map(str::to_owned));
    Ok(NewRow { id: env.new_id(), handle, display_name, tier, created_at: env.now() })
}

fn is_handle(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts_well = text.bytes().next().is_some_and(is_letter);
    starts_well
        && text.len() <= HANDLE_BYTES_MAX
        && text.bytes().all(|byte| is_letter(byte) || matches!(byte, b'.' | b'-'))
}
