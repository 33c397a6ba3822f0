//! What the product must answer about a model, worked out in the plainest way.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::model::{Model, Node};

/// One degree of a downline: members, activated members, sales.
pub type Sums = (i64, i64, i64);

/// What may be counted for a ranking: how far down, since when, in which campaign.
#[derive(Clone, Copy, Debug)]
pub struct Ranking {
    pub hops: usize,
    pub since: Option<DateTime<Utc>>,
    pub campaign_id: Option<Uuid>,
}

/// A tree as it is drawn: nodes in their order with their degree, and whether something was left out.
pub struct Drawn {
    pub nodes: Vec<(Uuid, usize)>,
    pub is_truncated: bool,
}

/// A model at rest, with what follows from it.
pub struct View<'a> {
    pub model: &'a Model,
    pub now: DateTime<Utc>,
    referees: HashMap<Uuid, Vec<Uuid>>,
    value_minor: HashMap<Uuid, i64>,
    bought_at: HashMap<Uuid, DateTime<Utc>>,
}

impl<'a> View<'a> {
    pub fn of(model: &'a Model, now: DateTime<Utc>) -> Self {
        let mut referees: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for (id, node) in &model.nodes {
            if let Some(referrer_id) = node.referrer_id {
                referees.entry(referrer_id).or_default().push(*id);
            }
        }
        referees.values_mut().for_each(|ids| ids.sort_by_key(|id| (model.nodes[id].joined_at, *id)));
        let (mut value_minor, mut bought_at) = (HashMap::new(), HashMap::new());
        for sold in model.sales.values() {
            let Some(member_id) = sold.member_id else { continue };
            *value_minor.entry(member_id).or_default() += sold.left_minor;
            let latest = bought_at.entry(member_id).or_insert(sold.bought_at);
            *latest = sold.bought_at.max(*latest);
        }
        Self { model, now, referees, value_minor, bought_at }
    }

    pub fn node(&self, id: Uuid) -> &Node {
        &self.model.nodes[&id]
    }

    /// The first to join first.
    pub fn referees(&self, id: Uuid) -> &[Uuid] {
        self.referees.get(&id).map_or(&[], Vec::as_slice)
    }

    /// A member's own sales less refunds.
    pub fn value_minor(&self, id: Uuid) -> i64 {
        self.value_minor.get(&id).copied().unwrap_or(0)
    }

    /// The nearest first.
    pub fn ancestors(&self, id: Uuid) -> Vec<Uuid> {
        let mut above = Vec::new();
        let mut at = self.node(id).referrer_id;
        while let Some(id) = at {
            above.push(id);
            assert!(above.len() <= self.model.nodes.len(), "the model has a cycle above {id}");
            at = self.node(id).referrer_id;
        }
        above
    }

    /// Everyone below, with the degree, the nearest first.
    pub fn below(&self, top: Uuid, degrees_max: usize) -> Vec<(Uuid, usize)> {
        let mut found = Vec::new();
        let mut queue = VecDeque::from([(top, 0)]);
        while let Some((id, degree)) = queue.pop_front() {
            if degree > 0 {
                found.push((id, degree));
            }
            if degree < degrees_max {
                queue.extend(self.referees(id).iter().map(|id| (*id, degree + 1)));
            }
        }
        found
    }

    /// The sums of a downline by degree.
    pub fn downline(&self, top: Uuid, degrees_max: usize, since: Option<DateTime<Utc>>) -> BTreeMap<usize, Sums> {
        let mut degrees: BTreeMap<usize, Sums> = BTreeMap::new();
        let below: HashMap<Uuid, usize> = self.below(top, degrees_max).into_iter().collect();
        let counts = |id: &Uuid| since.is_none_or(|since| self.node(*id).joined_at >= since);
        for (id, degree) in below.iter().filter(|(id, _)| counts(id)) {
            let sums = degrees.entry(*degree).or_default();
            sums.0 += 1;
            sums.1 += i64::from(self.node(*id).activated_at.is_some());
        }
        for sold in self.model.sales.values().filter(|sold| since.is_none_or(|since| sold.bought_at >= since)) {
            let Some(member_id) = sold.member_id.filter(counts) else { continue };
            if let Some(degree) = below.get(&member_id) {
                degrees.entry(*degree).or_default().2 += sold.left_minor;
            }
        }
        degrees
    }

