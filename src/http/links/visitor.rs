//! Who follows a link, as far as the request tells, and whether it is a person who does.

use std::net::IpAddr;

use axum::http::header::{COOKIE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::base::limits::EVENT_TEXT_BYTES_MAX;
use crate::base::{Chance, random_bytes};
use crate::creators::Platform;
use crate::events::{AgentClass, EventType};
use crate::http::house::House;
use crate::http::serve::Peer;
use crate::platforms::user_agents;

const ANONYMOUS_COOKIE: &str = "gv_anon";
const COOKIE_SECONDS: u32 = 365 * 24 * 3_600;

/// Who follows the link, as far as the request tells.
pub(super) struct Visitor {
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
    pub anonymous_id: Option<String>,
    /// IOS, ANDROID, or WEB for everything else.
    pub device: Platform,
}

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// A person follows the link.
    Click,
    /// A messenger's preview, a look at the headers only.
    Look,
    /// A browser fetches ahead what may never be looked at.
    Prefetch,
}

impl Intent {
    pub fn event_type(self) -> EventType {
        if self == Self::Click { EventType::Click } else { EventType::View }
    }
}

impl Visitor {
    pub fn of(house: &House, parts: &Parts) -> Self {
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
        let user_agent =
            parts.headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let user_agent: Option<String> = user_agent.map(|text| text.chars().take(EVENT_TEXT_BYTES_MAX / 4).collect());
        Self {
            ip: client_ip(peer, &parts.headers, house.options.trusted_proxy_count),
            device: user_agent.as_deref().map_or(Platform::Web, user_agents::device),
            user_agent,
            anonymous_id: anonymous_id(&parts.headers),
        }
    }

    pub fn intent(&self, parts: &Parts) -> Intent {
        let says = |name: &str, word: &str| {
            let mut values = parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.any(|value| value.to_ascii_lowercase().contains(word))
        };
        let ahead = ["sec-purpose", "purpose", "x-purpose", "x-moz"];
        if ahead.into_iter().any(|name| says(name, "prefetch")) {
            return Intent::Prefetch;
        }
        let is_preview = self.user_agent.as_deref().map(user_agents::classify) == Some(AgentClass::Preview);
        let is_look = parts.method == Method::HEAD || ahead.into_iter().any(|name| says(name, "preview"));
        if is_look || is_preview { Intent::Look } else { Intent::Click }
    }

    /// Gives a visitor whom we do not know a name, and returns the cookie that keeps it.
    pub fn name(&mut self, chance: &dyn Chance, public_url: &str) -> Option<String> {
        if self.anonymous_id.is_some() {
            return None;
        }
        let id = URL_SAFE_NO_PAD.encode(random_bytes::<16>(chance));
        let secure = if public_url.starts_with("https:") { "; Secure" } else { "" };
        let cookie =
            format!("{ANONYMOUS_COOKIE}={id}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax{secure}");
        self.anonymous_id = Some(id);
        Some(cookie)
    }

    /// An IPv4 address, or the /64 network of an IPv6 one, where it can be a visitor's own. Behind one of a private network stands a proxy
    /// that we were not told of, and behind that everyone.
    pub fn network(&self) -> Option<String> {
        self.ip.and_then(visitor_network)
    }
}

fn visitor_network(ip: IpAddr) -> Option<String> {
    match ip {
        IpAddr::V4(ip) if ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified() => None,
        IpAddr::V4(ip) => Some(ip.to_string()),
        IpAddr::V6(ip)
            if ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified() =>
        {
            None
        }
        IpAddr::V6(ip) => Some(format!("{:x?}", &ip.segments()[..4])),
    }
}

/// The visitor's address: the peer's, or what the outermost proxy that we trust wrote. Everything left of that is hearsay.
fn client_ip(peer: Option<IpAddr>, headers: &HeaderMap, trusted_proxy_count: usize) -> Option<IpAddr> {
    if trusted_proxy_count == 0 {
        return peer.map(|ip| ip.to_canonical());
    }
    let values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let hop = hops.len().checked_sub(trusted_proxy_count).and_then(|index| hops.get(index));
    hop.and_then(|hop| hop.parse().ok()).or(peer).map(|ip| ip.to_canonical())
}

fn anonymous_id(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, id) = pairs.find(|(name, _)| *name == ANONYMOUS_COOKIE)?;
    let is_ours = URL_SAFE_NO_PAD.decode(id).is_ok_and(|bytes| bytes.len() == 16);
    is_ours.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_that_can_be_a_visitors_own_is_limited() {
        let check = |ip: &str, expected: Option<&str>| {
            assert_eq!(visitor_network(ip.parse().unwrap()).as_deref(), expected, "{ip}");
        };
        check("203.0.113.9", Some("203.0.113.9"));
        check("2001:db8:1:2:3::4", Some("[2001, db8, 1, 2]"));
        for ip in ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.1.1", "0.0.0.0", "::1", "fd00::1", "fe80::1", "::"]
        {
            check(ip, None);
        }
    }

    #[test]
    fn only_what_a_trusted_proxy_wrote_counts() {
        let peer: Option<IpAddr> = Some("::ffff:10.0.0.1".parse().unwrap());
        let check = |forwarded: &[&str], trusted: usize, expected: &str| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            let ip = client_ip(peer, &headers, trusted).map(|ip| ip.to_string());
            assert_eq!(ip.as_deref(), Some(expected), "{forwarded:?} {trusted}");
        };
        check(&["1.1.1.1"], 0, "10.0.0.1");
        check(&["1.1.1.1, 2.2.2.2"], 1, "2.2.2.2");
        check(&["1.1.1.1", "2.2.2.2"], 2, "1.1.1.1");
        check(&["2.2.2.2"], 2, "10.0.0.1");
        check(&["nonsense"], 1, "10.0.0.1");
        check(&[], 1, "10.0.0.1");
    }
}
