//! Attacks through GraphQL, and the code that each is answered with.

use grapevine::base::Kind;
use serde_json::{Value, json};

use super::super::creator;
use super::Who::{Bot, Checker, FraudAnalyst, Growth, Ingest, Maker, Stranger, Viewer};
use super::world::{USED, World, amount, nothing, payout, reward};
use super::{Attack, How, Who};

const fn asked(
    name: &'static str,
    expected: &'static str,
    who: Who,
    mutation: &'static str,
    input: fn(&World) -> Value,
) -> Attack {
    Attack { name, how: How::Asked(who, mutation, input), expected }
}

pub const ATTACKS: &[Attack] = &[
    asked("a negative amount", "INVALID", Maker, "issueReward", |_| amount("-1", "USD")),
    asked("zero", "INVALID", Maker, "issueReward", |_| amount("0", "USD")),
    asked("a tenth of a cent", "INVALID", Maker, "issueReward", |_| amount("0.001", "USD")),
    asked("an amount that is no number", "INVALID", Maker, "issueReward", |_| amount("NaN", "USD")),
    asked("an amount with an exponent", "INVALID", Maker, "issueReward", |_| amount("1e28", "USD")),
    asked("an amount with an underscore", "INVALID", Maker, "issueReward", |_| amount("1_000", "USD")),
    asked("an amount in other digits", "INVALID", Maker, "issueReward", |_| amount("\u{661}", "USD")),
    asked("an amount of sixty digits", "INVALID", Maker, "issueReward", |_| amount(&"9".repeat(60), "USD")),
    asked("one more than 64 bits hold", "INVALID", Maker, "issueReward", |_| amount("92233720368547758.08", "USD")),
    asked("one more than any amount may be", "INVALID", Maker, "issueReward", |_| amount("10000000000000.01", "USD")),
    asked("more than the budget holds", "INSUFFICIENT_BUDGET", Maker, "issueReward", |_| amount("10000.01", "USD")),
    asked("another currency than the campaign's", "INVALID", Maker, "issueReward", |_| amount("1", "EUR")),
    asked("a currency in small letters", "INVALID", Maker, "issueReward", |_| amount("1", "usd")),
    asked("a currency that is none", "INVALID", Maker, "issueReward", |_| amount("1", "DOLLARS")),
    asked("a reward to another brand's creator", "NOT_FOUND", Maker, "issueReward", |world| {
        reward(json!({ "creatorId": world.other.creator }))
    }),
    asked("a reward to another brand's member", "NOT_FOUND", Maker, "issueReward", |world| {
        reward(json!({ "creatorId": null, "memberId": world.other.member }))
    }),
    asked("a reward out of another brand's campaign", "NOT_FOUND", Maker, "issueReward", |world| {
        reward(json!({ "campaignId": world.other.campaign }))
    }),
    asked("a reward to two at once", "INVALID", Maker, "issueReward", |world| {
        reward(json!({ "memberId": world.other.member }))
    }),
    asked("a reward to nobody", "INVALID", Maker, "issueReward", |_| reward(json!({ "creatorId": null }))),
    asked("a reward without a reason", "INVALID", Maker, "issueReward", |_| reward(json!({ "reason": " " }))),
    asked("a reward under an empty key", "INVALID", Maker, "issueReward", |_| reward(json!({ "idempotencyKey": "" }))),
    asked("a reward by whom it is no business of", "FORBIDDEN", FraudAnalyst, "issueReward", |_| reward(json!({}))),
    asked(
        "the release of another brand's reward",
        "NOT_FOUND",
        Maker,
        "releaseReward",
        |world| json!({ "rewardId": world.other.reward }),
    ),
    asked(
        "the release of what was released",
        "CONFLICT",
        Maker,
        "releaseReward",
        |world| json!({ "rewardId": world.available }),
    ),
    asked(
        "the release of what was taken back",
        "CONFLICT",
        Maker,
        "releaseReward",
        |world| json!({ "rewardId": world.reversed }),
    ),
    asked(
        "a release by a stranger",
        "NOT_FOUND",
        Stranger,
        "releaseReward",
        |world| json!({ "rewardId": world.escrowed }),
    ),
    asked(
        "a stranger's release under a key of ours",
        "NOT_FOUND",
        Stranger,
        "releaseReward",
        |world| json!({ "rewardId": world.escrowed, "idempotencyKey": USED }),
    ),
    asked(
        "the reversal of another brand's reward",
        "NOT_FOUND",
        Maker,
        "reverseReward",
        |world| json!({ "rewardId": world.other.reward, "reason": "x" }),
    ),
    asked(
        "a second reversal",
        "CONFLICT",
        Maker,
        "reverseReward",
        |world| json!({ "rewardId": world.reversed, "reason": "x" }),
    ),
    asked(
        "a reversal that passes for an automatic one",
        "INVALID",
        Maker,
        "reverseReward",
        |world| json!({ "rewardId": world.escrowed, "reason": "REFUNDED" }),
    ),
    asked("a payout to two at once", "INVALID", Maker, "createPayout", |_| {
        payout(json!({ "memberId": nothing(Kind::Member) }))
    }),
    asked("a payout to nobody", "INVALID", Maker, "createPayout", |_| payout(json!({ "creatorId": null }))),
    asked("a payout to a payout", "INVALID", Maker, "createPayout", |world| {
        payout(json!({ "creatorId": world.draft }))
    }),
    asked("a payout to a creator who is not there", "NOT_FOUND", Maker, "createPayout", |_| {
        payout(json!({ "creatorId": nothing(Kind::Creator) }))
    }),
    asked("a payout to another brand's creator", "NOT_FOUND", Maker, "createPayout", |world| {
        payout(json!({ "creatorId": world.other.creator }))
    }),
    asked("a payout to another brand's member", "NOT_FOUND", Maker, "createPayout", |world| {
        payout(json!({ "creatorId": null, "memberId": world.other.member }))
    }),
    asked("a payout to a creator who is called a member", "NOT_FOUND", Maker, "createPayout", |_| {
        payout(json!({ "creatorId": null, "memberId": Kind::Member.id(creator(1).id()) }))
    }),
    asked("a payout in a currency in small letters", "INVALID", Maker, "createPayout", |_| {
        payout(json!({ "currency": "usd" }))
    }),
    asked("a payout in a currency that is none", "INVALID", Maker, "createPayout", |_| {
        payout(json!({ "currency": "USD\u{0}" }))
    }),
    asked("a payout in money that nobody has earned", "CONFLICT", Maker, "createPayout", |_| {
        payout(json!({ "currency": "EUR" }))
    }),
    asked("a payout of less than nothing", "INVALID", Maker, "createPayout", |_| {
        payout(json!({ "minimum": { "amount": "-1", "currency": "USD" } }))
    }),
    asked("a payout of more than any amount may be", "INVALID", Maker, "createPayout", |_| {
        payout(json!({ "minimum": { "amount": "1e30", "currency": "USD" } }))
    }),
    asked("a payout with a minimum in other money", "INVALID", Maker, "createPayout", |_| {
        payout(json!({ "minimum": { "amount": "1", "currency": "EUR" } }))
    }),
    asked("a payout of what is earned before the year 10000", "INVALID", Maker, "createPayout", |_| {
        payout(json!({ "earnedBefore": "+10000-01-01T00:00:00Z" }))
    }),
    asked("a payout of what was earned before anybody", "CONFLICT", Maker, "createPayout", |_| {
        payout(json!({ "earnedBefore": "0001-01-01T00:00:00Z" }))
    }),
    asked("a payout under an empty key", "INVALID", Maker, "createPayout", |_| payout(json!({ "idempotencyKey": "" }))),
    asked("a payout under a key with a zero character", "INVALID", Maker, "createPayout", |_| {
        payout(json!({ "idempotencyKey": "a\u{0}" }))
    }),
    asked(
        "an approval by who made the payout",
        "FORBIDDEN",
        Maker,
        "approvePayout",
        |world| json!({ "payoutId": world.draft }),
    ),
    asked(
        "an approval by who runs campaigns",
        "FORBIDDEN",
        Growth,
        "approvePayout",
        |world| json!({ "payoutId": world.draft }),
    ),
    asked(
        "an approval by who judges fraud",
        "FORBIDDEN",
        FraudAnalyst,
        "approvePayout",
        |world| json!({ "payoutId": world.draft }),
    ),
    asked(
        "an approval by who may only look",
        "FORBIDDEN",
        Viewer,
        "approvePayout",
        |world| json!({ "payoutId": world.draft }),
    ),
    asked("an approval by a bot", "FORBIDDEN", Bot, "approvePayout", |world| json!({ "payoutId": world.draft })),
    asked(
        "an approval by who sends events",
        "FORBIDDEN",
        Ingest,
        "approvePayout",
        |world| json!({ "payoutId": world.draft }),
    ),
    asked(
        "an approval by a stranger",
        "NOT_FOUND",
        Stranger,
        "approvePayout",
        |world| json!({ "payoutId": world.draft }),
    ),
    asked(
        "a stranger's approval under a key of ours",
        "NOT_FOUND",
        Stranger,
        "approvePayout",
        |world| json!({ "payoutId": world.draft, "idempotencyKey": USED }),
    ),
    asked(
        "the approval of another brand's payout",
        "NOT_FOUND",
        Checker,
        "approvePayout",
        |world| json!({ "payoutId": world.other.payout }),
    ),
    asked(
        "the approval of a payout that is not there",
        "NOT_FOUND",
        Checker,
        "approvePayout",
        |_| json!({ "payoutId": nothing(Kind::Payout) }),
    ),
    asked(
        "the approval of a creator",
        "INVALID",
        Checker,
        "approvePayout",
        |_| json!({ "payoutId": nothing(Kind::Creator) }),
    ),
    asked("a second approval", "CONFLICT", Checker, "approvePayout", |world| json!({ "payoutId": world.approved })),
    asked(
        "the approval of a canceled payout",
        "CONFLICT",
        Checker,
        "approvePayout",
        |world| json!({ "payoutId": world.canceled }),
    ),
    asked(
        "an override without a word",
        "INVALID",
        Checker,
        "approvePayout",
        |world| json!({ "payoutId": world.draft, "overrideReason": " " }),
    ),
    asked(
        "an override with a zero character",
        "INVALID",
        Checker,
        "approvePayout",
        |world| json!({ "payoutId": world.draft, "overrideReason": "\u{0}" }),
    ),
    asked(
        "a cancellation without a word",
        "INVALID",
        Checker,
        "cancelPayout",
        |world| json!({ "payoutId": world.draft, "reason": " " }),
    ),
    asked(
        "the cancellation of another brand's payout",
        "NOT_FOUND",
        Checker,
        "cancelPayout",
        |world| json!({ "payoutId": world.other.payout, "reason": "x" }),
    ),
    asked(
        "the cancellation of an approved payout",
        "CONFLICT",
        Checker,
        "cancelPayout",
        |world| json!({ "payoutId": world.approved, "reason": "x" }),
    ),
    asked(
        "another brand's payout said to be paid",
        "NOT_FOUND",
        Checker,
        "markPayoutPaid",
        |world| json!({ "payoutId": world.other.payout, "providerReference": "x" }),
    ),
    asked(
        "a draft said to be paid",
        "CONFLICT",
        Checker,
        "markPayoutPaid",
        |world| json!({ "payoutId": world.draft, "providerReference": "x" }),
    ),
    asked(
        "a canceled payout said to be paid",
        "CONFLICT",
        Checker,
        "markPayoutPaid",
        |world| json!({ "payoutId": world.canceled, "providerReference": "x" }),
    ),
    asked(
        "a failed payout said to be paid",
        "CONFLICT",
        Checker,
        "markPayoutPaid",
        |world| json!({ "payoutId": world.failed, "providerReference": "x" }),
    ),
    asked(
        "a payment without a name",
        "INVALID",
        Checker,
        "markPayoutPaid",
        |world| json!({ "payoutId": world.approved, "providerReference": "" }),
    ),
    asked(
        "a payment with a line break in its name",
        "INVALID",
        Checker,
        "markPayoutPaid",
        |world| json!({ "payoutId": world.approved, "providerReference": "a\nb" }),
    ),
    asked(
        "a payment with a long name",
        "INVALID",
        Checker,
        "markPayoutPaid",
        |world| json!({ "payoutId": world.approved, "providerReference": "x".repeat(256) }),
    ),
    asked(
        "another brand's payout said to have failed",
        "NOT_FOUND",
        Checker,
        "markPayoutFailed",
        |world| json!({ "payoutId": world.other.payout, "reason": "x" }),
    ),
    asked(
        "a draft said to have failed",
        "CONFLICT",
        Checker,
        "markPayoutFailed",
        |world| json!({ "payoutId": world.draft, "reason": "x" }),
    ),
    asked(
        "a failure twice",
        "CONFLICT",
        Checker,
        "markPayoutFailed",
        |world| json!({ "payoutId": world.failed, "reason": "x" }),
    ),
    asked(
        "a failure with a long story",
        "INVALID",
        Checker,
        "markPayoutFailed",
        |world| json!({ "payoutId": world.approved, "reason": "x".repeat(501) }),
    ),
];

