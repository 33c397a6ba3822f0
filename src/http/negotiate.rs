//! Which media type the caller wants, by RFC 9110: the most precise range decides, then its weight.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};

/// What `/graphql` can answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    GraphqlResponse,
    EventStream,
    Html,
}

impl Media {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::GraphqlResponse => "application/graphql-response+json",
            Self::EventStream => "text/event-stream",
            Self::Html => "text/html",
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::EventStream => "text/event-stream; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }
}

/// The best of `offers` (the first wins a tie); `None` if none is acceptable. No header accepts everything.
pub(super) fn choose(headers: &HeaderMap, offers: &[Media]) -> Option<Media> {
    let ranges: Vec<(String, u16)> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(range)
        .collect();
    if ranges.is_empty() && !headers.contains_key(ACCEPT) {
        return offers.first().copied();
    }
    let weigh = |media: Media| {
        let (kind, _) = media.name().split_once('/')?;
        let precise = ranges.iter().find(|(range, _)| range == media.name());
        let kind_wide = || ranges.iter().find(|(range, _)| *range == format!("{kind}/*"));
        // What is read once and what streams is given only to those who name it.
        let is_named_only = matches!(media, Media::EventStream | Media::Html);
        let wide =
            || if is_named_only { None } else { kind_wide().or_else(|| ranges.iter().find(|(r, _)| r == "*/*")) };
        precise.or_else(wide).map(|(_, weight)| *weight).filter(|weight| *weight > 0)
    };
    let mut best = None;
    for offer in offers {
        if let Some(weight) = weigh(*offer)
            && best.is_none_or(|(_, most)| weight > most)
        {
            best = Some((*offer, weight));
        }
    }
    best.map(|(media, _)| media)
}

/// A media range and its weight in thousandths.
fn range(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some((name, weight.map_or(1_000, thousandths)))
}

fn thousandths(weight: &str) -> u16 {
    match weight.split_once('.') {
        Some(("0", digits)) if digits.len() <= 3 => format!("{digits:0<3}").parse().unwrap_or(0),
        None if weight == "0" => 0,
        _ => 1_000,
    }
}

/// Whether the body is JSON in UTF-8 and not compressed.
pub(super) fn is_json_body(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let Some(content_type) = types.next().and_then(|value| value.to_str().ok()) else { return false };
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|part| match part.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    let is_plain = headers.get(CONTENT_ENCODING).is_none_or(|value| value == "identity");
    is_json && is_utf8 && is_plain && types.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERS: [Media; 3] = [Media::Json, Media::GraphqlResponse, Media::EventStream];

    fn check(accept: &[&str], expected: Option<Media>) {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(ACCEPT, value.parse().unwrap());
        }
        assert_eq!(choose(&headers, &OFFERS), expected, "{accept:?}");
    }

    #[test]
    fn the_most_precise_range_decides() {
        check(&[], Some(Media::Json));
        check(&["*/*"], Some(Media::Json));
        check(&["application/*"], Some(Media::Json));
        check(&["application/graphql-response+json"], Some(Media::GraphqlResponse));
        check(&["application/graphql-response+json, application/json;q=0.9"], Some(Media::GraphqlResponse));
        check(&["application/json", "application/graphql-response+json"], Some(Media::Json));
        check(&["application/json;q=0, */*"], Some(Media::GraphqlResponse));
        check(&["text/event-stream"], Some(Media::EventStream));
        check(&["text/event-stream, application/json;q=0.5"], Some(Media::EventStream));
        check(&["text/html"], None);
        check(&["text/*"], None);
        check(&["image/png;q=1.0"], None);
        check(&[""], None);
    }

    #[test]
    fn only_json_in_utf8_is_a_body() {
        let is_body = |content_type: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
            is_json_body(&headers)
        };
        assert!(is_body("application/json"));
        assert!(is_body("Application/JSON; charset=\"UTF-8\""));
        for other in
            ["text/plain", "application/json; charset=latin1", "multipart/form-data", "application/graphql", ""]
        {
            assert!(!is_body(other), "{other}");
        }
    }
}
