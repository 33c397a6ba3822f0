//! Where a click is sent: the link's own destination with the identifier chain added. The destination's own parameters always
//! stay, except those of the chain's names, which ours replace.

use url::Url;
use url::form_urlencoded;

/// The destination with `chain` in its query; `None` where it is not a web address, which no link should hold.
pub(super) fn with_chain(destination: &str, chain: &[(&str, String)]) -> Option<Url> {
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
}
