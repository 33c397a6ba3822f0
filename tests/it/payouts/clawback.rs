//! What is taken back after it was paid: it is owed, the next payout withholds it, and what that does not cover is carried on.

use grapevine::base::{Code, Kind};
use grapevine::payouts::PayoutState;
use grapevine::rewards::RewardState;
use serde_json::{Value, json};

use super::{Desk, code, creator, usd};
use crate::graphql::world::{at, tell};

async fn balances(desk: &Desk) -> Value {
    let query = "query($id: ID!) { creator(id: $id) { balances { amount } } }";
    desk.data(query, json!({ "id": Kind::Creator.id(creator(1).id()) })).await["creator"]["balances"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_after_payment_is_withheld_from_the_next_payouts_until_it_is_settled() {
    let desk = Desk::open().await;
    let reward = desk.earn(creator(1), 1_000).await;
    let paid = desk.pay_out(creator(1)).await;
    desk.try_pay(paid.id).await.unwrap();
    let reverse = "mutation($id: ID!) { reverseReward(input: {rewardId: $id, reason: \"The order was fake.\", idempotencyKey: \"k\"}) {
        reward { state reversed { amount } reason } userErrors { code } } }";
    let id = json!({ "id": Kind::Reward.id(reward) });
    let reversed = desk.data(reverse, id.clone()).await;
    let expected = json!({ "state": "REVERSED", "reversed": { "amount": "10.00" }, "reason": "The order was fake." });
    assert_eq!(reversed["reverseReward"]["reward"], expected);
    assert_eq!(desk.data(reverse, id).await, reversed, "a replay takes nothing more");
    assert_eq!(code(desk.try_reverse(reward).await), Some(Code::Conflict));
    assert_eq!((desk.standing(creator(1)).await, desk.budget().await), ((0, 1_000, 1_000), 1_000_000));
    assert_eq!(balances(&desk).await, json!([{ "amount": "-10.00" }]));

    desk.earn(creator(1), 400).await;
    assert_eq!(balances(&desk).await, json!([{ "amount": "-6.00" }]));
    let settling = desk.pay_out(creator(1)).await;
    assert_eq!((settling.gross, settling.netted, settling.amount), (usd(400), usd(400), usd(0)));
    assert_eq!(settling.state, PayoutState::Paid, "there is nothing that a provider could send");
    assert_eq!(code(desk.try_fail(settling.id).await), Some(Code::Conflict));
    assert_eq!(desk.standing(creator(1)).await, (0, 1_000, 600));

    desk.earn(creator(1), 900).await;
    let rest = desk.pay_out(creator(1)).await;
    assert_eq!((rest.gross, rest.netted, rest.amount), (usd(900), usd(600), usd(300)));
    assert_eq!(rest.state, PayoutState::Approved);
    assert_eq!(desk.standing(creator(1)).await, (0, 1_300, 0));
    assert_eq!(balances(&desk).await, json!([{ "amount": "0.00" }]));
    assert_eq!(desk.budget().await, 1_000_000 - 1_300, "what was sent is what was spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_fails_owes_again_what_it_had_settled_and_forgets_what_was_taken_back_meanwhile() {
    let desk = Desk::open().await;
    let first = desk.earn(creator(1), 1_000).await;
    let paid = desk.pay_out(creator(1)).await;
    desk.try_pay(paid.id).await.unwrap();
    desk.try_reverse(first).await.unwrap();
    let [gone, kept] = [desk.earn(creator(1), 700).await, desk.earn(creator(1), 800).await];
    let payout = desk.pay_out(creator(1)).await;
    assert_eq!((payout.netted, payout.amount), (usd(1_000), usd(500)));
    desk.try_reverse(gone).await.unwrap();
    assert_eq!(desk.standing(creator(1)).await, (0, 1_500, 700));
    desk.try_fail(payout.id).await.unwrap();
    assert_eq!(desk.standing(creator(1)).await, (800, 1_000, 1_000));
    assert_eq!(desk.reward(gone).await.state, RewardState::Reversed);
    assert_eq!(desk.reward(kept).await.state, RewardState::Available);
    let again = desk.pay_out(creator(1)).await;
    assert_eq!((again.gross, again.netted, again.amount), (usd(800), usd(800), usd(0)));
    assert_eq!(desk.standing(creator(1)).await, (0, 1_000, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_whose_rewards_were_all_taken_back_can_still_fail() {
    let desk = Desk::open().await;
    let rewards = [desk.earn(creator(1), 300).await, desk.earn(creator(1), 200).await];
    let payout = desk.pay_out(creator(1)).await;
    for reward in rewards {
        desk.try_reverse(reward).await.unwrap();
    }
    assert_eq!(desk.standing(creator(1)).await, (0, 500, 500));
    desk.try_fail(payout.id).await.unwrap();
    assert_eq!((desk.standing(creator(1)).await, desk.budget().await), ((0, 0, 0), 1_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_refund_after_payment_is_owed_at_the_original_rate() {
    let desk = Desk::open().await;
    let sale = |order: &str, value: &str, minutes: i64| json!({"event_type": "conversion", "anonymous_id": "phone", "order_id": order, "conversion_value": value, "timestamp": at(&desk, minutes)});
    let click =
        json!({"event_type": "click", "link_token": "link-1", "anonymous_id": "phone", "timestamp": at(&desk, -60)});
    tell(&desk, vec![click, sale("o1", "30.00", -50)]).await;
    desk.advance(chrono::TimeDelta::days(4));
    desk.drain().await;
    let paid = desk.pay_out(creator(1)).await;
    assert_eq!(paid.amount, usd(300), "a tenth of the sale");
    tell(&desk, vec![json!({"event_type": "refund", "order_id": "o1", "conversion_value": "10.00"})]).await;
    assert_eq!(desk.sql_count("select reversed_minor as count from rewards where state = 'PAID'").await, 100);
    assert_eq!(desk.standing(creator(1)).await, (0, 300, 100));

    // The policy of today pays another share; the rest of the refund goes by the one that was in force.
    let change = "mutation($id: ID!) { updateCampaign(input: {campaignId: $id, reward: {tiers: [{degree: 1, shareOfConversion: 0.5}]}}) {
        campaign { rewardPolicy { version } } userErrors { code } } }";
    let changed = desk.data(change, json!({ "id": Kind::Campaign.id(super::CAMPAIGN) })).await;
    assert_eq!(changed["updateCampaign"]["campaign"]["rewardPolicy"]["version"], 2, "{changed}");
    tell(&desk, vec![json!({"event_type": "refund", "order_id": "o1", "conversion_value": "19.99"})]).await;
    assert_eq!(desk.sql_count("select reversed_minor as count from rewards where state = 'REVERSED'").await, 300);
    assert_eq!(desk.standing(creator(1)).await, (0, 300, 300));
    desk.try_pay(paid.id).await.unwrap();
}
