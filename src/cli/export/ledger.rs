//! `grapevine export ledger`: every transfer with its hash, for programs that take the hashes again.

use std::io::{BufWriter, Stdout, Write};

use clap::{Args, ValueEnum};
use scoped_futures::ScopedFutureExt;
use serde_json::{Value, json};

use super::super::context::{Context, choose_brand};
use crate::access::Brand;
use crate::base::{Error, Kind, Money, Result};
use crate::db::{Conn, Db};
use crate::ledger;
use crate::ledger::reads::{Chained, chain_head, chained_after};

#[derive(Args)]
pub struct Ledger {
    /// Slug of the brand [default: `default`, else the only one]
    #[arg(long, value_name = "SLUG")]
    brand: Option<String>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// One JSON object per line
    Ndjson,
}

impl Ledger {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let db = Db::connect(&context.database_url().await?, 1)?;
        let brand = choose_brand(&mut *db.conn().await?, self.brand.as_deref()).await?;
        let scope = &brand.scope();
        // What was posted before there was a chain is taken in first.
        db.transaction(|conn| async move { ledger::hold(conn, scope).await }.scope_boxed()).await?;
        let out = match self.format {
            Format::Ndjson => Lines(BufWriter::new(std::io::stdout())),
        };
        write_chain(&mut *db.conn().await?, &brand, out).await
    }
}

/// Lines of JSON on the standard output.
struct Lines(BufWriter<Stdout>);

impl Lines {
    fn write(&mut self, line: &Value) -> Result<()> {
        writeln!(self.0, "{line}").map_err(|error| Error::fault("writing the export", error))
    }

    fn close(mut self) -> Result<()> {
        self.0.flush().map_err(|error| Error::fault("writing the export", error))
    }
}

/// The chain up to where it ends now. What is posted meanwhile stands behind that, and nothing before it changes.
async fn write_chain(conn: &mut Conn, brand: &Brand, mut out: Lines) -> Result<()> {
    let scope = &brand.scope();
    let head = chain_head(conn, scope).await?;
    let head = head.ok_or_else(|| Error::fault("exporting the ledger", "its chain has not begun"))?;
    out.write(&json!({
        "ledger": Kind::Brand.id(brand.id),
        "brand": brand.slug,
        "transfer_count": head.seq,
        "head": hex::encode(head.hash),
    }))?;
    let mut place = 0;
    while place < head.seq {
        let chained = chained_after(conn, scope, place).await?;
        let Some(last) = chained.last() else { break };
        place = last.seq;
        for one in chained.iter().take_while(|one| one.seq <= head.seq) {
            out.write(&line(one))?;
        }
    }
    out.close()
}

fn line(Chained { seq, hash, line }: &Chained) -> Value {
    json!({
        "seq": seq,
        "id": line.name(),
        "posted_at": line.posted_at_text(),
        "kind": line.kind,
        "amount": Money::new(line.amount_minor, line.currency).amount(),
        "amount_minor": line.amount_minor,
        "currency": line.currency.as_str(),
        "debit": line.debit,
        "credit": line.credit,
        "reward_id": line.reward_id.map(|id| Kind::Reward.id(id)),
        "campaign_id": line.campaign_id.map(|id| Kind::Campaign.id(id)),
        "reverses_id": line.reverses_name(),
        "payout_id": line.payout_id.map(|id| Kind::Payout.id(id)),
        "hash": hex::encode(hash),
    })
}
