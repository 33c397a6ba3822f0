//! Where a link may lead: web addresses only, and where a brand names its hosts, those only.

use url::{Host, Url};

use crate::base::limits::{HOST_BYTES_MAX, URL_BYTES_MAX};

/// What a destination must be, as a sentence for the caller.
pub const DESTINATION_EXPECTED: &str =
    "Pass an http or https address of at most 2048 bytes, with a host and without a user name or password.";

/// Why a destination is refused whose host the brand does not name, as a sentence for the caller.
pub const NOT_ALLOWED: &str = "Pass an address on one of the brand's allowed hosts: `viewer { brand { allowedHosts } }` lists them, `updateBrand` changes them.";

/// What a host must be, as a sentence for the caller.
pub const HOST_EXPECTED: &str = "Pass a host name such as shop.example, without scheme, port and path.";

/// Whether a redirect may lead to this address at all.
#[must_use]
pub fn is_destination(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    is_web && url.username().is_empty() && url.password().is_none() && text.len() <= URL_BYTES_MAX
}

/// Whether an address lies on one of the hosts; `*.shop.example` stands for every host below that one, whatever the port. No hosts: a
/// brand that names none allows all.
#[must_use]
pub fn is_allowed(text: &str, hosts: &[String]) -> bool {
    if hosts.is_empty() {
        return true;
    }
    let Some(host) = Url::parse(text).ok().and_then(|url| url.host_str().map(without_final_point)) else {
        return false;
    };
    hosts.iter().any(|pattern| match pattern.strip_prefix("*.") {
        Some(above) => host.strip_suffix(above).is_some_and(|below| below.ends_with('.') && below.len() > 1),
        None => host == *pattern,
    })
}

/// A host as the URL standard writes it: lower case, punycode, without a full stop at its end. `None`: it is none.
#[must_use]
pub fn normal_host(text: &str) -> Option<String> {
    let is_plain = !text.is_empty() && !text.contains(['/', ':', '@', '?', '#', '\\', '%', '*']);
    let host = Host::parse(text.trim()).ok().filter(|_| is_plain)?;
    let host = without_final_point(&host.to_string());
    (!host.is_empty() && host.len() <= HOST_BYTES_MAX).then_some(host)
}

/// Whether a host, as [`normal_host`] writes it, is that of an address.
#[must_use]
pub fn is_host_of(address: &str, host: &str) -> bool {
    let own = Url::parse(address).ok();
    own.as_ref().and_then(Url::host_str).is_some_and(|own| without_final_point(own) == host)
}

/// The same for an allowed host, which may begin with `*.`. `*.example` alone, a whole top-level domain, is none.
#[must_use]
pub fn normal_pattern(text: &str) -> Option<String> {
    match text.trim().strip_prefix("*.") {
        Some(above) => normal_host(above).filter(|host| host.contains('.')).map(|host| format!("*.{host}")),
        None => normal_host(text),
    }
}

fn without_final_point(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_hosts_are_allowed_where_there_are_any() {
        let hosts = ["shop.example", "*.acme.example", "xn--r8jz45g.jp"].map(str::to_owned);
        let check = |url: &str, expected: bool| assert_eq!(is_allowed(url, &hosts), expected, "{url}");
        check("https://shop.example/p?x=1", true);
        check("https://SHOP.example.:8443/", true);
        check("https://www.shop.example/", false);
        check("https://a.b.acme.example/", true);
        check("https://acme.example/", false);
        check("https://evilacme.example/", false);
        check("https://shop.example.evil.example/", false);
        check("https://shop.example@evil.example/", false);
        check("https://evil.example\\@shop.example/", false);
        check("https://例え.jp/", true);
        check("not an address", false);
        assert!(is_allowed("https://anything.example/", &[]));
    }

    #[test]
    fn an_address_has_one_host_whatever_its_port() {
        for (host, expected) in [("go.acme.example", true), ("acme.example", false), ("", false)] {
            assert_eq!(is_host_of("https://GO.acme.example.:8443/r/x", host), expected, "{host}");
        }
        assert!(is_host_of("http://[::1]:80", "[::1]") && !is_host_of("go.acme.example", "go.acme.example"));
    }

    #[test]
    fn hosts_are_kept_as_the_standard_writes_them() {
        let check =
            |text: &str, expected: Option<&str>| assert_eq!(normal_pattern(text).as_deref(), expected, "{text}");
        check(" Shop.Example. ", Some("shop.example"));
        check("例え.jp", Some("xn--r8jz45g.jp"));
        check("*.Shop.Example", Some("*.shop.example"));
        check("localhost", Some("localhost"));
        for wrong in
            ["", "*", "*.", "*.com", "https://a.example", "a.example/", "a.example:80", "a b", "*.*.a.example", "a@b"]
        {
            check(wrong, None);
        }
    }

    #[test]
    fn destinations_are_web_addresses() {
        for good in ["https://shop.example/p?x=1", "http://localhost:3000", "https://例え.jp/"] {
            assert!(is_destination(good), "{good}");
        }
        let long = format!("https://a.example/{}", "x".repeat(URL_BYTES_MAX));
        for bad in [
            "javascript:alert(1)",
            "data:,x",
            "//a.example",
            "a.example",
            "ftp://a.example",
            "https://u:p@a.example/",
            "",
            &long,
        ] {
            assert!(!is_destination(bad), "{bad}");
        }
    }
}
