//! Payouts: what stands on a sheet, what an approval moves, what comes back, and who may do what. Start with [`Desk`].

mod attacks;
mod audit;
pub mod bank;
mod batches;
mod child;
mod clawback;
mod crowd;
mod export;
mod findings;
mod life;
mod model;
mod races;
mod sheet;

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use grapevine::access::{Role, Scope, authenticate};
use grapevine::base::{Code, Error, Kind, Money, Result};
use grapevine::campaigns::RewardKind;
use grapevine::journeys::Decision;
use grapevine::ledger::{self, Bucket};
use grapevine::outbox::{self, Topic};
use grapevine::payouts::reads::{Payout, payouts_by_ids};
use grapevine::payouts::{self, NewPayout};
use grapevine::rewards::reads::{Reward, rewards_by_ids};
use grapevine::rewards::{self, Beneficiary, Claim, NewReward};
use scoped_futures::ScopedFutureExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::graphql::world::{setting, tell};
use crate::support::TestApp;

/// The campaign that pays.
const CAMPAIGN: Uuid = Uuid::from_u128(0xa1);

/// A brand with a campaign, creators, and two people of its finance department. It derefs to [`TestApp`].
pub struct Desk {
    pub app: TestApp,
    /// Who makes payouts.
    pub maker: Scope,
    pub maker_key: String,
    /// Who approves them.
    pub checker: Scope,
    pub checker_key: String,
    issued: AtomicUsize,
}

impl Deref for Desk {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

/// The creator of this number, 1 to 6.
pub fn creator(number: u128) -> Beneficiary {
    Beneficiary::Creator(Uuid::from_u128(0xc0 + number))
}

pub fn usd(minor: i64) -> Money {
    Money::new(minor, "USD".parse().unwrap())
}

/// What a payout of everything asks for.
pub fn all_of(beneficiary: Beneficiary) -> NewPayout {
    NewPayout { beneficiary, currency: "USD".parse().unwrap(), earned_before: None, minimum: None }
}

/// What somebody earns for nothing in particular, with no escrow and no cap.
pub fn claim(key: String, beneficiary: Beneficiary, value: Money, now: DateTime<Utc>) -> Claim {
    Claim {
        key,
        campaign_id: CAMPAIGN,
        policy_version: 1,
        kind: RewardKind::Credit,
        beneficiary,
        referee_id: None,
        conversion_id: None,
        cause_event_id: None,
        degree: 1,
        value,
        triggered_at: now,
        recorded_at: now,
        escrow_days: 0,
        per_day_max: None,
        in_campaign_max: None,
        decision: Decision::Allow,
        is_running: true,
        is_limited: true,
        is_reached: true,
        reason: None,
    }
}

/// The code of a refusal.
pub fn code<T>(result: Result<T>) -> Option<Code> {
    match result {
        Err(Error::Refused(refusals)) => refusals.first().map(|refusal| refusal.code),
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string)),
        Ok(_) => None,
    }
}

impl Desk {
    pub async fn open() -> Self {
        let app = setting().await;
        let (maker_key, checker_key) = (app.key_of(Role::Finance).await, app.key_of(Role::Finance).await);
        let mut conn = app.db.conn().await.unwrap();
        let maker = authenticate(&mut conn, &app.env, &maker_key).await.unwrap().unwrap();
        let checker = authenticate(&mut conn, &app.env, &checker_key).await.unwrap().unwrap();
        drop(conn);
        Self { app, maker, maker_key, checker, checker_key, issued: AtomicUsize::new(0) }
    }

    /// A reward in escrow.
    pub async fn try_issue(&self, beneficiary: Beneficiary, minor: i64) -> Result<Uuid> {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let new = &NewReward {
            campaign_id: CAMPAIGN,
            beneficiary,
            kind: RewardKind::Credit,
            value: usd(minor),
            reason: "A good month.".into(),
            idempotency_key: format!("issue-{number}"),
        };
        let (scope, env) = (&self.maker, &self.env);
        let work = self
            .db
            .transaction(|conn| async move { rewards::issue(conn, scope, env, new.clone()).await }.scope_boxed());
        work.await
    }

