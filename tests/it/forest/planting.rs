//! Puts members into the forest by its own verbs: one by one, in chains, in stars.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use grapevine::access::Scope;
use grapevine::base::{Env, Result};
use grapevine::db::Conn;
use grapevine::members::{Member, MemberStatus, NewMember, by_ids, insert_members, next_numbers, place};
use scoped_futures::ScopedFutureExt;
use uuid::Uuid;

use crate::support::TestApp;

/// Who stands above a new member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Above {
    Nobody,
    /// A member that is there.
    There(Uuid),
    /// One of the new members, by its place among them.
    New(usize),
}

/// A member to be.
#[derive(Clone, Debug)]
pub struct Seed {
    pub external_id: String,
    pub above: Above,
    pub joined_at: DateTime<Utc>,
    pub has_signed_up: bool,
    pub activated_at: Option<DateTime<Utc>>,
    pub campaign_id: Option<Uuid>,
    /// Whom it waits for.
    pub pending: Option<String>,
}

impl Seed {
    /// One that signed up at this moment.
    pub fn new(external_id: String, above: Above, joined_at: DateTime<Utc>) -> Self {
        let (activated_at, campaign_id, pending) = (None, None, None);
        Self { external_id, above, joined_at, has_signed_up: true, activated_at, campaign_id, pending }
    }
}

/// Inserts members; the transaction holds the forest from here on. Whose referrer is not there becomes a root.
pub async fn sow(conn: &mut Conn, scope: &Scope, env: &Env, seeds: &[Seed]) -> Result<Vec<NewMember>> {
    let first = next_numbers(conn, scope, seeds.len()).await?;
    let mut ids: Vec<Uuid> =
        seeds.iter().filter_map(|seed| if let Above::There(id) = seed.above { Some(id) } else { None }).collect();
    ids.sort_unstable();
    ids.dedup();
    let there = by_ids(conn, scope, &ids).await?;
    let mut members = Vec::with_capacity(seeds.len());
    for (number, seed) in (first..).zip(seeds) {
        let member = sprout(seed, number, env, &there, &members);
        members.push(member);
    }
    insert_members(conn, scope, &members, env.now()).await?;
    Ok(members)
}

fn sprout(seed: &Seed, number: i64, env: &Env, there: &HashMap<Uuid, Member>, new: &[NewMember]) -> NewMember {
    let above = match seed.above {
        Above::Nobody => None,
        Above::There(id) => there.get(&id).map(|member| (id, member.path.as_str(), member.depth)),
        Above::New(index) => Some((new[index].id, new[index].placement.path.as_str(), new[index].placement.depth)),
    };
    let status = match (seed.has_signed_up, seed.activated_at) {
        (false, _) => MemberStatus::Invited,
        (true, None) => MemberStatus::SignedUp,
        (true, Some(_)) => MemberStatus::Activated,
    };
    NewMember {
        id: env.new_id(),
        number,
        external_id: Some(seed.external_id.clone()),
        person_id: None,
        status,
        referrer_id: above.map(|(id, ..)| id),
        creator_id: None,
        campaign_id: seed.campaign_id,
        placement: place(above.map(|(_, path, depth)| (path, depth)), number),
        joined_at: seed.joined_at,
        signed_up_at: seed.has_signed_up.then_some(seed.joined_at),
        activated_at: seed.activated_at,
        activation_count: i32::from(seed.activated_at.is_some()),
        pending_referrer: seed.pending.clone(),
    }
}

/// Plants a whole shape, some thousands of members per transaction: `above[i]` is the place of the referrer of member i, below i. Members
/// are called `{name}{i}` and join a second after each other, a day before now; every third one is active.
pub async fn grow(app: &TestApp, name: &str, above: &[Option<usize>]) -> Vec<Uuid> {
    const CHUNK: usize = 5_000;
    let mut ids: Vec<Uuid> = Vec::with_capacity(above.len());
    let begin = app.now() - TimeDelta::days(1) - TimeDelta::seconds(i64::try_from(above.len()).unwrap());
    for chunk in above.chunks(CHUNK) {
        let start = ids.len();
        let seed = |(index, above): (usize, &Option<usize>)| {
            let number = start + index;
            let above = match above {
                None => Above::Nobody,
                Some(above) if *above < start => Above::There(ids[*above]),
                Some(above) => Above::New(above - start),
            };
            let joined_at = begin + TimeDelta::seconds(i64::try_from(number).unwrap());
            let activated_at = number.is_multiple_of(3).then_some(joined_at);
            Seed { activated_at, ..Seed::new(format!("{name}{number}"), above, joined_at) }
        };
        let seeds: Vec<Seed> = chunk.iter().enumerate().map(seed).collect();
        let (scope, env, seeds) = (&app.scope, &app.env, &seeds);
        let work = app.db.transaction(|conn| async move { sow(conn, scope, env, seeds).await }.scope_boxed());
        ids.extend(work.await.unwrap().iter().map(|member| member.id));
    }
    ids
}

/// A chain of this length: each member below the one before.
pub fn chain(length: usize) -> Vec<Option<usize>> {
    (0..length).map(|index| index.checked_sub(1)).collect()
}