/// Every mutation of money once more under a key that was used, with other arguments.
pub const REPLAYS: &[Attack] = &[
    asked("a reward again for more", "IDEMPOTENCY_KEY_REUSED", Maker, "issueReward", |_| {
        reward(json!({ "idempotencyKey": USED, "amount": { "amount": "2.00", "currency": "USD" } }))
    }),
    asked(
        "a release again of another reward",
        "IDEMPOTENCY_KEY_REUSED",
        Maker,
        "releaseReward",
        |world| json!({ "rewardId": world.escrowed, "idempotencyKey": USED }),
    ),
    asked(
        "a reversal again of another reward",
        "IDEMPOTENCY_KEY_REUSED",
        Maker,
        "reverseReward",
        |world| json!({ "rewardId": world.escrowed, "reason": "It was a mistake.", "idempotencyKey": USED }),
    ),
    asked("a payout again to another creator", "IDEMPOTENCY_KEY_REUSED", Maker, "createPayout", |_| {
        payout(json!({ "idempotencyKey": USED }))
    }),
    asked(
        "an approval again of another payout",
        "IDEMPOTENCY_KEY_REUSED",
        Checker,
        "approvePayout",
        |world| json!({ "payoutId": world.draft, "idempotencyKey": USED }),
    ),
    asked(
        "a cancellation again of another payout",
        "IDEMPOTENCY_KEY_REUSED",
        Maker,
        "cancelPayout",
        |world| json!({ "payoutId": world.draft, "reason": "Not now.", "idempotencyKey": USED }),
    ),
    asked(
        "a payment again of another payout",
        "IDEMPOTENCY_KEY_REUSED",
        Maker,
        "markPayoutPaid",
        |world| json!({ "payoutId": world.approved, "providerReference": "tr_1", "idempotencyKey": USED }),
    ),
    asked(
        "a failure again of another payout",
        "IDEMPOTENCY_KEY_REUSED",
        Maker,
        "markPayoutFailed",
        |world| json!({ "payoutId": world.approved, "reason": "The account is closed.", "idempotencyKey": USED }),
    ),
];
