//! K-factor cohorts in the API.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use uuid::Uuid;

use super::RequestExt;
use super::context::parse_id_opt;
use super::node::require_growth;
use super::scalars::Date;
use crate::base::{Code, Error, Kind};
use crate::cohorts::{self, Question};

/// How long the sign-ups of one cohort are gathered.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "cohorts::CohortInterval")]
pub enum CohortInterval {
    /// A UTC day.
    Day,
    /// A week that starts on Monday (ISO 8601).
    Week,
    /// A calendar month.
    Month,
}

/// What a cohort is split by.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "cohorts::CohortSegment")]
pub enum CohortSegment {
    /// Nothing.
    None,
    /// The creator whom the member joined through.
    Creator,
    /// The platform of the member's sign-up.
    Platform,
    /// The member's depth in the referral forest; 0 is a root.
    Degree,
}

/// The members who signed up in one interval.
#[derive(SimpleObject, Clone, Debug)]
#[graphql(name = "KFactorCohort")]
pub struct KFactorCohort {
    /// The first day of the interval.
    pub start: Date,
    /// The creator's identifier, the platform or the degree; null where nothing is split, or where the member has none.
    pub segment: Option<String>,
    /// How many members there are.
    pub size: i32,
    /// What they did within so many days of their own sign-up, in the order asked for.
    pub windows: Vec<KFactorWindow>,
}

/// What the members of a cohort did within so many days of their own sign-up.
#[derive(SimpleObject, Clone, Debug)]
#[graphql(name = "KFactorWindow")]
pub struct KFactorWindow {
    /// The days of the window.
    pub days: i32,
    /// Whether the window of the youngest possible member has passed. Until then the figures still grow.
    pub mature: bool,
    /// Members who reached at least one person.
    pub inviters: i32,
    /// Distinct people reached: by a touch of the member's link, by an invitation, or by signing up as its referee.
    pub invites: i32,
    /// Invites per member of the cohort.
    pub invites_per_member: f64,
    /// Referees who signed up within the window.
    pub converted_invites: i32,
    /// Converted invites per invite; 0 without invites.
    pub conversion_rate: f64,
    /// Converted invites per member: above 1, the loop grows by itself.
    pub k_factor: f64,
    /// The low end of the 95 % interval.
    pub k_factor_low: f64,
    /// The high end of the 95 % interval.
    pub k_factor_high: f64,
    /// The median hours from the first touch, or the invitation, to the sign-up; null where none is known.
    pub cycle_time_hours: Option<f64>,
}

impl From<cohorts::KFactorCohort> for KFactorCohort {
    fn from(cohort: cohorts::KFactorCohort) -> Self {
        Self {
            start: Date(cohort.start),
            segment: cohort.segment,
            size: count(cohort.size),
            windows: cohort.windows.into_iter().map(KFactorWindow::from).collect(),
        }
    }
}

impl From<cohorts::KFactorWindow> for KFactorWindow {
    fn from(window: cohorts::KFactorWindow) -> Self {
        Self {
            days: window.days,
            mature: window.is_mature,
            inviters: count(window.inviters),
            invites: count(window.invites),
            invites_per_member: window.invites_per_member,
            converted_invites: count(window.converted_invites),
            conversion_rate: window.conversion_rate,
            k_factor: window.k_factor,
            k_factor_low: window.k_factor_low,
            k_factor_high: window.k_factor_high,
            cycle_time_hours: window.cycle_time_hours,
        }
    }
}

fn count(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// What a query of cohorts asks, but for the campaign.
pub struct CohortArguments {
    pub interval: CohortInterval,
    pub from: Date,
    pub to: Date,
    pub windows_days: Vec<i32>,
    pub segment_by: CohortSegment,
}

/// The cohorts of a campaign, or of all of them.
pub async fn cohorts_of(
    ctx: &Context<'_>,
    campaign_id: Option<Uuid>,
    arguments: CohortArguments,
) -> Result<Vec<KFactorCohort>> {
    let request = ctx.request()?;
    require_growth(request)?;
    // A cohort counts members of every creator: more than a creator's key may see.
    if request.scope.creator_id.is_some() {
        let message = "A key of role creator may not read cohorts: they count members of other creators.";
        return Err(Error::refused(Code::Forbidden, &[], message).into());
    }
    let question = Question {
        campaign_id,
        interval: arguments.interval.into(),
        from: arguments.from.0,
        to: arguments.to.0,
        windows_days: arguments.windows_days,
        segment_by: arguments.segment_by.into(),
    };
    let now = request.app.env.now();
    let found = cohorts::k_factor_cohorts(&mut *request.conn().await?, &request.scope, now, &question).await?;
    Ok(found.into_iter().map(KFactorCohort::from).collect())
}

/// The cost of a field of cohorts: twelve weeks' worth, since the days are not counted before the question is read.
#[must_use]
pub fn cohorts_cost(child_cost: usize) -> usize {
    child_cost.saturating_mul(12).saturating_add(100)
}

#[derive(Default)]
pub struct CohortQuery;

#[Object]
impl CohortQuery {
    /// How many new members each member brings, by the interval in which they signed up. Counted live and exactly. Intervals are whole: the
    /// first is the one that holds `from`, the last the one that holds the day before `to`. Cohorts without members are left out.
    #[graphql(complexity = "cohorts_cost(child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "the arguments are the contract's")]
    async fn k_factor_cohorts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only members of this campaign.")] campaign_id: Option<ID>,
        #[graphql(desc = "How long the sign-ups of one cohort are gathered.", default_with = "CohortInterval::Week")]
        interval: CohortInterval,
        #[graphql(desc = "A day of the first interval.")] from: Date,
        #[graphql(desc = "The day after the last one: it is not included itself.")] to: Date,
        #[graphql(desc = "The windows in days: 1 to 10 of them, each 1 to 365.", default_with = "vec![7, 14, 30]")]
        windows_days: Vec<i32>,
        #[graphql(desc = "What to split the cohorts by.", default_with = "CohortSegment::None")]
        segment_by: CohortSegment,
    ) -> Result<Vec<KFactorCohort>> {
        let campaign_id = parse_id_opt(Kind::Campaign, campaign_id.as_ref(), &["campaignId"])?;
        let arguments = CohortArguments { interval, from, to, windows_days, segment_by };
        cohorts_of(ctx, campaign_id, arguments).await
    }
}
