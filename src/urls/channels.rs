//! The default channel groups of Google Analytics 4 (<https://support.google.com/analytics/answer/9756891>), by source, medium and
//! campaign. Letter case does not matter, as there.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::text_enum;

text_enum! {
    /// A channel group.
    Channel {
        Direct = "DIRECT",
        CrossNetwork = "CROSS_NETWORK",
        PaidShopping = "PAID_SHOPPING",
        PaidSearch = "PAID_SEARCH",
        PaidSocial = "PAID_SOCIAL",
        PaidVideo = "PAID_VIDEO",
        Display = "DISPLAY",
        PaidOther = "PAID_OTHER",
        OrganicShopping = "ORGANIC_SHOPPING",
        OrganicSocial = "ORGANIC_SOCIAL",
        OrganicVideo = "ORGANIC_VIDEO",
        OrganicSearch = "ORGANIC_SEARCH",
        Referral = "REFERRAL",
        Email = "EMAIL",
        Affiliates = "AFFILIATES",
        Audio = "AUDIO",
        Sms = "SMS",
        MobilePush = "MOBILE_PUSH",
        Unassigned = "UNASSIGNED",
    }
}

/// What kind of site a source is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Site {
    Search,
    Shopping,
    Social,
    Video,
}

/// Google's list of sources, in lower case.
static SITES: LazyLock<HashMap<String, Site>> = LazyLock::new(|| {
    let lines = include_str!("sources.txt").lines().filter(|line| !line.starts_with('#'));
    let sites = lines.filter_map(|line| {
        let (kind, source) = line.split_once(' ')?;
        let site = match kind {
            "search" => Site::Search,
            "shopping" => Site::Shopping,
            "social" => Site::Social,
            "video" => Site::Video,
            _ => return None,
        };
        Some((source.to_lowercase(), site))
    });
    sites.collect()
});

const EMAILS: [&str; 4] = ["email", "e-mail", "e_mail", "e mail"];
const DISPLAYS: [&str; 5] = ["display", "banner", "expandable", "interstitial", "cpm"];
const SOCIALS: [&str; 6] = ["social", "social-network", "social-media", "sm", "social network", "social media"];

/// The channel group. What is empty counts as not given.
#[must_use]
pub fn channel_of(source: &str, medium: &str, campaign: &str) -> Channel {
    let [source, medium, campaign] = [source, medium, campaign].map(|text| text.trim().to_lowercase());
    let site = SITES.get(&source).copied();
    let is_shop = site == Some(Site::Shopping) || names_a_shop(&campaign);
    let is_direct =
        matches!(source.as_str(), "" | "(direct)") && matches!(medium.as_str(), "" | "(none)" | "(not set)");
    if is_direct {
        return Channel::Direct;
    }
    if campaign.contains("cross-network") {
        return Channel::CrossNetwork;
    }
    if let Some(paid) = paid(&medium, site, is_shop) {
        return paid;
    }
    if is_shop {
        return Channel::OrganicShopping;
    }
    organic(&source, &medium, site)
}

/// The rules that ask for a paid medium.
fn paid(medium: &str, site: Option<Site>, is_shop: bool) -> Option<Channel> {
    let is_paid = medium.contains("cp") || matches!(medium, "ppc" | "retargeting") || medium.starts_with("paid");
    match site {
        _ if is_shop && is_paid => Some(Channel::PaidShopping),
        Some(Site::Search) if is_paid => Some(Channel::PaidSearch),
        Some(Site::Social) if is_paid => Some(Channel::PaidSocial),
        Some(Site::Video) if is_paid => Some(Channel::PaidVideo),
        _ if DISPLAYS.contains(&medium) => Some(Channel::Display),
        _ if is_paid => Some(Channel::PaidOther),
        _ => None,
    }
}

fn organic(source: &str, medium: &str, site: Option<Site>) -> Channel {
    match medium {
        _ if site == Some(Site::Social) || SOCIALS.contains(&medium) => Channel::OrganicSocial,
        _ if site == Some(Site::Video) || medium.contains("video") => Channel::OrganicVideo,
        _ if site == Some(Site::Search) || medium == "organic" => Channel::OrganicSearch,
        "referral" | "app" | "link" => Channel::Referral,
        _ if EMAILS.contains(&source) || EMAILS.contains(&medium) => Channel::Email,
        "affiliate" => Channel::Affiliates,
        "audio" => Channel::Audio,
        _ if source == "sms" || medium == "sms" => Channel::Sms,
        _ if medium.ends_with("push") || medium.contains("mobile") || medium.contains("notification") => {
            Channel::MobilePush
        }
        _ if source == "firebase" => Channel::MobilePush,
        _ => Channel::Unassigned,
    }
}

/// Google's `^(.*(([^a-df-z]|^)shop|shopping).*)$`: "workshop" is none, "eshop" is one.
fn names_a_shop(campaign: &str) -> bool {
    let mut starts = campaign.match_indices("shop").map(|(at, _)| campaign[..at].chars().next_back());
    let is_start = |before: Option<char>| before.is_none_or(|letter| letter == 'e' || !letter.is_ascii_lowercase());
    campaign.contains("shopping") || starts.any(is_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_read() {
        let lines = include_str!("sources.txt").lines().filter(|line| !line.starts_with('#')).count();
        assert!(SITES.len() > 800 && SITES.len() <= lines, "{} of {lines}", SITES.len());
    }

    #[test]
    fn a_shop_is_a_word_of_its_own() {
        for (campaign, expected) in [("shop", true), ("eshop-may", true), ("my shop", true), ("workshop", false)] {
            assert_eq!(names_a_shop(campaign), expected, "{campaign}");
        }
        assert!(names_a_shop("windowshopping"));
    }

    #[test]
    fn letter_case_does_not_matter_and_nothing_is_direct() {
        assert_eq!(channel_of("TikTok", "Creator", "x"), Channel::OrganicSocial);
        assert_eq!(channel_of("", "", ""), Channel::Direct);
        assert_eq!(channel_of("mia", "creator", "spring"), Channel::Unassigned);
    }
}
