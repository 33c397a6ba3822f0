//! Compares trees, ways between two members, and rankings with a model at rest.

use chrono::TimeDelta;
use grapevine::base::Kind;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answers::{Ranking, View};
use super::{Dice, amount, assert_same, from_id, to_id};
use crate::support::TestApp;

const TREE: &str = "query($id: ID!, $maxDepth: Int, $perNode: Int) { referralTree(rootId: $id, maxDepth: $maxDepth, perNode: $perNode) {
    truncated root { id } nodes { member { id } parentId depth refereeCount downlineSize value { amount } } } }";

const WAY: &str = "query($from: ID!, $to: ID!) { referralPath(fromId: $from, toId: $to) { hops commonAncestor { id } members { id } } }";

const LEADERS: &str = "query($by: ReferrerRanking, $hops: Int, $since: DateTime, $campaign: ID, $first: Int) {
    topReferrers(by: $by, hops: $hops, since: $since, campaignId: $campaign, first: $first) {
        rank member { id } referrals value { amount } } }";

pub async fn compare(app: &TestApp, view: &View<'_>, dice: &Dice) {
    let ids: Vec<Uuid> = view.model.nodes.keys().copied().collect();
    for _ in 0..5 {
        let (depth_max, per_node) = (*dice.pick(&[1, 2, 3, 10, 70, 100]), *dice.pick(&[1, 2, 25]));
        compare_tree(app, view, *dice.pick(&ids), depth_max, per_node).await;
    }
    for _ in 0..10 {
        let from = *dice.pick(&ids);
        let line = view.ancestors(from);
        let to = if line.is_empty() || dice.is_lucky(60) { *dice.pick(&ids) } else { *dice.pick(&line) };
        compare_way(app, view, from, to).await;
    }
    let campaign_id = view.model.sales.values().next().map(|sold| sold.campaign_id);
    for by in ["DIRECT_REFERRALS", "MULTI_HOP_REFERRALS", "DIRECT_VALUE", "MULTI_HOP_VALUE"] {
        for campaign_id in [None, campaign_id] {
            let since =
                dice.is_lucky(50).then(|| view.now - TimeDelta::days(i64::try_from(1 + dice.below(40)).unwrap()));
            let ranking = Ranking { hops: *dice.pick(&[1, 2, 3, 10]), since, campaign_id };
            compare_leaders(app, view, by, ranking, *dice.pick(&[1, 5, 500])).await;
        }
    }
}

/// Compares a tree as it is drawn.
pub async fn compare_tree(app: &TestApp, view: &View<'_>, root: Uuid, depth_max: usize, per_node: usize) {
    let variables = json!({ "id": to_id(root), "maxDepth": depth_max, "perNode": per_node });
    let found = app.data(TREE, variables).await;
    let drawn = view.tree(root, depth_max, per_node);
    let node = |(id, degree): &(Uuid, usize)| {
        json!({
            "member": { "id": to_id(*id) },
            "parentId": view.node(*id).referrer_id.filter(|_| *id != root).map(to_id),
            "depth": degree,
            "refereeCount": view.referees(*id).len(),
            "downlineSize": view.below(*id, usize::MAX).len(),
            "value": { "amount": amount(view.value_minor(*id)) },
        })
    };
    let nodes: Vec<Value> = drawn.nodes.iter().map(node).collect();
    let expected = json!({ "truncated": drawn.is_truncated, "root": { "id": to_id(root) }, "nodes": nodes });
    assert_same(&found["referralTree"], &expected, &format!("the tree of {root} to {depth_max} by {per_node}"));
}

/// Compares the way from one member to another.
pub async fn compare_way(app: &TestApp, view: &View<'_>, from: Uuid, to: Uuid) {
    let found = app.data(WAY, json!({ "from": to_id(from), "to": to_id(to) })).await;
    let name = |id: &Uuid| json!({ "id": to_id(*id) });
    let expected = view.way(from, to).map(|(members, common)| {
        json!({ "hops": members.len() - 1, "commonAncestor": name(&common), "members": members.iter().map(name).collect::<Vec<_>>() })
    });
    assert_same(&found["referralPath"], &json!(expected), &format!("the way from {from} to {to}"));
}

/// Compares a ranking. Who has as much as another may stand before or after it.
pub async fn compare_leaders(app: &TestApp, view: &View<'_>, by: &str, ranking: Ranking, first: usize) {
    let is_direct = by.starts_with("DIRECT");
    let is_by_value = by.ends_with("VALUE");
    let campaign = ranking.campaign_id.map(|id| Kind::Campaign.id(id));
    let variables =
        json!({ "by": by, "hops": ranking.hops, "since": ranking.since, "campaign": campaign, "first": first });
    let found = app.data(LEADERS, variables).await;
    let standings = view.standings(Ranking { hops: if is_direct { 1 } else { ranking.hops }, ..ranking });
    let measure = |(referrals, minor): (i64, i64)| if is_by_value { minor } else { referrals };
    let mut expected: Vec<i64> = standings.values().copied().map(measure).filter(|measure| *measure > 0).collect();
    expected.sort_unstable_by_key(|measure| std::cmp::Reverse(*measure));
    expected.truncate(first);
    let place = format!("{by} {ranking:?} first {first}");
    let mut seen = Vec::new();
    let mut measures = Vec::new();
    for (index, leader) in found["topReferrers"].as_array().unwrap().iter().enumerate() {
        let id = from_id(&leader["member"]["id"]);
        let (referrals, minor) = standings[&id];
        let shown = json!({ "rank": index + 1, "member": { "id": to_id(id) }, "referrals": referrals, "value": { "amount": amount(minor) } });
        assert_same(leader, &shown, &place);
        assert!(!seen.contains(&id), "{place}: {id} twice");
        seen.push(id);
        measures.push(measure((referrals, minor)));
    }
    assert_eq!(measures, expected, "{place}");
}
