//! `moveMember`, one rule at a time, through the API.

use chrono::TimeDelta;
use grapevine::access::{NewApiKey, NewBrand, Role, create_brand, create_key};
use grapevine::members::forget_identity;
use scoped_futures::ScopedFutureExt;
use serde_json::{Value, json};
use uuid::Uuid;

use super::planting::{Above, Seed, chain, grow, sow};
use super::to_id;
use crate::support::TestApp;

const MOVE: &str = "mutation($i: MoveMemberInput!) { moveMember(input: $i) {
    member { id depth referrer { id } } userErrors { code path message } } }";

const PLACE: &str = "query($id: ID!) { member(id: $id) { depth path refereeCount root { id }
    moves { previousReferrer { id } newReferrer { id } movedMembers reason movedAt } downline { size byDegree { degree members } } } }";

fn input(id: Uuid, to_id: Option<Uuid>, key: &str) -> Value {
    json!({ "memberId": super::to_id(id), "newReferrerId": to_id.map(super::to_id), "reason": "A test.", "idempotencyKey": key })
}

async fn send(app: &TestApp, input: Value) -> Value {
    app.data(MOVE, json!({ "i": input })).await["moveMember"].take()
}

/// Moves, which must be allowed; the key is the two names.
async fn shift(app: &TestApp, id: Uuid, to_id: Option<Uuid>) -> Value {
    let mut made = send(app, input(id, to_id, &format!("{id} to {to_id:?} at {}", app.env.new_id()))).await;
    assert_eq!(made["userErrors"], json!([]));
    made["member"].take()
}

/// The code and the field of a refusal.
async fn refused(app: &TestApp, input: Value) -> (String, String) {
    let made = send(app, input).await;
    assert_eq!((&made["member"], made["userErrors"].as_array().unwrap().len()), (&Value::Null, 1), "{made}");
    let error = &made["userErrors"][0];
    (error["code"].as_str().unwrap().to_owned(), error["path"][0].as_str().unwrap_or_default().to_owned())
}

async fn place(app: &TestApp, id: Uuid) -> Value {
    app.data(PLACE, json!({ "id": to_id(id) })).await["member"].take()
}

fn told(code: &str, field: &str) -> (String, String) {
    (code.to_owned(), field.to_owned())
}

#[tokio::test]
async fn a_member_cannot_move_below_itself_however_deep() {
    let app = TestApp::start().await;
    let ids = grow(&app, "m", &chain(200)).await;
    let before = place(&app, ids[1]).await;
    for (id, to_id) in
        [(0, 0), (0, 1), (1, 199), (62, 63), (63, 63), (63, 64), (62, 199), (126, 127), (126, 190), (0, 126)]
    {
        let asked = input(ids[id], Some(ids[to_id]), &format!("{id} {to_id}"));
        assert_eq!(refused(&app, asked).await, told("CYCLE", "newReferrerId"), "{id} below {to_id}");
    }
    assert_eq!(place(&app, ids[1]).await, before);
    assert_eq!(app.sql_count("select count(*) from member_moves").await, 0);
}

#[tokio::test]
async fn what_does_not_exist_or_is_not_ours_is_not_found() {
    let app = TestApp::start().await;
    let ids = grow(&app, "m", &chain(2)).await;
    let nobody = Uuid::from_u128(7);
    let theirs = {
        let mut conn = app.db.conn().await.unwrap();
        let brand = NewBrand { slug: "globex".into(), name: "Globex".into(), currency: "USD".parse().unwrap() };
        let scope = create_brand(&mut conn, &app.env, brand).await.unwrap().scope();
        let seed = Seed::new("m0".into(), Above::Nobody, app.now());
        sow(&mut conn, &scope, &app.env, &[seed]).await.unwrap()[0].id
    };
    for strange in [nobody, theirs] {
        assert_eq!(refused(&app, input(strange, Some(ids[0]), "a")).await, told("NOT_FOUND", "memberId"));
        assert_eq!(refused(&app, input(strange, None, "a")).await, told("NOT_FOUND", "memberId"));
        assert_eq!(refused(&app, input(strange, Some(strange), "a")).await, told("NOT_FOUND", "memberId"));
        assert_eq!(refused(&app, input(ids[1], Some(strange), "a")).await, told("NOT_FOUND", "newReferrerId"));
    }
    for (field, wrong) in
        [("memberId", "creator_00000000000000000000000000"), ("memberId", ""), ("newReferrerId", "m0")]
    {
        let mut asked = input(ids[1], None, "a");
        asked[field] = json!(wrong);
        assert_eq!(refused(&app, asked).await, told("INVALID", field), "{wrong}");
    }
    assert_eq!(shift(&app, ids[1], None).await["depth"], 0, "a refusal leaves the key free");
}

