//! The settings as the layers give them, read into their types. The addresses and the secret may still be missing: `grapevine up`
//! makes its own, and the other commands look for what it made.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use url::Url;

use super::layer::{self, Found, Layer};
use super::{ConfigError, FILE_NAME, Key, PlatformSettings, RateLimits, Settings, platforms, rates};

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const POOL_SIZE: usize = 20;
/// Proxies in a row at most.
const TRUSTED_PROXIES_MAX: usize = 10;
/// The worker counts its tries on a connection of their own.
const POOL_SIZE_MIN: usize = 2;
const POOL_SIZE_MAX: usize = 500;
const RETENTION_DAYS_MAX: u64 = 36_500;
const REDIS_PREFIX: &str = "grapevine:";
const REDIS_PREFIX_BYTES_MAX: usize = 64;
const DATA_DIR: &str = "./data";
const LOG: &str = "info";

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Settings that may still lack the addresses and the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    pub listen: SocketAddr,
    /// `None`: wherever it listens.
    pub public_url: Option<String>,
    pub trusted_proxy_count: usize,
    pub database_url: Option<String>,
    pub database_pool_size: usize,
    pub redis_url: Option<String>,
    pub redis_prefix: String,
    pub secret: Option<[u8; 32]>,
    pub data_dir: PathBuf,
    /// `None`: for ever.
    pub events_retention_days: Option<u64>,
    pub rate_limits: RateLimits,
    pub platforms: PlatformSettings,
    pub webhook_private_addresses: bool,
    pub log: String,
    pub log_format: LogFormat,
}

impl Draft {
    /// Reads all the layers. `file` is the one that was asked for; without it `grapevine.toml` is read where it exists.
    pub fn read(
        flags: Vec<(Key, String)>,
        variables: impl IntoIterator<Item = (String, String)>,
        file: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let path = file.unwrap_or(Path::new(FILE_NAME));
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => String::new(),
            text => text.map_err(|source| ConfigError::Read { path: path.to_owned(), source })?,
        };
        Self::from_layers(flags, variables, path, &text)
    }

    pub(super) fn from_layers(
        flags: Vec<(Key, String)>,
        variables: impl IntoIterator<Item = (String, String)>,
        path: &Path,
        text: &str,
    ) -> Result<Self, ConfigError> {
        let mut values = layer::of_file(path, text)?;
        values.extend(layer::of_environment(variables)?);
        values.extend(layer::of_flags(flags));
        Self::from_values(values)
    }

    fn from_values(mut values: Layer) -> Result<Self, ConfigError> {
        Ok(Self {
            listen: take(&mut values, Key::Listen, |text| text.parse().ok())?.unwrap_or(LISTEN),
            public_url: take(&mut values, Key::PublicUrl, public_url)?,
            trusted_proxy_count: take(&mut values, Key::TrustedProxyCount, proxy_count)?.unwrap_or(0),
            database_url: take(&mut values, Key::DatabaseUrl, |text| url(text, &["postgres", "postgresql"]))?,
            database_pool_size: take(&mut values, Key::DatabasePoolSize, pool_size)?.unwrap_or(POOL_SIZE),
            redis_url: take(&mut values, Key::RedisUrl, |text| url(text, &["redis"]))?,
            redis_prefix: take(&mut values, Key::RedisPrefix, redis_prefix)?.unwrap_or_else(|| REDIS_PREFIX.to_owned()),
            secret: take(&mut values, Key::Secret, secret)?,
            data_dir: take(&mut values, Key::DataDir, data_dir)?.unwrap_or_else(|| PathBuf::from(DATA_DIR)),
            events_retention_days: take(&mut values, Key::EventsRetentionDays, retention_days)?,
            rate_limits: rate_limits(&mut values)?,
            platforms: platform_settings(&mut values)?,
            webhook_private_addresses: take(&mut values, Key::WebhookPrivateAddresses, is_allowed)?.unwrap_or(false),
            log: take(&mut values, Key::Log, log)?.unwrap_or_else(|| LOG.to_owned()),
            log_format: take(&mut values, Key::LogFormat, log_format)?.unwrap_or(LogFormat::Text),
        })
    }

    /// What links and printed URLs start with: as it is set, else where we listen.
    #[must_use]
    pub fn effective_public_url(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| {
            let ip = match self.listen.ip() {
                ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
                ip => ip,
            };
            format!("http://{}", SocketAddr::new(ip, self.listen.port()))
        })
    }

    /// The settings, once the addresses and the secret are known.
    #[must_use]
    pub fn settle(&self, database_url: String, redis_url: String, secret: [u8; 32]) -> Settings {
        Settings {
            listen: self.listen,
            public_url: self.effective_public_url(),
            trusted_proxy_count: self.trusted_proxy_count,
            database_url,
            database_pool_size: self.database_pool_size,
            redis_url,
            redis_prefix: self.redis_prefix.clone(),
            secret,
            data_dir: self.data_dir.clone(),
            events_retention_days: self.events_retention_days,
            rate_limits: self.rate_limits,
            platforms: self.platforms.clone(),
            webhook_private_addresses: self.webhook_private_addresses,
        }
    }
}

