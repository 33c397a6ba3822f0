//! `grapevine import`: files of history. What is good comes in, what is bad or doubtful is told line by line in a file beside the input,
//! and the same file a second time changes nothing.

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::context::{Context, choose_brand};
use super::import_events::import_events;
use crate::access::Scope;
use crate::app::App;
use crate::base::sheet::{ImportSummary, Progress};
use crate::base::{Error, Result};
use crate::{creators, members};

#[derive(Subcommand)]
pub enum ImportCommand {
    /// CSV: external_id,referrer_external_id,joined_at[,creator,campaign,status]
    Members(ImportFile),
    /// CSV: handle,display_name[,tier]
    Creators(ImportFile),
    /// One JSON event per line, as a webhook would send it; may be compressed with gzip
    Events(ImportFile),
}

#[derive(Args)]
pub struct ImportFile {
    file: PathBuf,
    /// Slug of the brand [default: `default`, else the only one]
    #[arg(long, value_name = "SLUG")]
    brand: Option<String>,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

impl ImportCommand {
    pub async fn run(self, context: &Context) -> Result<()> {
        let (Self::Members(options) | Self::Creators(options) | Self::Events(options)) = &self;
        let app = context.app().await?;
        let brand = choose_brand(&mut *app.db.conn().await?, options.brand.as_deref()).await?;
        let file =
            File::open(&options.file).map_err(|error| Error::fault("opening the file", named(&options.file, error)))?;
        let bar = progress_bar();
        let mut report = Report::beside(&options.file)?;
        let summary = self.read(&app, &brand.scope(), file, &mut report, &bar).await?;
        bar.finish_and_clear();
        if options.json {
            let text = serde_json::to_string_pretty(&summary);
            println!("{}", text.map_err(|error| Error::fault("writing the summary", error))?);
        } else {
            print_summary(&summary, &report.path);
        }
        Ok(())
    }

    async fn read(
        &self,
        app: &App,
        scope: &Scope,
        file: File,
        report: &mut Report,
        bar: &ProgressBar,
    ) -> Result<ImportSummary> {
        let progress = |progress: Progress| {
            bar.set_length(progress.total_count);
            bar.set_position(progress.done_count);
        };
        let input = BufReader::new(&file);
        match self {
            Self::Members(_) => {
                members::import::import_members(&app.db, scope, &app.env, input, report, &progress).await
            }
            Self::Creators(_) => {
                creators::import::import_creators(&app.db, scope, &app.env, input, report, &progress).await
            }
            Self::Events(options) => import_events(app, scope, &options.file, file, report, bar).await,
        }
    }
}

/// On the standard error, and only where a person looks on.
pub fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {per_sec} {eta} {msg}");
    bar.with_style(style.unwrap_or_else(|_: indicatif::style::TemplateError| ProgressStyle::default_bar()))
}

fn named(path: &Path, error: std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// `history.csv` and `history.ndjson.gz` have their rejects in `history.rejected.csv`.
fn rejects_path(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    file.with_file_name(format!("{stem}.rejected.csv"))
}

/// The file of remarks, made when the first one is written. One of an earlier run is removed first.
pub struct Report {
    path: PathBuf,
    file: Option<File>,
}

impl Report {
    fn beside(file: &Path) -> Result<Self> {
        let path = rejects_path(file);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::fault("removing an earlier report", named(&path, error)))
            }
            _ => Ok(Self { path, file: None }),
        }
    }
}

impl Write for Report {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::create(&self.path)?,
        };
        self.file.insert(file).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), File::flush)
    }
}

fn print_summary(summary: &ImportSummary, report: &Path) {
    let ImportSummary { rows, imported, unchanged, flagged, rejected, by_code, flagged_by_code } = summary;
    println!("{rows} rows: {imported} imported, {unchanged} there already, {rejected} rejected");
    for (code, count) in by_code {
        println!("  {code}: {count}");
    }
    if *flagged > 0 {
        println!("{flagged} rows are in, with a remark");
    }
    for (code, count) in flagged_by_code {
        println!("  {code}: {count}");
    }
    if rejected + flagged > 0 {
        println!("they are told line by line in {}", report.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_stands_beside_the_file() {
        let check = |file: &str, expected: &str| assert_eq!(rejects_path(Path::new(file)), Path::new(expected));
        check("a/history.csv", "a/history.rejected.csv");
        check("history.ndjson.gz", "history.rejected.csv");
        check("history", "history.rejected.csv");
    }
}
