//! Events from a file of lines, through the same door and the same pipeline as any other. What the door quarantines stays in the log,
//! to be seen and replayed there; the rejects file says why. An event without an identifier of its own is known by its content.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use csv::Writer;
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use tokio_util::sync::CancellationToken;

use super::import::Report;
use crate::access::{Permission, Scope};
use crate::app::App;
use crate::base::limits::BODY_BYTES_MAX;
use crate::base::sheet::ImportSummary;
use crate::base::{Error, Result};
use crate::ingest::{Origin, Receipt, ReceiptStatus};
use crate::platforms::{Scheme, Submission, parse};
use crate::worker;

/// Events handed to the door at once.
const CHUNK_EVENTS: usize = 500;

pub async fn import_events(
    app: &App,
    scope: &Scope,
    path: &Path,
    file: File,
    report: &mut Report,
    bar: &ProgressBar,
) -> Result<ImportSummary> {
    scope.require(Permission::Ingest)?;
    bar.set_length(file.metadata().map_or(0, |file| file.len()));
    let input = bar.wrap_read(file);
    let input: Box<dyn Read + Send> = match path.extension() {
        Some(extension) if extension == "gz" => Box::new(MultiGzDecoder::new(input)),
        _ => Box::new(input),
    };
    let mut lines = Lines { input: BufReader::new(input), number: 0 };
    let mut intake = Intake { app, origin: Origin::import(scope.clone()), tally: Tally::new(report) };
    // What is taken in is worked on at once, as it would be in a running installation, so that a file takes as long as the slower of both.
    let stop = CancellationToken::new();
    let working = tokio::spawn(worker::keep_up(app.clone(), stop.clone()));
    let taken = intake.take_all(&mut lines).await;
    stop.cancel();
    working.await.map_err(|error| Error::fault("working on the events", error))??;
    taken?;
    bar.set_message("working on the last events");
    worker::drain(app).await?;
    intake.tally.finish()
}

/// The lines of a file with their numbers, empty ones left out; `None` for one that is too long to be read.
struct Lines<R> {
    input: BufReader<R>,
    number: u64,
}

impl<R: Read> Lines<R> {
    fn next(&mut self) -> Result<Option<(u64, Option<Vec<u8>>)>> {
        let failed = |error| Error::fault("reading the events", error);
        loop {
            let mut line = Vec::new();
            let limit = BODY_BYTES_MAX as u64 + 1;
            if self.input.by_ref().take(limit).read_until(b'\n', &mut line).map_err(failed)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if line.len() > BODY_BYTES_MAX && !line.ends_with(b"\n") {
                self.input.skip_until(b'\n').map_err(failed)?;
                return Ok(Some((self.number, None)));
            }
            let line = line.trim_ascii();
            if !line.is_empty() {
                return Ok(Some((self.number, Some(line.to_owned()))));
            }
        }
    }
}

struct Intake<'a> {
    app: &'a App,
    origin: Origin,
    tally: Tally<'a>,
}

impl Intake<'_> {
    async fn take_all<R: Read>(&mut self, lines: &mut Lines<R>) -> Result<()> {
        let mut chunk = Vec::with_capacity(CHUNK_EVENTS);
        while let Some((number, line)) = lines.next()? {
            match line {
                Some(line) => chunk.extend(parse(Scheme::Generic, &line).items.into_iter().map(|item| (number, item))),
                None => self.tally.reject(number, "TOO_LARGE", "A line holds at most 256 KiB.")?,
            }
            if chunk.len() >= CHUNK_EVENTS {
                self.hand_in(std::mem::take(&mut chunk)).await?;
            }
        }
        self.hand_in(chunk).await
    }

    async fn hand_in(&mut self, chunk: Vec<(u64, Submission)>) -> Result<()> {
        let (numbers, items): (Vec<u64>, Vec<Submission>) = chunk.into_iter().unzip();
        let receipts = self.app.door.accept(&self.origin, items).await?;
        numbers.into_iter().zip(receipts).try_for_each(|(number, receipt)| self.tally.count(number, receipt))
    }
}

/// What became of the events so far, and the file of those that were turned away.
struct Tally<'a> {
    summary: ImportSummary,
    writer: Writer<&'a mut Report>,
}

impl<'a> Tally<'a> {
    fn new(report: &'a mut Report) -> Self {
        Self { summary: ImportSummary::default(), writer: Writer::from_writer(report) }
    }

    fn write(&mut self, record: [&str; 3]) -> Result<()> {
        self.writer.write_record(record).map_err(|error| Error::fault("writing the rejected rows", error))
    }

    fn count(&mut self, number: u64, receipt: Receipt) -> Result<()> {
        match receipt.status {
            ReceiptStatus::Queued => self.summary.imported += 1,
            ReceiptStatus::Duplicate => self.summary.unchanged += 1,
            ReceiptStatus::Quarantined => {
                let reason = receipt.reason.unwrap_or_default();
                return self.reject(number, receipt.code.unwrap_or("INVALID"), &reason);
            }
        }
        self.summary.rows += 1;
        Ok(())
    }

    fn reject(&mut self, number: u64, code: &'static str, reason: &str) -> Result<()> {
        if self.summary.rejected == 0 {
            self.write(["line", "code", "reason"])?;
        }
        self.summary.rows += 1;
        self.summary.rejected += 1;
        let by_code: &mut BTreeMap<&'static str, u64> = &mut self.summary.by_code;
        *by_code.entry(code).or_default() += 1;
        self.write([number.to_string().as_str(), code, reason])
    }

    fn finish(mut self) -> Result<ImportSummary> {
        self.writer.flush().map_err(|error| Error::fault("writing the rejected rows", error))?;
        Ok(self.summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_numbers_and_a_long_one_does_not_stop_the_rest() {
        let long = "x".repeat(BODY_BYTES_MAX + 1);
        let text = format!("a\n\n{long}\n{}\nb", &long[..BODY_BYTES_MAX]);
        let mut lines = Lines { input: BufReader::new(text.as_bytes()), number: 0 };
        let mut read = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            read.push((number, line.map(|line| line.len())));
        }
        assert_eq!(read, [(1, Some(1)), (3, None), (4, Some(BODY_BYTES_MAX)), (5, Some(1))]);
    }
}
