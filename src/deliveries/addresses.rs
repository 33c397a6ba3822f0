//! Where webhooks may go: an endpoint is an address that anybody can enter, and must not become a way into our own network. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::base::limits::URL_BYTES_MAX;
use crate::base::{Error, Result};

/// Whether an address is one of the internet at large: not private, of this machine, of this link, shared, reserved, or one that carries
/// another within it (the registries of special-purpose addresses, RFC 6890, as of 2026).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_assigned = matches!((a, b, c), (192, 0, 0) | (192, 88, 99));
    let is_benchmark = a == 198 && (18..20).contains(&b);
    let is_reserved = a == 0 || a >= 240;
    let is_own = address.is_private() || address.is_loopback() || address.is_link_local();
    !(is_shared
        || is_assigned
        || is_benchmark
        || is_reserved
        || is_own
        || address.is_multicast()
        || address.is_documentation())
}

/// Of the global unicast block alone, less what is set apart in it.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_global = a & 0xe000 == 0x2000;
    let carries_another = a == 0x2002 || (a == 0x2001 && b < 0x200);
    let is_documentation = (a == 0x2001 && b == 0xdb8) || (a == 0x3fff && b < 0x1000);
    is_global && !carries_another && !is_documentation
}

/// The address of an endpoint in its one spelling: HTTPS, or where private addresses are allowed also HTTP on this very machine.
pub fn read_url(text: &str, allows_private: bool) -> Result<String> {
    let wrong = |message: &str| Err(Error::invalid(&["url"], message));
    let Ok(url) = Url::parse(text) else { return wrong("Pass an absolute URL such as https://shop.example/hooks.") };
    let Some(host) = url.host() else { return wrong("Pass a URL with a host.") };
    if url.as_str().len() > URL_BYTES_MAX {
        return Err(Error::invalid(&["url"], format!("Pass a URL of at most {URL_BYTES_MAX} bytes.")));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return wrong("Pass a URL without a user, a password and a fragment: the signature tells who sends.");
    }
    let (literal, is_here) = match host {
        Host::Ipv4(address) => (Some(IpAddr::V4(address)), address.is_loopback()),
        Host::Ipv6(address) => (Some(IpAddr::V6(address)), address.is_loopback()),
        Host::Domain(name) => (None, name == "localhost"),
    };
    match url.scheme() {
        "https" => {}
        "http" if allows_private && is_here => {}
        _ => return wrong("Pass a URL that starts with https://: what is sent must not be read on its way."),
    }
    if !allows_private && (is_here || literal.is_some_and(|address| !is_public(address))) {
        return wrong("Pass a host of the public internet: private addresses are not sent to.");
    }
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(addresses: &[&str], expected: bool) {
        for address in addresses {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn only_the_internet_at_large_is_public() {
        check(&["1.1.1.1", "100.63.255.255", "100.128.0.0", "172.32.0.1", "198.20.0.1", "223.255.255.255"], true);
        check(&["2606:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1"], true);
        check(
            &["0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1"],
            false,
        );
        check(
            &["192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"],
            false,
        );
        check(
            &["::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "fc00::1", "fe80::1", "ff02::1"],
            false,
        );
        check(&["2001:db8::1", "2001::1", "2002:7f00:1::", "3fff::1", "::7f00:1", "100::1"], false);
    }

    #[test]
    fn an_endpoint_is_https_on_the_internet_unless_it_is_allowed_here() {
        let is_taken = |text: &str, allows_private: bool| read_url(text, allows_private).is_ok();
        for text in ["https://shop.example/hooks?a=1", "https://1.1.1.1:8443/"] {
            assert!(is_taken(text, false) && is_taken(text, true), "{text}");
        }
        for text in
            ["http://127.0.0.1:9/x", "http://[::1]/", "http://localhost:9/", "https://10.0.0.1/", "https://localhost/"]
        {
            assert!(!is_taken(text, false) && is_taken(text, true), "{text}");
        }
        let long = format!("https://shop.example/{}", "x".repeat(URL_BYTES_MAX));
        for text in [
            "http://shop.example/",
            "http://10.0.0.1/",
            "ftp://shop.example/",
            "shop.example",
            "",
            "https://a:b@shop.example/",
        ] {
            assert!(!is_taken(text, false) && !is_taken(text, true), "{text}");
        }
        for text in ["https://shop.example/#a", "https://user@shop.example/", long.as_str(), "https://"] {
            assert!(!is_taken(text, true), "{text}");
        }
        // Other spellings of an address of ours are read as what they are.
        for text in ["https://0x7f.1/", "https://2130706433/", "https://[::ffff:10.0.0.1]/", "https://017700000001/"] {
            assert!(!is_taken(text, false), "{text}");
        }
    }
}
