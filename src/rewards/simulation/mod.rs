//! What a draft policy would have cost: the activations and conversions of a past time claim again, in the order in which they happened,
//! against caps and a budget of their own. It judges by the rules that grant, sees one snapshot, and writes nothing.
//! Start with `rules.rs`; what is read is in `store.rs`.

pub mod rules;
mod store;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::activations::{is_meaningful, kinds};
use super::commission::{Part, claim, wanted};
use super::lines::{degrees_above, supposed_lines};
use super::trigger::{Trigger, beneficiaries, claims_of, lines_above};
use super::worth::{self, Asked, Moment};
use super::{Claim, store as rewards};
use crate::access::Scope;
use crate::attribution::simulation::Progress;
use crate::base::limits::{ACTS_PER_PERSON_MAX, SIMULATION_CAUSES_MAX, SIMULATION_CHUNK_CAUSES};
use crate::base::{Code, Currency, Error, Result};
use crate::campaigns::{ActivationRule, CampaignFacts, CampaignStatus, Policies};
use crate::db::{Conn, take_snapshot};
use crate::events::TouchKind;
use crate::fraud::decisions_on;
use crate::journeys::{Act, Conversion, Decision, acts_of, conversions_by_id};

use rules::Run;
pub use rules::{Simulation, Sums};
use store::Activation;

/// What is supposed.
#[derive(Clone, Debug)]
pub struct Question {
    pub campaign_id: Uuid,
    pub starts_at: Option<DateTime<Utc>>,
    pub ends_at: Option<DateTime<Utc>>,
    pub currency: Currency,
    /// The policies with the draft in them.
    pub policies: Policies,
    /// What all rewards of the time may cost, in minor units of the campaign's currency; `None` is no limit.
    pub budget_minor: Option<i64>,
    /// What happened from this moment on.
    pub from: DateTime<Utc>,
    /// What happened before this moment.
    pub to: DateTime<Utc>,
}

