//! What is wrong or doubtful with an address that is meant to carry identifiers, in words. It needs no server.

use std::collections::HashSet;

use url::Url;

use super::{CHAIN, Channel, DESTINATION_EXPECTED, Identifiers, NOT_ALLOWED, is_ad_click, is_allowed, is_destination};
use crate::base::Kind;
use crate::base::limits::EVENT_TEXT_BYTES_MAX;
use crate::text_enum;

text_enum! {
    /// How bad a finding is.
    Severity {
        /// The address will not do what it is meant for.
        Error = "error",
        /// It works, and probably not as meant.
        Warning = "warning",
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub message: String,
}

impl Finding {
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into() }
    }

    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, message: message.into() }
    }
}

/// Reads an address and says what to mend. `None`: it cannot be read at all. No hosts: all are allowed.
#[must_use]
pub fn lint(text: &str, allowed_hosts: &[String]) -> (Option<Identifiers>, Vec<Finding>) {
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            let message = format!("This is not an absolute address ({error}): it must begin with https://.");
            return (None, vec![Finding::error(message)]);
        }
    };
    let mut findings = Vec::new();
    if !is_destination(text) {
        findings.push(Finding::error(DESTINATION_EXPECTED));
    } else if !is_allowed(text, allowed_hosts) {
        findings.push(Finding::error(NOT_ALLOWED));
    }
    if url.scheme() == "http" && url.host_str() != Some("localhost") {
        findings.push(Finding::warning("http: what it carries can be read and changed on the way; use https."));
    }
    let identifiers = Identifiers::read(&url);
    spelling(&url, &mut findings);
    values(&identifiers, &mut findings);
    completeness(&identifiers, &mut findings);
    (Some(identifiers), findings)
}

/// Names that are nearly ours, stand twice, or stand where nobody reads them.
fn spelling(url: &Url, findings: &mut Vec<Finding>) {
    let is_known = |name: &str| CHAIN.contains(&name) || is_ad_click(name);
    let mut seen = HashSet::new();
    for (name, _) in url.query_pairs() {
        if is_known(&name) && !seen.insert(name.clone().into_owned()) {
            findings.push(Finding::warning(format!("`{name}` stands more than once: the first one counts.")));
        }
        let plain = name.strip_prefix("amp;").unwrap_or(&name).to_lowercase();
        let meant = CHAIN.into_iter().find(|own| *own == plain).filter(|own| *own != name);
        if let Some(meant) = meant {
            findings.push(Finding::error(format!("`{name}` is not read: write `{meant}`.")));
        }
    }
    let fragment = url.fragment().unwrap_or_default();
    if CHAIN.iter().any(|name| fragment.contains(&format!("{name}="))) {
        findings.push(Finding::error("What stands behind `#` is not read: put the parameters before it."));
    }
    if url.query().is_some_and(|query| query.contains(";utm_")) {
        findings.push(Finding::error("`;` does not part parameters: write `&`."));
    }
}

fn values(identifiers: &Identifiers, findings: &mut Vec<Finding>) {
    for name in CHAIN {
        let Some(value) = identifiers.get(name) else { continue };
        if value.is_empty() {
            findings.push(Finding::warning(format!("`{name}` is empty, and counts as missing.")));
        } else if value.len() > EVENT_TEXT_BYTES_MAX || value.chars().any(char::is_control) {
            let message = format!("`{name}` must be at most {EVENT_TEXT_BYTES_MAX} bytes without control characters.");
            findings.push(Finding::error(message));
        } else if value.contains(char::REPLACEMENT_CHARACTER) {
            findings.push(Finding::warning(format!("`{name}` is not UTF-8: what could not be read is replaced.")));
        } else if value.trim() != value {
            findings.push(Finding::warning(format!("`{name}` begins or ends with a space.")));
        }
    }
    if identifiers.gv_click.as_deref().is_some_and(|click| Kind::Event.parse(click).is_none()) {
        findings.push(Finding::error("`gv_click` is not an identifier that a redirect gave."));
    } else if identifiers.gv_click.is_some() {
        findings.push(Finding::warning(
            "`gv_click` names one click: take it out of an address that is shared, or its visitors become one person.",
        ));
    }
}

fn completeness(identifiers: &Identifiers, findings: &mut Vec<Finding>) {
    let has = |name: &str| identifiers.get(name).is_some_and(|value| !value.is_empty());
    for name in ["utm_source", "utm_medium", "utm_campaign"] {
        if !has(name) {
            findings.push(Finding::warning(format!("`{name}` is missing.")));
        }
    }
    if !has("creator_id") && !has("gv_token") {
        findings.push(Finding::warning("Neither `creator_id` nor `gv_token` is there: nobody is credited."));
    }
    if identifiers.channel() == Some(Channel::Unassigned) {
        let message = "Google Analytics 4 puts this source and medium into no channel (Unassigned).";
        findings.push(Finding::warning(message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, severity: Severity, part: &str) {
        let url = format!("https://shop.example/{query}");
        let (_, findings) = lint(&url, &["shop.example".to_owned()]);
        let found = findings.iter().any(|one| one.severity == severity && one.message.contains(part));
        assert!(found, "{url} lacks {part:?}: {findings:#?}");
    }

    #[test]
    fn a_complete_address_has_no_findings() {
        let url =
            "https://shop.example/?utm_source=tiktok&utm_medium=creator&utm_campaign=spring&creator_id=mia&sub_id=bio";
        let (identifiers, findings) = lint(url, &["shop.example".to_owned()]);
        assert_eq!(findings, []);
        assert_eq!(identifiers.unwrap().sub_id.as_deref(), Some("bio"));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        use Severity::{Error, Warning};
        check("?UTM_SOURCE=x", Error, "write `utm_source`");
        check("?utm_source=a&amp;utm_medium=b", Error, "write `utm_medium`");
        check("?utm_source=a;utm_medium=b", Error, "write `&`");
        check("#utm_source=x", Error, "behind `#`");
        check("?utm_source=%00", Error, "control characters");
        check("?gv_click=x", Error, "gv_click");
        check("?gv_click=event_00000000000000000000000000", Warning, "one click");
        check("?utm_source=a&utm_source=b", Warning, "more than once");
        check("?utm_source=", Warning, "empty");
        check("?utm_source=%FF", Warning, "UTF-8");
        check("?utm_source=x", Warning, "`utm_medium` is missing");
        check("?utm_source=x", Warning, "nobody is credited");
        check("?utm_source=x&utm_medium=y", Warning, "Unassigned");
        let only = |text: &str| lint(text, &["shop.example".to_owned()]).1.remove(0).message;
        assert!(only("ex.com/?utm_source=x").contains("absolute"));
        assert!(only("javascript:alert(1)").contains("http or https"));
        assert!(only("https://evil.example/").contains("allowedHosts"));
    }
}
