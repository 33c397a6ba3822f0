//! A post that nobody could read when it came can turn out to hold several events. The first takes the place of the post; the others
//! join the log here, as if they had come by themselves.

use chrono::{DateTime, Utc};

use super::item::{Item, claim_keys, look_up};
use super::row::row;
use super::rules::Bench;
use super::store::{self, LogRow};
use super::{Origin, Receipt};
use crate::access::Keyring;
use crate::base::{Env, Result, time_ordered_id};
use crate::db::Conn;
use crate::platforms::Submission;

/// Adds them to the log, with the moment at which their post was received. What is there already, from a replay before, is not added
/// again. Returns what became of each that was.
pub(super) async fn add(
    conn: &mut Conn,
    env: &Env,
    keyring: &Keyring,
    parts: &[(&Origin, DateTime<Utc>, &Submission)],
) -> Result<Vec<Receipt>> {
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let now = env.now();
    let items: Vec<(DateTime<Utc>, Item<'_>)> = parts
        .iter()
        .map(|(origin, received, submission)| {
            (*received, Item::new(origin, 0, time_ordered_id(now, &*env.chance), submission))
        })
        .collect();
    let directory = look_up(conn, items.iter().map(|(_, item)| item)).await?;
    let keys = items.iter().map(|(_, item)| item.key_row(item.key_hash)).collect();
    let owners = claim_keys(conn, keys, now).await?;
    let bench = Bench { directory: &directory, keyring, now };
    let is_new = |item: &Item<'_>| owners.get(&item.key()).is_some_and(|(owner, _)| *owner == item.id);
    let made = items.iter().filter(|(_, item)| is_new(item));
    let (rows, receipts): (Vec<LogRow>, Vec<Receipt>) =
        made.map(|(received, item)| row(item, &bench, *received, &*env.chance)).unzip();
    store::insert_events(conn, &rows).await?;
    Ok(receipts)
}
