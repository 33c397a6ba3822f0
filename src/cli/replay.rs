//! `grapevine replay`: events that are quarantined or dead come in again, or are given up. A running worker takes them from there.

use chrono::{DateTime, Utc};
use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args};
use scoped_futures::ScopedFutureExt;
use serde_json::json;

use super::context::{Context, choose_brand};
use crate::access::Scope;
use crate::app::App;
use crate::base::limits::REPLAY_EVENTS_MAX;
use crate::base::{Cursor, Error, Kind, Result};
use crate::events::EventType;
use crate::events::reads::{EventFilter, EventState};
use crate::ingest::{Ruled, Ruling, RulingVerb, Selection, rule};

#[derive(Args)]
#[command(group = ArgGroup::new("filter").multiple(true).conflicts_with("event"))]
pub struct Replay {
    /// Why; it is kept with the time
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Slug of the brand [default: `default`, else the only one]
    #[arg(long, value_name = "SLUG")]
    brand: Option<String>,
    /// Identifier of an event; can be given several times [default: every quarantined or dead one]
    #[arg(long, value_name = "ID")]
    event: Vec<String>,
    /// Only events in this state; can be given several times
    #[arg(long, group = "filter", value_parser = PossibleValuesParser::new(["quarantined", "dead"]))]
    state: Vec<String>,
    /// Only events refused with this code, such as UNKNOWN_CREATOR
    #[arg(long, group = "filter", value_name = "CODE")]
    code: Option<String>,
    /// Only events of this type
    #[arg(long = "type", group = "filter", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only events of this webhook source
    #[arg(long, group = "filter", value_name = "ID")]
    source: Option<String>,
    /// Only events recorded from this moment on, in RFC 3339
    #[arg(long, group = "filter", value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Only events recorded before this moment, in RFC 3339
    #[arg(long, group = "filter", value_name = "TIME")]
    to: Option<DateTime<Utc>>,
    /// At most so many events, the first recorded first [default: all]
    #[arg(long, group = "filter", value_name = "COUNT")]
    limit: Option<usize>,
    /// Give them up instead: no later replay over a range finds them
    #[arg(long)]
    discard: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub async fn run(self, context: &Context) -> Result<()> {
        let app = context.app().await?;
        let scope = choose_brand(&mut *app.db.conn().await?, self.brand.as_deref()).await?.scope();
        let verb = if self.discard { RulingVerb::Discard } else { RulingVerb::Replay };
        let total = if self.event.is_empty() {
            self.rule_on_range(&app, &scope, verb).await?
        } else {
            let ids = self.event.iter().map(|id| read_id(Kind::Event, id, "event")).collect::<Result<Vec<_>>>()?;
            self.rule(&app, &scope, verb, Selection::Ids(ids)).await?
        };
        self.print(&total)
    }

    /// A part at a time, each in a transaction of its own: what is done stays done.
    async fn rule_on_range(&self, app: &App, scope: &Scope, verb: RulingVerb) -> Result<Ruled> {
        let filter = self.filter()?;
        let mut total = Ruled::default();
        let mut left = self.limit.unwrap_or(usize::MAX);
        let mut after = None;
        while left > 0 {
            let limit = left.min(REPLAY_EVENTS_MAX);
            let ruled = self.rule(app, scope, verb, Selection::Filter { filter: filter.clone(), after, limit }).await?;
            after = ruled.end_cursor.as_deref().map(|text| Cursor::decode(text, "after")).transpose()?;
            left -= limit;
            total.changed_count += ruled.changed_count;
            total.refused_count += ruled.refused_count;
            total.unchanged_count += ruled.unchanged_count;
            total.has_more = ruled.has_more;
            total.log_begins_at = ruled.log_begins_at;
            if total.failures.is_empty() {
                total.failures = ruled.failures;
            }
            if !ruled.has_more {
                break;
            }
        }
        Ok(total)
    }

    async fn rule(&self, app: &App, scope: &Scope, verb: RulingVerb, selection: Selection) -> Result<Ruled> {
        let ruling = &Ruling { verb, selection, reason: self.reason.clone() };
        app.db
            .transaction(|conn| async move { rule(conn, scope, &app.env, &app.keyring, ruling).await }.scope_boxed())
            .await
    }

    fn filter(&self) -> Result<EventFilter> {
        let state = |name: &String| if name == "dead" { EventState::Dead } else { EventState::Quarantined };
        let event_type = self.event_type.as_deref().map(|text| {
            let known: Vec<&str> = EventType::ALL.iter().map(|known| known.as_str()).collect();
            let message = format!("Pass one of {} as --type.", known.join(", "));
            EventType::parse(text).ok_or_else(|| Error::invalid(&["type"], message))
        });
        Ok(EventFilter {
            states: self.state.iter().map(state).collect(),
            event_type: event_type.transpose()?,
            source_id: self.source.as_deref().map(|id| read_id(Kind::Source, id, "source")).transpose()?,
            code: self.code.clone(),
            from: self.from,
            to: self.to,
            is_discarded: None,
        })
    }

    fn print(&self, total: &Ruled) -> Result<()> {
        let changed = if self.discard { "discarded" } else { "queued" };
        if self.json {
            let failures: Vec<_> = total
                .failures
                .iter()
                .map(|one| json!({"event_id": Kind::Event.id(one.event_id), "code": one.code, "reason": one.reason}))
                .collect();
            let report = json!({changed: total.changed_count, "quarantined": total.refused_count,
                "unchanged": total.unchanged_count, "has_more": total.has_more, "failures": failures,
                "log_begins_at": total.log_begins_at});
            let report = serde_json::to_string_pretty(&report);
            println!("{}", report.map_err(|error| Error::fault("writing the report", error))?);
            return Ok(());
        }
        println!(
            "{} {changed}, {} quarantined again, {} left as they are",
            total.changed_count, total.refused_count, total.unchanged_count
        );
        if let Some(begins_at) = total.log_begins_at {
            println!(
                "The log begins at {begins_at}: what was recorded before is no longer kept, and was not looked for."
            );
        }
        for one in &total.failures {
            println!("{}  {}  {}", Kind::Event.id(one.event_id), one.code, one.reason);
        }
        Ok(())
    }
}

fn read_id(kind: Kind, text: &str, field: &str) -> Result<uuid::Uuid> {
    let message = format!("Pass an identifier that starts with {}_ as --{field}.", kind.prefix());
    kind.parse(text).ok_or_else(|| Error::invalid(&[field], message))
}
