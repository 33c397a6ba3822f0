//! The identifier standard: `?utm_source=…&utm_medium=…&utm_campaign=…&creator_id=…&sub_id=…`, with the link (`gv_token`) and the click
//! (`gv_click`) that led here. Built into every link's destination, read from every address that an event brings.

use url::Url;
use url::form_urlencoded;

use super::Channel;
use super::ad_clicks::{self, AdClicks, is_ad_click};
use super::channels::channel_of;

/// The parameters of the standard, in the order in which they are written.
pub const CHAIN: [&str; 10] = [
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
    "utm_id",
    "creator_id",
    "sub_id",
    "gv_token",
    "gv_click",
];

/// What an address says of where its visitor comes from. As `URLSearchParams.get` of the WHATWG standard reads it: the first value of a
/// name counts, names are case-sensitive, `+` is a space, what is no UTF-8 becomes U+FFFD, and what stands behind `#` is not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identifiers {
    pub utm_source: Option<String>,
    pub utm_medium: Option<String>,
    pub utm_campaign: Option<String>,
    pub utm_content: Option<String>,
    pub utm_term: Option<String>,
    pub utm_id: Option<String>,
    pub creator_id: Option<String>,
    pub sub_id: Option<String>,
    pub gv_token: Option<String>,
    pub gv_click: Option<String>,
    pub ad_clicks: AdClicks,
}

impl Identifiers {
    /// Reads an address.
    #[must_use]
    pub fn read(url: &Url) -> Self {
        let mut found = Self::default();
        for (name, value) in url.query_pairs() {
            if let Some(place) = found.place(&name) {
                place.get_or_insert_with(|| value.into_owned());
            } else if is_ad_click(&name) {
                ad_clicks::keep(&mut found.ad_clicks, &name, &value);
            }
        }
        found
    }

    fn place(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "utm_source" => &mut self.utm_source,
            "utm_medium" => &mut self.utm_medium,
            "utm_campaign" => &mut self.utm_campaign,
            "utm_content" => &mut self.utm_content,
            "utm_term" => &mut self.utm_term,
            "utm_id" => &mut self.utm_id,
            "creator_id" => &mut self.creator_id,
            "sub_id" => &mut self.sub_id,
            "gv_token" => &mut self.gv_token,
            "gv_click" => &mut self.gv_click,
            _ => return None,
        })
    }

    /// The value of a name of [`CHAIN`], empty ones included. `None`: it does not stand in the address.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let values = [
            &self.utm_source,
            &self.utm_medium,
            &self.utm_campaign,
            &self.utm_content,
            &self.utm_term,
            &self.utm_id,
            &self.creator_id,
            &self.sub_id,
            &self.gv_token,
            &self.gv_click,
        ];
        CHAIN.iter().zip(values).find(|(own, _)| **own == name).and_then(|(_, value)| value.as_deref())
    }

    /// Whether the address carries identifiers that only we write, so that its campaign must be one of ours.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        [&self.creator_id, &self.gv_token, &self.gv_click].into_iter().flatten().any(|value| !value.is_empty())
    }

    /// The channel group that the address tells; `None` where it tells nothing of its source.
    #[must_use]
    pub fn channel(&self) -> Option<Channel> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let (source, medium, campaign) = (text(&self.utm_source), text(&self.utm_medium), text(&self.utm_campaign));
        if source.is_empty() && ad_clicks::is_auto_tagged(&self.ad_clicks) {
            return Some(channel_of("google", "cpc", &campaign));
        }
        let says_nothing = source.is_empty() && medium.is_empty() && campaign.is_empty();
        (!says_nothing).then(|| channel_of(&source, &medium, &campaign))
    }
}

/// The destination with `chain` in its query; `None` where it is not a web address, which no link should hold. The destination's own
/// parameters stay as they are, except those of the chain's names, which ours replace.
#[must_use]
pub fn with_chain(destination: &str, chain: &[(&str, String)]) -> Option<Url> {
    let mut url = Url::parse(destination).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let is_ours = |pair: &&str| {
        form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| chain.iter().any(|(ours, _)| *ours == name))
    };
    let theirs = url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !is_ours(pair));
    let ours = form_urlencoded::Serializer::new(String::new()).extend_pairs(chain).finish();
    let query: Vec<&str> = theirs.chain(Some(ours.as_str()).filter(|ours| !ours.is_empty())).collect();
    let query = query.join("&");
    url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
    Some(url)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(destination: &str, expected: Option<&str>) {
        let chain = [("utm_source", "tik tok".to_owned()), ("gv_token", "a&b".to_owned())];
        let url = with_chain(destination, &chain).map(String::from);
        assert_eq!(url.as_deref(), expected, "{destination}");
    }

    #[test]
    fn our_names_win_and_all_others_stay_as_they_are() {
        let chain = "utm_source=tik+tok&gv_token=a%26b";
        check("https://shop.example", Some(&format!("https://shop.example/?{chain}")));
        check("https://shop.example/p?x=%20&y&x=2#f", Some(&format!("https://shop.example/p?x=%20&y&x=2&{chain}#f")));
        check(
            "https://shop.example/?utm_source=old&%75tm_source=older&a=1",
            Some(&format!("https://shop.example/?a=1&{chain}")),
        );
        check("javascript:alert(1)", None);
        check("data:text/html,x", None);
        check("//evil.example", None);
    }

    #[test]
    fn the_channel_is_told_by_the_address_or_not_at_all() {
        let channel =
            |query: &str| Identifiers::read(&Url::parse(&format!("https://a.example/?{query}")).unwrap()).channel();
        assert_eq!(channel("utm_source=tiktok&utm_medium=creator"), Some(Channel::OrganicSocial));
        assert_eq!(channel("gclid=x"), Some(Channel::PaidSearch));
        assert_eq!(channel("gclid=x&utm_source=news&utm_medium=email"), Some(Channel::Email));
        assert_eq!(channel("fbclid=x"), None, "it stands in every address that is shared there, paid or not");
        assert_eq!(channel("x=1"), None);
    }

    proptest! {
        #[test]
        fn what_is_built_is_read_back(values in prop::collection::vec("\\PC{1,20}", CHAIN.len()), page in "[a-z]{1,5}\\?[a-z&=%+]{0,12}") {
            let chain: Vec<(&str, String)> = CHAIN.into_iter().zip(values).collect();
            let url = with_chain(&format!("https://shop.example/{page}"), &chain).unwrap();
            let found = Identifiers::read(&Url::parse(url.as_str()).unwrap());
            for (name, value) in &chain {
                prop_assert_eq!(found.get(name), Some(value.as_str()), "{}", url);
            }
        }
    }
}
