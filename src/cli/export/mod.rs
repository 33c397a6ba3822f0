//! `grapevine export`: what finance keeps and payment providers take, page by page, so that a long history takes no more memory than a
//! short one. Amounts stand as decimal text and in whole minor units.

mod attribution;
mod ledger;
mod table;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use uuid::Uuid;

use self::table::{Cell, Format, Table};
use super::context::{Context, choose_brand};
use crate::access::Scope;
use crate::base::limits::PAGE_SIZE_MAX;
use crate::base::{Error, Kind, Money, Page, Result, Slice};
use crate::db::{Conn, Db, PooledConn};
use crate::payouts::PayoutState;
use crate::payouts::reads::{Payout, PayoutFilter, payout_page};
use crate::rewards::Beneficiary;
use crate::rewards::reads::{Reward, RewardFilter, reward_page};
use crate::{campaigns, creators, members};

const REWARD_COLUMNS: &[&str] = &[
    "reward_id",
    "state",
    "kind",
    "degree",
    "beneficiary_kind",
    "beneficiary_id",
    "beneficiary",
    "referee_id",
    "campaign_id",
    "campaign",
    "policy_version",
    "currency",
    "amount",
    "amount_minor",
    "reversed",
    "reversed_minor",
    "reason",
    "triggered_at",
    "releases_at",
    "idempotency_key",
];

const PAYOUT_COLUMNS: &[&str] = &[
    "payout_id",
    "state",
    "beneficiary_kind",
    "beneficiary_id",
    "beneficiary",
    "currency",
    "amount",
    "amount_minor",
    "gross",
    "gross_minor",
    "netted",
    "netted_minor",
    "payable_lines",
    "created_at",
    "approved_at",
    "closed_at",
    "provider_reference",
    "override_reason",
    "reason",
];

#[derive(Subcommand)]
pub enum ExportCommand {
    /// What was earned and what was denied, the last earned first
    Rewards(ExportOptions),
    /// What was paid, is promised or waits for an approval, the last made first
    Payouts {
        #[command(flatten)]
        options: ExportOptions,
        /// Only payouts in this state, such as APPROVED for what is to be sent; can be given several times
        #[arg(long, value_parser = PossibleValuesParser::new(PayoutState::ALL.iter().map(|state| state.as_str())))]
        state: Vec<String>,
    },
    /// Who got the credit of conversions, the latest conversion first
    Attribution(attribution::ExportAttribution),
    /// Every transfer of the ledger with its hash, so that anyone can tell whether one was changed, left out or added
    Ledger(ledger::Ledger),
}

#[derive(Args)]
pub struct ExportOptions {
    /// How rows are written
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// Where to write [default: the standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Slug of the brand [default: `default`, else the only one]
    #[arg(long, value_name = "SLUG")]
    brand: Option<String>,
}

impl ExportCommand {
    pub async fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Rewards(options) => {
                let (mut conn, scope) = options.open(context).await?;
                export_rewards(&mut conn, &scope, options.begin(REWARD_COLUMNS)?).await
            }
            Self::Payouts { options, state } => {
                let (mut conn, scope) = options.open(context).await?;
                let states = state.iter().filter_map(|name| PayoutState::parse(name)).collect();
                let filter = PayoutFilter { states, ..PayoutFilter::default() };
                export_payouts(&mut conn, &scope, &filter, options.begin(PAYOUT_COLUMNS)?).await
            }
            Self::Attribution(export) => export.run(context).await,
            Self::Ledger(ledger) => ledger.run(context).await,
        }
    }
}

impl ExportOptions {
    /// A connection, and the brand whose rows are written.
    async fn open(&self, context: &Context) -> Result<(PooledConn, Scope)> {
        let db = Db::connect(&context.database_url().await?, 1)?;
        let mut conn = db.conn().await?;
        let scope = choose_brand(&mut conn, self.brand.as_deref()).await?.scope();
        Ok((conn, scope))
    }

    /// The table, on a file that is new: an export never takes the place of another file.
    fn begin(&self, columns: &'static [&'static str]) -> Result<Table<BufWriter<Box<dyn Write + Send>>>> {
        let output: Box<dyn Write + Send> = match &self.output {
            None => Box::new(io::stdout()),
            Some(path) => {
                let named = |error: io::Error| format!("{}: {error}", path.display());
                Box::new(File::create_new(path).map_err(|error| Error::fault("making the output", named(error)))?)
            }
        };
        Table::begin(self.format, columns, BufWriter::new(output))
    }
}

async fn export_rewards<W: Write>(conn: &mut Conn, scope: &Scope, mut table: Table<W>) -> Result<()> {
    let mut page = Page::first(i64::from(PAGE_SIZE_MAX));
    loop {
        let Slice { items, has_next, .. } = reward_page(conn, scope, &RewardFilter::default(), &page).await?;
        let names = names(conn, scope, items.iter().map(|reward| reward.beneficiary)).await?;
        let mut campaign_ids: Vec<Uuid> = items.iter().map(|reward| reward.campaign_id).collect();
        campaign_ids.sort_unstable();
        campaign_ids.dedup();
        let campaigns = campaigns::by_ids(conn, scope, &campaign_ids).await?;
        for reward in &items {
            let campaign = campaigns.get(&reward.campaign_id).map(|campaign| campaign.slug.clone());
            table.push(reward_cells(reward, &names, campaign))?;
        }
        page.after = items.last().map(Reward::place);
        if !has_next {
            return table.end();
        }
    }
}