#[tokio::test]
async fn only_those_who_may_change_the_forest_move_members() {
    let app = TestApp::start().await;
    let ids = grow(&app, "m", &chain(2)).await;
    let creator = app.data("mutation { createCreator(input: {handle: \"zoe\"}) { creator { id } } }", json!({})).await;
    let creator_id = creator["createCreator"]["creator"]["id"].as_str().unwrap();
    let creator_id = grapevine::base::Kind::Creator.parse(creator_id);
    let (may, may_not): (Vec<Role>, Vec<Role>) =
        Role::ALL.into_iter().partition(|role| matches!(role, Role::Admin | Role::Growth));
    let ask = async |role: Role| {
        let creator_id = creator_id.filter(|_| role == Role::Creator);
        let wanted = NewApiKey { name: "k".into(), role, creator_id, expires_at: None };
        let (_, key) = create_key(&mut app.db.conn().await.unwrap(), &app.scope, &app.env, wanted).await.unwrap();
        app.gql_as(&key, MOVE, json!({ "i": input(ids[1], None, "k") })).await
    };
    for role in may_not {
        let answer = ask(role).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{role:?}: {answer}");
    }
    assert_eq!(app.sql_count("select count(*) from member_moves").await, 0);
    for role in may {
        let answer = ask(role).await;
        assert_eq!(answer["data"]["moveMember"]["userErrors"], json!([]), "{role:?}: {answer}");
    }
    assert_eq!(app.sql_count("select count(*) from member_moves").await, 1);
}

#[tokio::test]
async fn a_move_says_why_in_one_to_five_hundred_bytes() {
    let app = TestApp::start().await;
    let ids = grow(&app, "m", &chain(2)).await;
    for reason in ["", " \n\t ", &"x".repeat(501), &"é".repeat(251), &"x".repeat(100_000), "a\u{0}b"] {
        let mut asked = input(ids[1], None, "a");
        asked["reason"] = json!(reason);
        let (code, _) = refused(&app, asked).await;
        assert_eq!(code, "INVALID", "{} bytes", reason.len());
    }
    let reason = "é".repeat(250);
    let mut asked = input(ids[1], None, "a");
    asked["reason"] = json!(reason);
    assert_eq!(send(&app, asked).await["userErrors"], json!([]));
    assert_eq!(place(&app, ids[1]).await["moves"][0]["reason"], reason);
}

