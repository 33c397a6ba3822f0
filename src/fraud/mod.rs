//! What looks like fraud: named signals with what was observed, a score, a decision by the campaign's policy, and alerts that people
//! review. It judges and never moves money; nothing that it blocks is dropped.
//! Start with `rules.rs`.

pub mod reads;
pub mod review;
pub mod rules;
mod store;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::Scope;
use crate::base::{Currency, Result, derived_id};
use crate::campaigns::PolicyBook;
use crate::db::Conn;
use crate::events::{AgentClass, TouchKind};
use crate::identity::{Logged, Person};
use crate::journeys::{Decision, Touch};
use crate::outbox::{self, Entry, Topic};
use crate::referrals::{Enrolment, Joined};
use crate::text_enum;

pub use rules::{Signal, SignalName};

text_enum! {
    /// What was judged.
    SubjectKind {
        Touchpoint = "touchpoint",
        Conversion = "conversion",
        Member = "member",
        Creator = "creator",
        Reward = "reward",
    }
}

/// A judgement in which at least one signal spoke.
#[derive(Clone, Debug)]
pub struct Assessment {
    pub id: Uuid,
    pub subject_kind: SubjectKind,
    pub subject_id: Uuid,
    pub campaign_id: Option<Uuid>,
    pub creator_id: Option<Uuid>,
    pub member_id: Option<Uuid>,
    pub policy_version: i32,
    pub decision: Decision,
    pub score_ppm: i32,
    pub signals: Vec<Signal>,
    pub assessed_at: DateTime<Utc>,
    /// What would be paid because of the subject, in minor units.
    pub at_risk_minor: i64,
    pub currency: Currency,
    /// Names the burst that this belongs to: one alert per burst.
    cause_key: String,
}

/// A signal as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSignal {
    pub name: String,
    pub weight_ppm: i32,
    pub observed: String,
    pub threshold: Option<String>,
    /// Recorded, and not counted in the score.
    pub is_shadow: bool,
}

/// Judges the touches of a batch: sets each one's decision and returns what spoke.
pub async fn assess_touches(
    conn: &mut Conn,
    scope: &Scope,
    book: &PolicyBook,
    touches: &mut [Touch],
) -> Result<Vec<Assessment>> {
    let mut rates = store::recent_touches(conn, scope, touches).await?;
    let verified = store::verified_platforms(conn, scope, touches).await?;
    let mut assessments = Vec::new();
    for touch in touches {
        // What follows a touch is judged with the sign-up that it is.
        if matches!(touch.kind, TouchKind::Signup | TouchKind::Activation) {
            continue;
        }
        let recent = rates.count(touch);
        let observed = rules::TouchFacts {
            agent_class: touch.agent_class,
            recent_touch_count: recent,
            platform: touch.platform,
            is_platform_verified: touch.creator_id.map(|id| verified.contains(&(id, touch.platform))),
        };
        let policies = touch.campaign_id.and_then(|id| book.current(id));
        let fraud_policy = policies.map(|policies| policies.fraud.clone()).unwrap_or_default();
        let verdict = rules::judge_touch(&fraud_policy, &observed);
        touch.decision = verdict.decision;
        if verdict.signals.is_empty() {
            continue;
        }
        let actor =
            touch.ip_hash.or(touch.device_hash).map_or_else(|| "unknown".to_owned(), |hash| hex::encode(hash.0));
        let owner = touch.creator_id.or(touch.referrer_id).unwrap_or_default();
        let hour = touch.occurred_at.timestamp() / 3_600;
        let top = verdict.top_signal();
        assessments.push(Assessment {
            id: assessment_id(scope, SubjectKind::Touchpoint, touch.id),
            subject_kind: SubjectKind::Touchpoint,
            subject_id: touch.id,
            campaign_id: touch.campaign_id,
            creator_id: touch.creator_id,
            member_id: touch.referrer_id,
            policy_version: policies.map_or(0, |policies| policies.version),
            decision: verdict.decision,
            score_ppm: verdict.score_ppm,
            signals: verdict.signals,
            assessed_at: touch.recorded_at,
            at_risk_minor: 0,
            currency: touch.campaign_id.and_then(|id| book.campaign(id)).map_or(scope.currency, |facts| facts.currency),
            // `reads::confirmed_on_credits` writes it too.
            cause_key: format!("touch {owner} {actor} {top} {} {hour}", touch.campaign_id.unwrap_or_default()),
        });
    }
    Ok(assessments)
}