async fn export_payouts<W: Write>(
    conn: &mut Conn,
    scope: &Scope,
    filter: &PayoutFilter,
    mut table: Table<W>,
) -> Result<()> {
    let mut page = Page::first(i64::from(PAGE_SIZE_MAX));
    loop {
        let Slice { items, has_next, .. } = payout_page(conn, scope, filter, &page).await?;
        let names = names(conn, scope, items.iter().map(|payout| payout.beneficiary)).await?;
        for payout in &items {
            table.push(payout_cells(payout, &names))?;
        }
        page.after = items.last().map(Payout::place);
        if !has_next {
            return table.end();
        }
    }
}

/// What beneficiaries are called: a creator by its handle, a member by the brand's own identifier, if it has one.
async fn names(
    conn: &mut Conn,
    scope: &Scope,
    beneficiaries: impl Iterator<Item = Beneficiary>,
) -> Result<HashMap<Uuid, Option<String>>> {
    let (mut creator_ids, mut member_ids) = (Vec::new(), Vec::new());
    for beneficiary in beneficiaries {
        match beneficiary {
            Beneficiary::Creator(id) => creator_ids.push(id),
            Beneficiary::Member(id) => member_ids.push(id),
        }
    }
    for ids in [&mut creator_ids, &mut member_ids] {
        ids.sort_unstable();
        ids.dedup();
    }
    let creators = creators::by_ids(conn, scope, &creator_ids).await?;
    let members = members::by_ids(conn, scope, &member_ids).await?;
    let creators = creators.into_iter().map(|(id, creator)| (id, Some(creator.handle)));
    Ok(creators.chain(members.into_iter().map(|(id, member)| (id, member.external_id))).collect())
}

fn beneficiary_cells(beneficiary: Beneficiary, names: &HashMap<Uuid, Option<String>>) -> [Cell; 3] {
    let (word, kind) = match beneficiary {
        Beneficiary::Creator(_) => ("creator", Kind::Creator),
        Beneficiary::Member(_) => ("member", Kind::Member),
    };
    let name = names.get(&beneficiary.id()).cloned().flatten();
    [word.into(), kind.id(beneficiary.id()).into(), name.into()]
}

fn money_cells(money: Money) -> [Cell; 2] {
    [money.amount().into(), money.minor.into()]
}

fn moment(at: DateTime<Utc>) -> Cell {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true).into()
}

fn moment_opt(at: Option<DateTime<Utc>>) -> Cell {
    at.map_or(Cell::Empty, moment)
}

fn reward_cells(reward: &Reward, names: &HashMap<Uuid, Option<String>>, campaign: Option<String>) -> Vec<Cell> {
    let mut cells: Vec<Cell> = vec![
        Kind::Reward.id(reward.id).into(),
        reward.state.as_str().into(),
        reward.kind.as_str().into(),
        i64::from(reward.degree).into(),
    ];
    cells.extend(beneficiary_cells(reward.beneficiary, names));
    cells.extend([
        reward.referee_id.map(|id| Kind::Member.id(id)).into(),
        Kind::Campaign.id(reward.campaign_id).into(),
        campaign.into(),
        i64::from(reward.policy_version).into(),
        reward.amount.currency.to_string().into(),
    ]);
    cells.extend(money_cells(reward.amount));
    cells.extend(money_cells(reward.reversed));
    cells.extend([
        reward.reason.clone().into(),
        moment(reward.triggered_at),
        moment_opt(reward.releases_at),
        reward.idempotency_key.clone().into(),
    ]);
    cells
}

fn payout_cells(payout: &Payout, names: &HashMap<Uuid, Option<String>>) -> Vec<Cell> {
    let mut cells: Vec<Cell> = vec![Kind::Payout.id(payout.id).into(), payout.state.as_str().into()];
    cells.extend(beneficiary_cells(payout.beneficiary, names));
    cells.push(payout.amount.currency.to_string().into());
    for money in [payout.amount, payout.gross, payout.netted] {
        cells.extend(money_cells(money));
    }
    cells.extend([
        i64::from(payout.payable_count).into(),
        moment(payout.created_at),
        moment_opt(payout.approved_at),
        moment_opt(payout.closed_at),
        payout.provider_reference.clone().into(),
        payout.override_reason.clone().into(),
        payout.reason.clone().into(),
    ]);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payout_has_a_cell_for_each_column() {
        let usd = |minor| Money::new(minor, "USD".parse().unwrap());
        let payout = Payout {
            id: Uuid::nil(),
            beneficiary: Beneficiary::Creator(Uuid::nil()),
            gross: usd(1_500),
            netted: usd(250),
            amount: usd(1_250),
            line_count: 3,
            payable_count: 2,
            state: PayoutState::Paid,
            earned_before: None,
            created_by: None,
            approved_by: None,
            provider_reference: Some("=tr_1".into()),
            override_reason: None,
            reason: None,
            created_at: DateTime::UNIX_EPOCH,
            approved_at: Some(DateTime::UNIX_EPOCH),
            closed_at: None,
        };
        let names = HashMap::from([(Uuid::nil(), Some("zoe".to_owned()))]);
        let cells = payout_cells(&payout, &names);
        assert_eq!(cells.len(), PAYOUT_COLUMNS.len());
        let cell = |name: &str| cells[PAYOUT_COLUMNS.iter().position(|column| *column == name).unwrap()].clone();
        assert_eq!((cell("amount"), cell("amount_minor")), ("12.50".into(), Cell::Whole(1_250)));
        assert_eq!((cell("netted_minor"), cell("payable_lines")), (Cell::Whole(250), Cell::Whole(2)));
        assert_eq!((cell("beneficiary"), cell("created_at")), ("zoe".into(), "1970-01-01T00:00:00Z".into()));
        assert_eq!((cell("reason"), cell("provider_reference")), (Cell::Empty, "=tr_1".into()));
    }
}