    pub async fn try_release(&self, id: Uuid) -> Result<()> {
        let (scope, env) = (&self.maker, &self.env);
        self.db.transaction(|conn| async move { rewards::release(conn, scope, env, id).await }.scope_boxed()).await
    }

    pub async fn try_reverse(&self, id: Uuid) -> Result<()> {
        let (scope, env) = (&self.maker, &self.env);
        let work = self.db.transaction(|conn| {
            async move { rewards::reverse(conn, scope, env, id, "It was a mistake.").await }.scope_boxed()
        });
        work.await
    }

    /// A reward that can be paid.
    pub async fn earn(&self, beneficiary: Beneficiary, minor: i64) -> Uuid {
        let id = self.try_issue(beneficiary, minor).await.unwrap();
        self.try_release(id).await.unwrap();
        id
    }

    /// So many rewards of a cent each that can be paid, granted at once.
    pub async fn earn_many(&self, beneficiary: Beneficiary, count: usize) {
        let (scope, now) = (&self.scope, self.now());
        let claim = |number: usize| claim(format!("many:{}:{number}", beneficiary.id()), beneficiary, usd(1), now);
        let claims: &Vec<Claim> = &(0..count).map(claim).collect();
        let work = self.db.transaction(|conn| {
            async move {
                let ids = rewards::grant(conn, scope, now, claims.clone()).await?;
                let told: Vec<(Topic, Uuid)> = ids.into_iter().map(|id| (Topic::RewardChanged, id)).collect();
                outbox::append(conn, scope, now, &told).await
            }
            .scope_boxed()
        });
        assert_eq!(work.await.unwrap().len(), count);
    }

    pub async fn try_draft(&self, new: &NewPayout) -> Result<Uuid> {
        let (scope, env) = (&self.maker, &self.env);
        self.db
            .transaction(|conn| async move { payouts::create(conn, scope, env, new.clone()).await }.scope_boxed())
            .await
    }

    pub async fn draft(&self, beneficiary: Beneficiary) -> Uuid {
        self.try_draft(&all_of(beneficiary)).await.unwrap()
    }

    pub async fn try_approve_as(&self, scope: &Scope, id: Uuid, override_reason: Option<&str>) -> Result<()> {
        let env = &self.env;
        let work = self.db.transaction(|conn| {
            async move { payouts::approve(conn, scope, env, id, override_reason).await }.scope_boxed()
        });
        work.await
    }

    pub async fn try_approve(&self, id: Uuid) -> Result<()> {
        self.try_approve_as(&self.checker, id, None).await
    }

    pub async fn try_cancel(&self, id: Uuid) -> Result<()> {
        let (scope, env) = (&self.maker, &self.env);
        let work = self
            .db
            .transaction(|conn| async move { payouts::cancel(conn, scope, env, id, "Not now.").await }.scope_boxed());
        work.await
    }

    pub async fn try_pay(&self, id: Uuid) -> Result<()> {
        let (scope, env) = (&self.maker, &self.env);
        let work = self
            .db
            .transaction(|conn| async move { payouts::mark_paid(conn, scope, env, id, "tr_1").await }.scope_boxed());
        work.await
    }

    pub async fn try_fail(&self, id: Uuid) -> Result<()> {
        let (scope, env) = (&self.maker, &self.env);
        let work = self.db.transaction(|conn| {
            async move { payouts::mark_failed(conn, scope, env, id, "The account is closed.", None).await }
                .scope_boxed()
        });
        work.await
    }

    /// Drafts and approves all that can be paid.
    pub async fn pay_out(&self, beneficiary: Beneficiary) -> Payout {
        let id = self.draft(beneficiary).await;
        self.try_approve(id).await.unwrap();
        self.payout(id).await
    }

    pub async fn payout(&self, id: Uuid) -> Payout {
        let mut conn = self.db.conn().await.unwrap();
        payouts_by_ids(&mut conn, &self.scope, &[id]).await.unwrap().remove(&id).unwrap()
    }

    pub async fn reward(&self, id: Uuid) -> Reward {
        let mut conn = self.db.conn().await.unwrap();
        rewards_by_ids(&mut conn, &self.scope, &[id]).await.unwrap().remove(&id).unwrap()
    }

