//! CSV files that are imported: rows with their lines, and the report of the rows that are worth a word. It never knows what a row
//! means.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Read, Write};

use csv::{ByteRecord, ReaderBuilder, Trim, WriterBuilder};
use serde::Serialize;

use super::error::{Error, Result};
use super::limits::{IMPORT_BYTES_MAX, IMPORT_ROWS_MAX};

/// A file as it was read. All text lies in one buffer: a million rows with buffers of their own took four times the memory.
#[derive(Debug)]
pub struct Sheet {
    header: ByteRecord,
    /// For each column of the caller's list: where it stands in the file.
    places: Vec<Option<usize>>,
    rows: Vec<RowEnd>,
    /// Where each field ends in `bytes`, row after row.
    field_ends: Vec<usize>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct RowEnd {
    /// The line of the file on which the row begins, from 1.
    line: u64,
    /// Fields up to the end of the row, over all rows.
    field_count: usize,
}

/// What is to be told of a row: why it was turned away, or what to know of it although it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Index of the row in the sheet.
    pub row: usize,
    pub code: &'static str,
    /// One sentence that says what was expected, or what follows.
    pub reason: Cow<'static, str>,
    /// Whether the row is in all the same.
    pub is_in: bool,
}

/// How far an import has come, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub done_count: u64,
    pub total_count: u64,
}

/// What an import did. Each row is imported, unchanged or rejected; flagged ones are in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportSummary {
    pub rows: u64,
    pub imported: u64,
    /// Rows that were there already.
    pub unchanged: u64,
    pub flagged: u64,
    pub rejected: u64,
    /// Rejected rows by code.
    pub by_code: BTreeMap<&'static str, u64>,
    pub flagged_by_code: BTreeMap<&'static str, u64>,
}

impl Sheet {
    /// Reads a whole file. Columns stand in any order; a column that is not known, or a required one that is missing, is refused by
    /// name before any row is looked at. A row that cannot be read becomes a row without fields.
    pub fn read(input: impl Read, required: &[&str], optional: &[&str]) -> Result<Self> {
        // One byte more than is allowed shows that there is more.
        let input = input.take(IMPORT_BYTES_MAX as u64 + 1);
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(input);
        let unreadable = |error: csv::Error| Error::fault("reading a CSV file", error);
        let mut header = ByteRecord::new();
        reader.read_byte_record(&mut header).map_err(unreadable)?;
        let names = header_names(&header);
        let known: Vec<&str> = required.iter().chain(optional).copied().collect();
        check_header(&names, required, &known)?;
        let places = known.iter().map(|column| names.iter().position(|name| name == column)).collect();
        let mut sheet = Self { header, places, rows: Vec::new(), field_ends: Vec::new(), bytes: Vec::new() };
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(unreadable)? {
            sheet.push(&record);
            let message = if sheet.rows.len() > IMPORT_ROWS_MAX {
                format!("A file holds at most {IMPORT_ROWS_MAX} rows: split it.")
            } else if reader.position().byte() > IMPORT_BYTES_MAX as u64 {
                format!("A file holds at most {IMPORT_BYTES_MAX} bytes: split it.")
            } else {
                continue;
            };
            return Err(Error::invalid(&["file"], message));
        }
        Ok(sheet)
    }

    fn push(&mut self, record: &ByteRecord) {
        for field in record {
            self.bytes.extend_from_slice(field);
            self.field_ends.push(self.bytes.len());
        }
        let line = record.position().map_or(0, csv::Position::line);
        self.rows.push(RowEnd { line, field_count: self.field_ends.len() });
    }

    /// Rows of the file, whether they can be read or not.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// The row's fields in the order of the caller's columns, `None` for an optional column that the file does not have or that is
    /// empty; or why the row cannot be read.
    pub fn fields(&self, row: usize) -> Result<Vec<Option<&str>>, String> {
        let fields: Vec<&[u8]> = self.raw_fields(row).collect();
        if fields.len() != self.header.len() {
            return Err(format!("The row has {} fields, the header {}.", fields.len(), self.header.len()));
        }
        let field = |place: &Option<usize>| {
            let bytes = place.and_then(|place| fields.get(place)).copied().unwrap_or_default();
            std::str::from_utf8(bytes).map(|text| Some(text).filter(|text| !text.is_empty()))
        };
        let fields: Result<_, std::str::Utf8Error> = self.places.iter().map(field).collect();
        fields.map_err(|error| format!("The row is not UTF-8: {error}."))
    }

