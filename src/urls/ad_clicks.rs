//! Parameters by which advertising platforms know a click of theirs again. They are kept as they came: only so can a conversion be
//! told to the platform that was paid for the click.

use std::collections::BTreeMap;

use crate::base::limits::{AD_CLICKS_MAX, EVENT_TEXT_BYTES_MAX};

/// The parameters, spelled as the platforms do, in the order of their names. Parameters that name the reader of a mail or a cookie
/// (`_kx`, `mc_eid`, `hsa_acc`) are not among them: they tell of a person, not of a click.
pub const AD_CLICKS: [&str; 21] = [
    "ScCid",
    "_branch_match_id",
    "dclid",
    "ef_id",
    "epik",
    "fbclid",
    "gad_source",
    "gbraid",
    "gclid",
    "gclsrc",
    "irclickid",
    "msclkid",
    "ndclid",
    "rtid",
    "s_kwcid",
    "srsltid",
    "ttclid",
    "twclid",
    "vmcid",
    "wbraid",
    "yclid",
];

/// Google's: an address with one of them and without `utm_source` counts as `google` / `cpc`, as Google's own auto-tagging says.
const AUTO_TAGGED: [&str; 4] = ["dclid", "gbraid", "gclid", "wbraid"];

/// Ad clicks by parameter.
pub type AdClicks = BTreeMap<String, String>;

/// Whether a parameter is an advertising platform's name of a click.
#[must_use]
pub fn is_ad_click(name: &str) -> bool {
    AD_CLICKS.binary_search(&name).is_ok()
}

/// Keeps one that was found, unless its name is there already, it is no plain text, or there are as many as are kept.
pub(super) fn keep(found: &mut AdClicks, name: &str, value: &str) {
    let is_text = !value.is_empty() && value.len() <= EVENT_TEXT_BYTES_MAX && !value.chars().any(char::is_control);
    if is_text && found.len() < AD_CLICKS_MAX && !found.contains_key(name) {
        found.insert(name.to_owned(), value.to_owned());
    }
}

pub(super) fn is_auto_tagged(found: &AdClicks) -> bool {
    AUTO_TAGGED.iter().any(|name| found.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_searched() {
        assert!(AD_CLICKS.is_sorted());
        assert!(is_ad_click("gclid") && is_ad_click("ScCid") && !is_ad_click("GCLID") && !is_ad_click("sccid"));
        assert!(AUTO_TAGGED.iter().all(|name| is_ad_click(name)));
    }
}