fn take<T>(values: &mut Layer, key: Key, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ConfigError> {
    let Some(Found { text, name }) = values.remove(&key) else { return Ok(None) };
    let found = if key.is_secret() { String::new() } else { format!(", not {text:?}") };
    parse(&text).map(Some).ok_or(ConfigError::Value { name, expected: key.expected(), found })
}

fn rate_limits(values: &mut Layer) -> Result<RateLimits, ConfigError> {
    let usual = RateLimits::default();
    let mut rate =
        |key: Key, parse: fn(&str) -> Option<u32>| Ok(take(values, key, parse)?.or(usual.get(key)).unwrap_or_default());
    Ok(RateLimits {
        source_requests_per_second: rate(Key::SourceRequestsPerSecond, rates::per_second)?,
        key_requests_per_minute: rate(Key::KeyRequestsPerMinute, rates::per_minute)?,
        key_cost_per_minute: rate(Key::KeyCostPerMinute, rates::per_minute)?,
        address_clicks_per_minute: rate(Key::AddressClicksPerMinute, rates::per_minute)?,
        rate_limit_wait_ms: rate(Key::RateLimitWaitMs, rates::wait_ms)?,
    })
}

fn platform_settings(values: &mut Layer) -> Result<PlatformSettings, ConfigError> {
    let usual = PlatformSettings::default();
    let timeout_ms = take(values, Key::PlatformTimeoutMs, platforms::timeout_ms)?;
    let mut text = |key: Key, parse: fn(&str) -> Option<String>| take(values, key, parse);
    Ok(PlatformSettings {
        youtube_api_url: text(Key::YoutubeApiUrl, platforms::address)?.unwrap_or(usual.youtube_api_url),
        youtube_api_key: text(Key::YoutubeApiKey, platforms::credential)?,
        youtube_hub_url: text(Key::YoutubeHubUrl, platforms::address)?.unwrap_or(usual.youtube_hub_url),
        instagram_api_url: text(Key::InstagramApiUrl, platforms::address)?.unwrap_or(usual.instagram_api_url),
        instagram_user_id: text(Key::InstagramUserId, platforms::credential)?,
        instagram_access_token: text(Key::InstagramAccessToken, platforms::credential)?,
        tiktok_api_url: text(Key::TiktokApiUrl, platforms::address)?.unwrap_or(usual.tiktok_api_url),
        tiktok_access_token: text(Key::TiktokAccessToken, platforms::credential)?,
        platform_timeout_ms: timeout_ms.unwrap_or(usual.platform_timeout_ms),
    })
}

fn public_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    (is_plain && is_web).then(|| text.trim_end_matches('/').to_owned())
}

fn url(text: &str, schemes: &[&str]) -> Option<String> {
    let url = Url::parse(text).ok()?;
    (schemes.contains(&url.scheme()) && url.has_host()).then(|| text.to_owned())
}

fn proxy_count(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| *count <= TRUSTED_PROXIES_MAX)
}

fn pool_size(text: &str) -> Option<usize> {
    text.parse().ok().filter(|size| (POOL_SIZE_MIN..=POOL_SIZE_MAX).contains(size))
}

fn retention_days(text: &str) -> Option<u64> {
    text.parse().ok().filter(|days| (1..=RETENTION_DAYS_MAX).contains(days))
}

fn redis_prefix(text: &str) -> Option<String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
    (is_plain && (1..=REDIS_PREFIX_BYTES_MAX).contains(&text.len())).then(|| text.to_owned())
}

