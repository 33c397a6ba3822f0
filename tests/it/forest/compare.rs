//! Asks the product everything about every member and compares it with a model at rest.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answers::View;
use super::model::Moved;
use super::{Dice, amount, assert_same, cuts, from_id, to_id};
use crate::support::TestApp;

const MEMBERS: &str = "query($after: String, $since: DateTime) { members(first: 100, after: $after) { totalCount pageInfo { hasNextPage endCursor }
    nodes { id externalId status depth refereeCount referrer { id } root { id } path near: ancestors(hops: 3) { id } campaign { id }
        moves { previousReferrer { id } newReferrer { id } movedMembers reason }
        downline { ...D } near2: downline(maxDepth: 2) { ...D } sinceNear: downline(maxDepth: 3, since: $since) { ...D }
        all: downline { ...S } near64: downline(maxDepth: 64) { ...S } since: downline(since: $since) { ...S } } } }
    fragment S on Downline { size activeLast30Days value { amount } }
    fragment D on Downline { ...S byDegree { degree members activated value { amount } } }";

/// What is long for a deep member, and asked for one at a time.
const LINE: &str = "query($id: ID!, $since: DateTime) { member(id: $id) { ancestors { id }
    near64: downline(maxDepth: 64) { ...D } since: downline(since: $since) { ...D } } }
    fragment D on Downline { size activeLast30Days value { amount } byDegree { degree members activated value { amount } } }";

const REFEREES: &str = "query($id: ID!, $first: Int, $after: String) { member(id: $id) {
    list: referees(first: $first, after: $after) { totalCount nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor } } } }";

const DESCENDANTS: &str = "query($id: ID!, $first: Int, $after: String, $maxDepth: Int) { member(id: $id) {
    list: descendants(first: $first, after: $after, maxDepth: $maxDepth) {
        totalCount nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor } } } }";

const NEWEST: &str = "query($id: ID!, $first: Int, $after: String, $maxDepth: Int) { member(id: $id) {
    list: descendants(first: $first, after: $after, maxDepth: $maxDepth, orderBy: NEWEST) {
        totalCount nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor } } } }";

/// Compares every answer. Lists of descendants, ways and trees are drawn from the dice.
pub async fn compare(app: &TestApp, view: &View<'_>, dice: &Dice) {
    let since = view.now - TimeDelta::days(i64::try_from(1 + dice.below(40)).unwrap());
    compare_members(app, view, since).await;
    // All who have several referees, and some of those who have one: each costs requests of its own.
    for id in view.model.nodes.keys() {
        let count = view.referees(*id).len();
        if count == 0 || (count == 1 && !dice.is_lucky(20)) {
            continue;
        }
        let first = *dice.pick(&[1, 2, 5, 20, 500]);
        let (rows, count) = pages(app, REFEREES, *id, first.min(1 + view.referees(*id).len()), None).await;
        assert_eq!((rows.as_slice(), count), (view.referees(*id), view.referees(*id).len()), "referees of {id}");
    }
    let mut tops: Vec<Uuid> = view.model.nodes.keys().copied().collect();
    tops.sort_by_key(|id| std::cmp::Reverse(view.below(*id, usize::MAX).len()));
    for index in 0..5_usize {
        let top = if index < 2 { tops[index.min(tops.len() - 1)] } else { *dice.pick(&tops) };
        let depth_max = *dice.pick(&[None, None, Some(1), Some(2), Some(5), Some(62), Some(63), Some(64), Some(100)]);
        compare_descendants(app, view, dice, top, depth_max).await;
        compare_line(app, view, top, since).await;
        compare_line(app, view, *dice.pick(&tops), since).await;
    }
    cuts::compare(app, view, dice).await;
}

async fn compare_line(app: &TestApp, view: &View<'_>, id: Uuid, since: DateTime<Utc>) {
    let found = app.data(LINE, json!({ "id": to_id(id), "since": since })).await;
    let expected = json!({
        "ancestors": view.ancestors(id).iter().map(|id| json!({ "id": to_id(*id) })).collect::<Vec<_>>(),
        "near64": downline(view, id, 64, None),
        "since": downline(view, id, usize::MAX, Some(since)),
    });
    assert_same(&found["member"], &expected, &to_id(id));
}

