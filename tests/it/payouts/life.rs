//! The way of a payout from its draft to its end: who may approve it, what moves, and what the provider says.

use grapevine::access::Role;
use grapevine::base::{Code, Kind, Money};
use grapevine::payouts::{PayoutState, approve};
use grapevine::rewards::RewardState;
use scoped_futures::ScopedFutureExt;
use serde_json::json;

use super::{Desk, code, creator, payout_id, usd};

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_pays_rewards_on_the_ledger_and_the_provider_ends_it() {
    let desk = Desk::open().await;
    let rewards = [desk.earn(creator(1), 1_250).await, desk.earn(creator(1), 750).await];
    let id = desk.draft(creator(1)).await;
    desk.try_approve(id).await.unwrap();
    let payout = desk.payout(id).await;
    assert_eq!((payout.state, payout.amount, payout.netted), (PayoutState::Approved, usd(2_000), usd(0)));
    assert_eq!((payout.created_by, payout.approved_by), (desk.maker.key_id, desk.checker.key_id));
    assert_eq!(desk.standing(creator(1)).await, (0, 2_000, 0));
    for reward in rewards {
        assert_eq!(desk.reward(reward).await.state, RewardState::Paid);
    }
    let query = "query($id: ID!) { node(id: $id) { ... on Reward { state ledger { account amount { amount } } } } }";
    let shown = desk.data(query, json!({ "id": Kind::Reward.id(rewards[0]) })).await;
    let entries = shown["node"]["ledger"].as_array().unwrap();
    let sent =
        entries.iter().find(|entry| entry["account"].as_str().unwrap().starts_with("paid_out:creator:")).unwrap();
    assert_eq!(
        (entries.len(), &sent["amount"]["amount"]),
        (6, &json!("12.50")),
        "granted, released and paid, twice each"
    );

    desk.try_pay(id).await.unwrap();
    let payout = desk.payout(id).await;
    assert_eq!((payout.state, payout.provider_reference.as_deref()), (PayoutState::Paid, Some("tr_1")));
    for result in
        [desk.try_pay(id).await, desk.try_fail(id).await, desk.try_cancel(id).await, desk.try_approve(id).await]
    {
        assert_eq!(code(result), Some(Code::Conflict));
    }
    let told = desk.texts("select topic as text from outbox where topic like 'payout.%' order by seq").await;
    assert_eq!(told, ["payout.created", "payout.approved", "payout.paid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_payout_is_as_if_it_had_not_been_approved() {
    let desk = Desk::open().await;
    let reward = desk.earn(creator(1), 1_250).await;
    let before = (desk.standing(creator(1)).await, desk.budget().await);
    let failed = desk.pay_out(creator(1)).await;
    desk.try_fail(failed.id).await.unwrap();
    assert_eq!((desk.standing(creator(1)).await, desk.budget().await), before);
    assert_eq!(desk.reward(reward).await.state, RewardState::Available);
    assert_eq!(desk.payout(failed.id).await.reason.as_deref(), Some("The account is closed."));
    let again = desk.pay_out(creator(1)).await;
    assert_eq!((again.amount, desk.standing(creator(1)).await), (usd(1_250), (0, 1_250, 0)));
    desk.try_pay(again.id).await.unwrap();
    assert_eq!(code(desk.try_pay(failed.id).await), Some(Code::Conflict));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_made_a_payout_may_approve_it_up_to_the_brands_limit_only() {
    let desk = Desk::open().await;
    desk.earn(creator(1), 5_000).await;
    let id = desk.draft(creator(1)).await;
    assert_eq!(code(desk.try_approve_as(&desk.maker, id, None).await), Some(Code::Forbidden));
    desk.try_approve(id).await.unwrap();

    let limit = "mutation($m: MoneyInput!) { updateBrand(input: {payoutFourEyesAbove: $m}) { brand { payoutFourEyesAbove { amount currency } } userErrors { code path } } }";
    let set =
        |amount: &str, currency: &str| desk.data(limit, json!({ "m": { "amount": amount, "currency": currency } }));
    let foreign = set("1", "EUR").await;
    assert_eq!(
        foreign["updateBrand"]["userErrors"],
        json!([{ "code": "INVALID", "path": ["payoutFourEyesAbove", "currency"] }])
    );
    let known = set("49.99", "USD").await;
    assert_eq!(known["updateBrand"]["brand"]["payoutFourEyesAbove"], json!({ "amount": "49.99", "currency": "USD" }));
    let finance = desk.gql_as(&desk.maker_key, limit, json!({ "m": { "amount": "1", "currency": "USD" } })).await;
    assert_eq!(finance["errors"][0]["extensions"]["code"], "FORBIDDEN", "finance does not set its own limit");

    desk.earn(creator(2), 5_000).await;
    desk.earn(creator(3), 4_999).await;
    let [above, below] = [desk.draft(creator(2)).await, desk.draft(creator(3)).await];
    assert_eq!(code(desk.try_approve_as(&desk.maker, above, None).await), Some(Code::Forbidden));
    desk.try_approve_as(&desk.maker, below, None).await.unwrap();
    let answer = desk.mutate(&desk.maker_key, "approvePayout", json!({ "payoutId": payout_id(above) })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer}");
    desk.try_approve(above).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_debt_takes_off_does_not_bring_a_payout_below_the_limit() {
    let desk = Desk::open().await;
    desk.execute("insert into brand_settings (brand_id, changed_at, four_eyes_above_minor) select id, created_at, 1000 from brands").await;
    let paid = desk.earn(creator(1), 4_900).await;
    let sent = desk.pay_out(creator(1)).await;
    desk.try_pay(sent.id).await.unwrap();
    desk.try_reverse(paid).await.unwrap();
    desk.earn(creator(1), 5_000).await;
    let id = desk.draft(creator(1)).await;
    assert_eq!(desk.payout(id).await.amount, usd(100));
    assert_eq!(code(desk.try_approve_as(&desk.maker, id, None).await), Some(Code::Forbidden));
}

#[tokio::test(flavor = "multi_thread")]
async fn open_alerts_stop_an_approval_unless_a_reason_is_given_that_is_kept() {
    let desk = Desk::open().await;
    let reward = desk.earn(creator(1), 5_000).await;
    desk.refer("sue", &[reward]).await;
    let id = desk.draft(creator(1)).await;
    desk.raise_alert(1, "sue", None).await;
    assert_eq!(code(desk.try_approve(id).await), Some(Code::FraudBlocked));
    assert_eq!(desk.payout(id).await.state, PayoutState::Draft);
    for reason in ["", " ", "a\u{0}b", &"x".repeat(501)] {
        assert_eq!(code(desk.try_approve_as(&desk.checker, id, Some(reason)).await), Some(Code::Invalid));
    }
    let counts = desk.data("{ payouts { nodes { openAlerts } } }", json!({})).await;
    assert_eq!(counts["payouts"]["nodes"][0]["openAlerts"], 1);
    let input = json!({ "payoutId": payout_id(id), "overrideReason": "Sue is a friend of mine." });
    let approved = desk.mutate(&desk.checker_key, "approvePayout", input).await;
    assert_eq!(approved["payout"]["overrideReason"], "Sue is a friend of mine.", "{approved}");

    // One that is about the beneficiary weighs on it too; a reason that nothing asked for is not kept.
    desk.earn(creator(2), 100).await;
    let other = desk.draft(creator(2)).await;
    desk.try_approve_as(&desk.checker, other, Some("Just so.")).await.unwrap();
    assert_eq!(desk.payout(other).await.override_reason, None);
    desk.earn(creator(2), 100).await;
    let third = desk.draft(creator(2)).await;
    desk.raise_alert(2, "sue", Some(creator(2).id())).await;
    assert_eq!(code(desk.try_approve(third).await), Some(Code::FraudBlocked));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_payout_takes_as_many_statements_as_a_short_one() {
    let desk = Desk::open().await;
    let many = std::env::var("GRAPEVINE_TEST_PAYOUT_LINES").map_or(1_000, |text| text.parse().unwrap());
    let mut counts = Vec::new();
    // The first one prepares what the others find prepared.
    for (number, size) in [(1, 3), (2, 3), (3, many)] {
        desk.earn_many(creator(number), size).await;
        let before = desk.statement_count();
        let id = desk.draft(creator(number)).await;
        desk.try_approve(id).await.unwrap();
        let approved = desk.statement_count();
        desk.try_fail(id).await.unwrap();
        counts.push((approved - before, desk.statement_count() - approved));
        assert_eq!(desk.payout(id).await.amount, usd(i64::try_from(size).unwrap()));
        assert_eq!(desk.standing(creator(number)).await, (i64::try_from(size).unwrap(), 0, 0));
    }
    assert_eq!(counts[1], counts[2], "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creators_key_sees_its_own_payouts_and_no_reason_of_ours() {
    let desk = Desk::open().await;
    let reward = desk.earn(creator(1), 5_000).await;
    desk.refer("sue", &[reward]).await;
    let own = desk.draft(creator(1)).await;
    desk.raise_alert(1, "sue", None).await;
    desk.try_approve_as(&desk.checker, own, Some("Sue is a friend of mine.")).await.unwrap();
    desk.earn(creator(2), 100).await;
    let foreign = desk.draft(creator(2)).await;
    let input = grapevine::access::NewApiKey {
        name: "c".into(),
        role: Role::Creator,
        creator_id: Some(creator(1).id()),
        expires_at: None,
    };
    let mut conn = desk.db.conn().await.unwrap();
    let (_, key) = grapevine::access::create_key(&mut conn, &desk.scope, &desk.env, input).await.unwrap();
    drop(conn);
    let query = "query($foreign: ID!) { payouts { totalCount nodes { id overrideReason lines { nodes { payable } } } } node(id: $foreign) { id }
        creators { nodes { payouts { totalCount } } } }";
    let seen = desk.gql_as(&key, query, json!({ "foreign": payout_id(foreign) })).await;
    let expected = json!({ "totalCount": 1, "nodes": [{ "id": payout_id(own), "overrideReason": null, "lines": { "nodes": [{ "payable": true }] } }] });
    assert_eq!(seen["data"]["payouts"], expected, "{seen}");
    assert_eq!(
        (&seen["data"]["node"], &seen["data"]["creators"]["nodes"]),
        (&json!(null), &json!([{ "payouts": { "totalCount": 1 } }]))
    );
    let refused = desk.mutate(&key, "approvePayout", json!({ "payoutId": payout_id(foreign) })).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_money_always_takes_two_people() {
    let desk = Desk::open().await;
    desk.execute(
        "insert into brand_settings (brand_id, changed_at, four_eyes_above_minor) select id, created_at, 1000000 from brands;
         insert into campaigns (brand_id, id, slug, name, objective, status, currency, policy_version, created_at)
         select brand_id, '00000000-0000-0000-0000-0000000000a2', 'yen', 'Yen', 'CONVERSION', 'ACTIVE', 'JPY', 1, created_at from campaigns;
         insert into campaign_policies (brand_id, campaign_id, version, attribution, reward, fraud, created_at)
         select brand_id, '00000000-0000-0000-0000-0000000000a2', 1, attribution, reward, fraud, created_at from campaign_policies",
    )
    .await;
    let new = grapevine::rewards::NewReward {
        campaign_id: uuid::Uuid::from_u128(0xa2),
        beneficiary: creator(1),
        kind: grapevine::campaigns::RewardKind::Credit,
        value: Money::new(900, "JPY".parse().unwrap()),
        reason: "A good month.".into(),
        idempotency_key: "yen".into(),
    };
    let mut conn = desk.db.conn().await.unwrap();
    let reward = grapevine::rewards::issue(&mut conn, &desk.maker, &desk.env, new).await.unwrap();
    drop(conn);
    desk.try_release(reward).await.unwrap();
    let yen = grapevine::payouts::NewPayout { currency: "JPY".parse().unwrap(), ..super::all_of(creator(1)) };
    let id = desk.try_draft(&yen).await.unwrap();
    assert_eq!(code(desk.try_approve_as(&desk.maker, id, None).await), Some(Code::Forbidden));
    let (scope, env) = (&desk.checker, &desk.env);
    let work = desk.db.transaction(|conn| async move { approve(conn, scope, env, id, None).await }.scope_boxed());
    work.await.unwrap();
    assert_eq!(desk.payout(id).await.amount.amount(), "900");
}
