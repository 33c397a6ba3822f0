//! What a brand sets for itself: on which hosts the destinations of its links may lie. It never makes a brand: `access` does.

mod store;

use crate::access::{Permission, Scope};
use crate::base::limits::ALLOWED_HOSTS_MAX;
use crate::base::{Code, Env, Error, Refusal, Result};
use crate::db::Conn;
use crate::urls::{HOST_EXPECTED, normal_pattern};

pub use store::settings;

/// The settings of a brand; the defaults are those of a brand that never set anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrandSettings {
    /// Hosts on which destinations may lie, in lower case; `*.shop.example` is every host below that one. Empty: all are allowed.
    pub allowed_hosts: Vec<String>,
}

/// What changes of a brand's settings; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct BrandChange {
    /// All of them after the change.
    pub allowed_hosts: Option<Vec<String>>,
}

/// Changes the settings. Links that lead elsewhere than to an allowed host stop to lead on within minutes.
pub async fn update(conn: &mut Conn, scope: &Scope, env: &Env, change: BrandChange) -> Result<()> {
    scope.require(Permission::Administer)?;
    let allowed_hosts = change.allowed_hosts.map(|hosts| patterns(&hosts)).transpose()?;
    store::update(conn, scope, allowed_hosts.as_deref(), env.now()).await
}

/// The hosts as they are kept: each once, in order. All that are wrong are told at once.
fn patterns(hosts: &[String]) -> Result<Vec<String>> {
    if hosts.len() > ALLOWED_HOSTS_MAX {
        let message = format!("Pass at most {ALLOWED_HOSTS_MAX} hosts.");
        return Err(Error::refused(Code::LimitReached, &["allowedHosts"], message));
    }
    let mut kept = Vec::with_capacity(hosts.len());
    let mut refusals = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        match normal_pattern(host) {
            Some(host) => kept.push(host),
            None => {
                let message = format!("{HOST_EXPECTED} A host that begins with `*.` stands for all hosts below it.");
                refusals.push(Refusal::new(Code::Invalid, &["allowedHosts", &index.to_string()], message));
            }
        }
    }
    kept.sort_unstable();
    kept.dedup();
    if refusals.is_empty() { Ok(kept) } else { Err(Error::Refused(refusals)) }
}