    /// What is payable, was paid out, and is owed.
    pub async fn standing(&self, beneficiary: Beneficiary) -> (i64, i64, i64) {
        let mut conn = self.db.conn().await.unwrap();
        let mut found = [0; 3];
        for (place, bucket) in found.iter_mut().zip([Bucket::Payable, Bucket::PaidOut, Bucket::Receivable]) {
            let key = beneficiary.account(bucket, "USD".parse().unwrap());
            *place = ledger::balance_minor(&mut conn, &self.scope, &key).await.unwrap();
        }
        let [payable, paid_out, receivable] = found;
        (payable, paid_out, -receivable)
    }

    /// What the campaign may still spend.
    pub async fn budget(&self) -> i64 {
        self.sql_count("select credit_minor - debit_minor as count from ledger_accounts where bucket = 'budget'").await
    }

    /// Sends a mutation with this key and returns its payload.
    pub async fn mutate(&self, key: &str, name: &str, input: Value) -> Value {
        let (first, rest) = name.split_at(1);
        let query = format!(
            "mutation($i: {}{rest}Input!) {{ {name}(input: $i) {{ payout {{ id state amount {{ amount currency }} gross {{ amount }} netted {{ amount }}
             providerReference overrideReason reason }} userErrors {{ code path message }} }} }}",
            first.to_uppercase()
        );
        let mut answer = self.gql_as(key, &query, json!({ "i": input })).await;
        if answer["data"].is_null() { answer } else { answer["data"][name].take() }
    }

    /// An open alert on a member, which would profit this creator where one is named.
    pub async fn raise_alert(&self, number: u128, member: &str, creator_id: Option<Uuid>) -> Uuid {
        let id = Uuid::from_u128(0xa1e0_0000 + number);
        let creator = creator_id.map_or("null".to_owned(), |id| format!("'{id}'"));
        self.execute(&format!(
            "update brand_counters set value = value + 1 where name = 'outbox';
             insert into fraud_assessments (brand_id, id, subject_kind, subject_id, policy_version, decision, score_ppm, signals, assessed_at)
             select brand_id, '{id}', 'member', id, 1, 'REVIEW', 400000, '[]', created_at from members where external_id = '{member}';
             insert into fraud_alerts (brand_id, id, seq, cause_key, assessment_id, subject_kind, subject_id, creator_id, decision, score_ppm,
                                       signals, occurrence_count, state, at_risk_minor, currency, raised_at)
             select m.brand_id, '{id}', c.value, '{id}', '{id}', 'member', m.id, {creator}, 'REVIEW', 400000, '[]', 1, 'OPEN', 0, 'USD', m.created_at
             from members m join brand_counters c on c.brand_id = m.brand_id and c.name = 'outbox' where m.external_id = '{member}';
             insert into outbox (brand_id, seq, topic, subject_id, recorded_at)
             select brand_id, seq, 'fraud_alert.raised', id, raised_at from fraud_alerts where id = '{id}'"
        ))
        .await;
        id
    }

    /// Makes a member.
    pub async fn join(&self, member: &str) -> Beneficiary {
        let signup = json!({"event_type": "signup", "user_id": member, "campaign": "launch"});
        tell(&self.app, vec![signup]).await;
        let found = self.data("query($m: String!) { member(externalId: $m) { id } }", json!({ "m": member })).await;
        Beneficiary::Member(Kind::Member.parse(found["member"]["id"].as_str().unwrap()).unwrap())
    }

    /// Makes a member, and names it as the one whose act earned these rewards.
    pub async fn refer(&self, member: &str, reward_ids: &[Uuid]) {
        self.join(member).await;
        let ids: Vec<String> = reward_ids.iter().map(|id| format!("'{id}'")).collect();
        let set = "update rewards r set referee_id = m.id from members m where m.external_id";
        self.execute(&format!("{set} = '{member}' and r.id in ({})", ids.join(", "))).await;
    }
}

fn payout_id(id: Uuid) -> String {
    Kind::Payout.id(id)
}
