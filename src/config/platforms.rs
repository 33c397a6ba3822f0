//! Platforms that are asked about creators' accounts: where, and as whom. Without credentials a platform is not asked.

use url::Url;

use super::Key;
use crate::base::limits::{CALL_MS, CALL_MS_MAX, CALL_MS_MIN};

/// Where platforms are asked, and as whom. The addresses have no slash at their end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformSettings {
    pub youtube_api_url: String,
    pub youtube_api_key: Option<String>,
    /// The WebSub hub that tells of new videos.
    pub youtube_hub_url: String,
    pub instagram_api_url: String,
    /// The account on whose behalf others are looked up.
    pub instagram_user_id: Option<String>,
    pub instagram_access_token: Option<String>,
    pub tiktok_api_url: String,
    pub tiktok_access_token: Option<String>,
    /// How long one try may take.
    pub platform_timeout_ms: u64,
}

impl Default for PlatformSettings {
    fn default() -> Self {
        Self {
            youtube_api_url: "https://www.googleapis.com".to_owned(),
            youtube_api_key: None,
            youtube_hub_url: "https://pubsubhubbub.appspot.com/subscribe".to_owned(),
            instagram_api_url: "https://graph.facebook.com/v23.0".to_owned(),
            instagram_user_id: None,
            instagram_access_token: None,
            tiktok_api_url: "https://open.tiktokapis.com".to_owned(),
            tiktok_access_token: None,
            platform_timeout_ms: CALL_MS,
        }
    }
}

impl PlatformSettings {
    /// The setting of a key, where it is one of these.
    pub(super) fn get(&self, key: Key) -> Option<&str> {
        match key {
            Key::YoutubeApiUrl => Some(&self.youtube_api_url),
            Key::YoutubeApiKey => self.youtube_api_key.as_deref(),
            Key::YoutubeHubUrl => Some(&self.youtube_hub_url),
            Key::InstagramApiUrl => Some(&self.instagram_api_url),
            Key::InstagramUserId => self.instagram_user_id.as_deref(),
            Key::InstagramAccessToken => self.instagram_access_token.as_deref(),
            Key::TiktokApiUrl => Some(&self.tiktok_api_url),
            Key::TiktokAccessToken => self.tiktok_access_token.as_deref(),
            _ => None,
        }
    }
}

/// Reads the address of a platform.
pub(super) fn address(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    (is_plain && matches!(url.scheme(), "http" | "https") && url.has_host())
        .then(|| text.trim_end_matches('/').to_owned())
}

/// Reads how long a try may take.
pub(super) fn timeout_ms(text: &str) -> Option<u64> {
    text.parse().ok().filter(|time| (CALL_MS_MIN..=CALL_MS_MAX).contains(time))
}

/// Reads a credential, which goes into headers and paths.
pub(super) fn credential(text: &str) -> Option<String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    (is_plain && (1..=1_000).contains(&text.len())).then(|| text.to_owned())
}
