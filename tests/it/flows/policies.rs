//! What a reward policy says, from its input to the rows that follow: caps, which events count, and what
//! they are worth.

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
    let [ann, bob]: [Uuid; 2] =
        ids.await.iter().map(|id| id.parse().unwrap()).collect::<Vec<Uuid>>().try_into().unwrap();
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
        is_reached: true,
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

/// Whose activation earned Ann something, and with which event of theirs.
const CAUSES: &str = "select m.external_id || ' ' || t.kind || ' ' || coalesce(e.properties ->> 'level', '') as text
    from rewards r join members b on b.id = r.beneficiary_member_id and b.external_id = 'ann'
    join members m on m.id = r.referee_id
    join (select id, kind from touchpoints where kind <> 'CONVERSION' union all select id, 'CONVERSION' from conversions) t on t.id = r.cause_event_id
    left join event_properties e on e.id = r.cause_event_id
    where r.conversion_id is null order by 1";

/// What a simulation of the policy in force grants, and what was granted in truth: rewards and cost.
async fn simulated(app: &TestApp) -> [Value; 2] {
    let query = "query($i: SimulateRewardPolicyInput!) { simulateRewardPolicy(input: $i) {
        granted { rewards cost { amount } } actual { rewards cost { amount } } } }";
    let input =
        json!({ "campaignId": Kind::Campaign.id(Uuid::from_u128(0xa1)), "from": at(app, -20_000), "to": at(app, 1) });
    let mut found = app.data(query, json!({ "i": input })).await["simulateRewardPolicy"].take();
    [found["granted"].take(), found["actual"].take()]
}

