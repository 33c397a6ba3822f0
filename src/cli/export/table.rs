//! Rows as CSV or as one JSON object per line. It never knows what a row means.

use std::borrow::Cow;
use std::io::Write;

use serde_json::{Map, Value};

use crate::base::{Error, Result};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Comma-separated values with a first line of names. A text that a spreadsheet would take for a formula begins with an apostrophe
    Csv,
    /// One JSON object per line
    Ndjson,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Text(String),
    Whole(i64),
    Empty,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Empty, Self::Text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Whole(number)
    }
}

/// Writes rows as they come; nothing is kept.
pub struct Table<W: Write> {
    columns: &'static [&'static str],
    output: Output<W>,
}

enum Output<W: Write> {
    /// Boxed: it is ten times as large as the other.
    Csv(Box<csv::Writer<W>>),
    Ndjson(W),
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::fault("writing the export", error)
}

impl<W: Write> Table<W> {
    /// A CSV file names its columns, even where it has no row.
    pub fn begin(format: Format, columns: &'static [&'static str], output: W) -> Result<Self> {
        let output = match format {
            Format::Ndjson => Output::Ndjson(output),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(output);
                writer.write_record(columns).map_err(failed)?;
                Output::Csv(Box::new(writer))
            }
        };
        Ok(Self { columns, output })
    }

    /// Writes a row: as many cells as there are columns, in their order.
    pub fn push(&mut self, cells: Vec<Cell>) -> Result<()> {
        match &mut self.output {
            Output::Csv(writer) => {
                writer.write_record(cells.iter().map(|cell| text(cell).into_owned())).map_err(failed)
            }
            Output::Ndjson(output) => {
                let values = self.columns.iter().zip(cells).map(|(name, cell)| ((*name).to_owned(), value(cell)));
                let object: Map<String, Value> = values.collect();
                writeln!(output, "{}", Value::Object(object)).map_err(failed)
            }
        }
    }

    /// Everything is written when this returns.
    pub fn end(self) -> Result<()> {
        match self.output {
            Output::Csv(mut writer) => writer.flush().map_err(failed),
            Output::Ndjson(mut output) => output.flush().map_err(failed),
        }
    }
}

fn value(cell: Cell) -> Value {
    match cell {
        Cell::Text(text) => Value::String(text),
        Cell::Whole(number) => Value::from(number),
        Cell::Empty => Value::Null,
    }
}

fn text(cell: &Cell) -> Cow<'_, str> {
    match cell {
        Cell::Text(text) => harmless(text),
        Cell::Whole(number) => number.to_string().into(),
        Cell::Empty => "".into(),
    }
}

/// A text that no spreadsheet takes for a formula: <https://owasp.org/www-community/attacks/CSV_Injection>.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: Format, rows: Vec<Vec<Cell>>, expected: &str) {
        let mut output = Vec::new();
        let mut table = Table::begin(format, &["name", "minor"], &mut output).unwrap();
        for row in rows {
            table.push(row).unwrap();
        }
        table.end().unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), expected);
    }

    #[test]
    fn a_text_is_never_a_formula_and_a_number_stays_one() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(harmless(text), format!("'{text}"));
        }
        assert_eq!(harmless("a=1"), "a=1");
        let row = |text: &str, minor: i64| vec![Cell::from(text), Cell::from(minor)];
        check(Format::Csv, vec![row("=1,\"x\"", -5)], "name,minor\n\"'=1,\"\"x\"\"\",-5\n");
        check(Format::Csv, vec![vec![Cell::Empty, Cell::Empty]], "name,minor\n,\n");
        let lines = "{\"minor\":-5,\"name\":\"=1\"}\n{\"minor\":1,\"name\":null}\n";
        check(Format::Ndjson, vec![row("=1", -5), vec![Cell::Empty, Cell::Whole(1)]], lines);
    }

    #[test]
    fn an_empty_export_names_its_columns() {
        check(Format::Csv, Vec::new(), "name,minor\n");
        check(Format::Ndjson, Vec::new(), "");
    }
}
