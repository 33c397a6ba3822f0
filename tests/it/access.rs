//! Who may ask for what: each field at the root of the schema with each role. A field that is not in the table fails the test.

use std::collections::BTreeSet;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
use grapevine::access::{NewApiKey, Permission, Role, create_key};
use grapevine::base::{Kind, derived_id};
use grapevine::creators::{NewCreator, create};
use serde_json::{Value, json};

use crate::support::TestApp;

/// What a field asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Need {
    /// Any live key.
    Nothing,
    This(Permission),
    /// The permission, and not the key of a single creator: it would tell of others.
    Whole(Permission),
}

use Need::{Nothing, This, Whole};
use Permission as P;

/// Every root field as a call; `$name` stands for an identifier of that kind which names nothing.
const QUERIES: &[(&str, Need)] = &[
    ("attributionRecords { nodes { id } }", This(P::ReadGrowth)),
    ("campaign(slug: \"none\") { id }", This(P::ReadGrowth)),
    ("campaigns { nodes { id } }", This(P::ReadGrowth)),
    ("creator(handle: \"none\") { id }", This(P::ReadGrowth)),
    ("creators { nodes { id } }", This(P::ReadGrowth)),
    ("events { nodes { id } }", This(P::ReadEvents)),
    ("explainConversion(conversionId: \"$conv\") { conversion { id } }", This(P::ReadGrowth)),
    ("fraudAlerts { nodes { id } }", This(P::ReadFraud)),
    ("kFactorCohorts(from: \"2026-01-01\", to: \"2026-01-31\") { __typename }", Whole(P::ReadGrowth)),
    ("link(token: \"none\") { id }", This(P::ReadGrowth)),
    ("member(externalId: \"none\") { id }", This(P::ReadGrowth)),
    ("members { nodes { id } }", This(P::ReadGrowth)),
    ("node(id: \"$creator\") { id }", This(P::ReadGrowth)),
    ("nodes(ids: [\"$creator\"]) { id }", This(P::ReadGrowth)),
    ("referralPath(fromId: \"$member\", toId: \"$member\") { hops }", Whole(P::ReadGrowth)),
    ("referralTree(rootId: \"$member\") { __typename }", Whole(P::ReadGrowth)),
    ("rewards { nodes { id } }", This(P::ReadMoney)),
    ("topReferrers { member { id } }", Whole(P::ReadGrowth)),
    ("viewer { role }", Nothing),
];

const MUTATIONS: &[(&str, Need)] = &[
    ("claimLink(input: {token: \"none\", idempotencyKey: \"k\"}) { userErrors { code } }", This(P::Ingest)),
    (
        "connectPlatformAccount(input: {creatorId: \"$creator\", platform: WEB, externalId: \"x\"}) { userErrors { code } }",
        This(P::WriteGrowth),
    ),
    ("createApiKey(input: {name: \"\", role: VIEWER}) { userErrors { code } }", This(P::Administer)),
    (
        "createCampaign(input: {slug: \"\", name: \"x\", objective: CONVERSION}) { userErrors { code } }",
        This(P::WriteGrowth),
    ),
    ("createCreator(input: {handle: \"\"}) { userErrors { code } }", This(P::WriteGrowth)),
    ("createWebhookSource(input: {name: \"\"}) { userErrors { code } }", This(P::Administer)),
    ("generateLink(input: {campaignId: \"$campaign\", creatorId: \"$creator\"}) { userErrors { code } }", This(P::WriteGrowth)),
    (
        "generateLinks(input: {links: [{campaignId: \"$campaign\", creatorId: \"$creator\"}]}) { userErrors { code } }",
        This(P::WriteGrowth),
    ),
    ("ingestEvents(input: {events: []}) { userErrors { code } }", This(P::Ingest)),
    (
        "issueReward(input: {campaignId: \"$campaign\", creatorId: \"$creator\", kind: CREDIT, amount: {amount: \"1\", currency: \"USD\"},
                             reason: \"x\", idempotencyKey: \"k\"}) { userErrors { code } }",
        This(P::WriteMoney),
    ),
    ("releaseReward(input: {rewardId: \"$reward\"}) { userErrors { code } }", This(P::WriteMoney)),
    ("reverseReward(input: {rewardId: \"$reward\", reason: \"x\"}) { userErrors { code } }", This(P::WriteMoney)),
    (
        "reviewFraudAlert(input: {alertId: \"$alert\", verdict: CONFIRM, note: \"x\"}) { userErrors { code } }",
        This(P::ReviewFraud),
    ),
    ("revokeApiKey(input: {keyId: \"$key\"}) { userErrors { code } }", This(P::Administer)),
    ("revokeLink(input: {linkId: \"$link\"}) { userErrors { code } }", This(P::WriteGrowth)),
    ("updateCampaign(input: {campaignId: \"$campaign\", name: \"x\"}) { userErrors { code } }", This(P::WriteGrowth)),
    ("updateCreator(input: {creatorId: \"$creator\", tier: \"x\"}) { userErrors { code } }", This(P::WriteGrowth)),
];

