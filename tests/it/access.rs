//! Who may ask for what: each root field by role, and nothing of another brand or another creator by any identifier, name, cursor or key.
//! The tables are checked against the schema, so that a field or an argument that nobody thought of fails here.

mod tables;

use std::collections::BTreeSet;
use std::time::Duration;

use async_graphql::Request;
use futures_util::StreamExt;
use grapevine::access::{NewApiKey, NewBrand, Role, Scope, authenticate, create_brand, create_key};
use grapevine::app::App;
use grapevine::base::Kind;
use grapevine::graphql::{RequestContext, schema};
use grapevine::ingest::NewSource;
use grapevine::platforms::{Scheme, sign_generic};
use serde_json::{Value, json};
use uuid::Uuid;

use self::tables::{ALLOWED, ARGUMENTS, LETTERS, NAMES};
use crate::graphql::world::{at, pluck, setting, story, tell};
use crate::support::{TestApp, make_source};

/// What introspection tells of a type, as deep as arguments go.
const SCHEMA: &str =
    "{ __schema { types { name fields { name args { name type { ...T } } } inputFields { name type { ...T } } } } }
    fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// Everything of a brand that a list shows.
const EVERYTHING: &str = "{ creators(first: 100) { edges { cursor } nodes { id handle tier platformAccounts { externalId } links { nodes { id revokedAt } } } }
    campaigns { edges { cursor } nodes { id name } } members { edges { cursor } nodes { id } }
    attributionRecords(first: 100) { edges { cursor } nodes { id conversion { id } touchpoint { id } } }
    rewards { edges { cursor } nodes { id state } } payouts { edges { cursor } nodes { id state } } fraudAlerts { edges { cursor } nodes { id state } } events(first: 100) { edges { cursor } nodes { id } }
    webhookSources { edges { cursor } nodes { id name previousSecretExpiresAt } }
    webhookEndpoints { edges { cursor } nodes { id url kinds disabledAt previousSecretExpiresAt deliveries { totalCount } } } }";

struct Other {
    key: String,
    scope: Scope,
}

