//! `grapevine export`: what the books hold, as a file that is written as it is read: a page is in memory at a time, and one snapshot of the
//! database is seen from the first line to the last.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::context::{Context, choose_brand};
use crate::access::Scope;
use crate::attribution::decimal;
use crate::attribution::reads::{NamedRecord, RecordFilter, begin_export, end_export, export_page};
use crate::base::limits::EXPORT_PAGE_ROWS;
use crate::base::{Error, Kind, Result};
use crate::campaigns::AttributionModel;
use crate::db::Conn;

#[derive(Subcommand)]
pub enum ExportCommand {
    /// Who got the credit of conversions, the latest conversion first
    Attribution(ExportAttribution),
}

/// Where an export goes, and as what.
#[derive(Args)]
pub struct Target {
    /// How rows are written
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// The file [default: the standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Slug of the brand [default: `default`, else the only one]
    #[arg(long, value_name = "SLUG")]
    brand: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line of names, then a line per row; a cell that a spreadsheet would run as a formula begins with an apostrophe
    Csv,
    /// One JSON object per line
    Ndjson,
}

#[derive(Args)]
pub struct ExportAttribution {
    #[command(flatten)]
    target: Target,
    /// Only records of conversions from this moment on, in RFC 3339
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Only records of conversions before this moment, in RFC 3339
    #[arg(long, value_name = "TIME")]
    to: Option<DateTime<Utc>>,
    /// Only records that are credited to this creator
    #[arg(long, value_name = "ID")]
    creator: Option<String>,
    /// Only records of touches of this campaign
    #[arg(long, value_name = "ID")]
    campaign: Option<String>,
    /// Only records that this model divided, such as LINEAR
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Also records that newer ones have superseded
    #[arg(long)]
    superseded: bool,
}

impl ExportCommand {
    pub async fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Attribution(export) => export.run(context).await,
        }
    }
}

impl ExportAttribution {
    async fn run(self, context: &Context) -> Result<()> {
        let filter = self.filter()?;
        let app = context.app().await?;
        let conn = &mut *app.db.conn().await?;
        let scope = choose_brand(conn, self.target.brand.as_deref()).await?.scope();
        let mut sheet = self.target.open(&ATTRIBUTION_COLUMNS)?;
        begin_export(conn).await?;
        write_attribution(conn, &scope, &filter, &mut sheet).await?;
        end_export(conn).await?;
        sheet.finish()
    }

    fn filter(&self) -> Result<RecordFilter> {
        let id = |kind: Kind, text: &Option<String>, field: &str| -> Result<Option<Uuid>> {
            let message = format!("Pass an identifier that starts with {}_ as --{field}.", kind.prefix());
            let read = |text: &String| kind.parse(text).ok_or_else(|| Error::invalid(&[field], message.clone()));
            text.as_ref().map(read).transpose()
        };
        let model = |text: &String| {
            let known: Vec<&str> = AttributionModel::ALL.iter().map(|known| known.as_str()).collect();
            let message = format!("Pass one of {} as --model.", known.join(", "));
            AttributionModel::parse(text).ok_or_else(|| Error::invalid(&["model"], message))
        };
        Ok(RecordFilter {
            creator_id: id(Kind::Creator, &self.creator, "creator")?,
            campaign_id: id(Kind::Campaign, &self.campaign, "campaign")?,
            model: self.model.as_ref().map(model).transpose()?,
            from: self.from,
            to: self.to,
            has_superseded: self.superseded,
            ..RecordFilter::default()
        })
    }
}

const ATTRIBUTION_COLUMNS: [&str; 19] = [
    "record_id",
    "conversion_id",
    "order_id",
    "touchpoint_id",
    "creator_id",
    "creator_handle",
    "member_id",
    "member_external_id",
    "campaign_id",
    "campaign",
    "model",
    "policy_version",
    "model_version",
    "weight",
    "value",
    "currency",
    "occurred_at",
    "recorded_at",
    "superseded_at",
];

async fn write_attribution(conn: &mut Conn, scope: &Scope, filter: &RecordFilter, sheet: &mut Sheet) -> Result<()> {
    let mut after = None;
    loop {
        let page = export_page(conn, scope, filter, after, EXPORT_PAGE_ROWS).await?;
        for named in &page {
            sheet.write(attribution_row(named))?;
        }
        match page.last() {
            Some(last) => after = Some(last.record.place()),
            None => return Ok(()),
        }
    }
}