async fn compare_members(app: &TestApp, view: &View<'_>, since: DateTime<Utc>) {
    let mut expected: Vec<Uuid> = view.model.nodes.keys().copied().collect();
    expected.sort_by_key(|id| (view.node(*id).joined_at, *id));
    let (mut found, mut after) = (Vec::new(), Value::Null);
    loop {
        let mut data = app.data(MEMBERS, json!({ "after": after, "since": since })).await;
        assert_eq!(data["members"]["totalCount"], expected.len());
        for node in data["members"]["nodes"].as_array_mut().unwrap() {
            let id = from_id(&node["id"]);
            compare_moves(view, id, &node.as_object_mut().unwrap().remove("moves").unwrap());
            assert_same(node, &member(view, id, since), &to_id(id));
            found.push(id);
        }
        after = data["members"]["pageInfo"]["endCursor"].take();
        if data["members"]["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(found, expected);
}

/// Moves of one moment stand in no order.
fn compare_moves(view: &View<'_>, id: Uuid, listed: &Value) {
    let end = |end: &Value| (!end.is_null()).then(|| from_id(&end["id"]));
    let read = |one: &Value| Moved {
        from_id: end(&one["previousReferrer"]),
        to_id: end(&one["newReferrer"]),
        member_count: usize::try_from(one["movedMembers"].as_u64().unwrap()).unwrap(),
        reason: one["reason"].as_str().unwrap().to_owned(),
    };
    let mut found: Vec<Moved> = listed.as_array().unwrap().iter().map(read).collect();
    let mut expected = view.node(id).moves.clone();
    found.sort();
    expected.sort();
    if expected.len() <= 100 {
        assert_eq!(found, expected, "the moves of {id}");
    } else {
        assert!(found.len() == 100 && found.iter().all(|one| expected.contains(one)), "the moves of {id}");
    }
}

/// A member as the API has to show it.
fn member(view: &View<'_>, id: Uuid, since: DateTime<Utc>) -> Value {
    let node = view.node(id);
    let above = view.ancestors(id);
    let name = |id: &Uuid| json!({ "id": to_id(*id) });
    let status = match (node.is_erased, node.signed_up_at, node.activated_at) {
        (true, ..) => "ERASED",
        (_, None, _) => "INVITED",
        (_, Some(_), None) => "SIGNED_UP",
        (_, Some(_), Some(_)) => "ACTIVATED",
    };
    json!({
        "id": to_id(id),
        "externalId": node.external_id,
        "status": status,
        "depth": above.len(),
        "refereeCount": view.referees(id).len(),
        "referrer": node.referrer_id.as_ref().map(name),
        "root": name(above.last().unwrap_or(&id)),
        "path": above.iter().rev().chain([&id]).map(|id| to_id(*id)).collect::<Vec<_>>(),
        "near": above.iter().take(3).map(name).collect::<Vec<_>>(),
        "campaign": node.campaign_id.map(|id| json!({ "id": grapevine::base::Kind::Campaign.id(id) })),
        "downline": downline(view, id, usize::MAX, None),
        "near2": downline(view, id, 2, None),
        "sinceNear": downline(view, id, 3, Some(since)),
        "all": sums(view, id, usize::MAX, None),
        "near64": sums(view, id, 64, None),
        "since": sums(view, id, usize::MAX, Some(since)),
    })
}

/// The sums of all degrees of a downline together.
fn sums(view: &View<'_>, id: Uuid, degrees_max: usize, since: Option<DateTime<Utc>>) -> Value {
    let mut sums = downline(view, id, degrees_max, since);
    sums.as_object_mut().unwrap().remove("byDegree");
    sums
}

/// A downline as the API has to show it.
pub fn downline(view: &View<'_>, id: Uuid, degrees_max: usize, since: Option<DateTime<Utc>>) -> Value {
    let degrees = view.downline(id, degrees_max, since);
    let lines = degrees.iter().map(|(degree, (members, activated, minor))| {
        json!({ "degree": degree, "members": members, "activated": activated, "value": { "amount": amount(*minor) } })
    });
    json!({
        "size": degrees.values().map(|sums| sums.0).sum::<i64>(),
        "activeLast30Days": view.active_count(id, degrees_max, since),
        "value": { "amount": amount(degrees.values().map(|sums| sums.2).sum()) },
        "byDegree": lines.collect::<Vec<_>>(),
    })
}

/// All rows of a member's list, page by page, and its count.
pub async fn pages(app: &TestApp, query: &str, id: Uuid, first: usize, depth_max: Option<usize>) -> (Vec<Uuid>, usize) {
    let (mut rows, mut after) = (Vec::new(), Value::Null);
    loop {
        let variables = json!({ "id": to_id(id), "first": first, "after": after, "maxDepth": depth_max });
        let mut data = app.data(query, variables).await;
        let list = &mut data["member"]["list"];
        assert_eq!(list["pageInfo"]["hasPreviousPage"], !rows.is_empty());
        let page = list["nodes"].as_array().unwrap();
        let has_next = list["pageInfo"]["hasNextPage"].as_bool().unwrap();
        assert!(page.len() == first || !has_next, "a page is full unless it is the last one");
        rows.extend(page.iter().map(|node| from_id(&node["id"])));
        after = list["pageInfo"]["endCursor"].take();
        if !has_next {
            return (rows, usize::try_from(list["totalCount"].as_u64().unwrap()).unwrap());
        }
    }
}

/// Compares a list of descendants, read in pages of any size: by degree, those of one referrer together; and the newest first.
pub async fn compare_descendants(app: &TestApp, view: &View<'_>, dice: &Dice, top: Uuid, depth_max: Option<usize>) {
    let expected: HashMap<Uuid, usize> = view.below(top, depth_max.unwrap_or(usize::MAX)).into_iter().collect();
    let expected_count = expected.len();
    let first = match expected_count {
        0..10 => *dice.pick(&[1, 2, 500]),
        10..60 => *dice.pick(&[7, 20, 500]),
        _ => *dice.pick(&[40, 100, 500]),
    };
    let (rows, count) = pages(app, DESCENDANTS, top, first, depth_max).await;
    let place = format!("descendants of {top} to {depth_max:?} by {first}");
    assert_eq!((rows.len(), count), (expected_count, expected_count), "{place}");
    assert_eq!(rows.iter().collect::<HashSet<_>>(), expected.keys().collect(), "{place}");
    assert!(rows.is_sorted_by_key(|id| expected[id]), "{place}: not by degree");
    let mut referrers: Vec<Uuid> = rows.iter().filter_map(|id| view.node(*id).referrer_id).collect();
    referrers.dedup();
    let distinct: HashSet<&Uuid> = referrers.iter().collect();
    assert_eq!(referrers.len(), distinct.len(), "{place}: referees of one member do not stand together");
    let (rows, count) = pages(app, NEWEST, top, first, depth_max).await;
    let mut newest: Vec<Uuid> = expected.into_keys().collect();
    newest.sort_by_key(|id| std::cmp::Reverse((view.node(*id).joined_at, *id)));
    assert_eq!((rows, count), (newest, expected_count), "{place}, newest first");
}
