//! What would have gone wrong unseen: each is a way in which money was lost, sent twice or sent too soon.

use chrono::TimeDelta;
use grapevine::base::Code;
use grapevine::rewards::RewardState;
use serde_json::json;

use super::{Desk, code, creator, usd};
use crate::graphql::world::{at, tell};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_of_a_payout_that_may_yet_fail_is_withheld_from_no_other() {
    let desk = Desk::open().await;
    let gone = desk.earn(creator(1), 100).await;
    let first = desk.pay_out(creator(1)).await;
    desk.try_reverse(gone).await.unwrap();
    desk.earn(creator(1), 60).await;
    let second = desk.pay_out(creator(1)).await;
    assert_eq!((second.netted, second.amount), (usd(0), usd(60)));
    desk.try_fail(first.id).await.unwrap();
    assert_eq!(desk.standing(creator(1)).await, (0, 60, 0), "what was never sent is not owed");

    // Once it is known that it was paid, the next one withholds it.
    let gone = desk.earn(creator(2), 100).await;
    let first = desk.pay_out(creator(2)).await;
    desk.try_reverse(gone).await.unwrap();
    desk.earn(creator(2), 60).await;
    let drafted = desk.draft(creator(2)).await;
    assert_eq!(desk.payout(drafted).await.netted, usd(0));
    desk.try_pay(first.id).await.unwrap();
    desk.try_approve(drafted).await.unwrap();
    let second = desk.payout(drafted).await;
    assert_eq!((second.netted, second.amount), (usd(60), usd(0)));
    assert_eq!(desk.standing(creator(2)).await, (0, 100, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_payouts_of_one_key_are_one_big_one() {
    let desk = Desk::open().await;
    desk.execute("insert into brand_settings (brand_id, changed_at, four_eyes_above_minor) select id, created_at, 100 from brands").await;
    let mut drafts = Vec::new();
    for (number, minor) in [(1, 60), (2, 40), (3, 1), (4, 100)] {
        desk.earn(creator(number), minor).await;
        drafts.push(desk.draft(creator(number)).await);
    }
    desk.try_approve_as(&desk.maker, drafts[0], None).await.unwrap();
    desk.try_approve_as(&desk.maker, drafts[1], None).await.unwrap();
    assert_eq!(code(desk.try_approve_as(&desk.maker, drafts[2], None).await), Some(Code::Forbidden));
    // What is said to have failed was in the provider's hands.
    desk.try_fail(drafts[0]).await.unwrap();
    assert_eq!(code(desk.try_approve_as(&desk.maker, drafts[2], None).await), Some(Code::Forbidden));
    desk.try_approve(drafts[2]).await.unwrap();
    desk.advance(TimeDelta::hours(24));
    desk.try_approve_as(&desk.maker, drafts[3], None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_credited_late_with_an_old_sale_waits_as_long_as_everybody() {
    let desk = Desk::open().await;
    let (clicked_at, sold_at) = (at(&desk, -60), at(&desk, -50));
    let sale = json!({"event_type": "conversion", "anonymous_id": "phone", "order_id": "o1", "conversion_value": "30.00", "campaign": "launch",
        "timestamp": sold_at});
    tell(&desk, vec![sale]).await;
    desk.advance(TimeDelta::days(5));
    let click =
        json!({"event_type": "click", "link_token": "link-1", "anonymous_id": "phone", "timestamp": clicked_at});
    tell(&desk, vec![click]).await;
    let states = "select state as text from rewards where kind = 'COMMISSION'";
    assert_eq!(desk.texts(states).await, ["ESCROWED"]);
    desk.advance(TimeDelta::days(2));
    desk.drain().await;
    assert_eq!(desk.texts(states).await, ["ESCROWED"]);
    desk.advance(TimeDelta::days(1));
    desk.drain().await;
    assert_eq!(desk.texts(states).await, ["AVAILABLE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_confirmed_fraud_earned_is_released_by_nobody() {
    let desk = Desk::open().await;
    let reward = desk.try_issue(creator(1), 500).await.unwrap();
    desk.refer("eve", &[reward]).await;
    desk.raise_alert(1, "eve", None).await;
    assert_eq!(code(desk.try_release(reward).await), Some(Code::FraudBlocked));
    desk.execute("update fraud_alerts set state = 'CONFIRMED', reviewed_at = raised_at").await;
    assert_eq!(code(desk.try_release(reward).await), Some(Code::FraudBlocked));
    desk.advance(TimeDelta::days(3));
    desk.drain().await;
    assert_eq!(desk.reward(reward).await.state, RewardState::Reversed);
    assert_eq!((desk.standing(creator(1)).await, desk.budget().await), ((0, 0, 0), 1_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn to_confirm_that_a_beneficiary_is_a_fraud_does_not_free_its_payout() {
    let desk = Desk::open().await;
    let eve = desk.join("eve").await;
    desk.earn(eve, 500).await;
    let id = desk.draft(eve).await;
    // Eve's own sign-up is what the alert is about.
    desk.raise_alert(1, "eve", None).await;
    desk.execute("update fraud_alerts set member_id = subject_id").await;
    assert_eq!(code(desk.try_approve(id).await), Some(Code::FraudBlocked));
    desk.execute("update fraud_alerts set state = 'CONFIRMED', reviewed_at = raised_at").await;
    assert_eq!(code(desk.try_approve(id).await), Some(Code::FraudBlocked));
    desk.try_approve_as(&desk.checker, id, Some("It was her brother.")).await.unwrap();
    assert_eq!(desk.payout(id).await.override_reason.as_deref(), Some("It was her brother."));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_crowd_of_requests_makes_more_endpoints_than_a_brand_may_have() {
    let desk = &Desk::open().await;
    let create = "mutation($url: URL!) { createWebhookEndpoint(input: {url: $url, kinds: [\"payout.*\"]}) { userErrors { code } } }";
    let asked = (0..24).map(|number| async move {
        let made = desk.data(create, json!({ "url": format!("https://shop.example/{number}") })).await;
        made["createWebhookEndpoint"]["userErrors"][0]["code"].as_str().map(ToOwned::to_owned)
    });
    let answers = futures_util::future::join_all(asked).await;
    let refused = answers.iter().filter(|answer| answer.as_deref() == Some("LIMIT_REACHED")).count();
    assert_eq!((refused, answers.iter().flatten().count()), (8, 8), "{answers:?}");
    assert_eq!(desk.sql_count("select count(*) from webhook_endpoints").await, 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn to_confirm_that_touches_were_a_fraud_does_not_free_what_they_earned() {
    let desk = Desk::open().await;
    desk.execute(
        "update campaign_policies set fraud = fraud || '{\"velocity_per_hour\": 1, \"signals\": [{\"name\": \"VELOCITY\", \"weight_ppm\": 400000, \"mode\": \"ON\"}]}'",
    )
    .await;
    let click = |minutes: i64| json!({"event_type": "click", "link_token": "link-1", "anonymous_id": "phone", "ip": "192.0.2.7", "timestamp": at(&desk, minutes)});
    let sale = json!({"event_type": "conversion", "anonymous_id": "phone", "order_id": "o1", "conversion_value": "30.00", "timestamp": at(&desk, -10)});
    tell(&desk, vec![click(-17), click(-16), click(-15), sale]).await;
    assert_eq!(desk.sql_count("select count(*) from touchpoints where decision = 'REVIEW'").await, 2);
    desk.advance(TimeDelta::days(4));
    desk.drain().await;
    let id = desk.draft(creator(1)).await;
    assert_eq!(desk.payout(id).await.gross, usd(300));
    assert_eq!(code(desk.try_approve(id).await), Some(Code::FraudBlocked));
    desk.execute("update fraud_alerts set state = 'CONFIRMED', reviewed_at = raised_at").await;
    assert_eq!(code(desk.try_approve(id).await), Some(Code::FraudBlocked));
    desk.try_approve_as(&desk.checker, id, Some("One click was honest.")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn however_much_an_endpoint_was_told_it_is_forgotten_in_time() {
    let desk = Desk::open().await;
    let create = "mutation { createWebhookEndpoint(input: {url: \"https://shop.example/\", kinds: [\"payout.*\"]}) { userErrors { code } } }";
    desk.data(create, json!({})).await;
    desk.execute(
        "insert into webhook_deliveries (brand_id, endpoint_id, seq, message_id, kind, payload, state, attempt_count, delivered_at, created_at)
         select brand_id, id, n, id, 'payout.paid', '{}', 'DELIVERED', 1, created_at, created_at from webhook_endpoints, generate_series(1, 25000) n",
    )
    .await;
    desk.advance(TimeDelta::days(31));
    desk.courier.forget(&desk.scope).await.unwrap();
    assert_eq!(desk.sql_count("select count(*) from webhook_deliveries").await, 0);
}
