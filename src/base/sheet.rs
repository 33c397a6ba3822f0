//! CSV files that are imported: rows with their lines, and the file of the rows that were turned away. It never knows what a row means.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use csv::{ByteRecord, ReaderBuilder, Trim, WriterBuilder};
use serde::Serialize;

use super::error::{Error, Result};
use super::limits::IMPORT_ROWS_MAX;

/// A file as it was read.
#[derive(Debug)]
pub struct Sheet {
    header: ByteRecord,
    /// For each column of the caller's list: where it stands in the file.
    places: Vec<Option<usize>>,
    pub rows: Vec<SheetRow>,
}

/// One row, before anyone says what its fields mean.
#[derive(Debug)]
pub struct SheetRow {
    /// The line of the file on which the row begins, from 1.
    pub line: u64,
    record: ByteRecord,
}

/// A row that was turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Index of the row in the sheet.
    pub row: usize,
    pub code: &'static str,
    /// One sentence that says what was expected.
    pub reason: String,
}

/// How far an import has come, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub done_count: u64,
    pub total_count: u64,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportSummary {
    pub rows: u64,
    pub imported: u64,
    /// Rows that were there already.
    pub unchanged: u64,
    pub rejected: u64,
    pub by_code: BTreeMap<&'static str, u64>,
}

impl Sheet {
    /// Reads a whole file. Columns stand in any order; a column that is not known, or a required one that is missing, is refused by
    /// name before any row is looked at. A row that cannot be read becomes a row without fields.
    pub fn read(input: impl Read, required: &[&str], optional: &[&str]) -> Result<Self> {
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(input);
        let unreadable = |error: csv::Error| Error::fault("reading a CSV file", error);
        let mut header = ByteRecord::new();
        reader.read_byte_record(&mut header).map_err(unreadable)?;
        let names = header_names(&header);
        let known: Vec<&str> = required.iter().chain(optional).copied().collect();
        check_header(&names, required, &known)?;
        let places = known.iter().map(|column| names.iter().position(|name| name == column)).collect();
        let mut rows = Vec::new();
        loop {
            let mut record = ByteRecord::new();
            if !reader.read_byte_record(&mut record).map_err(unreadable)? {
                break;
            }
            if rows.len() >= IMPORT_ROWS_MAX {
                let message = format!("A file holds at most {IMPORT_ROWS_MAX} rows: split it.");
                return Err(Error::invalid(&["file"], message));
            }
            rows.push(SheetRow { line: record.position().map_or(0, csv::Position::line), record });
        }
        Ok(Self { header, places, rows })
    }

    /// The row's fields in the order of the caller's columns, `None` for an optional column that the file does not have or that is
    /// empty; or why the row cannot be read.
    pub fn fields<'a>(&self, row: &'a SheetRow) -> Result<Vec<Option<&'a str>>, String> {
        if row.record.len() != self.header.len() {
            return Err(format!("The row has {} fields, the header {}.", row.record.len(), self.header.len()));
        }
        let field = |place: &Option<usize>| {
            let bytes = place.and_then(|place| row.record.get(place)).unwrap_or_default();
            std::str::from_utf8(bytes).map(|text| Some(text).filter(|text| !text.is_empty()))
        };
        let fields: Result<_, std::str::Utf8Error> = self.places.iter().map(field).collect();
        fields.map_err(|error| format!("The row is not UTF-8: {error}."))
    }

    /// Writes the rows that were turned away in the order of the file: line, code, reason, then the row as it stood.
    pub fn write_rejects(&self, rejects: &[Reject], output: impl Write) -> Result<()> {
        let mut writer = WriterBuilder::new().flexible(true).from_writer(output);
        let failed = |error: csv::Error| Error::fault("writing the rejected rows", error);
        let mut ordered: Vec<&Reject> = rejects.iter().collect();
        ordered.sort_by_key(|reject| reject.row);
        let mut head = ByteRecord::from(vec!["line", "code", "reason"]);
        head.extend(self.header.iter());
        writer.write_byte_record(&head).map_err(failed)?;
        for reject in ordered {
            let Some(row) = self.rows.get(reject.row) else { continue };
            let mut record = ByteRecord::from(vec![row.line.to_string().as_str(), reject.code, reject.reason.as_str()]);
            record.extend(row.record.iter());
            writer.write_byte_record(&record).map_err(failed)?;
        }
        writer.flush().map_err(|error| Error::fault("writing the rejected rows", error))
    }

    /// The summary of an import that turned `rejects` away and made `imported` rows new.
    #[must_use]
    pub fn summary(&self, imported: usize, rejects: &[Reject]) -> ImportSummary {
        let mut by_code = BTreeMap::new();
        for reject in rejects {
            *by_code.entry(reject.code).or_insert(0) += 1;
        }
        let (rows, imported, rejected) = (self.rows.len() as u64, imported as u64, rejects.len() as u64);
        ImportSummary { rows, imported, unchanged: rows.saturating_sub(imported + rejected), rejected, by_code }
    }
}

