//! Two at once: one of them wins, the other is told, and the books are the same as if they had come one after the other. A thousand at
//! once are in `crowd.rs`.

use grapevine::base::Code;
use grapevine::payouts::PayoutState;
use grapevine::rewards::RewardState;

use super::{Desk, code, creator, usd};

/// How often each race is run.
const ROUNDS: usize = 12;

/// How many took effect, where the others were refused as coming too late.
fn winners(outcomes: &[Option<Code>]) -> usize {
    assert!(outcomes.iter().all(|outcome| matches!(outcome, None | Some(Code::Conflict))), "{outcomes:?}");
    outcomes.iter().filter(|outcome| outcome.is_none()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_and_a_cancellation_at_once_are_one_of_them() {
    let desk = Desk::open().await;
    for _ in 0..ROUNDS {
        desk.earn(creator(1), 100).await;
        let id = desk.draft(creator(1)).await;
        let (approved, canceled, again) = tokio::join!(desk.try_approve(id), desk.try_cancel(id), desk.try_approve(id));
        assert_eq!(winners(&[code(approved), code(canceled), code(again)]), 1);
        if desk.payout(id).await.state == PayoutState::Canceled {
            desk.pay_out(creator(1)).await;
        }
    }
    assert_eq!(desk.standing(creator(1)).await, (0, 100 * i64::try_from(ROUNDS).unwrap(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_payouts_at_once_never_hold_the_same_reward() {
    let desk = Desk::open().await;
    for _ in 0..ROUNDS {
        for minor in [10, 20, 30] {
            desk.earn(creator(1), minor).await;
        }
        let (one, other) = tokio::join!(desk.draft(creator(1)), desk.draft(creator(1)));
        let (one, other) = (desk.payout(one).await, desk.payout(other).await);
        assert_eq!(one.gross.minor + other.gross.minor, 60, "each reward stands in one of them");
        let full = if one.gross.minor == 60 { one } else { other };
        desk.try_approve(full.id).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_approvals_at_once_settle_a_debt_once() {
    let desk = Desk::open().await;
    for _ in 0..ROUNDS {
        let paid = desk.earn(creator(1), 150).await;
        let sent = desk.pay_out(creator(1)).await;
        desk.try_pay(sent.id).await.unwrap();
        desk.try_reverse(paid).await.unwrap();
        desk.earn(creator(1), 100).await;
        let first = desk.draft(creator(1)).await;
        desk.earn(creator(1), 100).await;
        let second = desk.draft(creator(1)).await;
        let (one, other) = tokio::join!(desk.try_approve(first), desk.try_approve(second));
        assert_eq!((code(one), code(other)), (None, None));
        let (one, other) = (desk.payout(first).await, desk.payout(second).await);
        assert_eq!((one.netted.minor + other.netted.minor, one.amount.minor + other.amount.minor), (150, 50));
        assert_eq!(desk.standing(creator(1)).await.2, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_who_says_both_is_believed_once() {
    let desk = Desk::open().await;
    for _ in 0..ROUNDS {
        desk.earn(creator(1), 100).await;
        let id = desk.pay_out(creator(1)).await.id;
        let (paid, failed, again) = tokio::join!(desk.try_pay(id), desk.try_fail(id), desk.try_fail(id));
        assert_eq!(winners(&[code(paid), code(failed), code(again)]), 1);
        if desk.payout(id).await.state == PayoutState::Failed {
            let again = desk.pay_out(creator(1)).await;
            assert_eq!(again.amount, usd(100));
            desk.try_pay(again.id).await.unwrap();
        }
    }
    assert_eq!(desk.standing(creator(1)).await.1, 100 * i64::try_from(ROUNDS).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_and_a_reversal_at_once_end_reversed_with_nothing_left() {
    let desk = Desk::open().await;
    for _ in 0..ROUNDS {
        let id = desk.try_issue(creator(1), 100).await.unwrap();
        let (released, reversed) = tokio::join!(desk.try_release(id), desk.try_reverse(id));
        assert!(matches!(code(released), None | Some(Code::Conflict)));
        assert_eq!(code(reversed), None, "what was released can be taken back as well");
        assert_eq!(desk.reward(id).await.state, RewardState::Reversed);
    }
    assert_eq!((desk.standing(creator(1)).await, desk.budget().await), ((0, 0, 0), 1_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_and_an_approval_at_once_leave_no_cent_between_them() {
    let desk = Desk::open().await;
    for _ in 0..ROUNDS {
        let [gone, _kept] = [desk.earn(creator(1), 100).await, desk.earn(creator(1), 50).await];
        let id = desk.draft(creator(1)).await;
        let (approved, reversed) = tokio::join!(desk.try_approve(id), desk.try_reverse(gone));
        assert_eq!((code(approved), code(reversed)), (None, None));
        let (payable, _, owed) = desk.standing(creator(1)).await;
        let gross = desk.payout(id).await.gross;
        // Taken out before the approval, or owed after it.
        assert!((gross, payable) == (usd(50), 0) || (gross, payable) == (usd(150), 0), "{gross} {payable} {owed}");
    }
    let (payable, paid_out, owed) = desk.standing(creator(1)).await;
    let spent = 1_000_000 - desk.budget().await;
    assert_eq!(
        (payable, paid_out - owed, spent),
        (0, 50 * i64::try_from(ROUNDS).unwrap(), 50 * i64::try_from(ROUNDS).unwrap())
    );
}