/// Judges the sign-ups of a batch. Returns what spoke, one per member at most.
pub async fn assess_signups(
    conn: &mut Conn,
    scope: &Scope,
    book: &PolicyBook,
    batch: &[Logged],
    people: &[Person],
    enrolment: &Enrolment,
) -> Result<Vec<Assessment>> {
    let joined: Vec<&Joined> = enrolment.joined.iter().collect();
    if joined.is_empty() {
        return Ok(Vec::new());
    }
    let surroundings = store::surroundings(conn, scope, book, &joined, batch, people, enrolment).await?;
    let mut assessments = Vec::new();
    for one in joined {
        let (Some(logged), Some(around)) = (batch.get(one.index), surroundings.get(&one.member_id)) else { continue };
        let policies = one.campaign_id.and_then(|id| book.current(id));
        let fraud_policy = policies.map(|policies| policies.fraud.clone()).unwrap_or_default();
        let facts = rules::SignupFacts {
            refused: one.refused,
            agent_class: if one.is_late { AgentClass::Unknown } else { logged.event.agent_class },
            referrer_signup_count: around.referrer_signup_count,
            address_people_count: around.address_people_count,
            shares_device: around.shares_device,
        };
        let verdict = rules::judge_signup(&fraud_policy, &facts);
        if verdict.signals.is_empty() {
            continue;
        }
        let reward = policies.map(|policies| &policies.reward);
        let at_risk = reward.map_or(0, |reward| {
            let tiers = reward.tiers.iter().filter_map(|tier| tier.amount_minor);
            tiers.chain(reward.referee_minor).fold(0, i64::saturating_add)
        });
        assessments.push(Assessment {
            id: if one.is_late {
                edge_id(scope, one.member_id)
            } else {
                assessment_id(scope, SubjectKind::Member, one.member_id)
            },
            subject_kind: SubjectKind::Member,
            subject_id: one.member_id,
            campaign_id: one.campaign_id,
            creator_id: one.creator_id,
            member_id: Some(one.member_id),
            policy_version: policies.map_or(0, |policies| policies.version),
            decision: verdict.decision,
            score_ppm: verdict.score_ppm,
            signals: verdict.signals,
            assessed_at: logged.recorded_at,
            at_risk_minor: at_risk,
            currency: one.campaign_id.and_then(|id| book.campaign(id)).map_or(scope.currency, |facts| facts.currency),
            cause_key: format!("member {}{}", one.member_id, if one.is_late { " edge" } else { "" }),
        });
    }
    Ok(assessments)
}

/// The decisions that stand on these members' sign-ups: those of the batch and those of the past. Absent: nothing spoke.
pub async fn decisions_on(
    conn: &mut Conn,
    scope: &Scope,
    member_ids: &[Uuid],
    batch: &[Assessment],
) -> Result<HashMap<Uuid, Decision>> {
    let mut decisions = store::decisions_on(conn, scope, member_ids).await?;
    let members = batch.iter().filter(|one| one.subject_kind == SubjectKind::Member);
    for one in members {
        let decision = decisions.entry(one.subject_id).or_insert(one.decision);
        *decision = decision.stricter(one.decision);
    }
    Ok(decisions)
}

/// Keeps the assessments. Call [`raise`] with the same ones at the end of the transaction.
pub async fn record(conn: &mut Conn, scope: &Scope, assessments: &[Assessment]) -> Result<()> {
    if assessments.is_empty() { Ok(()) } else { store::insert_assessments(conn, scope, assessments).await }
}

/// Raises an alert per burst that needs a person, and counts on the one that is there already. Takes the brand's outbox counter:
/// call it last in the transaction.
pub async fn raise(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>, assessments: &[Assessment]) -> Result<()> {
    let mut bursts: BTreeMap<&str, (&Assessment, i64)> = BTreeMap::new();
    for one in assessments.iter().filter(|one| one.decision != Decision::Allow) {
        let burst = bursts.entry(&one.cause_key).or_insert((one, 0));
        burst.1 += 1;
    }
    if bursts.is_empty() {
        return Ok(());
    }
    let known =
        store::count_on_alerts(conn, scope, &bursts.iter().map(|(key, (_, count))| (*key, *count)).collect::<Vec<_>>())
            .await?;
    let fresh: Vec<(&Assessment, i64)> =
        bursts.into_iter().filter(|(key, _)| !known.contains(*key)).map(|(_, burst)| burst).collect();
    if fresh.is_empty() {
        return Ok(());
    }
    let first = outbox::reserve(conn, scope, fresh.len()).await?;
    let alert_id = |one: &Assessment| derived_id(&[b"alert", scope.brand_id.as_bytes(), one.cause_key.as_bytes()]);
    let rows: Vec<(i64, Uuid, &Assessment, i64)> =
        (first..).zip(fresh).map(|(seq, (one, count))| (seq, alert_id(one), one, count)).collect();
    store::insert_alerts(conn, scope, now, &rows).await?;
    let entries: Vec<Entry> =
        rows.iter().map(|(seq, id, _, _)| Entry { seq: *seq, topic: Topic::AlertRaised, subject_id: *id }).collect();
    outbox::append_reserved(conn, scope, now, &entries).await
}

impl Assessment {
    fn stored_signals(&self) -> Vec<StoredSignal> {
        self.signals.iter().map(Signal::stored).collect()
    }
}

fn assessment_id(scope: &Scope, kind: SubjectKind, subject_id: Uuid) -> Uuid {
    derived_id(&[b"assessment", scope.brand_id.as_bytes(), kind.as_str().as_bytes(), subject_id.as_bytes()])
}

/// A member whose edge came later than its sign-up is judged a second time, for the edge.
fn edge_id(scope: &Scope, member_id: Uuid) -> Uuid {
    derived_id(&[b"assessment", scope.brand_id.as_bytes(), b"edge", member_id.as_bytes()])
}

/// The window in which touches are counted.
fn velocity_window() -> TimeDelta {
    TimeDelta::hours(1)
}
