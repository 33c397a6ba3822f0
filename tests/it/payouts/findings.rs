//! What would have gone wrong unseen: each is a way in which money was lost, sent twice or sent too soon.

use super::{Desk, creator, usd};

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
