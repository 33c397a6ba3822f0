//! Cuts of the forest for people: the first referees of each member, level by level, and the way between two members.

use std::collections::HashMap;

use uuid::Uuid;

use super::Member;
use super::store::{ALL_HOPS, ancestors_of, by_ids, referees_of};
use crate::access::Scope;
use crate::base::limits::TREE_NODES_MAX;
use crate::base::{ListKey, Page, Result};
use crate::db::Conn;

/// A tree cut to a size, flat, parents first. The root is the first node.
#[derive(Clone, Debug)]
pub struct Tree {
    pub nodes: Vec<Member>,
    /// Whether members were left out, by the cap of a member's referees, of the depth or of all nodes.
    pub is_truncated: bool,
}

/// The tree below a root: at most `per_node` referees of each member, the first to join first, down to `depth_max`; only those of
/// the campaign, where one is named.
pub async fn tree(
    conn: &mut Conn,
    scope: &Scope,
    root: Member,
    campaign_id: Option<Uuid>,
    depth_max: i32,
    per_node: i64,
) -> Result<Tree> {
    let page = Page::first(per_node);
    let mut level = vec![root.clone()];
    let mut tree = Tree { nodes: vec![root], is_truncated: false };
    for _ in 0..depth_max {
        let parents: Vec<&Member> = level.iter().filter(|member| member.referee_count > 0).collect();
        if parents.is_empty() {
            return Ok(tree);
        }
        let keys: Vec<ListKey> = parents.iter().map(|member| ListKey::new(member.id, &page)).collect();
        let mut lists = referees_of(conn, scope, &keys).await?;
        let mut next = Vec::new();
        for key in keys {
            let slice = page.slice(lists.remove(&key).unwrap_or_default());
            tree.is_truncated |= slice.has_next;
            let is_wanted = |member: &Member| campaign_id.is_none() || member.campaign_id == campaign_id;
            next.extend(slice.items.into_iter().filter(is_wanted));
        }
        let room = TREE_NODES_MAX - tree.nodes.len();
        tree.is_truncated |= next.len() > room;
        next.truncate(room);
        tree.nodes.extend(next.iter().cloned());
        level = next;
    }
    tree.is_truncated |= level.iter().any(|member| member.referee_count > 0);
    Ok(tree)
}

/// The way between two members through their lowest common ancestor.
#[derive(Clone, Debug)]
pub struct Way {
    /// From the one to the other, both included.
    pub members: Vec<Member>,
    pub common_ancestor: Member,
}

/// The way from one member to another; `None` if one is missing or they stand in different trees.
pub async fn way(conn: &mut Conn, scope: &Scope, from_id: Uuid, to_id: Uuid) -> Result<Option<Way>> {
    let mut ends = by_ids(conn, scope, &[from_id, to_id]).await?;
    let mut lines = ancestors_of(conn, scope, &[(from_id, ALL_HOPS), (to_id, ALL_HOPS)]).await?;
    let mut line = |id: Uuid, end: Member| -> Vec<Member> {
        let above = lines.remove(&(id, ALL_HOPS)).unwrap_or_default();
        std::iter::once(end).chain(above).collect()
    };
    let Some(from) = ends.get(&from_id).cloned() else { return Ok(None) };
    let Some(to) = ends.remove(&to_id) else { return Ok(None) };
    if from_id == to_id {
        return Ok(Some(Way { members: vec![from.clone()], common_ancestor: from }));
    }
    Ok(join(line(from_id, from), line(to_id, to)))
}

/// Joins two lines to the root at the first member that both have.
fn join(up: Vec<Member>, down: Vec<Member>) -> Option<Way> {
    let places: HashMap<Uuid, usize> = down.iter().enumerate().map(|(place, member)| (member.id, place)).collect();
    let (climb, place) = up.iter().enumerate().find_map(|(climb, m)| Some((climb, *places.get(&m.id)?)))?;
    let common_ancestor = up[climb].clone();
    let mut members = up;
    members.truncate(climb + 1);
    members.extend(down.into_iter().take(place).rev());
    Some(Way { members, common_ancestor })
}
