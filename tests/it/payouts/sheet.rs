//! What a draft looks like, and what it keeps.

use grapevine::base::{Code, Kind};
use grapevine::payouts::{NewPayout, PayoutState};
use grapevine::rewards::RewardState;
use serde_json::{Value, json};

use super::{Desk, all_of, code, creator, payout_id, usd};
use crate::graphql::world::pluck;

const SHEET: &str = "query($id: ID!, $first: Int, $after: String) { node(id: $id) { ... on Payout {
    state amount { amount currency } gross { amount } netted { amount } openAlerts fraudMetrics { openAlerts } createdBy approvedBy
    beneficiary { ... on Creator { handle } }
    rewards { totalCount nodes { id } }
    lines(first: $first, after: $after) { totalCount pageInfo { hasNextPage endCursor }
        nodes { number payable reason granted { amount } amount { amount } reward { id state } } } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_says_of_each_reward_whether_it_is_paid_and_why_not() {
    let desk = Desk::open().await;
    let paid = desk.earn(creator(1), 1_250).await;
    let suspect = desk.earn(creator(1), 700).await;
    let fraud = desk.earn(creator(1), 300).await;
    let waiting = desk.try_issue(creator(1), 500).await.unwrap();
    desk.earn(creator(2), 9_900).await;
    desk.refer("sue", &[suspect]).await;
    desk.refer("eve", &[fraud]).await;
    desk.raise_alert(1, "sue", None).await;
    desk.raise_alert(2, "eve", None).await;
    desk.execute(
        "update fraud_alerts set state = 'CONFIRMED', reviewed_at = raised_at where id::text like '%a1e00002'",
    )
    .await;

    let id = desk.draft(creator(1)).await;
    let sheet = desk.data(SHEET, json!({ "id": payout_id(id) })).await["node"].take();
    assert_eq!(sheet["amount"], json!({ "amount": "12.50", "currency": "USD" }), "{sheet:#}");
    assert_eq!((&sheet["state"], &sheet["gross"]["amount"]), (&json!("DRAFT"), &json!("12.50")));
    assert_eq!(sheet["beneficiary"]["handle"], "creator1");
    assert_eq!(sheet["createdBy"], Kind::Key.id(desk.maker.key_id.unwrap()));
    assert_eq!(sheet["rewards"], json!({ "totalCount": 1, "nodes": [{ "id": Kind::Reward.id(paid) }] }));
    assert_eq!(sheet["lines"]["totalCount"], 4);
    let line = |id| {
        let wanted = json!(Kind::Reward.id(id));
        let found = sheet["lines"]["nodes"].as_array().unwrap().iter().find(|line| line["reward"]["id"] == wanted);
        let line = found.unwrap();
        (line["payable"].as_bool().unwrap(), line["reason"].clone(), line["amount"]["amount"].clone())
    };
    assert_eq!(line(paid), (true, Value::Null, json!("12.50")));
    assert_eq!(line(suspect), (false, json!("OPEN_ALERT"), json!("7.00")));
    assert_eq!(line(fraud), (false, json!("FRAUD_CONFIRMED"), json!("3.00")));
    assert_eq!(line(waiting), (false, json!("IN_ESCROW"), json!("5.00")));
    assert_eq!(desk.standing(creator(1)).await, (2_250, 0, 0), "a draft moves no money");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_is_read_page_by_page_and_lists_of_payouts_too() {
    let desk = Desk::open().await;
    for minor in 1..=5 {
        desk.earn(creator(1), minor).await;
    }
    let id = desk.draft(creator(1)).await;
    let mut numbers = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = desk.data(SHEET, json!({ "id": payout_id(id), "first": 2, "after": after })).await;
        let lines = &page["node"]["lines"];
        numbers.extend(pluck(&lines["nodes"], "/number").into_iter().map(|number| number.as_i64().unwrap()));
        after = lines["pageInfo"]["endCursor"].clone();
        if lines["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(numbers, [1, 2, 3, 4, 5]);

    desk.earn(creator(2), 7).await;
    let other = desk.draft(creator(2)).await;
    let query = "query($first: Int, $after: String, $last: Int, $before: String, $filter: PayoutFilter) {
        payouts(first: $first, after: $after, last: $last, before: $before, filter: $filter) { totalCount pageInfo { hasNextPage endCursor startCursor } nodes { id } } }";
    let whole = desk.data(query, json!({})).await["payouts"].take();
    assert_eq!(whole["totalCount"], 2);
    let ids: Vec<Value> = pluck(&whole["nodes"], "/id").into_iter().cloned().collect();
    let first = desk.data(query, json!({ "first": 1 })).await["payouts"].take();
    let next = desk.data(query, json!({ "first": 1, "after": first["pageInfo"]["endCursor"] })).await["payouts"].take();
    let last = desk.data(query, json!({ "last": 1 })).await["payouts"].take();
    let before =
        desk.data(query, json!({ "last": 1, "before": last["pageInfo"]["startCursor"] })).await["payouts"].take();
    let only = |page: &Value| page["nodes"][0]["id"].clone();
    assert_eq!(
        [only(&first), only(&next), only(&before), only(&last)],
        [ids[0].clone(), ids[1].clone(), ids[0].clone(), ids[1].clone()]
    );
    for (filter, expected) in [
        (json!({ "creatorId": Kind::Creator.id(creator(2).id()) }), json!([{ "id": payout_id(other) }])),
        (json!({ "currency": "EUR" }), json!([])),
        (json!({ "state": ["APPROVED"] }), json!([])),
        (
            json!({ "state": ["DRAFT", "PAID"], "creatorId": Kind::Creator.id(creator(1).id()) }),
            json!([{ "id": payout_id(id) }]),
        ),
    ] {
        assert_eq!(desk.data(query, json!({ "filter": filter })).await["payouts"]["nodes"], expected, "{filter}");
    }
    let nested = "{ creators(first: 6) { nodes { payouts(first: 2) { totalCount nodes { id lines(first: 9) { nodes { number } } } } } } }";
    let before = desk.statement_count();
    let nested = desk.data(nested, json!({})).await;
    assert!(desk.statement_count() - before <= 8, "one statement per level: {}", desk.statement_count() - before);
    assert_eq!(nested["creators"]["nodes"][1]["payouts"]["nodes"][0]["id"], payout_id(other));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_keeps_its_rewards_until_it_is_canceled() {
    let desk = Desk::open().await;
    desk.earn(creator(1), 1_000).await;
    let first = desk.draft(creator(1)).await;
    let second = desk.draft(creator(1)).await;
    assert_eq!((desk.payout(first).await.gross, desk.payout(second).await.gross), (usd(1_000), usd(0)));
    assert_eq!(code(desk.try_approve(second).await), Some(Code::Conflict), "nothing on it can be paid");
    desk.try_cancel(first).await.unwrap();
    assert_eq!(code(desk.try_cancel(first).await), Some(Code::Conflict));
    assert_eq!(code(desk.try_approve(first).await), Some(Code::Conflict));
    let third = desk.pay_out(creator(1)).await;
    assert_eq!((third.amount, third.state), (usd(1_000), PayoutState::Approved));
    assert_eq!(desk.payout(first).await.reason.as_deref(), Some("Not now."));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_earned_in_time_and_is_worth_sending_is_paid() {
    let desk = Desk::open().await;
    let old = desk.earn(creator(1), 400).await;
    desk.advance(chrono::TimeDelta::hours(1));
    let noon = desk.now();
    let new = desk.earn(creator(1), 600).await;
    let early = NewPayout { earned_before: Some(noon), ..all_of(creator(1)) };
    let id = desk.try_draft(&early).await.unwrap();
    assert_eq!((desk.payout(id).await.gross, desk.payout(id).await.line_count), (usd(400), 1));
    desk.try_cancel(id).await.unwrap();

    let least = |minor| NewPayout { minimum: Some(usd(minor)), ..all_of(creator(1)) };
    let below = desk.try_draft(&least(1_001)).await.unwrap();
    assert_eq!((desk.payout(below).await.gross, desk.payout(below).await.line_count), (usd(0), 2));
    assert_eq!(
        desk.sql_count("select count(*) from payout_lines where reason = 'BELOW_MINIMUM' and not is_live").await,
        2
    );
    let enough = desk.try_draft(&least(1_000)).await.unwrap();
    desk.try_approve(enough).await.unwrap();
    for id in [old, new] {
        assert_eq!(desk.reward(id).await.state, RewardState::Paid);
    }
    assert_eq!(code(desk.try_draft(&all_of(creator(1))).await), Some(Code::Conflict), "nothing is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_s_rewards_wait_for_the_least_that_its_policy_pays_out() {
    let desk = Desk::open().await;
    let change = async |minimum: Value| {
        let change = "mutation($i: UpdateCampaignInput!) { updateCampaign(input: $i) {
            campaign { rewardPolicy { minimumPayout { amount currency } } } userErrors { code path } } }";
        let campaign = Kind::Campaign.id(super::CAMPAIGN);
        let input = json!({ "campaignId": campaign, "reward": { "minimumPayout": minimum } });
        desk.data(change, json!({ "i": input })).await["updateCampaign"].take()
    };
    let euros = change(json!({ "amount": "10.00", "currency": "EUR" })).await;
    assert_eq!(euros["userErrors"], json!([{ "code": "INVALID", "path": ["reward", "minimumPayout"] }]));
    let ten = json!({ "amount": "10.00", "currency": "USD" });
    assert_eq!(change(ten.clone()).await["campaign"]["rewardPolicy"]["minimumPayout"], ten);

    desk.earn(creator(1), 400).await;
    desk.earn(creator(1), 500).await;
    let reasons = async |id| {
        let sheet = desk.data(SHEET, json!({ "id": payout_id(id) })).await;
        pluck(&sheet["node"]["lines"]["nodes"], "/reason").into_iter().cloned().collect::<Vec<Value>>()
    };
    let least = |minor| NewPayout { minimum: Some(usd(minor)), ..all_of(creator(1)) };
    let below = desk.draft(creator(1)).await;
    assert_eq!(reasons(below).await, ["BELOW_CAMPAIGN_MINIMUM", "BELOW_CAMPAIGN_MINIMUM"]);
    assert_eq!(desk.payout(below).await.gross, usd(0));
    assert_eq!(code(desk.try_approve(below).await), Some(Code::Conflict));
    // The larger of the two minimums holds, whichever that is.
    let smaller = desk.try_draft(&least(500)).await.unwrap();
    assert_eq!(reasons(smaller).await, ["BELOW_CAMPAIGN_MINIMUM", "BELOW_CAMPAIGN_MINIMUM"]);
    desk.earn(creator(1), 100).await;
    let larger = desk.try_draft(&least(1_001)).await.unwrap();
    assert_eq!(reasons(larger).await, ["BELOW_MINIMUM", "BELOW_MINIMUM", "BELOW_MINIMUM"]);
    assert_eq!(desk.pay_out(creator(1)).await.amount, usd(1_000));

    // The policy in force counts, not the one under which the reward was granted.
    desk.earn(creator(1), 100).await;
    assert!(change(Value::Null).await["campaign"]["rewardPolicy"]["minimumPayout"].is_null());
    assert_eq!(desk.pay_out(creator(1)).await.amount, usd(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_creator_is_paid_nothing() {
    let desk = Desk::open().await;
    desk.earn(creator(1), 400).await;
    let before = desk.draft(creator(1)).await;
    desk.execute("update creators set status = 'BANNED' where handle = 'creator1'").await;
    assert_eq!(code(desk.try_approve(before).await), Some(Code::Conflict));
    desk.try_cancel(before).await.unwrap();
    desk.draft(creator(1)).await;
    assert_eq!(desk.sql_count("select count(*) from payout_lines where reason = 'BENEFICIARY_BANNED'").await, 1);
    desk.execute("update creators set status = 'ACTIVE' where handle = 'creator1'").await;
    assert_eq!(desk.pay_out(creator(1)).await.amount, usd(400));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_since_the_sheet_is_left_out() {
    let desk = Desk::open().await;
    let [kept, gone, fraud] =
        [desk.earn(creator(1), 400).await, desk.earn(creator(1), 600).await, desk.earn(creator(1), 50).await];
    desk.refer("eve", &[fraud]).await;
    let id = desk.draft(creator(1)).await;
    assert_eq!(desk.payout(id).await.gross, usd(1_050));
    desk.try_reverse(gone).await.unwrap();
    desk.raise_alert(1, "eve", None).await;
    desk.execute("update fraud_alerts set state = 'CONFIRMED', reviewed_at = raised_at").await;
    desk.try_approve(id).await.unwrap();
    let payout = desk.payout(id).await;
    assert_eq!((payout.amount, payout.payable_count, payout.line_count), (usd(400), 1, 3));
    assert_eq!(desk.standing(creator(1)).await, (50, 400, 0));
    let reasons = desk.texts("select reason as text from payout_lines where not is_payable order by 1").await;
    assert_eq!(reasons, ["FRAUD_CONFIRMED", "TAKEN_BACK"]);
    assert_eq!(desk.reward(kept).await.state, RewardState::Paid);
    assert_eq!(desk.reward(fraud).await.state, RewardState::Available);
}
