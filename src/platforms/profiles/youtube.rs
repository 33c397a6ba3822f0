//! YouTube Data API v3, `channels.list` (<https://developers.google.com/youtube/v3/docs/channels>): by the identifier of the channel.

use serde::Deserialize;
use url::Url;

use super::{Profile, Question, Subject, Trouble, count, read};
use crate::config::PlatformSettings;

#[derive(Deserialize)]
struct Channels {
    #[serde(default)]
    items: Vec<Channel>,
}

#[derive(Deserialize)]
struct Channel {
    snippet: Snippet,
    statistics: Statistics,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Snippet {
    title: String,
    custom_url: Option<String>,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    /// Digits in a text.
    subscriber_count: Option<String>,
    #[serde(default)]
    hidden_subscriber_count: bool,
}

pub(super) fn question(settings: &PlatformSettings, subject: Subject<'_>) -> Option<Question> {
    let key = settings.youtube_api_key.clone()?;
    let mut url = Url::parse(&format!("{}/youtube/v3/channels", settings.youtube_api_url)).ok()?;
    url.query_pairs_mut().append_pair("part", "snippet,statistics").append_pair("id", subject.external_id);
    Some(Question { method: "GET", url: url.into(), headers: vec![("x-goog-api-key", key)], body: String::new() })
}

pub(super) fn answer(status: u16, body: &[u8]) -> Result<Option<Profile>, Trouble> {
    match status {
        200 => {}
        404 => return Ok(None),
        // A key that is no longer good is answered 400; a channel that is not there 200, without items.
        400 | 401 | 403 => return Err(Trouble::Refused),
        _ => return Err(Trouble::Shape),
    }
    let channels: Channels = read(body)?;
    let Some(channel) = channels.items.into_iter().next() else { return Ok(None) };
    let statistics = channel.statistics;
    let shown = statistics.subscriber_count.filter(|_| !statistics.hidden_subscriber_count);
    let number = shown.map(|digits| digits.parse::<u64>()).transpose();
    let number = number.map_err(|_error: std::num::ParseIntError| Trouble::Shape)?;
    Ok(Some(Profile {
        username: Some(channel.snippet.custom_url.unwrap_or(channel.snippet.title)),
        follower_count: number.map(count),
        description: channel.snippet.description,
    }))
}
