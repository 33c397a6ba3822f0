//! The effective settings as a `grapevine.toml`, with every secret masked.

use url::Url;

use super::{Draft, Key, LogFormat};

const MASK: &str = "***";

/// One line per setting. What is not set is a comment that says what happens then.
#[must_use]
pub fn show(draft: &Draft) -> String {
    Key::ALL.into_iter().map(|key| line(draft, key) + "\n").collect()
}

fn line(draft: &Draft, key: Key) -> String {
    let (value, otherwise) = match key {
        Key::Listen => (Some(draft.listen.to_string()), ""),
        Key::PublicUrl => (Some(draft.effective_public_url()), ""),
        Key::DatabaseUrl => (draft.database_url.as_deref().map(masked), "`up` brings its own PostgreSQL"),
        Key::TrustedProxyCount => return format!("{} = {}", key.as_str(), draft.trusted_proxy_count),
        Key::DatabasePoolSize => return format!("{} = {}", key.as_str(), draft.database_pool_size),
        Key::EventsRetentionDays => match draft.events_retention_days {
            Some(days) => return format!("{} = {days}", key.as_str()),
            None => (None, "the log of events is kept for ever"),
        },
        Key::RedisUrl => (draft.redis_url.as_deref().map(masked), "`up` brings its own Redis"),
        Key::RedisPrefix => (Some(draft.redis_prefix.clone()), ""),
        Key::Secret => (draft.secret.map(|_| MASK.to_owned()), "`up` makes one in data_dir"),
        Key::DataDir => (Some(draft.data_dir.display().to_string()), ""),
        Key::SourceRequestsPerSecond
        | Key::KeyRequestsPerMinute
        | Key::KeyCostPerMinute
        | Key::AddressClicksPerMinute
        | Key::RateLimitWaitMs => {
            return format!("{} = {}", key.as_str(), draft.rate_limits.get(key).unwrap_or_default());
        }
        Key::PlatformTimeoutMs => {
            return format!("{} = {}", key.as_str(), draft.platforms.platform_timeout_ms);
        }
        Key::YoutubeApiUrl
        | Key::YoutubeApiKey
        | Key::YoutubeHubUrl
        | Key::InstagramApiUrl
        | Key::InstagramUserId
        | Key::InstagramAccessToken
        | Key::TiktokApiUrl
        | Key::TiktokAccessToken => {
            let shown = |text: &str| if key.is_credential() { MASK.to_owned() } else { text.to_owned() };
            (draft.platforms.get(key).map(shown), "this platform is not asked about accounts")
        }
        Key::WebhookPrivateAddresses => {
            let shown = if draft.webhook_private_addresses { "allowed" } else { "refused" };
            (Some(shown.to_owned()), "")
        }
        Key::Log => (Some(draft.log.clone()), ""),
        Key::LogFormat => (Some(log_format(draft.log_format).to_owned()), ""),
    };
    match value {
        Some(value) => format!("{} = {}", key.as_str(), toml::Value::String(value)),
        None => format!("# {} is not set: {otherwise}", key.as_str()),
    }
}

fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

/// The URL without its password, wherever that stands in it.
fn masked(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return MASK.to_owned() };
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    if url.query_pairs().any(|(name, _)| name == "password") {
        url.set_query(Some(MASK));
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn passwords_are_masked_and_the_rest_is_toml_that_can_be_read_again() {
        let file = "database_url = \"postgres://me:hunter2@db/grape\"\nredis_url = \"redis://:hunter2@kv:6379/0\"\nsecret = \
                    \"2222222222222222222222222222222222222222222222222222222222222222\"\n";
        let draft = Draft::from_layers(Vec::new(), [], Path::new("x.toml"), file).unwrap();
        let text = show(&draft);
        assert!(!text.contains("hunter2") && !text.contains("2222"), "{text}");
        assert!(text.contains("database_url = \"postgres://me:***@db/grape\""), "{text}");
        assert!(masked("postgres://db/x?user=me&password=hunter2").ends_with("?***"));
        let readable = text.replace("secret = \"***\"\n", "");
        Draft::from_layers(Vec::new(), [], Path::new("x.toml"), &readable).unwrap();
    }
}
