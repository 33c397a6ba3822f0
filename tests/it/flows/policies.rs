//! What a reward policy says, from its input to the rows that follow: caps.

use futures_util::future::join_all;
use grapevine::base::{Kind, Money};
use grapevine::campaigns::RewardKind;
use grapevine::journeys::Decision;
use grapevine::outbox::{self, Topic};
use grapevine::rewards::{self, Beneficiary, Claim};
use scoped_futures::ScopedFutureExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::graphql::world::{at, setting, story, tell};
use crate::support::TestApp;

const CHANGE: &str = "mutation($i: UpdateCampaignInput!) { updateCampaign(input: $i) { userErrors { code path } } }";

/// Changes the policy, and returns the path of everything that is wrong with the change.
async fn try_change(app: &TestApp, reward: Value) -> Vec<String> {
    let input = json!({ "campaignId": Kind::Campaign.id(Uuid::from_u128(0xa1)), "reward": reward });
    let answer = app.data(CHANGE, json!({ "i": input })).await;
    let errors = answer["updateCampaign"]["userErrors"].as_array().unwrap();
    let path = |error: &Value| {
        let path = error["path"].as_array().unwrap();
        format!(
            "{} {}",
            error["code"].as_str().unwrap(),
            path.iter().map(|step| step.as_str().unwrap()).collect::<Vec<_>>().join(".")
        )
    };
    errors.iter().map(path).collect()
}

async fn change(app: &TestApp, reward: Value) {
    assert_eq!(try_change(app, reward).await, Vec::<String>::new());
}

/// Somebody whom Ann invited joins and becomes active.
async fn invite(app: &TestApp, name: &str) {
    tell(
        app,
        vec![
            json!({"event_type": "signup", "user_id": name, "referrer_user_id": "ann", "timestamp": at(app, -9)}),
            json!({"event_type": "activation", "user_id": name, "timestamp": at(app, -8)}),
        ],
    )
    .await;
}

/// What became of Ann's rewards for those whom she invited.
async fn anns(app: &TestApp) -> Vec<String> {
    app.texts(
        "select m.external_id || ' ' || r.state || coalesce(' ' || r.reason, '') as text
         from rewards r join members b on b.brand_id = r.brand_id and b.id = r.beneficiary_member_id and b.external_id = 'ann'
         join members m on m.brand_id = r.brand_id and m.id = r.referee_id
         where r.conversion_id is null order by 1",
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_s_cap_counts_what_was_granted_before_it_and_without_it() {
    let app = setting().await;
    assert_eq!(try_change(&app, json!({ "maxPerMember": 0 })).await, ["INVALID reward.maxPerMember"]);
    story(&app).await;
    change(&app, json!({ "maxPerMember": 2 })).await;
    let shown = app.data("{ campaign(slug: \"launch\") { rewardPolicy { maxPerMember } } }", json!({})).await;
    assert_eq!(shown["campaign"]["rewardPolicy"]["maxPerMember"], 2);
    invite(&app, "cat").await;
    invite(&app, "dan").await;
    assert_eq!(anns(&app).await, ["bob ESCROWED", "cat ESCROWED", "dan REJECTED CAMPAIGN_CAP"]);
    // Another day changes nothing, and neither does it take from what Dan has of his own.
    app.advance(chrono::TimeDelta::days(1));
    invite(&app, "eve").await;
    assert_eq!(anns(&app).await[3], "eve REJECTED CAMPAIGN_CAP");
    let own = "select count(*) from rewards where degree = 0 and state = 'ESCROWED'";
    assert_eq!(app.sql_count(own).await, 4);

    // Without a cap nobody counts; with the next one all that was granted is counted.
    change(&app, json!({ "maxPerMember": null })).await;
    invite(&app, "fay").await;
    change(&app, json!({ "maxPerMember": 3 })).await;
    invite(&app, "gus").await;
    assert_eq!(anns(&app).await[4..], ["fay ESCROWED", "gus REJECTED CAMPAIGN_CAP"]);
    change(&app, json!({ "maxPerMember": 4 })).await;
    invite(&app, "hal").await;
    assert_eq!(anns(&app).await[6], "hal ESCROWED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_s_cap_is_exact_however_many_ask_at_once() {
    let app = setting().await;
    story(&app).await;
    let ids =
        app.texts("select id::text as text from members where external_id in ('ann', 'bob') order by external_id");
    let [ann, bob]: [Uuid; 2] = ids.await.iter().map(|id| id.parse().unwrap()).collect::<Vec<_>>().try_into().unwrap();
    let now = app.now();
    let claim = |number: usize| Claim {
        key: format!("race:{number}"),
        campaign_id: Uuid::from_u128(0xa1),
        policy_version: 1,
        kind: RewardKind::Credit,
        beneficiary: Beneficiary::Member(ann),
        referee_id: Some(bob),
        conversion_id: None,
        cause_event_id: None,
        degree: 1,
        value: Money::new(1, "USD".parse().unwrap()),
        triggered_at: now,
        recorded_at: now,
        escrow_days: 3,
        per_day_max: None,
        in_campaign_max: Some(6),
        decision: Decision::Allow,
        is_running: true,
        is_limited: true,
        reason: None,
    };
    let (app, claim) = (&app, &claim);
    let asked = (0..24).map(|number| async move {
        let (scope, claim) = (&app.scope, &claim(number));
        let work = app.db.transaction(|conn| {
            async move {
                let ids = rewards::grant(conn, scope, now, vec![claim.clone()]).await?;
                let told: Vec<(Topic, Uuid)> = ids.into_iter().map(|id| (Topic::RewardChanged, id)).collect();
                outbox::append(conn, scope, now, &told).await
            }
            .scope_boxed()
        });
        work.await.unwrap();
    });
    join_all(asked).await;
    // One that the story gave her without a cap, and five more.
    let granted = "select count(*) from rewards r join members m on m.id = r.beneficiary_member_id
                   where m.external_id = 'ann' and r.state <> 'REJECTED' and r.conversion_id is null";
    assert_eq!(app.sql_count(granted).await, 6);
    assert_eq!(app.sql_count("select count(*) from rewards where reason = 'CAMPAIGN_CAP'").await, 19);
    assert_eq!(app.sql_count("select granted_count::int8 as count from reward_totals").await, 6);
}
