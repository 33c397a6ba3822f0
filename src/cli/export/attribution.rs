//! `grapevine export attribution`: who got the credit, seen as one snapshot from the first row to the last.

use std::io::Write;

use chrono::{DateTime, Utc};
use clap::Args;
use uuid::Uuid;

use super::super::context::Context;
use super::table::{Cell, Table};
use super::{ExportOptions, moment, moment_opt};
use crate::access::Scope;
use crate::attribution::decimal;
use crate::attribution::reads::{NamedRecord, RecordFilter, begin_export, end_export, export_page};
use crate::base::limits::EXPORT_PAGE_ROWS;
use crate::base::{Error, Kind, Result};
use crate::campaigns::AttributionModel;
use crate::db::Conn;

#[derive(Args)]
pub struct ExportAttribution {
    #[command(flatten)]
    options: ExportOptions,
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

impl ExportAttribution {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let filter = self.filter()?;
        let (mut conn, scope) = self.options.open(context).await?;
        let mut table = self.options.begin(&ATTRIBUTION_COLUMNS)?;
        begin_export(&mut conn).await?;
        write_attribution(&mut conn, &scope, &filter, &mut table).await?;
        end_export(&mut conn).await?;
        table.end()
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

async fn write_attribution<W: Write>(
    conn: &mut Conn,
    scope: &Scope,
    filter: &RecordFilter,
    table: &mut Table<W>,
) -> Result<()> {
    let mut after = None;
    loop {
        let page = export_page(conn, scope, filter, after, EXPORT_PAGE_ROWS).await?;
        for named in &page {
            table.push(attribution_row(named))?;
        }
        match page.last() {
            Some(last) => after = Some(last.record.place()),
            None => return Ok(()),
        }
    }
}

/// The cells of [`ATTRIBUTION_COLUMNS`].
fn attribution_row(named: &NamedRecord) -> Vec<Cell> {
    let record = &named.record;
    let id = |kind: Kind, id: Option<Uuid>| Cell::from(id.map(|id| kind.id(id)));
    vec![
        Kind::Attribution.id(record.id).into(),
        Kind::Conversion.id(record.conversion_id).into(),
        named.order_id.clone().into(),
        Kind::Touchpoint.id(record.touchpoint_id).into(),
        id(Kind::Creator, record.creator_id),
        named.creator_handle.clone().into(),
        id(Kind::Member, record.referrer_id),
        named.member_external_id.clone().into(),
        Kind::Campaign.id(record.campaign_id).into(),
        named.campaign_slug.clone().into(),
        record.model.as_str().into(),
        i64::from(record.policy_version).into(),
        record.model_version.map_or(Cell::Empty, |version| i64::from(version).into()),
        decimal(u128::from(record.weight_units.unsigned_abs())).into(),
        record.value.amount().into(),
        record.value.currency.as_str().into(),
        moment(record.occurred_at),
        moment(record.recorded_at),
        moment_opt(record.superseded_at),
    ]
}
