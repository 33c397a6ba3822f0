//! What platforms say of a creator's account, one file per platform: the question as an HTTP request, and the answer read. Pure: who
//! sends it is `outbound`. An account counts as the creator's once its public description holds the code that we gave the creator.

mod instagram;
mod tiktok;
mod youtube;

use crate::config::PlatformSettings;
use crate::creators::Platform;

/// An HTTP request to a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// The account that is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub external_id: &'a str,
    pub username: Option<&'a str>,
}

/// What a platform shows of an account to everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub username: Option<String>,
    /// `None`: the account hides it.
    pub follower_count: Option<i32>,
    /// What the account says of itself.
    pub description: String,
}

/// Why an answer says nothing about the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("it cannot answer now")]
    Later,
    #[error("it does not let us ask: the credentials are wrong, or they lack a permission")]
    Refused,
    #[error("its answer is not as this adapter knows it")]
    Shape,
}

/// Platforms that can be asked.
pub const ASKED: [Platform; 3] = [Platform::Instagram, Platform::Tiktok, Platform::Youtube];

/// How a platform is asked about an account. `None`: it cannot be, or no credentials are set for it.
#[must_use]
pub fn question(settings: &PlatformSettings, platform: Platform, subject: Subject<'_>) -> Option<Question> {
    match platform {
        Platform::Instagram => instagram::question(settings, subject),
        Platform::Tiktok => tiktok::question(settings, subject),
        Platform::Youtube => youtube::question(settings, subject),
        _ => None,
    }
}

/// What the answer to [`question`] says. `Ok(None)`: there is no such account, or the name is another's.
pub fn answer(platform: Platform, subject: Subject<'_>, status: u16, body: &[u8]) -> Result<Option<Profile>, Trouble> {
    match (status, platform) {
        (408 | 425 | 429 | 500..=599, _) => Err(Trouble::Later),
        (_, Platform::Instagram) => instagram::answer(subject, status, body),
        (_, Platform::Tiktok) => tiktok::answer(status, body),
        (_, Platform::Youtube) => youtube::answer(status, body),
        _ => Err(Trouble::Shape),
    }
}

fn read<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|_error: serde_json::Error| Trouble::Shape)
}