/// A second brand with a creator, a campaign, a link and a member of its own.
async fn other_brand(app: &TestApp) -> (Other, [String; 3]) {
    let mut conn = app.db.conn().await.unwrap();
    let brand = NewBrand { slug: "globex".into(), name: "Globex".into(), currency: "USD".parse().unwrap() };
    let scope = create_brand(&mut conn, &app.env, brand).await.unwrap().scope();
    let input = NewApiKey { name: "b".into(), role: Role::Admin, creator_id: None, expires_at: None };
    let (_, key) = create_key(&mut conn, &scope, &app.env, input).await.unwrap();
    drop(conn);
    let make = "mutation { creator: createCreator(input: {handle: \"own\"}) { creator { id } }
        campaign: createCampaign(input: {slug: \"own\", name: \"Own\", objective: CONVERSION, destinationUrl: \"https://b.example/\",
            budget: {amount: \"100\", currency: \"USD\"}}) { campaign { id } } }";
    let mut made = app.gql_as(&key, make, json!({})).await["data"].take();
    let campaign = made["campaign"]["campaign"]["id"].take();
    let link = "mutation($c: ID!) { generateLink(input: {campaignId: $c, memberExternalId: \"own\"}) { link { owner { ... on Member { id } } } } }";
    let mut linked = app.gql_as(&key, link, json!({ "c": campaign })).await["data"].take();
    let ids = [made["creator"]["creator"]["id"].take(), campaign, linked["generateLink"]["link"]["owner"]["id"].take()];
    (Other { key, scope }, ids.map(|id| id.as_str().unwrap().to_owned()))
}

/// The first brand's history, with a blocked click and a webhook source.
async fn first_brand() -> TestApp {
    let app = setting().await;
    app.source().await;
    let make = "mutation { createWebhookEndpoint(input: {url: \"https://a.example/hooks\", kinds: [\"reward.*\"]}) { endpoint { id } } }";
    app.data(make, json!({})).await;
    story(&app).await;
    let bot = json!({ "event_type": "click", "link_token": "link-1", "anonymous_id": "bot", "user_agent": "curl/8.5.0", "timestamp": at(&app, -5) });
    tell(&app, vec![bot]).await;
    let draft = "mutation($id: ID!) { createPayout(input: {creatorId: $id, currency: \"USD\", idempotencyKey: \"d\"}) { payout { id } } }";
    app.data(draft, json!({ "id": Kind::Creator.id(Uuid::from_u128(0xc1)) })).await;
    app
}

/// An answer without what differs from request to request.
fn plain(mut answer: Value, id: &str) -> String {
    for error in answer.get_mut("errors").and_then(Value::as_array_mut).into_iter().flatten() {
        error["extensions"].as_object_mut().unwrap().remove("requestId");
    }
    answer.to_string().replace(id, "ID")
}

/// The names of a type's fields, with the paths of all arguments of type ID.
fn fields_of(types: &Value, name: &str) -> Vec<(String, Vec<String>)> {
    let fields = type_of(types, name)["fields"].as_array().unwrap();
    let read = |field: &Value| {
        let (name, mut paths) = (field["name"].as_str().unwrap().to_owned(), Vec::new());
        walk(types, &name, &field["args"], &mut paths);
        (name, paths)
    };
    fields.iter().map(read).collect()
}

fn type_of<'a>(types: &'a Value, name: &str) -> &'a Value {
    types.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()
}

fn walk(types: &Value, prefix: &str, inputs: &Value, paths: &mut Vec<String>) {
    for input in inputs.as_array().unwrap() {
        let path = format!("{prefix}.{}", input["name"].as_str().unwrap());
        let mut base = &input["type"];
        while base["ofType"].is_object() {
            base = &base["ofType"];
        }
        match (base["kind"].as_str().unwrap(), base["name"].as_str().unwrap()) {
            ("INPUT_OBJECT", name) => walk(types, &path, &type_of(types, name)["inputFields"], paths),
            (_, "ID") => paths.push(path),
            _ => {}
        }
    }
}

/// The scope that a key opens.
async fn scope_of(app: &TestApp, key: &str) -> Scope {
    authenticate(&mut app.db.conn().await.unwrap(), &app.env, key).await.unwrap().unwrap()
}

async fn creators_key(app: &TestApp, creator: Uuid) -> String {
    let input = NewApiKey { name: "c".into(), role: Role::Creator, creator_id: Some(creator), expires_at: None };
    create_key(&mut app.db.conn().await.unwrap(), &app.scope, &app.env, input).await.unwrap().1
}

/// The code of the first thing that a subscription says within a moment; none where it waits for something to tell.
async fn subscribed(app: &TestApp, key: &str, query: &str) -> Option<String> {
    let context = RequestContext::new(app, scope_of(app, key).await);
    let request = Request::new(query).data(context);
    let schema = schema(App::clone(app));
    let mut stream = Box::pin(schema.execute_stream(request));
    let first = tokio::time::timeout(Duration::from_millis(200), stream.next()).await.ok()??;
    Some(serde_json::to_value(&first).unwrap()["errors"][0]["extensions"]["code"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_root_field_is_for_the_roles_of_the_table() {
    let app = setting().await;
    let types = app.data(SCHEMA, json!({})).await["__schema"]["types"].take();
    let names = |name: &str| fields_of(&types, name).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let there = [names("Query"), names("Mutation"), names("Subscription")].concat();
    assert_eq!(there, ALLOWED.map(|(name, ..)| name), "a field is in the schema and not in the table, or moved");
    let mutation = names("Query").len();
    let subscription = mutation + names("Mutation").len();
    for (letter, role) in LETTERS {
        let key = match role {
            Role::Creator => creators_key(&app, Uuid::from_u128(0xc1)).await,
            role => app.key_of(role).await,
        };
        for (index, (name, call, letters)) in ALLOWED.into_iter().enumerate() {
            let code = if index >= subscription {
                subscribed(&app, &key, &format!("subscription {{ {name}{call} }}")).await
            } else {
                let kind = if index < mutation { "query" } else { "mutation" };
                let answer = app.gql_as(&key, &format!("{kind} {{ {name}{call} }}"), json!({})).await;
                answer["errors"][0]["extensions"]["code"].as_str().map(str::to_owned)
            };
            let is_refused = code.as_deref() == Some("FORBIDDEN");
            assert_eq!(is_refused, !letters.contains(letter), "{name} as {role:?}: {code:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brand_finds_nothing_of_another_by_any_identifier_or_name() {
    let app = first_brand().await;
    let types = app.data(SCHEMA, json!({})).await["__schema"]["types"].take();
    let paths = ["Query", "Mutation"].map(|name| fields_of(&types, name).into_iter().flat_map(|(_, paths)| paths));
    let there: BTreeSet<String> = paths.into_iter().flatten().collect();
    let table: BTreeSet<String> = ARGUMENTS.iter().map(|(path, ..)| (*path).to_owned()).collect();
    let missing: Vec<&String> = there.difference(&table).collect();
    assert!(missing.is_empty(), "arguments that take an identifier and are not in the table: {missing:?}");

    // A tablet turns out to be Ann's.
    let tablet = json!({ "event_type": "click", "anonymous_id": "tablet", "timestamp": at(&app, -4) });
    tell(&app, vec![tablet, json!({ "event_type": "identify", "user_id": "ann", "anonymous_id": "tablet" })]).await;
    let merge: Uuid = app.texts("select id::text as text from identity_merges").await[0].parse().unwrap();
    let (other, [creator, campaign, member]) = other_brand(&app).await;
    let before = app.data(EVERYTHING, json!({})).await;
    let id_of = |kind: Kind| match kind {
        Kind::Key => kind.id(app_key(&app)),
        Kind::Merge => kind.id(merge),
        Kind::Conversion => text(&before["attributionRecords"]["nodes"][0]["conversion"]["id"]),
        Kind::Link => text(&before["creators"]["nodes"][0]["links"]["nodes"][0]["id"]),
        kind => {
            let list = match kind {
                Kind::Creator => "creators",
                Kind::Campaign => "campaigns",
                Kind::Member => "members",
                Kind::Reward => "rewards",
                Kind::Payout => "payouts",
                Kind::Event => "events",
                Kind::Source => "webhookSources",
                Kind::Endpoint => "webhookEndpoints",
                _ => "fraudAlerts",
            };
            text(&before[list]["nodes"][0]["id"])
        }
    };
    let ask = async |query: &str, id: &str| {
        let query = query.replace("ID", id).replace("CAMPAIGN", &campaign).replace("CREATOR", &creator);
        let query = query.replace("MEMBER", &member);
        plain(app.gql_as(&other.key, &query, json!({})).await, id)
    };
    for (path, kind, query) in ARGUMENTS {
        let never = kind.id(Uuid::from_u128(0xdead));
        assert_eq!(ask(query, &id_of(kind)).await, ask(query, &never).await, "{path}");
    }
    for (name, query) in NAMES {
        assert_eq!(ask(query, name).await, ask(query, "nobody").await, "{query}");
    }
    let mut ids = Vec::new();
    identifiers(&before, &mut ids);
    assert!(ids.len() > 90, "{}", ids.len());
    for id in &ids {
        assert_eq!(ask("{ node(id: \"ID\") { id } }", id).await, "{\"data\":{\"node\":null}}", "{id}");
    }
    let nodes = app.gql_as(
        &other.key,
        "query($ids: [ID!]!) { nodes(ids: $ids) { id } }",
        json!({ "ids": ids[..100.min(ids.len())] }),
    );
    assert!(nodes.await["data"]["nodes"].as_array().unwrap().iter().all(Value::is_null));
    app.drain().await;
    assert_eq!(app.data(EVERYTHING, json!({})).await, before, "the other brand changed something");
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_keys_and_addresses_of_another_brand_open_nothing() {
    let app = first_brand().await;
    let (other, [creator, ..]) = other_brand(&app).await;
    let everything = app.data(EVERYTHING, json!({})).await;
    for list in [
        "creators",
        "campaigns",
        "members",
        "attributionRecords",
        "rewards",
        "payouts",
        "fraudAlerts",
        "events",
        "webhookSources",
        "webhookEndpoints",
    ] {
        for (side, size) in [("after", "first"), ("before", "last")] {
            let query =
                format!("query($c: String) {{ {list}({size}: 500, {side}: $c) {{ totalCount nodes {{ id }} }} }}");
            let edges = everything[list]["edges"].as_array().unwrap();
            assert!(!edges.is_empty(), "{list}");
            let answer = app.gql_as(&other.key, &query, json!({ "c": edges[0]["cursor"] })).await;
            let mut ids = Vec::new();
            identifiers(&answer["data"], &mut ids);
            assert!(
                answer["errors"].is_null() && ids.iter().all(|id| !everything.to_string().contains(id)),
                "{list}: {answer}"
            );
        }
    }
    let stolen = "mutation { createCreator(input: {handle: \"creator1\", idempotencyKey: \"same\"}) { creator { id } userErrors { code } } }";
    let first = app.data(&stolen.replace("creator1", "new"), json!({})).await;
    let second = app.gql_as(&other.key, stolen, json!({})).await["data"].take();
    assert!(second["createCreator"]["creator"]["id"].is_string(), "{second}");
    assert_ne!(first["createCreator"]["creator"]["id"], second["createCreator"]["creator"]["id"]);
    assert_ne!(second["createCreator"]["creator"]["id"], creator.as_str());

    // The address of a source says the brand, so that a signature of another brand's source is none.
    let mine = app.source().await;
    let input = NewSource { name: "b".into(), scheme: Scheme::Generic, secret: None };
    let secret = make_source(&app, &other.scope, &input).await.secret;
    let post = async |slug: &str| {
        let (body, url) = ("{\"event_type\":\"click\"}", format!("{}/webhooks/{slug}", app.serve().await));
        let signature = sign_generic(secret.as_bytes(), body.as_bytes());
        let answer = app.client.post(url).header("x-webhook-signature", signature).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let refused = post(&mine.slug).await;
    assert_eq!(refused.0, 401);
    assert_eq!(refused, post(&"0".repeat(mine.slug.len())).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creators_key_sees_its_own_alone() {
    let app = first_brand().await;
    let key = creators_key(&app, Uuid::from_u128(0xc1)).await;
    let query = "{ creators { totalCount nodes { handle links { nodes { token owner { ... on Creator { handle } } campaign { creators { nodes { handle } } } } }
            attributionRecords { nodes { creator { handle } } } balances { amount } } }
        campaigns { nodes { creators { totalCount nodes { handle } } attributionRecords { totalCount nodes { creator { handle } } } } }
        members { nodes { id externalId } }
        attributionRecords(first: 20) { totalCount nodes { creator { handle } referrer { id } touchpoint { creator { handle } link { token } }
            conversion { member { externalId } attribution { creator { handle } } } } }
        rewards { nodes { beneficiary { ... on Creator { handle } ... on Member { externalId } } } } }";
    let seen = app.gql_as(&key, query, json!({})).await;
    assert!(seen["errors"].is_null(), "{seen:#}");
    let all = seen.to_string();
    for foreign in ["creator2", "creator3", "link-2", "\"ann\"", "\"bob\""] {
        assert!(!all.contains(foreign), "{foreign}: {seen:#}");
    }
    let data = &seen["data"];
    assert_eq!((&data["creators"]["totalCount"], &data["attributionRecords"]["totalCount"]), (&json!(1), &json!(10)));
    assert_eq!(
        pluck(&data["attributionRecords"]["nodes"], "/conversion/attribution/0/creator/handle"),
        ["creator1"; 10]
    );
    assert_eq!(data["campaigns"]["nodes"][0]["attributionRecords"]["totalCount"], 10);

    let everything = app.data(EVERYTHING, json!({})).await;
    let own = |id: &str| app.gql_as(&key, "query($id: ID!) { node(id: $id) { id } }", json!({ "id": id }));
    let theirs = &everything["creators"]["nodes"][1];
    for id in [
        &theirs["id"],
        &theirs["links"]["nodes"][0]["id"],
        &everything["members"]["nodes"][0]["id"],
        &everything["rewards"]["nodes"][0]["id"],
    ] {
        assert_eq!(own(id.as_str().unwrap()).await, json!({ "data": { "node": null } }), "{id}");
    }
    let mut found = 0;
    for record in everything["attributionRecords"]["nodes"].as_array().unwrap() {
        for id in [&record["id"], &record["touchpoint"]["id"]] {
            found += usize::from(own(id.as_str().unwrap()).await["data"]["node"].is_object());
        }
    }
    assert_eq!(found, 20, "its own ten records, and the touch of each");
    for query in [
        "{ link(token: \"link-2\") { id } }",
        "{ creator(handle: \"creator2\") { id } }",
        "{ member(externalId: \"ann\") { id } }",
    ] {
        let answer = app.gql_as(&key, query, json!({})).await;
        assert!(
            answer["errors"].is_null() && answer["data"].as_object().unwrap().values().all(Value::is_null),
            "{answer}"
        );
    }
}

/// The key that the first brand began with.
fn app_key(app: &TestApp) -> Uuid {
    let scope = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(scope_of(app, &app.key)));
    scope.key_id.unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no identifier: {value}")).to_owned()
}

/// Every identifier in an answer.
fn identifiers(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| identifiers(one, found)),
        Value::Object(all) => {
            found.extend(all.get("id").and_then(Value::as_str).map(str::to_owned));
            all.values().for_each(|one| identifiers(one, found));
        }
        _ => {}
    }
}