    /// The fields of a row as they stood.
    fn raw_fields(&self, row: usize) -> impl Iterator<Item = &[u8]> {
        let end = |row: usize| self.rows.get(row).map_or(0, |row| row.field_count);
        let first = row.checked_sub(1).map_or(0, end);
        (first..end(row)).map(|field| {
            let end = |field: usize| self.field_ends.get(field).copied().unwrap_or_default();
            let start = field.checked_sub(1).map_or(0, end);
            self.bytes.get(start..end(field)).unwrap_or_default()
        })
    }

    /// Writes the remarks in the order of the file: line, code, reason, whether the row is in, then the row as it stood. Nothing at
    /// all where there are none.
    pub fn write_report(&self, remarks: &[Remark], output: impl Write) -> Result<()> {
        if remarks.is_empty() {
            return Ok(());
        }
        let mut writer = WriterBuilder::new().flexible(true).from_writer(output);
        let failed = |error: csv::Error| Error::fault("writing the report", error);
        let mut ordered: Vec<&Remark> = remarks.iter().collect();
        ordered.sort_by_key(|remark| remark.row);
        let mut head = ByteRecord::from(vec!["line", "code", "reason", "is_in"]);
        head.extend(self.header.iter());
        writer.write_byte_record(&head).map_err(failed)?;
        for remark in ordered {
            let line = self.rows.get(remark.row).map_or(0, |row| row.line).to_string();
            let is_in = if remark.is_in { "yes" } else { "no" };
            let mut record = ByteRecord::from(vec![line.as_str(), remark.code, &remark.reason, is_in]);
            record.extend(self.raw_fields(remark.row));
            writer.write_byte_record(&record).map_err(failed)?;
        }
        writer.flush().map_err(|error| Error::fault("writing the report", error))
    }

    /// The summary of an import that made `imported` rows new.
    #[must_use]
    pub fn summary(&self, imported: usize, remarks: &[Remark]) -> ImportSummary {
        let (rows, imported) = (self.rows.len() as u64, imported as u64);
        let mut summary = ImportSummary { rows, imported, ..ImportSummary::default() };
        for remark in remarks {
            let (count, by_code) = if remark.is_in {
                (&mut summary.flagged, &mut summary.flagged_by_code)
            } else {
                (&mut summary.rejected, &mut summary.by_code)
            };
            *count += 1;
            *by_code.entry(remark.code).or_default() += 1;
        }
        summary.unchanged = rows.saturating_sub(imported + summary.rejected);
        summary
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
                let found: Vec<_> = (0..sheet.row_count()).map(|row| sheet.fields(row).map_err(|_reason| ())).collect();
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
    fn the_report_keeps_line_and_text_and_counts_what_is_in() -> Result<()> {
        let sheet = Sheet::read(b"a,b\n1,2\n\"x\ny\",2,3\n4,5\n".as_slice(), &["a", "b"], &[])?;
        let mut output = Vec::new();
        sheet.write_report(&[], &mut output)?;
        assert!(output.is_empty());
        let remark = |row, code, is_in| Remark { row, code, reason: "Why.".into(), is_in };
        let remarks = [remark(2, "OLD", true), remark(1, "BAD_ROW", false)];
        sheet.write_report(&remarks, &mut output)?;
        let expected = "line,code,reason,is_in,a,b\n3,BAD_ROW,Why.,no,\"x\ny\",2,3\n5,OLD,Why.,yes,4,5\n";
        assert_eq!(String::from_utf8_lossy(&output), expected);
        let summary = sheet.summary(1, &remarks);
        let counts = (summary.rows, summary.imported, summary.unchanged, summary.flagged, summary.rejected);
        assert_eq!(counts, (3, 1, 1, 1, 1));
        assert_eq!((summary.by_code, summary.flagged_by_code), ([("BAD_ROW", 1)].into(), [("OLD", 1)].into()));
        Ok(())
    }
}