    /// How many of a downline signed up, were first activated or bought today or on one of the 29 days before.
    pub fn active_count(&self, top: Uuid, degrees_max: usize, since: Option<DateTime<Utc>>) -> usize {
        let from = (self.now - TimeDelta::days(29)).date_naive();
        let is_active = |(id, _): &(Uuid, usize)| {
            let node = self.node(*id);
            let last = node.signed_up_at.max(node.activated_at).max(self.bought_at.get(id).copied());
            last.is_some_and(|last| last.date_naive() >= from) && since.is_none_or(|since| node.joined_at >= since)
        };
        self.below(top, degrees_max).iter().filter(|below| is_active(below)).count()
    }

    /// The first `per_node` referees of each member, level by level.
    pub fn tree(&self, root: Uuid, depth_max: usize, per_node: usize) -> Drawn {
        let mut drawn = Drawn { nodes: vec![(root, 0)], is_truncated: false };
        let mut level = vec![root];
        for degree in 1..=depth_max {
            drawn.is_truncated |= level.iter().any(|id| self.referees(*id).len() > per_node);
            level = level.iter().flat_map(|id| self.referees(*id).iter().take(per_node)).copied().collect();
            let room = 2_000 - drawn.nodes.len();
            drawn.is_truncated |= level.len() > room;
            level.truncate(room);
            drawn.nodes.extend(level.iter().map(|id| (*id, degree)));
        }
        drawn.is_truncated |= level.iter().any(|id| !self.referees(*id).is_empty());
        drawn
    }

    /// From the one to the other through the lowest common ancestor, and which one that is.
    pub fn way(&self, from: Uuid, to: Uuid) -> Option<(Vec<Uuid>, Uuid)> {
        let line = |id: Uuid| -> Vec<Uuid> { std::iter::once(id).chain(self.ancestors(id)).collect() };
        let (up, down) = (line(from), line(to));
        let meeting: HashSet<Uuid> = down.iter().copied().collect();
        let common = *up.iter().find(|id| meeting.contains(id))?;
        let climb = up.iter().copied().take_while(|id| *id != common);
        let descent: Vec<Uuid> = down.iter().copied().take_while(|id| *id != common).collect();
        Some((climb.chain([common]).chain(descent.into_iter().rev()).collect(), common))
    }

    /// Sign-ups and sales below each member.
    pub fn standings(&self, ranking: Ranking) -> HashMap<Uuid, (i64, i64)> {
        let Ranking { hops, since, campaign_id } = ranking;
        let is_late = |at: DateTime<Utc>| since.is_none_or(|since| at >= since);
        let mut standings: HashMap<Uuid, (i64, i64)> = HashMap::new();
        for (id, node) in &self.model.nodes {
            let is_of_campaign = campaign_id.is_none() || node.campaign_id == campaign_id;
            if node.signed_up_at.is_some() && is_late(node.joined_at) && is_of_campaign {
                self.ancestors(*id).iter().take(hops).for_each(|above| standings.entry(*above).or_default().0 += 1);
            }
        }
        for sold in self.model.sales.values().filter(|sold| is_late(sold.bought_at)) {
            let is_of_campaign = campaign_id.is_none_or(|campaign_id| campaign_id == sold.campaign_id);
            let Some(member_id) = sold.member_id.filter(|_| is_of_campaign) else { continue };
            for above in self.ancestors(member_id).iter().take(hops) {
                standings.entry(*above).or_default().1 += sold.left_minor;
            }
        }
        standings
    }
}
