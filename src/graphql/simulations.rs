//! A drafted policy tried on the past, in the API: at once for some conversions, as a stream with its progress for many.

use async_graphql::{ComplexObject, Context, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use super::attribution::to_weight;
use super::context::parse_id;
use super::creators::to_int;
use super::policies::{AttributionPolicy, AttributionPolicyInput, attribution_draft};
use super::scalars::{Decimal, Money};
use super::trials::{Running, in_turn};
use super::{Creator, RequestContext, RequestExt};
use crate::access::{Permission, Scope};
use crate::app::App;
use crate::attribution::report::Total;
use crate::attribution::simulation::{Moved, Progress, Simulation, Trial, simulate};
use crate::base::limits::{REPORT_CONVERSIONS_MAX, REPORT_ROWS_MAX, SIMULATION_CONVERSIONS_MAX};
use crate::base::{self, Code, Currency, Error, Kind};
use crate::campaigns::{PoliciesDraft, drafted};

/// A policy that might be, and the conversions that it is tried on. Nothing is written.
#[derive(InputObject, Clone, Debug)]
pub struct SimulateAttributionPolicyInput {
    /// The campaign whose policy is drafted.
    campaign_id: ID,
    /// What differs from the policy in force.
    attribution: AttributionPolicyInput,
    /// The conversions from this moment on.
    from: DateTime<Utc>,
    /// The conversions before this moment.
    to: DateTime<Utc>,
}

/// A sum of credit.
#[derive(SimpleObject)]
pub struct SimulatedTotal {
    /// The sum of the weights: a conversion counts as the part of it that is credited.
    conversions: Decimal,
    /// The sum of the values, before refunds.
    value: Money,
}

/// What somebody has before and after.
#[derive(SimpleObject)]
pub struct SimulatedChange {
    /// What stands.
    before: SimulatedTotal,
    /// What would be under the draft.
    after: SimulatedTotal,
    /// After less before: negative where credit is lost.
    difference: SimulatedTotal,
}

/// What a creator has before and after.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct SimulatedCreator {
    #[graphql(skip)]
    creator_id: Option<Uuid>,
    /// What changes.
    change: SimulatedChange,
}

#[ComplexObject]
impl SimulatedCreator {
    /// The creator; null for the links of members together.
    async fn creator(&self, ctx: &Context<'_>) -> Result<Option<Creator>> {
        match self.creator_id {
            Some(id) => Creator::find(ctx.request()?, id).await,
            None => Ok(None),
        }
    }
}

/// What a drafted policy would have credited. On both sides the rows and what is unattributed sum to exactly the whole, unless rows are
/// left out.
#[derive(SimpleObject)]
pub struct AttributionPolicySimulation {
    /// The draft, as the version that it would become.
    policy: AttributionPolicy,
    /// The conversions that the campaign judges, or would judge under the draft where no campaign does.
    conversions: i32,
    /// Those of them whose credit by creator differs.
    changed_conversions: i32,
    /// Their value, before refunds, in the campaign's currency.
    value: Money,
    /// By creator, whose value moves most first.
    rows: Vec<SimulatedCreator>,
    /// Whether rows are left out: there are at most 1,000.
    truncated: bool,
    /// What nobody is credited for.
    unattributed: SimulatedChange,
}

/// How far a simulation has come.
#[derive(SimpleObject)]
pub struct AttributionSimulationStep {
    /// The conversions that were looked at.
    done: i32,
    /// The conversions that there are to look at.
    total: i32,
    /// What it came to; null until the last step.
    result: Option<AttributionPolicySimulation>,
}

/// A trial as it was asked for.
#[derive(Clone)]
struct Asked {
    trial: Trial,
    version: i32,
}

impl Asked {
    async fn read(request: &RequestContext, input: &SimulateAttributionPolicyInput, max: u64) -> base::Result<Self> {
        request.require(Permission::ReadGrowth)?;
        // It tells of every creator: more than a creator's key may see.
        if request.scope.creator_id.is_some() {
            let message = "A key of role creator may not try policies: they tell of other creators.";
            return Err(Error::refused(Code::Forbidden, &[], message));
        }
        let id = parse_id(Kind::Campaign, &input.campaign_id, &["input", "campaignId"])?;
        let attribution = attribution_draft(input.attribution.clone()).map_err(of_input)?;
        let draft = PoliciesDraft { attribution, ..PoliciesDraft::default() };
        let drafted = drafted(&mut *request.conn().await?, &request.scope, id, &draft).await;
        let (campaign, policies) = drafted.map_err(of_input)?;
        let trial = Trial {
            campaign_id: id,
            policy: policies.attribution,
            from: input.from,
            to: input.to,
            currency: campaign.currency,
            conversions_max: max,
        };
        Ok(Self { trial, version: campaign.policy_version + 1 })
    }

