//! `grapevine verify`: every data invariant of every brand, each with its count.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use crate::access::all_brands;
use crate::base::{Error, Result};
use crate::db::Db;
use crate::embedded;
use crate::events::log_begins_at;
use crate::kv::Kv;
use crate::verify::{Finding, check, check_stream};

#[derive(Args)]
pub struct Verify {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Verify {
    /// Redis, where it is set or a private one is known.
    fn stream(&self, context: &Context) -> Result<Option<Kv>> {
        let draft = &context.draft;
        let url = draft.redis_url.clone().or_else(|| embedded::find_redis(&draft.data_dir));
        url.map(|url| Kv::connect(&url, &draft.redis_prefix)).transpose()
    }

    pub async fn run(self, context: &Context) -> Result<ExitCode> {
        let db = Db::connect(&context.database_url().await?, 1)?;
        let conn = &mut *db.conn().await?;
        let mut findings = Vec::new();
        let kv = self.stream(context)?;
        for brand in all_brands(conn).await? {
            findings.extend(check(conn, &brand, context.env.now()).await?);
            let Some(kv) = &kv else { continue };
            match check_stream(conn, kv, &brand).await {
                Ok(finding) => findings.push(finding),
                // Redis may be away at any moment, and nothing is lost by it.
                Err(error) if error.is_transient() => eprintln!("Redis does not answer: its streams are not checked."),
                Err(error) => return Err(error),
            }
        }
        let log_begins_at = log_begins_at(conn).await?;
        let breach_count: i64 = findings.iter().map(|finding| finding.breach_count).sum();
        if self.json {
            let report = json!({"breach_count": breach_count, "findings": findings, "log_begins_at": log_begins_at});
            let report = serde_json::to_string_pretty(&report);
            println!("{}", report.map_err(|error| Error::fault("writing the report", error))?);
        } else {
            print_table(&findings, breach_count);
            if let Some(begins_at) = log_begins_at {
                println!(
                    "The log begins at {begins_at}: what follows from earlier events cannot be made again from it."
                );
            }
        }
        Ok(if breach_count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn print_table(findings: &[Finding], breach_count: i64) {
    let width = findings.iter().map(|finding| finding.brand.len()).max().unwrap_or(0);
    for Finding { brand, invariant, breach_count } in findings {
        let word = if *breach_count == 0 { "ok" } else { "BREACH" };
        println!("{word:6}  {breach_count:>8}  {brand:width$}  {invariant}");
    }
    println!("{} checks, {breach_count} rows in breach", findings.len());
}
