//! Credit by group, several models side by side, worked out afresh from touches and conversions by the rules that credit them, under each
//! conversion's own policy or one that differs from it. It writes nothing, and its sums are exact.
//! Start with `rules.rs`.

pub mod rules;
mod store;

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::considered_at;
use crate::access::Scope;
use crate::base::limits::{REPORT_CHUNK_CONVERSIONS, REPORT_CONVERSIONS_MAX, REPORT_PATHS_MAX};
use crate::base::{Code, Currency, Error, Result};
use crate::campaigns::{AttributionModel, PolicyBook};
use crate::db::Conn;
use crate::journeys::{
    Conversion, Touch, conversion_ids_between, conversions_by_id, previous_conversions, touches_up_to,
};

pub use rules::{Dimension, Group, Report, Total};

/// What a report is asked for.
#[derive(Clone, Debug)]
pub struct Question {
    pub dimension: Dimension,
    /// The models, in the order of the answer's totals.
    pub models: Vec<AttributionModel>,
    /// The conversions from this moment on.
    pub from: DateTime<Utc>,
    /// The conversions before this moment.
    pub to: DateTime<Utc>,
    /// Only conversions that this campaign judges.
    pub campaign_id: Option<Uuid>,
    /// A lookback window in place of each policy's own.
    pub lookback_hours: Option<i32>,
    /// Whether journeys are split, in place of what each policy says.
    pub is_split_at_previous_conversion: Option<bool>,
    /// The currency of values and costs. What was paid in others counts as a conversion, and not in sums of money.
    pub currency: Currency,
    /// What was spent on groups besides rewards, in minor units, by the group's key.
    pub spend: Vec<(String, i64)>,
}

/// Works a report out, as one snapshot sees the brand. Call it first in a transaction.
pub async fn report(conn: &mut Conn, scope: &Scope, question: &Question) -> Result<Report> {
    rules::check(question)?;
    store::take_snapshot(conn).await?;
    let book = &mut PolicyBook::load(conn, scope).await?;
    let mut tally = rules::Tally::new(question);
    let mut place = (question.from, Uuid::nil());
    let mut seen = 0;
    loop {
        let chunk = chunk(conn, scope, question, place).await?;
        let Some((_, last)) = chunk.last() else { break };
        place = (last.occurred_at, last.id);
        seen += chunk.len();
        if seen > REPORT_CONVERSIONS_MAX {
            let message = format!("These are more than {REPORT_CONVERSIONS_MAX} conversions: ask for a shorter time.");
            return Err(Error::refused(Code::LimitReached, &["input", "to"], message));
        }
        tally_chunk(conn, scope, question, book, &mut tally, chunk).await?;
    }
    for counted in store::touch_counts(conn, scope, question).await? {
        tally.count_touches(counted);
    }
    for (key, cost_minor) in store::reward_costs(conn, scope, question).await? {
        tally.add_cost(key.as_deref(), cost_minor);
    }
    if question.models.iter().any(|model| rules::is_data_driven(*model)) {
        let paths = store::other_paths(conn, scope, question, REPORT_PATHS_MAX + 1).await?;
        if i64::try_from(paths.len()).is_ok_and(|count| count > REPORT_PATHS_MAX) {
            let message = format!("People took more than {REPORT_PATHS_MAX} different paths: ask for a shorter time.");
            return Err(Error::refused(Code::LimitReached, &["input", "to"], message));
        }
        for (path, person_count) in paths {
            tally.add_other_path(&path, person_count);
        }
    }
    tally.finish()
}

type Owned<T> = (Uuid, T);

async fn chunk(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    place: (DateTime<Utc>, Uuid),
) -> Result<Vec<Owned<Conversion>>> {
    let period = (question.from, question.to);
    let ids = conversion_ids_between(conn, scope, period, place, REPORT_CHUNK_CONVERSIONS).await?;
    conversions_by_id(conn, scope, &ids).await
}

async fn tally_chunk(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    book: &mut PolicyBook,
    tally: &mut rules::Tally<'_>,
    chunk: Vec<Owned<Conversion>>,
) -> Result<()> {
    let versions: Vec<(Uuid, i32)> =
        chunk.iter().filter_map(|(_, one)| one.campaign_id.zip(one.policy_version)).collect();
    book.add_versions(conn, scope, &versions).await?;
    let moments: Vec<Owned<DateTime<Utc>>> = chunk.iter().map(|(person, one)| (*person, one.occurred_at)).collect();
    let hours = question.lookback_hours.unwrap_or_else(|| book.lookback_hours_max());
    let mut touches: HashMap<Uuid, Vec<Touch>> = HashMap::new();
    for (person, touch) in touches_up_to(conn, scope, &moments, TimeDelta::hours(hours.into())).await? {
        touches.entry(person).or_default().push(touch);
    }
    let previous = previous_conversions(conn, scope, &moments).await?;
    let none = Vec::new();
    for (person, conversion) in chunk {
        let own = considered_at(touches.get(&person).unwrap_or(&none), conversion.occurred_at);
        let previous_at = previous.get(&(person, conversion.occurred_at)).copied();
        tally.add(book, &conversion, previous_at, own);
    }
    Ok(())
}
