//! The k-factor by sign-up cohort: how many new members each member brings within so many days. Computed live from the rows, in one
//! statement whatever the number of cohorts; it never keeps, samples or estimates a count. `docs/cohorts.md` defines every figure.
//! Start with [`k_factor_cohorts`]; `rules.rs` checks the question and turns counts into rates and intervals.
//!
//! - A **cohort** is the members who signed up in an interval (UTC; a week starts on Monday, ISO 8601), of one campaign or of all.
//! - A **window** of `d` days is each member's own: from its sign-up (included) to `d` days later (excluded).
//! - **invites** are the distinct people whom a member reached in its window; **convertedInvites** those of its referees who signed up in
//!   it; the **k-factor** is convertedInvites per member, which is invitesPerMember times conversionRate.

mod rules;
mod store;

use chrono::{DateTime, NaiveDate, Utc};

use crate::access::Scope;
use crate::base::Result;
use crate::db::Conn;
use crate::text_enum;

pub use rules::{Question, Tally};

text_enum! {
    /// How long the sign-ups of one cohort are gathered.
    CohortInterval { Day = "DAY", Week = "WEEK", Month = "MONTH" }
}

text_enum! {
    /// What a cohort is split by.
    CohortSegment { None = "NONE", Creator = "CREATOR", Platform = "PLATFORM", Degree = "DEGREE" }
}

/// The members who signed up in one interval, of one segment.
#[derive(Clone, Debug, PartialEq)]
pub struct KFactorCohort {
    /// The first day of the interval.
    pub start: NaiveDate,
    /// The creator's identifier, the platform or the degree; `None` where nothing is split, or where the member has none.
    pub segment: Option<String>,
    pub size: i64,
    pub windows: Vec<KFactorWindow>,
}

/// What the members of a cohort did within so many days of their own sign-up.
#[derive(Clone, Debug, PartialEq)]
pub struct KFactorWindow {
    pub days: i32,
    /// Whether the window of the youngest possible member has passed.
    pub is_mature: bool,
    pub inviters: i64,
    pub invites: i64,
    pub invites_per_member: f64,
    pub converted_invites: i64,
    pub conversion_rate: f64,
    pub k_factor: f64,
    /// The 95 % interval.
    pub k_factor_low: f64,
    pub k_factor_high: f64,
    /// The median from the first touch (or the invitation) to the sign-up.
    pub cycle_time_hours: Option<f64>,
}

/// The cohorts that have members, by start and segment, each with its windows in the order asked for.
pub async fn k_factor_cohorts(
    conn: &mut Conn,
    scope: &Scope,
    now: DateTime<Utc>,
    question: &Question,
) -> Result<Vec<KFactorCohort>> {
    let span = question.check()?;
    let tallies = store::tallies(conn, scope, question, span).await?;
    rules::to_cohorts(question, now, tallies)
}
