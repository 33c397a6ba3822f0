//! What a message says: the public shape of what changed, with the identifiers and names of the API. It tells what stands when the entry
//! is taken from the outbox; it never holds anything about a person but the identifiers that the brand's own systems know.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::rules::noun;
use crate::access::Scope;
use crate::base::{Kind, Money, Result, TypeId, derived_id};
use crate::db::Conn;
use crate::fraud::SubjectKind;
use crate::fraud::reads::{FraudAlert, alerts_by_ids};
use crate::outbox::Told;
use crate::payouts::reads::{Payout, payouts_by_ids};
use crate::rewards::Beneficiary;
use crate::rewards::reads::{Reward, rewards_by_ids};

/// A message that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub seq: i64,
    pub id: Uuid,
    pub kind: &'static str,
    pub payload: String,
}

/// The name of a message, as `webhook-id` holds it.
pub(super) fn name_of(id: Uuid) -> String {
    TypeId::new("msg", id).to_string()
}

/// What entries of the outbox say, in their order.
pub(super) async fn compose(conn: &mut Conn, scope: &Scope, told: &[Told]) -> Result<Vec<Message>> {
    let ids_of = |wanted: &str| -> Vec<Uuid> {
        let mut ids: Vec<Uuid> =
            told.iter().filter(|one| noun(one.topic) == wanted).map(|one| one.subject_id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let [reward_ids, payout_ids, alert_ids] = ["reward", "payout", "fraud_alert"].map(ids_of);
    let payouts = if payout_ids.is_empty() { HashMap::new() } else { payouts_by_ids(conn, scope, &payout_ids).await? };
    let rewards = if reward_ids.is_empty() { HashMap::new() } else { rewards_by_ids(conn, scope, &reward_ids).await? };
    let alerts = if alert_ids.is_empty() { HashMap::new() } else { alerts_by_ids(conn, scope, &alert_ids).await? };
    let message = |one: &Told| {
        let data = match noun(one.topic) {
            "reward" => rewards.get(&one.subject_id).map(reward),
            "payout" => payouts.get(&one.subject_id).map(payout),
            "fraud_alert" => alerts.get(&one.subject_id).map(alert),
            _ => None,
        };
        written(scope, one, data)
    };
    Ok(told.iter().map(message).collect())
}

/// A message. What has no shape of its own here is told by its identifier: the API has the rest.
fn written(scope: &Scope, told: &Told, data: Option<Value>) -> Message {
    let noun = noun(told.topic);
    let prefix = if noun == "fraud_alert" { Kind::Alert.prefix() } else { noun };
    let data = data.unwrap_or_else(|| json!({ "id": TypeId::new(prefix, told.subject_id).to_string() }));
    // The moment is part of the name: the numbers of an outbox that was made anew begin again.
    let moment = told.recorded_at.timestamp_micros().to_be_bytes();
    let id = derived_id(&[b"message", scope.brand_id.as_bytes(), &told.seq.to_be_bytes(), &moment]);
    let payload = json!({
        "id": name_of(id),
        "type": told.topic.as_str(),
        "timestamp": written_time(told.recorded_at),
        "sequence": told.seq,
        "data": data,
    });
    Message { seq: told.seq, id, kind: told.topic.as_str(), payload: payload.to_string() }
}

fn written_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn written_money(money: Money) -> Value {
    json!({ "amount": money.amount(), "minor": money.minor, "currency": money.currency.as_str() })
}

fn written_beneficiary(beneficiary: Beneficiary) -> String {
    match beneficiary {
        Beneficiary::Creator(id) => Kind::Creator.id(id),
        Beneficiary::Member(id) => Kind::Member.id(id),
    }
}

fn payout(payout: &Payout) -> Value {
    json!({
        "id": Kind::Payout.id(payout.id),
        "state": payout.state.as_str(),
        "reason": payout.reason,
        "beneficiary_id": written_beneficiary(payout.beneficiary),
        "gross": written_money(payout.gross),
        "netted": written_money(payout.netted),
        "amount": written_money(payout.amount),
        "payable_lines": payout.payable_count,
        "provider_reference": payout.provider_reference,
        "created_at": written_time(payout.created_at),
        "approved_at": payout.approved_at.map(written_time),
        "closed_at": payout.closed_at.map(written_time),
    })
}

fn reward(reward: &Reward) -> Value {
    json!({
        "id": Kind::Reward.id(reward.id),
        "state": reward.state.as_str(),
        "reason": reward.reason,
        "kind": reward.kind.as_str(),
        "amount": written_money(reward.amount),
        "reversed": written_money(reward.reversed),
        "beneficiary_id": written_beneficiary(reward.beneficiary),
        "referee_id": reward.referee_id.map(|id| Kind::Member.id(id)),
        "campaign_id": Kind::Campaign.id(reward.campaign_id),
        "conversion_id": reward.conversion_id.map(|id| Kind::Conversion.id(id)),
        "degree": reward.degree,
        "policy_version": reward.policy_version,
        "triggered_at": written_time(reward.triggered_at),
        "releases_at": reward.releases_at.map(written_time),
    })
}

fn alert(alert: &FraudAlert) -> Value {
    let subject = match alert.subject_kind {
        SubjectKind::Touchpoint => Kind::Touchpoint,
        SubjectKind::Conversion => Kind::Conversion,
        SubjectKind::Member => Kind::Member,
        SubjectKind::Creator => Kind::Creator,
        SubjectKind::Reward => Kind::Reward,
    };
    json!({
        "id": Kind::Alert.id(alert.id),
        "state": alert.state.as_str(),
        "decision": alert.decision.as_str(),
        "score_ppm": alert.score_ppm,
        "signals": alert.signals.iter().map(|signal| signal.name.as_str()).collect::<Vec<_>>(),
        "subject_id": subject.id(alert.subject_id),
        "campaign_id": alert.campaign_id.map(|id| Kind::Campaign.id(id)),
        "creator_id": alert.creator_id.map(|id| Kind::Creator.id(id)),
        "member_id": alert.member_id.map(|id| Kind::Member.id(id)),
        "occurrences": alert.occurrence_count,
        "value_at_risk": written_money(alert.value_at_risk),
        "raised_at": written_time(alert.raised_at),
        "reviewed_at": alert.reviewed_at.map(written_time),
    })
}
