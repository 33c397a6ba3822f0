//! What is there to be attacked: rewards and payouts in every state, of two brands, and keys that were used before.

use std::ops::Deref;

use grapevine::access::{NewApiKey, NewBrand, Role, create_brand, create_key};
use grapevine::base::Kind;
use grapevine::ingest::Origin;
use grapevine::platforms::{Scheme, parse};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::{CAMPAIGN, Desk, creator, payout_id};
use super::Who;

/// The key under which each mutation was sent before.
pub const USED: &str = "used";

/// What another brand has, by its public names.
pub struct Other {
    key: String,
    pub creator: String,
    pub campaign: String,
    pub member: String,
    pub reward: String,
    pub payout: String,
}

/// The stand. It derefs to [`Desk`].
pub struct World {
    desk: Desk,
    /// Payouts of our own, by what became of them.
    pub draft: String,
    pub approved: String,
    pub canceled: String,
    pub failed: String,
    /// Rewards of our own.
    pub escrowed: String,
    pub available: String,
    pub reversed: String,
    pub other: Other,
}

impl Deref for World {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.desk
    }
}

/// Puts these fields in the place of those of the same name.
fn merge(mut input: Value, change: Value) -> Value {
    let Value::Object(change) = change else { panic!("{change} is no object") };
    for (name, value) in change {
        input[&name] = value;
    }
    input
}

/// An input of `issueReward` that would be taken, with these changes.
pub fn reward(change: Value) -> Value {
    let input = json!({ "campaignId": Kind::Campaign.id(CAMPAIGN), "creatorId": Kind::Creator.id(creator(1).id()), "kind": "CREDIT",
        "amount": { "amount": "1.00", "currency": "USD" }, "reason": "A good month.", "idempotencyKey": "attack" });
    merge(input, change)
}

/// The same with another amount.
pub fn amount(amount: &str, currency: &str) -> Value {
    reward(json!({ "amount": { "amount": amount, "currency": currency } }))
}

/// An input of `createPayout` that would be taken, with these changes.
pub fn payout(change: Value) -> Value {
    let input =
        json!({ "creatorId": Kind::Creator.id(creator(1).id()), "currency": "USD", "idempotencyKey": "attack" });
    merge(input, change)
}

/// Names that nothing has.
pub fn nothing(kind: Kind) -> String {
    kind.id(Uuid::from_u128(0xdead))
}

/// Sends a mutation and returns its payload, or the answer where there is none.
async fn send(desk: &Desk, key: &str, mutation: &str, input: &Value) -> Value {
    let (first, rest) = mutation.split_at(1);
    let node = if mutation.ends_with("Reward") { "reward" } else { "payout" };
    let query = format!(
        "mutation($i: {}{rest}Input!) {{ {mutation}(input: $i) {{ {node} {{ id state }} userErrors {{ code path message }} }} }}",
        first.to_uppercase()
    );
    let mut answer = desk.gql_as(key, &query, json!({ "i": input })).await;
    if answer["data"].is_null() { answer } else { answer["data"][mutation].take() }
}

/// The identifier of what a mutation made or moved.
async fn done(desk: &Desk, key: &str, mutation: &str, input: Value) -> String {
    let answer = send(desk, key, mutation, &input).await;
    let id = [&answer["reward"]["id"], &answer["payout"]["id"]].into_iter().find_map(Value::as_str);
    id.unwrap_or_else(|| panic!("{mutation} {input}: {answer}")).to_owned()
}

impl World {
    pub async fn open() -> Self {
        let desk = Desk::open().await;
        let earned = desk.earn(creator(1), 5_000).await;
        let draft = payout_id(desk.draft(creator(1)).await);
        desk.earn(creator(2), 700).await;
        let approved = payout_id(desk.pay_out(creator(2)).await.id);
        desk.earn(creator(3), 300).await;
        let canceled = desk.draft(creator(3)).await;
        desk.try_cancel(canceled).await.unwrap();
        let escrowed = desk.try_issue(creator(4), 400).await.unwrap();
        let reversed = desk.try_issue(creator(4), 200).await.unwrap();
        desk.try_reverse(reversed).await.unwrap();
        let failed = use_keys(&desk).await;
        let other = other_brand(&desk).await;
        let [escrowed, available, reversed] = [escrowed, earned, reversed].map(|id| Kind::Reward.id(id));
        let canceled = payout_id(canceled);
        Self { desk, draft, approved, canceled, failed, escrowed, available, reversed, other }
    }

