//! A plain forest in memory: who stands below whom, and what happened to each. It keeps no path, no depth and no sum, and knows nothing
//! of segments: what the product answers is worked out anew from this.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use grapevine::base::{Code, derived_id};
use grapevine::members::NewMember;
use uuid::Uuid;

use super::answers::View;

/// One member.
#[derive(Clone, Debug, Default)]
pub struct Node {
    pub external_id: Option<String>,
    pub referrer_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    pub joined_at: DateTime<Utc>,
    pub signed_up_at: Option<DateTime<Utc>>,
    pub activated_at: Option<DateTime<Utc>>,
    pub is_erased: bool,
    /// Whom it waits for.
    pub pending: Option<String>,
    pub moves: Vec<Moved>,
}

/// A move that was made by hand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moved {
    pub from_id: Option<Uuid>,
    pub to_id: Option<Uuid>,
    pub member_count: usize,
    pub reason: String,
}

/// A sale, less what was given back of it.
#[derive(Clone, Debug)]
pub struct Sold {
    pub member_id: Option<Uuid>,
    pub left_minor: i64,
    pub campaign_id: Uuid,
    pub bought_at: DateTime<Utc>,
}

/// What a sender told the pipeline.
#[derive(Clone, Debug)]
pub enum Told {
    SignUp { user: String, referrer: Option<String>, campaign_id: Option<Uuid>, at: DateTime<Utc> },
    Activation { user: String, at: DateTime<Utc> },
    Sale { user: String, order: String, minor: i64, campaign_id: Uuid, at: DateTime<Utc> },
    Refund { order: String, minor: i64 },
}

/// What was done by hand, and what the product said to it.
#[derive(Clone, Debug)]
pub enum Deed {
    Join(Vec<NewMember>),
    Move { member_id: Uuid, to_id: Option<Uuid>, reason: String, refused: Option<(Code, String)> },
    Attach { pairs: Vec<(Uuid, Uuid)>, attached: Vec<Uuid> },
    Forget { member_id: Uuid, was_there: bool },
}

/// The forest and the sales of one brand.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub brand_id: Uuid,
    pub nodes: BTreeMap<Uuid, Node>,
    /// By order.
    pub sales: BTreeMap<String, Sold>,
}

impl Model {
    pub fn of(brand_id: Uuid) -> Self {
        Self { brand_id, ..Self::default() }
    }

    /// Takes a deed, and asserts that the product said what it had to say.
    pub fn take(&mut self, deed: &Deed) {
        match deed {
            Deed::Join(members) => members.iter().for_each(|member| self.join(member)),
            Deed::Move { member_id, to_id, reason, refused } => {
                let expected = self.shift(*member_id, *to_id, reason).err();
                let expected = expected.map(|(code, field)| (code, field.to_owned()));
                assert_eq!(*refused, expected, "moving {member_id} below {to_id:?}");
            }
            Deed::Attach { pairs, attached } => self.attach(pairs, attached),
            Deed::Forget { member_id, was_there } => assert_eq!(*was_there, self.forget(*member_id)),
        }
    }

    pub fn join(&mut self, member: &NewMember) {
        let node = Node {
            external_id: member.external_id.clone(),
            referrer_id: member.referrer_id,
            campaign_id: member.campaign_id,
            joined_at: member.joined_at,
            signed_up_at: member.signed_up_at,
            activated_at: member.activated_at,
            pending: member.pending_referrer.clone(),
            ..Node::default()
        };
        assert!(self.nodes.insert(member.id, node).is_none());
    }

    /// Moves a member with its subtree, or says why not.
    pub fn shift(&mut self, id: Uuid, to_id: Option<Uuid>, reason: &str) -> Result<(), (Code, &'static str)> {
        let Some(node) = self.nodes.get(&id) else { return Err((Code::NotFound, "memberId")) };
        if to_id.is_some_and(|to_id| !self.nodes.contains_key(&to_id)) {
            return Err((Code::NotFound, "newReferrerId"));
        }
        let from_id = node.referrer_id;
        if from_id == to_id {
            return Ok(());
        }
        if to_id.is_some_and(|to_id| self.is_below_or_same(to_id, id)) {
            return Err((Code::Cycle, "newReferrerId"));
        }
        let member_count = View::of(self, DateTime::UNIX_EPOCH).below(id, usize::MAX).len() + 1;
        let node = self.nodes.get_mut(&id).unwrap();
        (node.referrer_id, node.pending) = (to_id, None);
        node.moves.push(Moved { from_id, to_id, member_count, reason: reason.to_owned() });
        Ok(())
    }

    /// Follows what the product attached, in its order; asserts that all of it was allowed, and that what was left out was not.
    fn attach(&mut self, pairs: &[(Uuid, Uuid)], attached: &[Uuid]) {
        let targets: BTreeMap<Uuid, Uuid> = pairs.iter().copied().collect();
        let roots: Vec<Uuid> = targets.keys().copied().filter(|id| self.nodes[id].referrer_id.is_none()).collect();
        for id in attached {
            assert!(roots.contains(id), "{id} had a referrer");
            self.hang(*id, targets[id]);
        }
        for id in &roots {
            self.nodes.get_mut(id).unwrap().pending = None;
            let is_left_out = !attached.contains(id);
            assert!(!is_left_out || self.is_below_or_same(targets[id], *id), "{id} could have been attached");
        }
    }

