//! Instagram Graph API, business discovery
//! (<https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/ig-user/business_discovery>): by user name, on
//! behalf of the brand's own account.

use serde::Deserialize;
use url::Url;

use super::{Profile, Question, Subject, Trouble, count, read};
use crate::config::PlatformSettings;

#[derive(Deserialize)]
struct Found {
    business_discovery: Account,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    username: String,
    #[serde(default)]
    biography: String,
    followers_count: Option<u64>,
}

#[derive(Deserialize)]
struct Failed {
    error: Failure,
}

#[derive(Deserialize)]
struct Failure {
    code: i64,
    #[serde(default)]
    error_subcode: i64,
}

pub(super) fn question(settings: &PlatformSettings, subject: Subject<'_>) -> Option<Question> {
    let (own, token) = (settings.instagram_user_id.as_ref()?, settings.instagram_access_token.as_ref()?);
    let name = subject.username.unwrap_or(subject.external_id).trim_start_matches('@');
    // The name stands within an expression: what cannot be in a name would be read as a part of it.
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')).collect();
    let fields = format!("business_discovery.username({name}){{id,username,biography,followers_count}}");
    let mut url = Url::parse(&settings.instagram_api_url).ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().push(own);
    url.query_pairs_mut().append_pair("fields", &fields);
    let headers = vec![("authorization", format!("Bearer {token}"))];
    Some(Question { method: "GET", url: url.into(), headers, body: String::new() })
}

/// Errors by the codes of <https://developers.facebook.com/docs/graph-api/guides/error-handling>.
pub(super) fn answer(subject: Subject<'_>, status: u16, body: &[u8]) -> Result<Option<Profile>, Trouble> {
    if status != 200 {
        let failed: Failed = read(body)?;
        return match (failed.error.code, failed.error.error_subcode) {
            (110, _) | (100, 2_207_013) => Ok(None),
            (1 | 2 | 4 | 17 | 32 | 341 | 613 | 80_002, _) => Err(Trouble::Later),
            (3 | 10 | 102 | 190 | 200..=299, _) => Err(Trouble::Refused),
            _ => Err(Trouble::Shape),
        };
    }
    let account = read::<Found>(body)?.business_discovery;
    // It is asked by user name, which anyone may pass with another's identifier: that proves nothing of the account.
    let named = subject.external_id.trim_start_matches('@');
    if account.id != named && !account.username.eq_ignore_ascii_case(named) {
        return Ok(None);
    }
    let follower_count = account.followers_count.map(count);
    Ok(Some(Profile { username: Some(account.username), follower_count, description: account.biography }))
}
