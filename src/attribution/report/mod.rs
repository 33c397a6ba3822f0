//! Credit by group, several models side by side, worked out from touches and conversions by the rules that credit them, under each conversion's
//! own policy or one that differs from it: once, where sums of it are kept (`kept`), else afresh. A report writes nothing, and its sums are exact.
//! Start with `rules.rs`.

mod dimension;
mod judged;
pub mod kept;
pub mod rules;
mod store;
mod upline;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::walk::{Chunk, Overrides, Walk};
use crate::access::Scope;
use crate::base::limits::{REPORT_CONVERSIONS_MAX, REPORT_PATHS_MAX, UPLINE_DEGREES_MAX};
use crate::base::{Code, Currency, Error, Result};
use crate::campaigns::{AttributionModel, PolicyBook};
use crate::db::{Conn, take_snapshot};
use crate::referrals::uplines;

pub use dimension::Dimension;
use judged::Judged;
pub use rules::{Group, Report, Total};
pub use upline::Degree;

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
    /// Whether the credit of the members above the buyers is asked for. Without it all of that is unassigned.
    pub has_upline: bool,
}

impl Question {
    fn overrides(&self) -> Overrides {
        Overrides {
            lookback_hours: self.lookback_hours,
            is_split_at_previous_conversion: self.is_split_at_previous_conversion,
        }
    }
}

/// Works a report out, as one snapshot sees the brand. Call it first in a transaction.
pub async fn report(conn: &mut Conn, scope: &Scope, question: &Question) -> Result<Report> {
    rules::check(question)?;
    take_snapshot(conn).await?;
    let book = &mut PolicyBook::load(conn, scope).await?;
    let mut tally = rules::Tally::new(question);
    let plan = kept::plan(conn, scope, book, question).await?;
    let mut walk = Walk::over(plan.gaps.iter().copied()).under(question.overrides());
    let mut seen_count = 0;
    while let Some(chunk) = walk.next(conn, scope, book).await? {
        seen_count += chunk.conversions.len();
        if seen_count > REPORT_CONVERSIONS_MAX {
            let message = format!(
                "More than {REPORT_CONVERSIONS_MAX} conversions would have to be judged again: ask for a shorter time, or when the sums of the time are kept."
            );
            return Err(Error::refused(Code::LimitReached, &["input", "to"], message));
        }
        let lines = if question.has_upline { lines(conn, scope, book, &chunk).await? } else { HashMap::new() };
        for seen in chunk.iter() {
            let line = seen.0.member_id.and_then(|id| lines.get(&id)).map_or(&[][..], Vec::as_slice);
            tally.add(&Judged::new(book, question.overrides(), seen), line);
        }
    }
    kept::answer(conn, scope, question, &plan, &mut tally).await?;
    for counted in store::touch_counts(conn, scope, question, &plan.gaps).await? {
        tally.count_touches(counted);
    }
    for (key, cost_minor) in store::reward_costs(conn, scope, question, &plan.gaps).await? {
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

/// The ancestors of those who bought, the nearest first, as far as policies credit them.
async fn lines(conn: &mut Conn, scope: &Scope, book: &PolicyBook, chunk: &Chunk) -> Result<HashMap<Uuid, Vec<Uuid>>> {
    let mut lines: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    if !book.has_upline() {
        return Ok(lines);
    }
    let mut buyers: Vec<Uuid> = chunk.conversions.iter().filter_map(|(_, one)| one.member_id).collect();
    buyers.sort_unstable();
    buyers.dedup();
    let degrees = i32::try_from(UPLINE_DEGREES_MAX).unwrap_or(i32::MAX);
    for row in uplines(conn, scope, &buyers, degrees).await? {
        lines.entry(row.member_id).or_default().push(row.ancestor_id);
    }
    Ok(lines)
}
