//! What a brand sets for itself: on which hosts the destinations of its links may lie, under which hosts its links stand, which apps
//! they open, from which amount on a payout takes two people, and what is kept of events. It never makes a brand: `access` does.

mod apps;
mod store;

use serde::{Deserialize, Serialize};

use crate::access::{Permission, Scope};
use crate::base::limits::{ALLOWED_HOSTS_MAX, LINK_HOSTS_MAX};
use crate::base::{Code, Env, Error, Money, Refusal, Result};
use crate::db::Conn;
use crate::urls::{HOST_EXPECTED, is_host_of, normal_host, normal_pattern};

pub use apps::{AndroidApp, IosApp};
pub use store::{brand_under_host, home, settings, settings_under_host};

/// The settings of a brand; the defaults are those of a brand that never set anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrandSettings {
    /// Hosts on which destinations may lie, in lower case; `*.shop.example` is every host below that one. Empty: all are allowed.
    pub allowed_hosts: Vec<String>,
    pub ios_app: Option<IosApp>,
    pub android_app: Option<AndroidApp>,
    /// Whether an app's first open without a token is matched with who was sent to its store shortly before. Such a match never pays.
    pub is_probabilistic: bool,
    /// Up to which amount, in minor units of the brand's own currency, one key may both make a payout and approve it.
    #[serde(default)]
    pub four_eyes_above_minor: i64,
    /// Whether what senders say of events beyond our vocabulary is kept.
    #[serde(default)]
    pub keeps_properties: bool,
}

/// Where a brand's links stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    pub brand_slug: String,
    /// Hosts of the brand's own, the first one named first. None: its links stand under the installation's own address.
    pub link_hosts: Vec<String>,
    /// Whether there is an app that links open.
    pub has_app: bool,
}

/// What changes of a brand's settings; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct BrandChange {
    /// All of them after the change.
    pub allowed_hosts: Option<Vec<String>>,
    /// All of them after the change.
    pub link_hosts: Option<Vec<String>>,
    /// `Some(None)` takes the app away.
    pub ios_app: Option<Option<IosApp>>,
    pub android_app: Option<Option<AndroidApp>>,
    pub is_probabilistic: Option<bool>,
    /// In the brand's own currency.
    pub four_eyes_above: Option<Money>,
    pub keeps_properties: Option<bool>,
}

/// Changes the settings; call it inside of a transaction. Links that lead elsewhere than to an allowed host stop to lead on within minutes.
/// The installation's own address, `public_url`, is all brands': none can have it for itself.
pub async fn update(conn: &mut Conn, scope: &Scope, env: &Env, public_url: &str, change: &BrandChange) -> Result<()> {
    scope.require(Permission::Administer)?;
    let mut settings = store::lock(conn, scope, env.now()).await?;
    if let Some(hosts) = &change.allowed_hosts {
        settings.allowed_hosts = read(hosts, "allowedHosts", ALLOWED_HOSTS_MAX, normal_pattern)?;
    }
    if let Some(app) = &change.ios_app {
        app.as_ref().map_or(Ok(()), IosApp::check)?;
        settings.ios_app.clone_from(app);
    }
    if let Some(app) = &change.android_app {
        app.as_ref().map_or(Ok(()), AndroidApp::check)?;
        settings.android_app.clone_from(app);
    }
    settings.is_probabilistic = change.is_probabilistic.unwrap_or(settings.is_probabilistic);
    if let Some(limit) = change.four_eyes_above {
        if limit.currency != scope.currency {
            let message = format!("The brand's own currency is {}: pass an amount in it.", scope.currency);
            return Err(Error::invalid(&["payoutFourEyesAbove", "currency"], message));
        }
        settings.four_eyes_above_minor = limit.minor;
    }
    settings.keeps_properties = change.keeps_properties.unwrap_or(settings.keeps_properties);
    store::write(conn, scope, &settings, env.now()).await?;
    if let Some(hosts) = &change.link_hosts {
        let hosts = read(hosts, "linkHosts", LINK_HOSTS_MAX, normal_host)?;
        if hosts.iter().any(|host| is_host_of(public_url, host)) {
            let message =
                "This is the installation's own address, under which all brands' links stand: name a host of your own.";
            return Err(Error::refused(Code::Conflict, &["linkHosts"], message));
        }
        if let Some(host) = store::set_link_hosts(conn, scope, &hosts, env.now()).await? {
            let message = format!("Links of another brand stand under {host} already: name another host.");
            return Err(Error::refused(Code::Conflict, &["linkHosts"], message));
        }
    }
    Ok(())
}

/// The hosts as they are kept, each once, in the order given. All that are wrong are told at once.
fn read(hosts: &[String], field: &str, count_max: usize, normal: fn(&str) -> Option<String>) -> Result<Vec<String>> {
    if hosts.len() > count_max {
        return Err(Error::refused(Code::LimitReached, &[field], format!("Pass at most {count_max} hosts.")));
    }
    let mut kept = Vec::with_capacity(hosts.len());
    let mut refusals = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        match normal(host) {
            Some(host) if kept.contains(&host) => {}
            Some(host) => kept.push(host),
            None => refusals.push(Refusal::new(Code::Invalid, &[field, &index.to_string()], HOST_EXPECTED)),
        }
    }
    if refusals.is_empty() { Ok(kept) } else { Err(Error::Refused(refusals)) }
}
