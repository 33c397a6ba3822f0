//! What a draft reward policy would have cost, in the API: at once, or with its progress.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use scoped_futures::ScopedFutureExt;

use super::context::parse_id;
use super::policies::{RewardPolicyInput, to_draft};
use super::scalars::{Money, MoneyInput};
use super::simulations::{of_input, to_count};
use super::trials::{Running, in_turn};
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::attribution::simulation::Progress;
use crate::base::{self, Code, Error, Kind};
use crate::campaigns::drafted;
use crate::rewards::RewardReason;
use crate::rewards::simulation::{self, Question, Simulation, Sums};

/// What a simulation costs of a request, like a report: the work is not known before.
pub const COST: usize = 2_000;

/// What is supposed, and of which time.
#[derive(InputObject, Clone, Debug)]
pub struct SimulateRewardPolicyInput {
    /// The campaign.
    campaign_id: ID,
    /// What the draft changes of the policy in force; what is left out stays.
    reward: Option<RewardPolicyInput>,
    /// What all rewards of the time may cost; left out: the campaign's whole budget, or no limit where it has none.
    budget: Option<MoneyInput>,
    /// Activations and conversions from this moment on.
    from: DateTime<Utc>,
    /// Activations and conversions before this moment.
    to: DateTime<Utc>,
}

/// Why a claim is denied.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewardDenial {
    /// The budget has not as much left, or is in another currency.
    BudgetExhausted,
    /// The beneficiary had as many rewards from the campaign as the policy allows.
    CampaignCap,
    /// The campaign had not begun, or was over.
    CampaignNotRunning,
    /// The creator is paused or banned.
    CreatorNotActive,
    /// The beneficiary had as many rewards that day as the policy allows.
    DailyCap,
    /// The referee is blocked as fraud.
    FraudBlocked,
    /// The referee, or its cohort, had not bought as much as any tier of the degree asks for.
    TierNotReached,
}

/// Some rewards of a simulation.
#[derive(SimpleObject)]
pub struct SimulatedRewards {
    /// How many.
    rewards: i32,
    /// How many earn them.
    beneficiaries: i32,
    /// What they cost, by currency. Only rewards that are money cost any.
    cost: Vec<Money>,
}

/// The rewards of one degree.
#[derive(SimpleObject)]
pub struct SimulatedDegree {
    /// 1 is the direct referrer, or the owner of the touch; 0 is the referee's own side.
    degree: i32,
    /// Its rewards.
    granted: SimulatedRewards,
}

/// The rewards that would have been denied for one reason.
#[derive(SimpleObject)]
pub struct SimulatedDenials {
    /// The reason.
    reason: RewardDenial,
    /// What they would have been.
    denied: SimulatedRewards,
}

/// What a draft policy would have granted for what happened.
#[derive(SimpleObject)]
pub struct RewardPolicySimulation {
    /// Referees whose activation reached the threshold in the time.
    activations: i32,
    /// Conversions of the time that the campaign judges.
    conversions: i32,
    /// What would have been granted.
    granted: SimulatedRewards,
    /// What of it would wait for people to review a fraud alert.
    held: SimulatedRewards,
    /// What would have been denied, by reason.
    denied: Vec<SimulatedDenials>,
    /// What would have been granted, by degree.
    by_degree: Vec<SimulatedDegree>,
    /// What was granted in truth for activations and conversions of the time, less what was taken back since.
    actual: SimulatedRewards,
}

/// How far a simulation has come.
#[derive(SimpleObject)]
pub struct RewardSimulationStep {
    /// The activations and conversions that were looked at.
    done: i32,
    /// The activations and conversions that there are to look at.
    total: i32,
    /// What it came to; null until the last step.
    result: Option<RewardPolicySimulation>,
}

impl From<&Sums> for SimulatedRewards {
    fn from(sums: &Sums) -> Self {
        Self {
            rewards: to_count(sums.reward_count),
            beneficiaries: to_count(sums.beneficiary_count),
            cost: sums.cost_minor.iter().map(|(currency, minor)| Money::of_sum(*minor, *currency)).collect(),
        }
    }
}

impl From<&Simulation> for RewardPolicySimulation {
    fn from(found: &Simulation) -> Self {
        let denied = found
            .denied
            .iter()
            .filter_map(|(reason, sums)| Some(SimulatedDenials { reason: denial(*reason)?, denied: sums.into() }));
        let by_degree = found
            .by_degree
            .iter()
            .map(|(degree, sums)| SimulatedDegree { degree: i32::from(*degree), granted: sums.into() });
        Self {
            activations: to_count(found.activation_count),
            conversions: to_count(found.conversion_count),
            granted: (&found.granted).into(),
            held: (&found.held).into(),
            denied: denied.collect(),
            by_degree: by_degree.collect(),
            actual: (&found.actual).into(),
        }
    }
}