#[tokio::test]
async fn the_same_key_is_the_same_move() {
    let app = TestApp::start().await;
    let ids = grow(&app, "m", &[None, Some(0), None, Some(1)]).await;
    let first = send(&app, input(ids[1], Some(ids[2]), "k")).await;
    assert_eq!(first["member"]["referrer"]["id"], to_id(ids[2]));
    assert_eq!(send(&app, input(ids[1], Some(ids[2]), "k")).await, first);
    let mut others = vec![input(ids[1], Some(ids[0]), "k"), input(ids[1], None, "k"), input(ids[3], Some(ids[2]), "k")];
    others.push(input(ids[1], Some(ids[2]), "k"));
    others[3]["reason"] = json!("Another reason.");
    for other in others {
        assert_eq!(refused(&app, other).await, told("IDEMPOTENCY_KEY_REUSED", "idempotencyKey"));
    }
    for key in ["", &"k".repeat(256), "a\nb"] {
        assert_eq!(refused(&app, input(ids[1], None, key)).await, told("INVALID", "idempotencyKey"));
    }
    // A replay does not move it again where it was moved elsewhere since.
    shift(&app, ids[1], Some(ids[0])).await;
    assert_eq!(send(&app, input(ids[1], Some(ids[2]), "k")).await["userErrors"], json!([]));
    assert_eq!(place(&app, ids[1]).await["path"], json!([to_id(ids[0]), to_id(ids[1])]));
    assert_eq!(app.sql_count("select count(*) from member_moves").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_at_once_under_one_key_move_once() {
    let app = TestApp::start().await;
    let ids = grow(&app, "m", &chain(100)).await;
    let all = futures_util::future::join_all((0..10).map(|_| send(&app, input(ids[40], None, "k")))).await;
    assert!(all.iter().all(|made| *made == all[0] && made["member"]["depth"] == 0), "{all:#?}");
    assert_eq!(app.sql_count("select count(*) from member_moves where moved_member_count = 60").await, 1);
}

#[tokio::test]
async fn a_move_to_nobody_makes_a_root_and_a_move_to_where_it_stands_is_none() {
    let app = TestApp::start().await;
    let ids = grow(&app, "m", &[None, Some(0), Some(1), Some(2), Some(0)]).await;
    assert_eq!(shift(&app, ids[1], Some(ids[0])).await["depth"], 1);
    assert_eq!(shift(&app, ids[0], None).await["depth"], 0);
    assert_eq!(app.sql_count("select count(*) from member_moves").await, 0);
    let root = shift(&app, ids[1], None).await;
    assert_eq!((&root["depth"], &root["referrer"]), (&json!(0), &Value::Null));
    let (old, new) = (place(&app, ids[0]).await, place(&app, ids[3]).await);
    assert_eq!((&old["refereeCount"], &old["downline"]["size"]), (&json!(1), &json!(1)));
    assert_eq!((&new["depth"], &new["root"]["id"]), (&json!(2), &json!(to_id(ids[1]))));
    let roots = app.data("{ members(filter: {rootsOnly: true}) { nodes { id } } }", json!({})).await;
    assert_eq!(roots["members"]["nodes"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_member_remembers_its_moves_the_latest_first() {
    let app = TestApp::start().await;
    let ids = grow(&app, "m", &[None, None, Some(0), Some(2), Some(3)]).await;
    shift(&app, ids[2], Some(ids[1])).await;
    app.advance(TimeDelta::seconds(1));
    shift(&app, ids[2], None).await;
    let moves = place(&app, ids[2]).await["moves"].take();
    let [at, later] = [app.now() - TimeDelta::seconds(1), app.now()].map(|at| at.to_rfc3339());
    let end = |id: Option<Uuid>| json!(id.map(|id| json!({ "id": to_id(id) })));
    let made = |from, to, at: &str| json!({ "previousReferrer": end(from), "newReferrer": end(to), "movedMembers": 3, "reason": "A test.", "movedAt": at });
    assert_eq!(moves, json!([made(Some(ids[1]), None, &later), made(Some(ids[0]), Some(ids[1]), &at)]));
    assert_eq!(place(&app, ids[3]).await["moves"], json!([]), "who was taken along was not moved by hand");
    assert_eq!(app.sql_count("select count(*) from member_moves where api_key_id is not null").await, 2);
    for round in 0..101 {
        app.advance(TimeDelta::seconds(1));
        shift(&app, ids[2], Some(ids[round % 2])).await;
    }
    let moves = place(&app, ids[2]).await["moves"].take();
    assert_eq!((moves.as_array().unwrap().len(), &moves[0]["newReferrer"]["id"]), (100, &json!(to_id(ids[0]))));
}

#[tokio::test]
async fn who_was_moved_by_hand_waits_for_nobody_and_who_was_erased_can_move() {
    let app = TestApp::start().await;
    let tell = async |user: &str, referrer: Option<&str>| {
        let query = "mutation($e: [EventInput!]!) { ingestEvents(input: {events: $e}) { results { status } } }";
        app.data(query, json!({ "e": [{ "eventType": "signup", "userId": user, "referrerUserId": referrer }] })).await;
        app.drain().await;
    };
    tell("ann", Some("zoe")).await;
    tell("bob", None).await;
    let found = app
        .data("{ ann: member(externalId: \"ann\") { id } bob: member(externalId: \"bob\") { id } }", json!({}))
        .await;
    let [ann, bob] = ["ann", "bob"].map(|name| super::from_id(&found[name]["id"]));
    shift(&app, ann, Some(bob)).await;
    shift(&app, ann, None).await;
    tell("zoe", None).await;
    assert_eq!(place(&app, ann).await["depth"], 0, "the referrer that it named came too late");
    let (scope, now) = (&app.scope, app.now());
    let forget = app.db.transaction(|conn| async move { forget_identity(conn, scope, ann, now).await }.scope_boxed());
    assert!(forget.await.unwrap());
    assert_eq!(shift(&app, ann, Some(bob)).await["depth"], 1);
    assert_eq!(shift(&app, bob, None).await["depth"], 0);
    assert_eq!(refused(&app, input(bob, Some(ann), "k")).await, told("CYCLE", "newReferrerId"));
}
