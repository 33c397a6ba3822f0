//! Who stands above the owner of a credited touch, as it was when the conversion was first shared out. A refund or a late touch after a
//! move settles with those who were paid, never with those who stand there now.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::Beneficiary;
use super::store;
use super::trigger::lines_above;
use crate::access::Scope;
use crate::attribution::Attributed;
use crate::base::Result;
use crate::campaigns::{Policies, RewardPolicy};
use crate::db::Conn;
use crate::referrals::{Upline, creators_of_roots};

/// The line above one owner of a touch, for one conversion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// The nearest first, as far as the policy pays.
    pub ancestor_ids: Vec<Uuid>,
    /// The creator of the tree, where the line reaches the root.
    pub creator_id: Option<Uuid>,
}

impl Line {
    /// Who earns beyond the owner, from degree 2 on.
    pub(super) fn earners(&self) -> impl Iterator<Item = Beneficiary> {
        let members = self.ancestor_ids.iter().copied().map(Beneficiary::Member);
        members.chain(self.creator_id.map(Beneficiary::Creator))
    }
}

/// The line above a member, as far as `degrees` reach, from all that is known of it.
fn line(above: &[Upline], own_creator: Option<Uuid>, degrees: usize) -> Line {
    let above = above.get(..degrees).unwrap_or(above);
    let creator_id = match above.last() {
        Some(last) => last.creator_id.filter(|_| last.is_root),
        None => own_creator,
    };
    Line { ancestor_ids: above.iter().map(|row| row.ancestor_id).collect(), creator_id }
}

/// A conversion and the owner of a touch that is credited for it.
pub(super) type Through = (Uuid, Uuid);

/// The lines of these conversions' credited owners: those that were kept, and for the others, which are kept from now on, those of
/// today. A conversion whose policy pays nobody beyond the owner needs none.
pub(super) async fn settled_lines<'a>(
    conn: &mut Conn,
    scope: &Scope,
    attributed: &[Attributed],
    policies_of: impl Fn(&Attributed) -> Option<&'a Policies>,
) -> Result<HashMap<Through, Line>> {
    let mut wanted: BTreeMap<Through, usize> = BTreeMap::new();
    for one in attributed {
        let degrees = policies_of(one).map_or(0, |policies| degrees_above(&policies.reward));
        let owners = one.credits.iter().filter(|_| degrees > 0).filter_map(|credit| credit.touch.referrer_id);
        wanted.extend(owners.map(|owner_id| ((one.conversion.id, owner_id), degrees)));
    }
    let keys: Vec<Through> = wanted.keys().copied().collect();
    let mut lines = store::kept_lines(conn, scope, &keys).await?;
    wanted.retain(|key, _| !lines.contains_key(key));
    let fresh = lines_of_today(conn, scope, &wanted).await?;
    store::keep_lines(conn, scope, &fresh).await?;
    lines.extend(fresh);
    Ok(lines)
}

/// The lines of these owners as a simulation supposes them, as far as `degrees` reach: those that were kept, where they reach as far,
/// and today's for the others. It keeps nothing.
pub(super) async fn supposed_lines(
    conn: &mut Conn,
    scope: &Scope,
    owners: &[Through],
    degrees: usize,
) -> Result<HashMap<Through, Line>> {
    let mut lines = store::kept_lines(conn, scope, owners).await?;
    lines.retain(|_, line| line.creator_id.is_some() || line.ancestor_ids.len() >= degrees);
    let missing = owners.iter().filter(|key| !lines.contains_key(*key)).map(|key| (*key, degrees)).collect();
    lines.extend(lines_of_today(conn, scope, &missing).await?);
    Ok(lines)
}

/// How far above the owner of a touch a policy shares conversions.
pub(super) fn degrees_above(policy: &RewardPolicy) -> usize {
    let shared = policy.tiers.iter().filter(|tier| tier.share_ppm.is_some());
    shared.filter_map(|tier| usize::try_from(tier.degree).ok()).max().unwrap_or(0).saturating_sub(1)
}

async fn lines_of_today(
    conn: &mut Conn,
    scope: &Scope,
    wanted: &BTreeMap<Through, usize>,
) -> Result<Vec<(Through, Line)>> {
    let mut ids: Vec<Uuid> = wanted.keys().map(|(_, owner_id)| *owner_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let degrees = wanted.values().copied().max().unwrap_or(0);
    let above = lines_above(conn, scope, &ids, i32::try_from(degrees).unwrap_or(i32::MAX)).await?;
    let creators = creators_of_roots(conn, scope, &ids).await?;
    let lines = wanted.iter().map(|(key, degrees)| {
        let rows = above.get(&key.1).map_or(&[][..], Vec::as_slice);
        (*key, line(rows, creators.get(&key.1).copied(), *degrees))
    });
    Ok(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(degree: i32, is_root: bool) -> Upline {
        let id = |number: i32| Uuid::from_u128(u128::from(number.cast_unsigned()));
        Upline { member_id: id(0), degree, ancestor_id: id(degree), is_root, creator_id: Some(id(99)) }
    }

    /// The numbers of the ancestors in the line, and whether the creator ends it.
    fn check(above: &[Upline], degrees: usize, expected: (&[u128], bool)) {
        let found = line(above, None, degrees);
        let ids: Vec<u128> = found.ancestor_ids.iter().map(|id| id.as_u128()).collect();
        assert_eq!((ids.as_slice(), found.creator_id.is_some()), expected, "{degrees} degrees of {above:?}");
    }

    #[test]
    fn a_line_ends_with_the_creator_where_it_reaches_the_root() {
        let above = [row(1, false), row(2, true)];
        check(&above, 5, (&[1, 2], true));
        check(&above, 2, (&[1, 2], true));
        check(&above, 1, (&[1], false));
        check(&[], 3, (&[], false));
        assert_eq!(
            line(&[], Some(Uuid::nil()), 1).creator_id,
            Some(Uuid::nil()),
            "a root is of its own creator's tree"
        );
    }
}
