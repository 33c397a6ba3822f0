//! Likely matches: an app's first open without a token, from the network from which a device of the same kind was sent to its store
//! minutes ago. Recorded where the brand wants it, and never proof of anything: such a match makes no touch and pays nobody.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::store;
use crate::access::{Keyring, Scope};
use crate::base::limits::LIKELY_MATCH_MINUTES;
use crate::base::{Env, Result};
use crate::creators::Platform;
use crate::db::Conn;

const MILLION: i64 = 1_000_000;
/// Two people of one household are behind one address: even a single candidate is not certain.
const CONFIDENCE_PPM_MAX: i64 = 900_000;

/// Somebody who was sent to an app store.
#[derive(Clone, Debug)]
pub struct Visit {
    pub link_id: Uuid,
    pub network_hash: [u8; 16],
    /// IOS or ANDROID.
    pub device: Platform,
    pub visited_at: DateTime<Utc>,
}

/// What a first open is likely to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Likely {
    pub link_id: Uuid,
    pub confidence_ppm: i32,
    pub candidate_count: i32,
}

/// Keeps for some minutes that somebody was sent to an app store.
pub async fn note_visit(
    conn: &mut Conn,
    scope: &Scope,
    env: &Env,
    keyring: &Keyring,
    link_id: Uuid,
    ip: IpAddr,
    device: Platform,
) -> Result<()> {
    let now = env.now();
    let visit = Visit { link_id, network_hash: network_hash(keyring, scope, ip), device, visited_at: now };
    store::insert_visit(conn, scope, env.new_id(), &visit, now - window()).await
}

/// Forgets visits that no match looks back to any more.
pub async fn forget_visits(conn: &mut Conn, scope: &Scope, now: DateTime<Utc>) -> Result<()> {
    store::delete_visits(conn, scope, now - window()).await
}

/// The link that a first open is likely to come from; `None` where nobody was sent to a store in time.
pub(super) async fn likely(
    conn: &mut Conn,
    scope: &Scope,
    env: &Env,
    keyring: &Keyring,
    ip: IpAddr,
    device: Platform,
) -> Result<Option<Likely>> {
    let network = network_hash(keyring, scope, ip);
    let visited = store::visited_links(conn, scope, &network, device, env.now() - window()).await?;
    Ok(judge(env.now(), &visited))
}

fn window() -> TimeDelta {
    TimeDelta::minutes(LIKELY_MATCH_MINUTES)
}

/// The latest visit. The confidence is shared by all links that it could have been, and halves towards the end of the window.
fn judge(now: DateTime<Utc>, visited: &[(Uuid, DateTime<Utc>)]) -> Option<Likely> {
    let (link_id, visited_at) = visited.first()?;
    let candidate_count = i32::try_from(visited.len()).ok()?;
    let age = (now - *visited_at).num_seconds().clamp(0, window().num_seconds());
    let freshness_ppm = MILLION - age * MILLION / (2 * window().num_seconds());
    let confidence = CONFIDENCE_PPM_MAX * freshness_ppm / MILLION / i64::from(candidate_count);
    Some(Likely { link_id: *link_id, confidence_ppm: i32::try_from(confidence).ok()?, candidate_count })
}

/// The /24 network of an IPv4 address, the /48 of an IPv6 one.
fn network_hash(keyring: &Keyring, scope: &Scope, ip: IpAddr) -> [u8; 16] {
    let network = match ip.to_canonical() {
        IpAddr::V4(ip) => format!("{:?}", &ip.octets()[..3]),
        IpAddr::V6(ip) => format!("{:x?}", &ip.segments()[..3]),
    };
    keyring.hash(scope.brand_id, "visit network", &network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_it_could_have_been_and_the_longer_ago_the_less_sure_it_is() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let link = Uuid::from_u128;
        let ago = |minutes| now - TimeDelta::minutes(minutes);
        let confidence = |visited: &[(Uuid, DateTime<Utc>)]| judge(now, visited).map(|likely| likely.confidence_ppm);
        assert_eq!(confidence(&[]), None);
        assert_eq!(confidence(&[(link(1), now)]), Some(900_000));
        assert_eq!(confidence(&[(link(1), ago(15))]), Some(675_000));
        assert_eq!(confidence(&[(link(1), ago(30))]), Some(450_000));
        assert_eq!(confidence(&[(link(1), now), (link(2), ago(1)), (link(3), ago(9))]), Some(300_000));
        assert_eq!(judge(now, &[(link(2), now), (link(1), ago(1))]).unwrap().link_id, link(2));
    }
}