    pub async fn send(&self, key: &str, mutation: &str, input: &Value) -> Value {
        send(&self.desk, key, mutation, input).await
    }

    pub async fn key(&self, who: Who) -> String {
        let role = match who {
            Who::Maker => return self.maker_key.clone(),
            Who::Checker => return self.checker_key.clone(),
            Who::Stranger => return self.other.key.clone(),
            Who::Growth => Role::Growth,
            Who::FraudAnalyst => Role::FraudAnalyst,
            Who::Viewer => Role::Viewer,
            Who::Bot => Role::Bot,
            Who::Ingest => Role::Ingest,
        };
        self.key_of(role).await
    }
}

/// Sends every mutation of money once under [`USED`], and returns a payout that failed.
async fn use_keys(desk: &Desk) -> String {
    let (maker, checker) = (&desk.maker_key, &desk.checker_key);
    let creator5 = Kind::Creator.id(creator(5).id());
    let input = reward(json!({ "creatorId": creator5, "idempotencyKey": USED }));
    let reward = done(desk, maker, "issueReward", input).await;
    done(desk, maker, "releaseReward", json!({ "rewardId": reward, "idempotencyKey": USED })).await;
    let input = payout(json!({ "creatorId": creator5, "idempotencyKey": USED }));
    let paid = done(desk, maker, "createPayout", input).await;
    done(desk, checker, "approvePayout", json!({ "payoutId": paid, "idempotencyKey": USED })).await;
    let input = json!({ "payoutId": paid, "providerReference": "tr_1", "idempotencyKey": USED });
    done(desk, maker, "markPayoutPaid", input).await;
    let reward = Kind::Reward.id(desk.earn(creator(6), 100).await);
    let canceled = payout_id(desk.draft(creator(6)).await);
    let input = json!({ "payoutId": canceled, "reason": "Not now.", "idempotencyKey": USED });
    done(desk, maker, "cancelPayout", input).await;
    let failed = payout_id(desk.pay_out(creator(6)).await.id);
    let input = json!({ "payoutId": failed, "reason": "The account is closed.", "idempotencyKey": USED });
    done(desk, maker, "markPayoutFailed", input).await;
    let input = json!({ "rewardId": reward, "reason": "It was a mistake.", "idempotencyKey": USED });
    done(desk, maker, "reverseReward", input).await;
    failed
}

/// Another brand with a creator, a campaign, a member, a reward and a payout, and its key.
async fn other_brand(desk: &Desk) -> Other {
    let mut conn = desk.db.conn().await.unwrap();
    let brand = NewBrand { slug: "globex".into(), name: "Globex".into(), currency: "USD".parse().unwrap() };
    let scope = create_brand(&mut conn, &desk.env, brand).await.unwrap().scope();
    let input = NewApiKey { name: "b".into(), role: Role::Admin, creator_id: None, expires_at: None };
    let (_, key) = create_key(&mut conn, &scope, &desk.env, input).await.unwrap();
    drop(conn);
    let make = "mutation { c: createCreator(input: {handle: \"own\"}) { creator { id } }
        m: createCampaign(input: {slug: \"own\", name: \"Own\", objective: CONVERSION, destinationUrl: \"https://b.example/\",
            budget: {amount: \"100\", currency: \"USD\"}, reward: {kind: CREDIT, escrowDays: 0}}) { campaign { id } } }";
    let made = desk.gql_as(&key, make, json!({})).await;
    let creator = made["data"]["c"]["creator"]["id"].as_str().unwrap().to_owned();
    let campaign = made["data"]["m"]["campaign"]["id"].as_str().unwrap().to_owned();
    let input = reward(json!({ "campaignId": campaign, "creatorId": creator }));
    let reward = done(desk, &key, "issueReward", input).await;
    let payout = done(desk, &key, "createPayout", payout(json!({ "creatorId": creator }))).await;
    let signup = json!([{"event_type": "signup", "user_id": "their", "campaign": "own"}]);
    let items = parse(Scheme::Generic, signup.to_string().as_bytes()).items;
    desk.door.accept(&Origin::first_party(scope), items).await.unwrap();
    desk.drain().await;
    let member = desk.gql_as(&key, "{ member(externalId: \"their\") { id } }", json!({})).await;
    let member = member["data"]["member"]["id"].as_str().unwrap().to_owned();
    Other { key, creator, campaign, member, reward, payout }
}
