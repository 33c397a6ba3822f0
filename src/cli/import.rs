//! `grapevine import`: files of history. What is good comes in, what is bad is told line by line in a file beside the input, and the
//! same file a second time changes nothing.

use std::fs::{self, File};
use std::io::BufReader;
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
        let mut rejected = Vec::new();
        let summary = self.read(&app, &brand.scope(), file, &mut rejected, &bar).await?;
        bar.finish_and_clear();
        let rejects_path = rejects_path(&options.file);
        write_rejects(&rejects_path, &summary, &rejected)?;
        if options.json {
            let text = serde_json::to_string_pretty(&summary);
            println!("{}", text.map_err(|error| Error::fault("writing the summary", error))?);
        } else {
            print_summary(&summary, &rejects_path);
        }
        Ok(())
    }

    async fn read(
        &self,
        app: &App,
        scope: &Scope,
        file: File,
        rejected: &mut Vec<u8>,
        bar: &ProgressBar,
    ) -> Result<ImportSummary> {
        let progress = |progress: Progress| {
            bar.set_length(progress.total_count);
            bar.set_position(progress.done_count);
        };
        let input = BufReader::new(&file);
        match self {
            Self::Members(_) => {
                members::import::import_members(&app.db, scope, &app.env, input, rejected, &progress).await
            }
            Self::Creators(_) => {
                creators::import::import_creators(&app.db, scope, &app.env, input, rejected, &progress).await
            }
            Self::Events(options) => import_events(app, scope, &options.file, file, rejected, bar).await,
        }
    }
}

/// On the standard error, and only where a person looks on.
pub fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {per_sec} {eta}");
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

/// Writes what was turned away, or removes the file of an earlier run where nothing was.
fn write_rejects(path: &Path, summary: &ImportSummary, rejected: &[u8]) -> Result<()> {
    let outcome = if summary.rejected > 0 {
        fs::write(path, rejected)
    } else {
        fs::remove_file(path).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
    };
    outcome.map_err(|error| Error::fault("writing the rejected rows", named(path, error)))
}

fn print_summary(summary: &ImportSummary, rejects_path: &Path) {
    let ImportSummary { rows, imported, unchanged, rejected, by_code } = summary;
    println!("{rows} rows: {imported} imported, {unchanged} there already, {rejected} rejected");
    for (code, count) in by_code {
        println!("  {code}: {count}");
    }
    if *rejected > 0 {
        println!("the rejected rows are in {}", rejects_path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rejects_stand_beside_the_file() {
        let check = |file: &str, expected: &str| assert_eq!(rejects_path(Path::new(file)), Path::new(expected));
        check("a/history.csv", "a/history.rejected.csv");
        check("history.ndjson.gz", "history.rejected.csv");
        check("history", "history.rejected.csv");
    }
}