pub(super) fn secret(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

fn is_allowed(text: &str) -> Option<bool> {
    match text {
        "allowed" => Some(true),
        "refused" => Some(false),
        _ => None,
    }
}

fn data_dir(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

fn log(text: &str) -> Option<String> {
    let is_filter = text.parse::<tracing_subscriber::EnvFilter>().is_ok();
    (is_filter && !text.is_empty()).then(|| text.to_owned())
}

fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(flags: &[(Key, &str)], variables: &[(&str, &str)], file: &str) -> Result<Draft, String> {
        let flags = flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
        let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Draft::from_layers(flags, variables, Path::new(FILE_NAME), file).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let check = |flags: &[(Key, &str)], variables: &[(&str, &str)], file: &str, expected: &str| {
            assert_eq!(read(flags, variables, file).unwrap().effective_public_url(), expected);
        };
        let (flag, variable) = ((Key::Listen, "127.0.0.1:3"), ("GRAPEVINE_LISTEN", "127.0.0.1:2"));
        let file = "listen = \"127.0.0.1:1\"";
        check(&[], &[], "", "http://127.0.0.1:8080");
        check(&[], &[], file, "http://127.0.0.1:1");
        check(&[], &[variable], file, "http://127.0.0.1:2");
        check(&[flag], &[variable], file, "http://127.0.0.1:3");
        check(&[(Key::Listen, "0.0.0.0:9")], &[], "", "http://127.0.0.1:9");
        check(&[], &[("GRAPEVINE_PUBLIC_URL", "https://grape.example/")], "", "https://grape.example");
    }

    #[test]
    fn our_own_name_of_an_address_wins_over_the_common_one() {
        let common = ("DATABASE_URL", "postgres://a@b/common");
        let own = ("GRAPEVINE_DATABASE_URL", "postgres://a@b/own");
        let check = |variables: &[(&str, &str)], expected: Option<&str>| {
            assert_eq!(read(&[], variables, "").unwrap().database_url.as_deref(), expected);
        };
        check(&[common], Some(common.1));
        check(&[common, own], Some(own.1));
        check(&[own, common], Some(own.1));
        check(&[("DATABASE_URL", "")], None);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_name_and_never_shows_a_secret() {
        let check = |variables: &[(&str, &str)], file: &str, parts: &[&str]| {
            let error = read(&[], variables, file).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{error:?} lacks {part:?}");
            }
            assert!(!error.contains("hunter2"), "{error:?} shows a secret");
        };
        check(&[("GRAPEVINE_LISTEM", "x")], "", &["GRAPEVINE_LISTEM", "not a setting", "GRAPEVINE_LISTEN"]);
        check(&[("GRAPEVINE_LISTEN", "8080")], "", &["GRAPEVINE_LISTEN", "address and a port", "\"8080\""]);
        check(&[("GRAPEVINE_SECRET", "hunter2")], "", &["GRAPEVINE_SECRET", "64 hexadecimal digits"]);
        check(&[("DATABASE_URL", "mysql://a:hunter2@b/c")], "", &["DATABASE_URL", "postgres://"]);
        check(&[("REDIS_URL", "hunter2")], "", &["REDIS_URL", "redis://"]);
        check(&[("GRAPEVINE_DATABASE_POOL_SIZE", "0")], "", &["GRAPEVINE_DATABASE_POOL_SIZE", "2 to 500"]);
        check(&[("GRAPEVINE_KEY_COST_PER_MINUTE", "-1")], "", &["GRAPEVINE_KEY_COST_PER_MINUTE", "0 is no limit"]);
        check(&[], "source_requests_per_second = 1000001", &["`source_requests_per_second`", "0 to 1000000"]);
        check(&[("GRAPEVINE_LOG_FORMAT", "xml")], "", &["GRAPEVINE_LOG_FORMAT", "text or json"]);
        check(&[("GRAPEVINE_LOG", "a=b=c")], "", &["GRAPEVINE_LOG", "filter"]);
        check(&[("GRAPEVINE_REDIS_PREFIX", "{a}")], "", &["GRAPEVINE_REDIS_PREFIX", "64 characters"]);
        check(&[], "lisen = 1", &["`lisen` in grapevine.toml", "not a setting", "listen"]);
        check(&[], "listen = 8080", &["`listen` in grapevine.toml", "address and a port", "integer"]);
        check(&[], "database_pool_size = \"9\"", &["`database_pool_size`", "whole number", "string"]);
        check(&[], "secret = [", &["grapevine.toml", "not valid TOML"]);
        check(&[], "[listen]\nport = 1", &["`listen`", "table"]);
    }

    #[test]
    fn other_programs_variables_and_the_tests_own_are_left_alone() {
        let variables = [
            ("PATH", "/bin"),
            ("GRAPEVINE_WRITE", "1"),
            ("GRAPEVINE_CONFIG", "x.toml"),
            ("GRAPEVINE_TEST_REDIS_URL", "redis://x"),
        ];
        read(&[], &variables, "").unwrap();
    }
}