/// Works a simulation out, as one snapshot sees the brand, and tells how far it is. Call it first in a transaction.
pub async fn simulate(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Simulation> {
    rules::check(question)?;
    take_snapshot(conn).await?;
    let conversion_count = store::conversion_count(conn, scope, question).await?;
    let mut activations = activations(conn, scope, question).await?;
    let total_count = conversion_count.saturating_add(activations.len());
    if total_count > SIMULATION_CAUSES_MAX {
        let message = format!("More than {SIMULATION_CAUSES_MAX} activations and conversions: ask for a shorter time.");
        return Err(Error::refused(Code::LimitReached, &["input", "to"], message));
    }
    activations.sort_unstable_by_key(Activation::place);
    let mut run = Run::new(question);
    let mut waiting = activations.into_iter().peekable();
    let (mut place, mut done_count) = ((question.from, Uuid::nil()), 0);
    loop {
        let chunk = conversions(conn, scope, question, place).await?;
        let last = chunk.last().map(|one| (one.occurred_at, one.id));
        let mut rest = &chunk[..];
        // With the chunk go the activations up to its last conversion, so many at a time; behind the last chunk, all that are left.
        loop {
            let mut due: Vec<Activation> = Vec::new();
            while due.len() < chunk_size()
                && let Some(one) = waiting.next_if(|one| last.is_none_or(|last| one.place() < last))
            {
                due.push(one);
            }
            let is_all = due.len() < chunk_size();
            let reached = due.last().map(Activation::place).filter(|_| !is_all);
            let count =
                reached.map_or(rest.len(), |place| rest.partition_point(|one| (one.occurred_at, one.id) < place));
            let (here, later) = rest.split_at(count);
            rest = later;
            let mut claims = activation_claims(conn, scope, question, &due).await?;
            claims.extend(conversion_claims(conn, scope, question, here).await?);
            take(conn, scope, &mut run, claims).await?;
            run.count(due.len(), here.len());
            done_count += due.len() + here.len();
            tell(Progress { done_count: done_count as u64, total_count: total_count as u64 });
            if is_all {
                break;
            }
        }
        match last {
            Some(last) => place = last,
            None => break,
        }
    }
    let actual = store::actual(conn, scope, question).await?;
    Ok(run.finish(actual))
}

fn chunk_size() -> usize {
    usize::try_from(SIMULATION_CHUNK_CAUSES).unwrap_or(usize::MAX)
}

/// The campaign as it is supposed: it runs within its dates, whatever has become of it since.
fn facts(question: &Question) -> CampaignFacts {
    CampaignFacts {
        id: question.campaign_id,
        status: CampaignStatus::Active,
        starts_at: question.starts_at,
        ends_at: question.ends_at,
        currency: question.currency,
        is_limited: question.budget_minor.is_some(),
        policy_version: question.policies.version,
    }
}

/// The moments at which referees' activations reach the threshold, in the time.
async fn activations(conn: &mut Conn, scope: &Scope, question: &Question) -> Result<Vec<Activation>> {
    let mut found = Vec::new();
    let mut after = Uuid::nil();
    loop {
        let (page, last) = match &question.policies.reward.activation {
            None => store::activations(conn, scope, question, after, SIMULATION_CHUNK_CAUSES).await?,
            Some(rule) => activations_by_rule(conn, scope, question, rule, after).await?,
        };
        found.extend(page.into_iter().filter(|one| question.from <= one.occurred_at && one.occurred_at < question.to));
        match last {
            Some(last) if found.len() <= SIMULATION_CAUSES_MAX => after = last,
            _ => return Ok(found),
        }
    }
}

/// The same for a page of members whose activations a rule counts.
async fn activations_by_rule(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    rule: &ActivationRule,
    after: Uuid,
) -> Result<(Vec<Activation>, Option<Uuid>)> {
    let (members, last) = store::joined(conn, scope, question, after, SIMULATION_CHUNK_CAUSES).await?;
    let mut kinds = kinds(std::iter::once(rule));
    if !kinds.contains(&TouchKind::Signup) {
        kinds.push(TouchKind::Signup);
    }
    let ids: Vec<Uuid> = members.iter().map(|member| member.canonical_id).collect();
    let acts = acts_of(conn, scope, &ids, &kinds, ACTS_PER_PERSON_MAX).await?;
    let nth = usize::try_from(question.policies.reward.activation_threshold - 1).unwrap_or(0);
    let place = |act: &Act| (act.recorded_at, act.occurred_at, act.id);
    let found = members.into_iter().filter_map(|member| {
        let own = acts.get(&member.canonical_id)?;
        let reached = own.iter().filter(|act| is_meaningful(rule, act)).nth(nth)?;
        let joined = own.iter().find(|act| act.kind == TouchKind::Signup);
        let cause = joined.filter(|joined| place(joined) > place(reached)).unwrap_or(reached);
        Some(Activation {
            member_id: member.member_id,
            creator_id: member.creator_id,
            event_id: cause.id,
            occurred_at: cause.occurred_at,
            recorded_at: cause.recorded_at,
        })
    });
    Ok((found.collect(), last))
}

async fn conversions(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    place: (DateTime<Utc>, Uuid),
) -> Result<Vec<Conversion>> {
    let ids = store::conversion_ids(conn, scope, question, place, SIMULATION_CHUNK_CAUSES).await?;
    Ok(conversions_by_id(conn, scope, &ids).await?.into_iter().map(|(_, conversion)| conversion).collect())
}

type Placed = ((DateTime<Utc>, Uuid), Claim);

async fn activation_claims(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    due: &[Activation],
) -> Result<Vec<Placed>> {
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let facts = &facts(question);
    let ids: Vec<Uuid> = due.iter().map(|one| one.member_id).collect();
    let degrees = question.policies.reward.tiers.iter().map(|tier| i32::from(tier.degree)).max();
    let above = lines_above(conn, scope, &ids, degrees.unwrap_or(0).max(1)).await?;
    let decisions = decisions_on(conn, scope, &ids, &[]).await?;
    let asked: Vec<Asked<Moment>> = due.iter().map(|one| asked(facts, one)).collect();
    let worths = worth::of_past(conn, scope, &question.policies.reward, &asked).await?;
    let mut claims = Vec::new();
    for one in due {
        let trigger = Trigger {
            member_id: one.member_id,
            event_id: one.event_id,
            occurred_at: one.occurred_at,
            recorded_at: one.recorded_at,
            facts,
            policies: &question.policies,
        };
        let line = beneficiaries(above.get(&one.member_id).map_or(&[], Vec::as_slice), one.creator_id);
        let decision = decisions.get(&one.member_id).copied().unwrap_or(Decision::Allow);
        let worth = worths.get(&one.member_id).copied().unwrap_or_default();
        claims.extend(claims_of(&trigger, &line, decision, worth).into_iter().map(|claim| (one.place(), claim)));
    }
    Ok(claims)
}

fn asked(facts: &CampaignFacts, one: &Activation) -> Asked<Moment> {
    let place = Moment { recorded_at: one.recorded_at, occurred_at: one.occurred_at, event_id: one.event_id };
    Asked { member_id: one.member_id, campaign_id: facts.id, currency: facts.currency, place }
}

async fn conversion_claims(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    chunk: &[Conversion],
) -> Result<Vec<Placed>> {
    if chunk.is_empty() {
        return Ok(Vec::new());
    }
    let facts = &facts(question);
    let policy = &question.policies.reward;
    let ids: Vec<Uuid> = chunk.iter().map(|one| one.id).collect();
    let mut parts: HashMap<Uuid, Vec<Part>> = HashMap::new();
    for part in store::parts(conn, scope, &ids).await? {
        parts.entry(part.conversion_id).or_default().push(part);
    }
    let degrees = degrees_above(policy);
    let owned = parts.values().flatten().filter(|_| degrees > 0);
    let mut owners: Vec<_> = owned.filter_map(|part| Some((part.conversion_id, part.referrer_id?))).collect();
    owners.sort_unstable();
    owners.dedup();
    let lines = supposed_lines(conn, scope, &owners, degrees).await?;
    let buyers: Vec<Uuid> = chunk.iter().filter_map(|one| one.member_id).collect();
    let decisions = decisions_on(conn, scope, &buyers, &[]).await?;
    let mut claims = Vec::new();
    for one in chunk {
        let decision = one.member_id.and_then(|id| decisions.get(&id)).copied().unwrap_or(Decision::Allow);
        let own = parts.get(&one.id).map_or(&[][..], Vec::as_slice);
        for (earner, minor) in wanted(policy, one, own, &lines) {
            let claim = claim((facts, &question.policies), one, earner, minor, 0, decision);
            claims.push(((one.occurred_at, one.id), claim));
        }
    }
    Ok(claims)
}

async fn take(conn: &mut Conn, scope: &Scope, run: &mut Run, mut claims: Vec<Placed>) -> Result<()> {
    // Of one cause, the claims come in the order in which they would be granted: the sort keeps it.
    claims.sort_by_key(|(place, _)| *place);
    let creators: Vec<Uuid> = claims.iter().filter_map(|(_, claim)| claim.beneficiary.creator_id()).collect();
    let inactive = rewards::inactive_creators(conn, scope, &creators).await?;
    for (_, claim) in &claims {
        run.take(claim, &inactive);
    }
    Ok(())
}