/// The cells of [`ATTRIBUTION_COLUMNS`].
fn attribution_row(named: &NamedRecord) -> Vec<Value> {
    let record = &named.record;
    let id = |kind: Kind, id: Option<Uuid>| json!(id.map(|id| kind.id(id)));
    vec![
        json!(Kind::Attribution.id(record.id)),
        json!(Kind::Conversion.id(record.conversion_id)),
        json!(named.order_id),
        json!(Kind::Touchpoint.id(record.touchpoint_id)),
        id(Kind::Creator, record.creator_id),
        json!(named.creator_handle),
        id(Kind::Member, record.referrer_id),
        json!(named.member_external_id),
        json!(Kind::Campaign.id(record.campaign_id)),
        json!(named.campaign_slug),
        json!(record.model.as_str()),
        json!(record.policy_version),
        json!(record.model_version),
        json!(decimal(u128::from(record.weight_units.unsigned_abs()))),
        json!(record.value.amount()),
        json!(record.value.currency.as_str()),
        json!(record.occurred_at),
        json!(record.recorded_at),
        json!(record.superseded_at),
    ]
}

impl Target {
    /// Opens the file, which must not be there: an export never takes the place of another file.
    fn open(&self, columns: &'static [&'static str]) -> Result<Sheet> {
        let output: Box<dyn Write + Send> = match &self.output {
            Some(path) => {
                let named = |error: io::Error| Error::fault("making the file", format!("{}: {error}", path.display()));
                Box::new(File::create_new(path).map_err(named)?)
            }
            None => Box::new(io::stdout()),
        };
        Sheet::open(self.format, columns, output)
    }
}

/// A file of rows, in either format.
struct Sheet {
    columns: &'static [&'static str],
    output: Output,
}

enum Output {
    Csv(Box<csv::Writer<Box<dyn Write + Send>>>),
    Ndjson(BufWriter<Box<dyn Write + Send>>),
}

fn unwritten(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::fault("writing the export", error)
}

impl Sheet {
    fn open(format: Format, columns: &'static [&'static str], output: Box<dyn Write + Send>) -> Result<Self> {
        let output = match format {
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(output);
                writer.write_record(columns).map_err(unwritten)?;
                Output::Csv(Box::new(writer))
            }
            Format::Ndjson => Output::Ndjson(BufWriter::new(output)),
        };
        Ok(Self { columns, output })
    }

    /// Writes a row: a cell for each column, in their order.
    fn write(&mut self, cells: Vec<Value>) -> Result<()> {
        match &mut self.output {
            Output::Csv(writer) => writer.write_record(cells.iter().map(cell)).map_err(unwritten),
            Output::Ndjson(writer) => {
                let names = self.columns.iter().map(|name| (*name).to_owned());
                let line: Map<String, Value> = names.zip(cells).collect();
                serde_json::to_writer(&mut *writer, &line).map_err(unwritten)?;
                writer.write_all(b"\n").map_err(unwritten)
            }
        }
    }

    fn finish(self) -> Result<()> {
        match self.output {
            Output::Csv(mut writer) => writer.flush().map_err(unwritten),
            Output::Ndjson(mut writer) => writer.flush().map_err(unwritten),
        }
    }
}

/// A cell of CSV. A text is never run: spreadsheets take what begins with one of these for a formula, and a name comes from outside.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(cell(&json!(text)), format!("'{text}"));
        }
        assert_eq!(cell(&json!("a=1")), "a=1");
        assert_eq!((cell(&json!(12)), cell(&Value::Null)), ("12".to_owned(), String::new()));
    }

    #[test]
    fn a_row_is_an_object_or_a_line() {
        let write = |format: Format| {
            let path = std::env::temp_dir().join(format!("grapevine-export-{}-{format:?}", std::process::id()));
            let file = Box::new(File::create(&path).unwrap());
            let mut sheet = Sheet::open(format, &["name", "count"], file).unwrap();
            sheet.write(vec![json!("a \"b\", c"), Value::Null]).unwrap();
            sheet.write(vec![json!("=x"), json!(3)]).unwrap();
            sheet.finish().unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::remove_file(path).unwrap();
            text
        };
        assert_eq!(write(Format::Csv), "name,count\n\"a \"\"b\"\", c\",\n'=x,3\n");
        let lines = write(Format::Ndjson);
        let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows, [json!({ "name": "a \"b\", c", "count": null }), json!({ "name": "=x", "count": 3 })]);
    }
}