fn count(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> PlatformSettings {
        PlatformSettings {
            youtube_api_key: Some("key".to_owned()),
            instagram_user_id: Some("17841".to_owned()),
            instagram_access_token: Some("token".to_owned()),
            tiktok_access_token: Some("clt.x".to_owned()),
            ..PlatformSettings::default()
        }
    }

    #[test]
    fn a_platform_without_credentials_is_not_asked() {
        let subject = Subject { external_id: "zoe", username: None };
        for platform in Platform::ALL {
            assert_eq!(question(&PlatformSettings::default(), *platform, subject), None, "{platform:?}");
            assert_eq!(question(&settings(), *platform, subject).is_some(), ASKED.contains(platform), "{platform:?}");
        }
    }

    #[test]
    fn what_an_account_is_called_cannot_change_the_question() {
        let subject = Subject { external_id: "a&key=b#\"}){id}", username: Some("a&fields=x/../y)") };
        for platform in ASKED {
            let question = question(&settings(), platform, subject).unwrap();
            let url = url::Url::parse(&question.url).unwrap();
            assert!(url.fragment().is_none() && !url.path().contains(".."), "{}", question.url);
            let names: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
            let mut unique = names.clone();
            unique.dedup();
            assert_eq!(names, unique, "{}", question.url);
        }
    }

    #[test]
    fn answers_are_read_and_changes_of_their_shape_are_told() {
        let profile = |name: &str, followers: Option<i32>, text: &str| {
            let (username, description) = (Some(name.to_owned()), text.to_owned());
            Ok(Some(Profile { username, follower_count: followers, description }))
        };
        let subject = Subject { external_id: "1", username: Some("zoe") };
        let check = |platform: Platform, status: u16, body: &str, expected: Result<Option<Profile>, Trouble>| {
            assert_eq!(answer(platform, subject, status, body.as_bytes()), expected, "{platform:?} {status} {body}");
        };
        let youtube = r#"{"items":[{"id":"UC1","snippet":{"title":"Zoe","customUrl":"@zoe","description":"tea gv-1"},
            "statistics":{"subscriberCount":"12345","hiddenSubscriberCount":false,"new":[]}}],"new":1}"#;
        check(Platform::Youtube, 200, youtube, profile("@zoe", Some(12_345), "tea gv-1"));
        check(Platform::Youtube, 200, &youtube.replace("false", "true"), profile("@zoe", None, "tea gv-1"));
        check(Platform::Youtube, 200, r#"{"kind":"x","pageInfo":{"totalResults":0}}"#, Ok(None));
        check(Platform::Youtube, 200, r#"{"items":[{"id":"UC1","snippet":{"name":"Zoe"}}]}"#, Err(Trouble::Shape));
        check(Platform::Youtube, 200, &youtube.replace("\"12345\"", "\"many\""), Err(Trouble::Shape));
        check(Platform::Youtube, 403, r#"{"error":{"code":403}}"#, Err(Trouble::Refused));
        check(Platform::Youtube, 404, "", Ok(None));
        let key_gone = r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#;
        check(Platform::Youtube, 400, key_gone, Err(Trouble::Refused));
        let instagram = r#"{"business_discovery":{"id":"1","username":"zoe","biography":"tea gv-1","followers_count":7},"id":"17841"}"#;
        check(Platform::Instagram, 200, instagram, profile("zoe", Some(7), "tea gv-1"));
        check(
            Platform::Instagram,
            200,
            r#"{"business_discovery":{"id":"1","username":"zoe","followers_count":7}}"#,
            profile("zoe", Some(7), ""),
        );
        check(Platform::Instagram, 400, r#"{"error":{"code":110,"message":"x"}}"#, Ok(None));
        check(Platform::Instagram, 400, r#"{"error":{"code":100,"error_subcode":2207013}}"#, Ok(None));
        check(Platform::Instagram, 400, r#"{"error":{"code":190}}"#, Err(Trouble::Refused));
        check(Platform::Instagram, 400, r#"{"error":{"code":4}}"#, Err(Trouble::Later));
        check(Platform::Instagram, 400, r#"{"error":{"code":12345}}"#, Err(Trouble::Shape));
        check(Platform::Instagram, 200, r#"{"business_discovery":{"username":7}}"#, Err(Trouble::Shape));
        let tiktok = r#"{"data":{"display_name":"Zoe","bio_description":"tea gv-1","follower_count":9},"error":{"code":"ok","message":"","log_id":"1"}}"#;
        check(
            Platform::Tiktok,
            200,
            tiktok,
            Ok(Some(Profile { username: None, follower_count: Some(9), description: "tea gv-1".to_owned() })),
        );
        check(Platform::Tiktok, 200, r#"{"data":{},"error":{"code":"user_not_found"}}"#, Ok(None));
        check(Platform::Tiktok, 401, r#"{"error":{"code":"access_token_invalid"}}"#, Err(Trouble::Refused));
        check(Platform::Tiktok, 400, r#"{"error":{"code":"invalid_params","message":"x"}}"#, Err(Trouble::Shape));
        check(Platform::Tiktok, 200, r#"{"data":{"followers":9},"error":{"code":"ok"}}"#, Err(Trouble::Shape));
        for (external_id, username, is_found) in
            [("1", None, true), ("@Zoe", None, true), ("2", Some("zoe"), false), ("2", None, false)]
        {
            let found = answer(Platform::Instagram, Subject { external_id, username }, 200, instagram.as_bytes());
            assert_eq!(found.unwrap().is_some(), is_found, "{external_id} {username:?}");
        }
        for platform in ASKED {
            for status in [429, 500, 503] {
                check(platform, status, "", Err(Trouble::Later));
            }
            check(platform, 200, "<html>", Err(Trouble::Shape));
            check(platform, 200, "{}", if platform == Platform::Youtube { Ok(None) } else { Err(Trouble::Shape) });
        }
    }
}
