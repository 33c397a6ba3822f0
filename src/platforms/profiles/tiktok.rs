//! TikTok's Research API, `user/info` (<https://developers.tiktok.com/doc/research-api-specs-query-user-info>): by user name.

use serde::Deserialize;

use super::{Profile, Question, Subject, Trouble, count, read};
use crate::config::PlatformSettings;

const FIELDS: &str = "display_name,bio_description,follower_count";

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    data: Option<serde_json::Value>,
    error: Failure,
}

#[derive(Deserialize)]
struct Failure {
    code: String,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    bio_description: String,
    follower_count: u64,
}

pub(super) fn question(settings: &PlatformSettings, subject: Subject<'_>) -> Option<Question> {
    let token = settings.tiktok_access_token.as_ref()?;
    let name = subject.username.unwrap_or(subject.external_id).trim_start_matches('@');
    Some(Question {
        method: "POST",
        url: format!("{}/v2/research/user/info/?fields={FIELDS}", settings.tiktok_api_url),
        headers: vec![("authorization", format!("Bearer {token}")), ("content-type", "application/json".to_owned())],
        body: serde_json::json!({ "username": name }).to_string(),
    })
}

pub(super) fn answer(status: u16, body: &[u8]) -> Result<Option<Profile>, Trouble> {
    let reply: Reply = read(body)?;
    match (reply.error.code.as_str(), status) {
        ("ok", 200) => {}
        ("user_not_found", _) | (_, 404) => return Ok(None),
        // It does not understand the question any more, for instance since a field of it was retired: that says nothing of the account.
        ("invalid_params", _) => return Err(Trouble::Shape),
        ("rate_limit_exceeded" | "internal_error", _) => return Err(Trouble::Later),
        (_, 401 | 403) => return Err(Trouble::Refused),
        _ => return Err(Trouble::Shape),
    }
    let user = reply.data.and_then(|data| serde_json::from_value::<User>(data).ok()).ok_or(Trouble::Shape)?;
    // It says no user name: it was asked by that.
    let follower_count = Some(count(user.follower_count));
    Ok(Some(Profile { username: None, follower_count, description: user.bio_description }))
}