fn field_names(type_name: &str) -> BTreeSet<String> {
    let schema = parse_schema(grapevine::graphql::sdl()).unwrap();
    let types = schema.definitions.into_iter().filter_map(|definition| match definition {
        TypeSystemDefinition::Type(definition) if definition.node.name.node == type_name => Some(definition.node.kind),
        _ => None,
    });
    let fields = types.flat_map(|kind| if let TypeKind::Object(object) = kind { object.fields } else { Vec::new() });
    fields.map(|field| field.node.name.node.to_string()).collect()
}

fn called_names(table: &[(&str, Need)]) -> BTreeSet<String> {
    let name = |call: &str| call.chars().take_while(|c| c.is_alphanumeric()).collect();
    table.iter().map(|(call, _)| name(call)).collect()
}

#[test]
fn every_root_field_is_in_the_table() {
    assert_eq!(called_names(QUERIES), field_names("Query"));
    assert_eq!(called_names(MUTATIONS), field_names("Mutation"));
}

fn with_ids(call: &str) -> String {
    let kinds = [
        Kind::Creator,
        Kind::Campaign,
        Kind::Member,
        Kind::Reward,
        Kind::Alert,
        Kind::Link,
        Kind::Key,
        Kind::Conversion,
    ];
    kinds.iter().fold(call.to_owned(), |text, kind| {
        text.replace(&format!("${}\"", kind.prefix()), &format!("{}\"", kind.id(derived_id(&[b"nothing"]))))
    })
}

async fn keys(app: &TestApp) -> Vec<(Role, String)> {
    let mut conn = app.db.conn().await.unwrap();
    let creator = NewCreator { handle: "ann".into(), display_name: None, tier: None };
    let creator_id = create(&mut conn, &app.scope, &app.env, &creator).await.unwrap();
    let mut keys = Vec::new();
    for role in Role::ALL.iter().copied() {
        let creator_id = (role == Role::Creator).then_some(creator_id);
        let input = NewApiKey { name: role.as_str().into(), role, creator_id, expires_at: None };
        keys.push((role, create_key(&mut conn, &app.scope, &app.env, input).await.unwrap().1));
    }
    keys
}

async fn check(app: &TestApp, operation: &str, table: &[(&str, Need)]) {
    let mut wrong = Vec::new();
    for (role, key) in keys(app).await {
        for (call, need) in table {
            let answer = app.gql_as(&key, &format!("{operation} {{ {} }}", with_ids(call)), json!({})).await;
            let is_forbidden = answer.to_string().contains("\"FORBIDDEN\"");
            let expected = match need {
                Nothing => false,
                This(permission) => !role.allows(*permission),
                Whole(permission) => !role.allows(*permission) || role == Role::Creator,
            };
            let is_misspelt = answer["data"] == Value::Null && answer["errors"][0].get("path").is_none();
            if is_forbidden != expected || (is_misspelt && !is_forbidden) {
                wrong.push(format!("{}: {call}: {answer}", role.as_str()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_query_what_its_permissions_say() {
    check(&TestApp::start().await, "query", QUERIES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_change_what_its_permissions_say() {
    check(&TestApp::start().await, "mutation", MUTATIONS).await;
}

#[tokio::test]
async fn a_key_that_is_wrong_revoked_or_expired_opens_nothing() {
    let app = TestApp::start().await;
    let mut conn = app.db.conn().await.unwrap();
    let expires_at = Some(app.now() + chrono::TimeDelta::hours(1));
    let input = NewApiKey { name: "short".into(), role: Role::Viewer, creator_id: None, expires_at };
    let (key, secret) = create_key(&mut conn, &app.scope, &app.env, input).await.unwrap();
    let opens = async |secret: &str| {
        let mut conn = app.db.conn().await.unwrap();
        grapevine::access::authenticate(&mut conn, &app.env, secret).await.unwrap().is_some()
    };
    assert!(opens(&secret).await);
    for wrong in ["", "gv_", "gv_wrong", &secret[3..], &format!("{secret}x"), &"gv_".repeat(1_000)] {
        assert!(!opens(wrong).await, "{wrong}");
    }
    app.advance(chrono::TimeDelta::hours(1));
    assert!(!opens(&secret).await, "an expired key");
    assert!(opens(&app.key).await);
    let revoked = grapevine::access::revoke_key(&mut conn, &app.scope, &app.env, key.id).await.unwrap();
    assert!(revoked.is_some_and(|key| key.revoked_at.is_some()));
}
