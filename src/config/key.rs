//! The closed list of settings: how each is called on every layer, and what it must hold.

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Listen,
    PublicUrl,
    TrustedProxyCount,
    DatabaseUrl,
    DatabasePoolSize,
    RedisUrl,
    RedisPrefix,
    Secret,
    DataDir,
    EventsRetentionDays,
    SourceRequestsPerSecond,
    KeyRequestsPerMinute,
    KeyCostPerMinute,
    AddressClicksPerMinute,
    RateLimitWaitMs,
    YoutubeApiUrl,
    YoutubeApiKey,
    YoutubeHubUrl,
    InstagramApiUrl,
    InstagramUserId,
    InstagramAccessToken,
    TiktokApiUrl,
    TiktokAccessToken,
    PlatformTimeoutMs,
    WebhookPrivateAddresses,
    Log,
    LogFormat,
}

/// What the environment's names start with.
pub(super) const PREFIX: &str = "GRAPEVINE_";

/// Whether a name with our prefix is none of a setting: where the file is, and what our tests read.
pub(super) fn is_reserved(name: &str) -> bool {
    matches!(name, "GRAPEVINE_CONFIG" | "GRAPEVINE_WRITE") || name.starts_with("GRAPEVINE_TEST_")
}

impl Key {
    pub const ALL: [Self; 27] = [
        Self::Listen,
        Self::PublicUrl,
        Self::TrustedProxyCount,
        Self::DatabaseUrl,
        Self::DatabasePoolSize,
        Self::RedisUrl,
        Self::RedisPrefix,
        Self::Secret,
        Self::DataDir,
        Self::EventsRetentionDays,
        Self::SourceRequestsPerSecond,
        Self::KeyRequestsPerMinute,
        Self::KeyCostPerMinute,
        Self::AddressClicksPerMinute,
        Self::RateLimitWaitMs,
        Self::YoutubeApiUrl,
        Self::YoutubeApiKey,
        Self::YoutubeHubUrl,
        Self::InstagramApiUrl,
        Self::InstagramUserId,
        Self::InstagramAccessToken,
        Self::TiktokApiUrl,
        Self::TiktokAccessToken,
        Self::PlatformTimeoutMs,
        Self::WebhookPrivateAddresses,
        Self::Log,
        Self::LogFormat,
    ];

    /// The name in `grapevine.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::PublicUrl => "public_url",
            Self::TrustedProxyCount => "trusted_proxy_count",
            Self::DatabaseUrl => "database_url",
            Self::DatabasePoolSize => "database_pool_size",
            Self::RedisUrl => "redis_url",
            Self::RedisPrefix => "redis_prefix",
            Self::Secret => "secret",
            Self::DataDir => "data_dir",
            Self::EventsRetentionDays => "events_retention_days",
            Self::SourceRequestsPerSecond => "source_requests_per_second",
            Self::KeyRequestsPerMinute => "key_requests_per_minute",
            Self::KeyCostPerMinute => "key_cost_per_minute",
            Self::AddressClicksPerMinute => "address_clicks_per_minute",
            Self::RateLimitWaitMs => "rate_limit_wait_ms",
            Self::YoutubeApiUrl => "youtube_api_url",
            Self::YoutubeApiKey => "youtube_api_key",
            Self::YoutubeHubUrl => "youtube_hub_url",
            Self::InstagramApiUrl => "instagram_api_url",
            Self::InstagramUserId => "instagram_user_id",
            Self::InstagramAccessToken => "instagram_access_token",
            Self::TiktokApiUrl => "tiktok_api_url",
            Self::TiktokAccessToken => "tiktok_access_token",
            Self::PlatformTimeoutMs => "platform_timeout_ms",
            Self::WebhookPrivateAddresses => "webhook_private_addresses",
            Self::Log => "log",
            Self::LogFormat => "log_format",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == text)
    }

    /// The flag on the command line. The secret has none: every list of processes would show it.
    #[must_use]
    pub fn flag(self) -> String {
        format!("--{}", self.as_str().replace('_', "-"))
    }

    /// The name in the environment.
    #[must_use]
    pub fn variable(self) -> String {
        format!("{PREFIX}{}", self.as_str().to_ascii_uppercase())
    }

    /// The name in the environment that other programs use too.
    pub(super) fn common_variable(self) -> Option<&'static str> {
        match self {
            Self::DatabaseUrl => Some("DATABASE_URL"),
            Self::RedisUrl => Some("REDIS_URL"),
            _ => None,
        }
    }

    /// What the value must be, for the error that says so.
    #[must_use]
    pub fn expected(self) -> &'static str {
        match self {
            Self::Listen => "an address and a port, such as 127.0.0.1:8080",
            Self::PublicUrl => "an http or https URL without query, such as https://grapevine.example.com",
            Self::TrustedProxyCount => "a whole number from 0 to 10",
            Self::DatabaseUrl => "a URL such as postgres://user:password@host:5432/database",
            Self::DatabasePoolSize => "a whole number from 2 to 500",
            Self::RedisUrl => "a URL such as redis://:password@host:6379/0",
            Self::RedisPrefix => "1 to 64 characters of a-z, A-Z, 0-9, `_`, `-`, `.` and `:`",
            Self::Secret => "64 hexadecimal digits, as `openssl rand -hex 32` prints them",
            Self::DataDir => "the path of a folder",
            Self::EventsRetentionDays => "a whole number from 1 to 36500",
            Self::SourceRequestsPerSecond => "a whole number from 0 to 1000000; 0 is no limit",
            Self::KeyRequestsPerMinute | Self::KeyCostPerMinute | Self::AddressClicksPerMinute => {
                "a whole number from 0 to 60000000; 0 is no limit"
            }
            Self::RateLimitWaitMs => "a whole number of milliseconds from 1 to 10000",
            Self::YoutubeApiUrl | Self::YoutubeHubUrl | Self::InstagramApiUrl | Self::TiktokApiUrl => {
                "an http or https URL without query"
            }
            Self::YoutubeApiKey | Self::InstagramUserId | Self::InstagramAccessToken | Self::TiktokAccessToken => {
                "1 to 1000 visible ASCII characters"
            }
            Self::PlatformTimeoutMs => "a whole number of milliseconds from 100 to 60000",
            Self::WebhookPrivateAddresses => "allowed or refused",
            Self::Log => "a filter such as info or grapevine=debug,info",
            Self::LogFormat => "text or json",
        }
    }

    /// Whether the value is a number, which a file writes without quotes.
    pub(super) fn is_number(self) -> bool {
        matches!(
            self,
            Self::TrustedProxyCount
                | Self::DatabasePoolSize
                | Self::SourceRequestsPerSecond
                | Self::KeyRequestsPerMinute
                | Self::KeyCostPerMinute
                | Self::AddressClicksPerMinute
                | Self::RateLimitWaitMs
                | Self::PlatformTimeoutMs
        )
    }

    /// Whether it lets one in at a platform. It has no flag, as the secret has none.
    pub(super) fn is_credential(self) -> bool {
        matches!(self, Self::YoutubeApiKey | Self::InstagramAccessToken | Self::TiktokAccessToken)
    }

    /// Whether the value itself must stay out of errors and logs.
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::DatabaseUrl | Self::RedisUrl) || self.is_credential()
    }
}