    fn shown(&self, found: Simulation) -> base::Result<AttributionPolicySimulation> {
        let shown = Shown(self.trial.currency);
        let row = |(creator_id, moved): (Option<Uuid>, Moved)| -> base::Result<SimulatedCreator> {
            Ok(SimulatedCreator { creator_id, change: shown.change(&moved)? })
        };
        Ok(AttributionPolicySimulation {
            policy: AttributionPolicy::new(self.version, &self.trial.policy),
            conversions: to_count(found.conversion_count),
            changed_conversions: to_count(found.changed_count),
            value: shown.money(signed(found.value_minor)?),
            rows: found.rows.into_iter().map(row).collect::<base::Result<_>>()?,
            truncated: found.is_truncated,
            unattributed: shown.change(&found.unattributed)?,
        })
    }
}

/// A refusal of a part of the input, by its path from the argument.
pub fn of_input(error: Error) -> Error {
    match error {
        Error::Refused(mut refusals) => {
            refusals.iter_mut().for_each(|refusal| refusal.path.insert(0, "input".to_owned()));
            Error::Refused(refusals)
        }
        fault => fault,
    }
}

pub fn to_count(count: u64) -> i32 {
    to_int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn signed(number: u128) -> base::Result<i128> {
    i128::try_from(number).map_err(|error| Error::fault("showing a sum of money", error))
}

/// What turns sums into what is shown.
struct Shown(Currency);

impl Shown {
    fn money(&self, minor: i128) -> Money {
        Money::of_sum(minor, self.0)
    }

    fn total(&self, total: &Total) -> base::Result<SimulatedTotal> {
        Ok(SimulatedTotal {
            conversions: to_weight(total.conversion_units),
            value: self.money(signed(total.value_minor)?),
        })
    }

    fn change(&self, moved: &Moved) -> base::Result<SimulatedChange> {
        let (before, after) = (&moved.before, &moved.after);
        let size = to_weight(after.conversion_units.abs_diff(before.conversion_units));
        let is_less = after.conversion_units < before.conversion_units;
        let conversions = if is_less { Decimal(format!("-{}", size.0)) } else { size };
        let value = self.money(signed(after.value_minor)? - signed(before.value_minor)?);
        let difference = SimulatedTotal { conversions, value };
        Ok(SimulatedChange { before: self.total(before)?, after: self.total(after)?, difference })
    }
}

/// Works a trial out when it is its turn.
async fn work(app: &App, scope: &Scope, trial: &Trial, tell: &(impl Fn(Progress) + Sync)) -> base::Result<Simulation> {
    let work = app.db.transaction(|conn| async move { simulate(conn, scope, trial, tell).await }.scope_boxed());
    in_turn(work).await
}

/// The cost of a simulation: a hundred rows are counted, and a thousand fields for the work.
fn simulation_cost(child_cost: usize) -> usize {
    child_cost.saturating_mul(REPORT_ROWS_MAX / 10).saturating_add(1_000)
}

#[derive(Default)]
pub struct SimulationQuery;

#[Object]
impl SimulationQuery {
    /// What a drafted attribution policy would have credited, next to what stands, by creator. It writes nothing. At most 100,000 conversions:
    /// subscribe to `attributionSimulation` for more.
    #[graphql(complexity = "simulation_cost(child_complexity)")]
    async fn simulate_attribution_policy(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The draft, and what it is tried on.")] input: SimulateAttributionPolicyInput,
    ) -> Result<AttributionPolicySimulation> {
        let request = ctx.request()?;
        let asked = Asked::read(request, &input, REPORT_CONVERSIONS_MAX as u64).await?;
        let found = work(&request.app, &request.scope, &asked.trial, &|_| {}).await?;
        Ok(asked.shown(found)?)
    }
}

/// A simulation with its progress.
pub struct AttributionTrial {
    asked: Asked,
    running: Running<Simulation>,
}

impl AttributionTrial {
    /// Begins.
    pub async fn begin(request: &RequestContext, input: &SimulateAttributionPolicyInput) -> Result<Self> {
        let asked = Asked::read(request, input, SIMULATION_CONVERSIONS_MAX).await?;
        let (app, scope, trial) = (request.app.clone(), request.scope.clone(), asked.trial.clone());
        let running = Running::begin(|sender| async move {
            let tell = |step: Progress| {
                sender.send_replace(step);
            };
            work(&app, &scope, &trial, &tell).await
        });
        Ok(Self { asked, running })
    }

    /// The next step; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<AttributionSimulationStep>> {
        let Some((progress, found)) = self.running.next().await? else { return Ok(None) };
        let Progress { done_count, total_count } = progress;
        let result = found.map(|found| self.asked.shown(found)).transpose()?;
        Ok(Some(AttributionSimulationStep { done: to_count(done_count), total: to_count(total_count), result }))
    }
}