    /// Hangs a root below a referrer: it inherits the campaign where it has none.
    fn hang(&mut self, id: Uuid, referrer_id: Uuid) {
        assert!(!self.is_below_or_same(referrer_id, id), "{id} below {referrer_id} is a cycle");
        let campaign_id = self.nodes[&referrer_id].campaign_id;
        let node = self.nodes.get_mut(&id).unwrap();
        node.referrer_id = Some(referrer_id);
        node.campaign_id = node.campaign_id.or(campaign_id);
    }

    fn forget(&mut self, id: Uuid) -> bool {
        let Some(node) = self.nodes.get_mut(&id) else { return false };
        (node.external_id, node.pending, node.is_erased) = (None, None, true);
        true
    }

    /// Takes an event of the log; the identifier is the event's.
    pub fn tell(&mut self, event_id: Uuid, told: &Told) {
        match told {
            Told::SignUp { user, referrer, campaign_id, at } => {
                self.sign_up(event_id, user, referrer.as_ref(), *campaign_id, *at);
                self.join_waiting(user);
                referrer.iter().for_each(|referrer| self.join_waiting(referrer));
            }
            Told::Activation { user, at } => {
                let id = self.named(user).unwrap_or_else(|| self.add(event_id, user, None, *at));
                self.nodes.get_mut(&id).unwrap().activated_at.get_or_insert(*at);
                self.join_waiting(user);
            }
            Told::Sale { user, order, minor, campaign_id, at } => {
                let sold =
                    Sold { member_id: self.named(user), left_minor: *minor, campaign_id: *campaign_id, bought_at: *at };
                assert!(self.sales.insert(order.clone(), sold).is_none());
                self.join_waiting(user);
            }
            Told::Refund { order, minor } => {
                let sold = self.sales.get_mut(order).unwrap();
                sold.left_minor -= minor;
                assert!(sold.left_minor >= 0);
            }
        }
    }

    fn sign_up(
        &mut self,
        event_id: Uuid,
        user: &str,
        referrer: Option<&String>,
        campaign_id: Option<Uuid>,
        at: DateTime<Utc>,
    ) {
        let id = self.named(user).unwrap_or_else(|| self.add(event_id, user, campaign_id, at));
        if self.nodes[&id].signed_up_at.is_some() {
            return;
        }
        let named = referrer.and_then(|referrer| self.named(referrer));
        let invited_by = named.filter(|referrer_id| !self.is_below_or_same(*referrer_id, id));
        let inherited = invited_by.and_then(|referrer_id| self.nodes[&referrer_id].campaign_id);
        let node = self.nodes.get_mut(&id).unwrap();
        (node.signed_up_at, node.joined_at) = (Some(at), at);
        if node.referrer_id.is_none() {
            node.referrer_id = invited_by;
            node.pending = referrer.filter(|_| named.is_none()).cloned();
        }
        node.campaign_id = node.campaign_id.or(campaign_id).or(inherited);
    }

    fn add(&mut self, event_id: Uuid, user: &str, campaign_id: Option<Uuid>, at: DateTime<Utc>) -> Uuid {
        let id = id_of(self.brand_id, event_id);
        let node = Node { external_id: Some(user.to_owned()), campaign_id, joined_at: at, ..Node::default() };
        assert!(self.nodes.insert(id, node).is_none());
        id
    }

    /// Whoever waits for this one hangs below it from now on, if it is there; who would close a cycle waits no more.
    fn join_waiting(&mut self, name: &str) {
        let Some(referrer_id) = self.named(name) else { return };
        let is_waiting = |node: &Node| node.pending.as_deref() == Some(name) && node.referrer_id.is_none();
        let waiting: Vec<Uuid> = self.nodes.iter().filter(|(_, node)| is_waiting(node)).map(|(id, _)| *id).collect();
        for id in waiting {
            self.nodes.get_mut(&id).unwrap().pending = None;
            if !self.is_below_or_same(referrer_id, id) {
                self.hang(id, referrer_id);
            }
        }
    }

    fn named(&self, name: &str) -> Option<Uuid> {
        self.nodes.iter().find(|(_, node)| node.external_id.as_deref() == Some(name)).map(|(id, _)| *id)
    }

    /// Whether one is the other or stands anywhere below it.
    pub fn is_below_or_same(&self, id: Uuid, above_id: Uuid) -> bool {
        let mut at = Some(id);
        for _ in 0..=self.nodes.len() {
            match at {
                Some(id) if id == above_id => return true,
                Some(id) => at = self.nodes[&id].referrer_id,
                None => return false,
            }
        }
        panic!("the model has a cycle above {id}");
    }
}

/// The member that an event makes, if it makes one.
pub fn id_of(brand_id: Uuid, event_id: Uuid) -> Uuid {
    derived_id(&[b"member", brand_id.as_bytes(), event_id.as_bytes()])
}
