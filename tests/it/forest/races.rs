//! Moves that are each allowed and would together make a cycle.

use serde_json::{Value, json};
use uuid::Uuid;

use super::planting::{chain, grow};
use super::{setting, to_id};
use crate::support::TestApp;

const MOVE: &str =
    "mutation($i: MoveMemberInput!) { moveMember(input: $i) { member { depth } userErrors { code path } } }";

async fn shift(app: &TestApp, id: Uuid, to_id: Option<Uuid>, key: String) -> Value {
    let input = json!({ "memberId": super::to_id(id), "newReferrerId": to_id.map(super::to_id), "reason": "A race.", "idempotencyKey": key });
    app.data(MOVE, json!({ "i": input })).await["moveMember"].take()
}

fn is_refused(made: &Value) -> bool {
    match made["userErrors"].as_array().unwrap().as_slice() {
        [] => false,
        [error] => {
            assert_eq!(*error, json!({ "code": "CYCLE", "path": ["newReferrerId"] }));
            true
        }
        more => panic!("{more:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_moves_that_would_make_a_cycle_one_wins_and_the_other_is_told() {
    let app = TestApp::start().await;
    // Two chains that cross an anchor: the head of each is to hang below the end of the other.
    let mut above = chain(70);
    above.extend(chain(70).into_iter().map(|one| one.map(|one| one + 70)));
    let ids = grow(&app, "m", &above).await;
    for round in 0..setting("GRAPEVINE_TEST_RACE_ROUNDS", 20) {
        let (one, other) = tokio::join!(
            shift(&app, ids[0], Some(ids[139]), format!("one {round}")),
            shift(&app, ids[70], Some(ids[69]), format!("other {round}")),
        );
        assert_ne!(is_refused(&one), is_refused(&other), "{one} and {other}");
        let moved = if is_refused(&one) { ids[70] } else { ids[0] };
        let root = app
            .data(
                "query($id: ID!) { member(id: $id) { depth root { depth downline { size } } } }",
                json!({ "id": to_id(moved) }),
            )
            .await;
        assert_eq!((&root["member"]["depth"], &root["member"]["root"]["downline"]["size"]), (&json!(70), &json!(139)));
        assert!(!is_refused(&shift(&app, moved, None, format!("back {round}")).await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_five_moves_in_a_ring_at_least_one_is_refused_and_the_forest_stays_one() {
    let app = TestApp::start().await;
    let ids = grow(&app, "m", &[None; 5]).await;
    for round in 0..setting("GRAPEVINE_TEST_RACE_ROUNDS", 20) {
        let moves = (0..5).map(|n| shift(&app, ids[n], Some(ids[(n + 1) % 5]), format!("{n} {round}")));
        let made = futures_util::future::join_all(moves).await;
        assert_eq!(made.iter().filter(|made| is_refused(made)).count(), 1, "only the last one closes the ring");
        assert_eq!(app.sql_count("select count(*) from members where depth = 4").await, 1);
        for (n, id) in ids.iter().enumerate() {
            shift(&app, *id, None, format!("back {n} {round}")).await;
        }
    }
}