/// The reasons that deny; the others take back what was granted, or keep it waiting.
fn denial(reason: RewardReason) -> Option<RewardDenial> {
    match reason {
        RewardReason::BudgetExhausted => Some(RewardDenial::BudgetExhausted),
        RewardReason::CampaignCap => Some(RewardDenial::CampaignCap),
        RewardReason::CampaignNotRunning => Some(RewardDenial::CampaignNotRunning),
        RewardReason::CreatorNotActive => Some(RewardDenial::CreatorNotActive),
        RewardReason::DailyCap => Some(RewardDenial::DailyCap),
        RewardReason::FraudBlocked => Some(RewardDenial::FraudBlocked),
        RewardReason::TierNotReached => Some(RewardDenial::TierNotReached),
        _ => None,
    }
}

impl SimulateRewardPolicyInput {
    async fn read(self, request: &RequestContext) -> base::Result<Question> {
        request.require(Permission::ReadMoney)?;
        request.require(Permission::ReadGrowth)?;
        if request.scope.creator_id.is_some() {
            let message = "A key of role creator may not simulate policies: they tell of other creators.";
            return Err(Error::refused(Code::Forbidden, &[], message));
        }
        let id = parse_id(Kind::Campaign, &self.campaign_id, &["input", "campaignId"])?;
        let budget = self.budget.map(|budget| budget.to_money(&["input", "budget"])).transpose()?;
        let draft = to_draft(None, self.reward, None).map_err(of_input)?;
        let drafted = drafted(&mut *request.conn().await?, &request.scope, id, &draft).await;
        let (campaign, policies) = drafted.map_err(of_input)?;
        if budget.is_some_and(|budget| budget.currency != campaign.currency) {
            let message = format!("Pass the budget in the campaign's currency, {}.", campaign.currency);
            return Err(Error::invalid(&["input", "budget", "currency"], message));
        }
        Ok(Question {
            campaign_id: id,
            starts_at: campaign.starts_at,
            ends_at: campaign.ends_at,
            currency: campaign.currency,
            policies,
            budget_minor: budget.or(campaign.budget).map(|budget| budget.minor),
            from: self.from,
            to: self.to,
        })
    }
}

async fn simulate(
    request: &RequestContext,
    question: &Question,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> base::Result<Simulation> {
    let (scope, db) = (&request.scope, &request.app.db);
    let work =
        db.transaction(|conn| async move { simulation::simulate(conn, scope, question, tell).await }.scope_boxed());
    in_turn(work).await
}

#[derive(Default)]
pub struct RewardSimulationQuery;

#[Object]
impl RewardSimulationQuery {
    /// What a draft of a campaign's reward policy would have granted for what happened: real history, replayed in its order against caps
    /// and a budget of its own. Nothing is written. Attribution, the forest and fraud decisions are those that stand now. For a long
    /// time, subscribe to `rewardSimulation`, which tells its progress.
    #[graphql(complexity = "COST + child_complexity")]
    async fn simulate_reward_policy(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The draft and the time.")] input: SimulateRewardPolicyInput,
    ) -> Result<RewardPolicySimulation> {
        let request = ctx.request()?;
        let question = input.read(request).await?;
        let found = simulate(request, &question, &|_| {}).await?;
        Ok((&found).into())
    }
}

/// A simulation with its progress.
pub struct RewardTrial(Running<Simulation>);

impl RewardTrial {
    /// Begins.
    pub async fn begin(request: &RequestContext, input: SimulateRewardPolicyInput) -> Result<Self> {
        let (question, request) = (input.read(request).await?, request.clone());
        Ok(Self(Running::begin(|sender| async move {
            let tell = |step: Progress| {
                sender.send_replace(step);
            };
            simulate(&request, &question, &tell).await
        })))
    }

    /// The next step; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<RewardSimulationStep>> {
        let Some((progress, found)) = self.0.next().await? else { return Ok(None) };
        let Progress { done_count, total_count } = progress;
        let result = found.as_ref().map(Into::into);
        Ok(Some(RewardSimulationStep { done: to_count(done_count), total: to_count(total_count), result }))
    }
}