/// Column names in lower case, without the byte order mark that spreadsheets put first.
fn header_names(header: &ByteRecord) -> Vec<String> {
    let text = |field: &[u8]| String::from_utf8_lossy(field).trim_start_matches('\u{feff}').trim().to_lowercase();
    header.iter().map(text).collect()
}

fn check_header(names: &[String], required: &[&str], known: &[&str]) -> Result<()> {
    let missing: Vec<&str> =
        required.iter().filter(|column| !names.iter().any(|name| name == *column)).copied().collect();
    let foreign: Vec<&str> = names.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
    let twice = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name));
    let columns = known.join(", ");
    let message = if let Some((_, name)) = twice {
        format!("The column {name} stands twice in the first line.")
    } else if !missing.is_empty() {
        format!("The first line must name the columns {}: it lacks {}.", columns, missing.join(", "))
    } else if !foreign.is_empty() {
        format!("The first line may name the columns {}: it also names {}.", columns, foreign.join(", "))
    } else {
        return Ok(());
    };
    Err(Error::invalid(&["file"], message))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fields<'a> = Result<Vec<Option<&'a str>>, ()>;

    fn check(text: &[u8], expected: Result<Vec<Fields<'_>>, &str>) {
        let sheet = Sheet::read(text, &["a", "b"], &["c"]);
        match (&sheet, expected) {
            (Ok(sheet), Ok(expected)) => {
                let found: Vec<_> = sheet.rows.iter().map(|row| sheet.fields(row).map_err(|_reason| ())).collect();
                assert_eq!(found, expected);
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn columns_stand_in_any_order_and_bad_rows_are_told_apart() {
        check(b"\xef\xbb\xbfb,A\n1, 2 \n", Ok(vec![Ok(vec![Some("2"), Some("1"), None])]));
        check(b"a,b,c\n1,,3\n\n1,2\n\xff,2,3\n", Ok(vec![Ok(vec![Some("1"), None, Some("3")]), Err(()), Err(())]));
        check(b"a,b\n\"x,\ny\",2\n", Ok(vec![Ok(vec![Some("x,\ny"), Some("2"), None])]));
        check(b"a,c\n", Err("lacks b"));
        check(b"", Err("lacks a, b"));
        check(b"a,b,d\n", Err("also names d"));
        check(b"a,b,a\n", Err("stands twice"));
    }

    #[test]
    fn rejected_rows_keep_their_line_and_text() -> Result<()> {
        let sheet = Sheet::read(b"a,b\n1,2\n\"x\ny\",2,3\n".as_slice(), &["a", "b"], &[])?;
        let mut output = Vec::new();
        let reject = Reject { row: 1, code: "BAD_ROW", reason: "No.".to_owned() };
        sheet.write_rejects(std::slice::from_ref(&reject), &mut output)?;
        assert_eq!(String::from_utf8_lossy(&output), "line,code,reason,a,b\n3,BAD_ROW,No.,\"x\ny\",2,3\n");
        let summary = sheet.summary(1, &[reject]);
        assert_eq!((summary.rows, summary.imported, summary.unchanged, summary.rejected), (2, 1, 0, 1));
        Ok(())
    }
}