#[tokio::test(flavor = "multi_thread")]
async fn any_predicate_over_events_can_be_what_an_activation_is() {
    let app = setting().await;
    let rule = json!({ "eventNames": ["open", "activation"], "where": [
        { "property": "level", "operator": "AT_LEAST", "value": "5" }, { "property": "plan", "operator": "NOT_EQUALS", "value": "free" }] });
    let policy = json!({ "activation": rule, "activationThreshold": 2 });
    assert_eq!(try_change(&app, policy.clone()).await, ["CONFLICT reward.activation.where"], "nothing is kept yet");
    let keep =
        "mutation { updateBrand(input: {keepProperties: true}) { brand { keepProperties } userErrors { code } } }";
    assert_eq!(app.data(keep, json!({})).await["updateBrand"]["brand"]["keepProperties"], true);
    change(&app, policy).await;
    let shown = "{ campaign(slug: \"launch\") { rewardPolicy { activation { eventNames where { property operator value } } } } }";
    assert_eq!(app.data(shown, json!({})).await["campaign"]["rewardPolicy"]["activation"], rule);

    story(&app).await;
    let open = |minutes: i64, properties: Value| json!({"event_type": "open", "user_id": "bob", "timestamp": at(&app, minutes), "properties": properties});
    tell(&app, vec![open(-30, json!({ "level": 4, "plan": "pro" })), open(-29, json!({ "level": 9, "plan": "free" }))])
        .await;
    tell(&app, vec![open(-28, json!({ "level": 7 })), open(-27, json!({ "plan": "pro" }))]).await;
    // One that counts, one of another name, and the second that counts.
    tell(
        &app,
        vec![open(
            -26,
            json!({ "level": 5.0, "plan": "pro", "deep": { "level": 1 }, "big": 9_007_199_254_740_993_u64 }),
        )],
    )
    .await;
    let view = json!({"event_type": "view", "user_id": "bob", "timestamp": at(&app, -25), "properties": { "level": 9, "plan": "pro" }});
    tell(&app, vec![view]).await;
    assert_eq!(app.texts(CAUSES).await, Vec::<String>::new());
    let second = json!({"event_type": "activation", "user_id": "bob", "timestamp": at(&app, -24), "properties": { "level": "10", "plan": "pro" }});
    tell(&app, vec![second, open(-23, json!({ "level": 11, "plan": "pro" }))]).await;
    assert_eq!(app.texts(CAUSES).await, ["bob ACTIVATION 10"]);
    let kept = app.texts("select properties ->> 'big' as text from event_properties where properties ? 'big' and not properties ? 'deep'");
    assert_eq!(kept.await, ["9007199254740993"], "every digit is kept, and nothing that is nested");

    // Cat did it all before she joined: the sign-up is what activates her.
    let early = |minutes: i64| json!({"event_type": "open", "anonymous_id": "cats", "timestamp": at(&app, minutes), "properties": { "level": 6, "plan": "pro" }});
    tell(&app, vec![early(-20), early(-19), early(-18)]).await;
    let signup = json!({"event_type": "signup", "user_id": "cat", "anonymous_id": "cats", "referrer_user_id": "ann", "timestamp": at(&app, -17)});
    tell(&app, vec![signup]).await;
    assert_eq!(app.texts(CAUSES).await, ["bob ACTIVATION 10", "cat SIGNUP "]);
    let [granted, actual] = simulated(&app).await;
    assert_eq!(granted, actual, "a simulation counts as the worker did");

    // Whoever is blocked as fraud is so whatever event it is that activates.
    tell(
        &app,
        vec![json!({"event_type": "signup", "user_id": "dan", "referrer_user_id": "ann", "timestamp": at(&app, -9)})],
    )
    .await;
    app.execute(
        "delete from fraud_assessments where subject_kind = 'member';
         insert into fraud_assessments (brand_id, id, subject_kind, subject_id, campaign_id, member_id, policy_version, decision, score_ppm,
                                        signals, assessed_at)
         select brand_id, gen_random_uuid(), 'member', id, campaign_id, id, 1, 'BLOCK', 900000, '[]', now() from members where external_id = 'dan'",
    )
    .await;
    let late = |minutes: i64| json!({"event_type": "open", "user_id": "dan", "timestamp": at(&app, minutes), "properties": { "level": 6, "plan": "pro" }});
    tell(&app, vec![late(-8), late(-7)]).await;
    assert_eq!(anns(&app).await[2], "dan REJECTED FRAUD_BLOCKED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sale_of_some_value_can_be_what_an_activation_is() {
    let app = setting().await;
    let rule = json!({ "eventNames": ["conversion"], "where": [
        { "property": "conversion_value", "operator": "AT_LEAST", "value": "20" }, { "property": "currency", "operator": "EQUALS", "value": "USD" }] });
    change(&app, json!({ "activation": rule })).await;
    story(&app).await;
    let sale = |order: &str, value: &str, currency: &str, minutes: i64| json!({"event_type": "conversion", "user_id": "bob", "order_id": order, "conversion_value": value, "currency": currency, "timestamp": at(&app, minutes)});
    tell(&app, vec![sale("s1", "19.99", "USD", -9), sale("s2", "90", "EUR", -8)]).await;
    assert_eq!(app.texts(CAUSES).await, Vec::<String>::new());
    tell(&app, vec![sale("s3", "20", "USD", -7), sale("s4", "50", "USD", -6)]).await;
    assert_eq!(app.texts(CAUSES).await, ["bob CONVERSION "]);
    let paid = "select count(*) from rewards r join conversions c on c.id = r.cause_event_id
                where r.conversion_id is null and c.order_id = 's3'";
    assert_eq!(app.sql_count(paid).await, 2, "Ann's and Bob's own");
    let [granted, actual] = simulated(&app).await;
    assert_eq!(granted, actual);

    // Null is what it was before: the activation that Bob once told of is the first, and he was paid already.
    change(&app, json!({ "activation": null })).await;
    tell(&app, vec![json!({"event_type": "activation", "user_id": "bob", "timestamp": at(&app, -5)})]).await;
    assert_eq!(app.sql_count("select count(*) from rewards where kind = 'CREDIT'").await, 2);
}

/// What Ann was granted or denied for whom, in cents.
const EARNED: &str = "select m.external_id || ' ' || r.amount_minor || coalesce(' ' || r.reason, '') as text
    from rewards r join members b on b.id = r.beneficiary_member_id and b.external_id = 'ann'
    join members m on m.id = r.referee_id where r.conversion_id is null order by 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_referee_pays_the_highest_tier_that_it_and_its_cohort_have_reached_by_then() {
    let app = setting().await;
    let usd = |amount: &str| json!({ "amount": amount, "currency": "USD" });
    let tier = |amount: &str, activation: Option<&str>, cohort: Option<&str>| json!({ "degree": 1, "amount": usd(amount), "minimumActivationValue": activation.map(usd), "minimumCohortValue": cohort.map(usd) });
    let unclear = json!({ "tiers": [tier("1", Some("20"), None), tier("5", None, Some("20"))] });
    assert_eq!(try_change(&app, unclear).await, ["INVALID reward.tiers.1.degree"]);
    let ladder = json!([tier("9", Some("20"), Some("40")), tier("1", None, None), tier("5", Some("20"), None)]);
    change(&app, json!({ "refereeReward": null, "tiers": ladder })).await;
    let shown = "{ campaign(slug: \"launch\") { rewardPolicy { tiers { amount { amount } minimumActivationValue { amount } minimumCohortValue { amount } } } } }";
    let shown = app.data(shown, json!({})).await["campaign"]["rewardPolicy"]["tiers"].take();
    assert_eq!(
        shown[0],
        json!({ "amount": { "amount": "1.00" }, "minimumActivationValue": null, "minimumCohortValue": null })
    );
    assert_eq!(shown[2]["minimumCohortValue"]["amount"], "40.00", "the one that asks for most stands last: {shown:#}");

    let event = |kind: &str, user: &str, minutes: i64| json!({"event_type": kind, "user_id": user, "timestamp": at(&app, minutes)});
    let signup = |user: &str, minutes: i64| json!({"event_type": "signup", "user_id": user, "referrer_user_id": "ann", "timestamp": at(&app, minutes)});
    let sale = |user: &str, value: &str, currency: &str, minutes: i64| {
        json!({"event_type": "conversion", "user_id": user, "order_id": format!("{user}{minutes}"), "conversion_value": value,
               "currency": currency, "timestamp": at(&app, minutes)})
    };
    let click =
        json!({"event_type": "click", "link_token": "link-1", "anonymous_id": "phone", "timestamp": at(&app, -90)});
    let mut ann = event("signup", "ann", -80);
    ann["anonymous_id"] = json!("phone");
    tell(&app, vec![click, ann]).await;
    // What Bob buys after his activation comes too late for his own, in the same batch too.
    let bob = vec![
        signup("bob", -70),
        sale("bob", "19.99", "USD", -69),
        event("activation", "bob", -68),
        sale("bob", "100", "USD", -67),
    ];
    tell(&app, bob).await;
    // Cat's euros count nothing; with her dollars 139.99 are 46.66 for each of three.
    tell(&app, vec![signup("cat", -60), sale("cat", "900", "EUR", -59)]).await;
    tell(&app, vec![sale("cat", "20", "USD", -58), event("activation", "cat", -57)]).await;
    // With Dan's it is one cent too little for each of four.
    tell(&app, vec![signup("dan", -50), sale("dan", "20", "USD", -49), event("activation", "dan", -48)]).await;
    assert_eq!(app.texts(EARNED).await, ["bob 100", "cat 900", "dan 500"]);
    // Another week is another cohort.
    app.advance(chrono::TimeDelta::days(8));
    let eve = json!({"event_type": "signup", "user_id": "eve", "referrer_user_id": "ann", "timestamp": at(&app, -30)});
    let order = json!({"event_type": "conversion", "user_id": "eve", "order_id": "eve", "conversion_value": "50", "timestamp": at(&app, -29)});
    let active = json!({"event_type": "activation", "user_id": "eve", "timestamp": at(&app, -28)});
    tell(&app, vec![eve, order, active]).await;
    assert_eq!(app.texts(EARNED).await, ["bob 100", "cat 900", "dan 500", "eve 900"]);
    let [granted, actual] = simulated(&app).await;
    assert_eq!(granted, actual, "a simulation knows what was there by then");
    assert_eq!(actual["rewards"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_that_is_not_reached_leaves_a_row_that_says_so_and_is_not_asked_again() {
    let app = setting().await;
    let tier = json!({ "degree": 1, "amount": { "amount": "5", "currency": "USD" }, "minimumActivationValue": { "amount": "20", "currency": "USD" } });
    change(&app, json!({ "refereeReward": null, "tiers": [tier] })).await;
    story(&app).await;
    assert_eq!(app.texts(EARNED).await, ["bob 500 TIER_NOT_REACHED"]);
    let sale = json!({"event_type": "conversion", "user_id": "bob", "order_id": "b", "conversion_value": "50", "timestamp": at(&app, -9)});
    tell(&app, vec![sale, json!({"event_type": "activation", "user_id": "bob", "timestamp": at(&app, -8)})]).await;
    assert_eq!(app.texts(EARNED).await, ["bob 500 TIER_NOT_REACHED"]);
    let denied = "query($i: SimulateRewardPolicyInput!) { simulateRewardPolicy(input: $i) { denied { reason denied { rewards cost { amount } } } } }";
    let input =
        json!({ "campaignId": Kind::Campaign.id(Uuid::from_u128(0xa1)), "from": at(&app, -20_000), "to": at(&app, 1) });
    assert_eq!(
        app.data(denied, json!({ "i": input })).await["simulateRewardPolicy"]["denied"],
        json!([{ "reason": "TIER_NOT_REACHED", "denied": { "rewards": 1, "cost": [{ "amount": "5.00" }] } }])
    );
}
