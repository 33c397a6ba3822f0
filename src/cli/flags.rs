//! The settings that can be given as flags, before or after the subcommand.

use std::path::PathBuf;

use clap::Args;

use crate::config::Key;

#[derive(Args)]
#[command(next_help_heading = "Settings (over the environment, over grapevine.toml)")]
pub struct Flags {
    /// Read this file instead of ./grapevine.toml
    #[arg(long, global = true, value_name = "FILE", env = "GRAPEVINE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address and port to serve on [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<String>,
    /// What links start with [default: http://<listen>]
    #[arg(long, global = true, value_name = "URL")]
    public_url: Option<String>,
    /// Proxies in front of us that append to X-Forwarded-For [default: 0]
    #[arg(long, global = true, value_name = "COUNT")]
    trusted_proxy_count: Option<String>,
    /// PostgreSQL to use
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// Connections to PostgreSQL at most [default: 20]
    #[arg(long, global = true, value_name = "COUNT")]
    database_pool_size: Option<String>,
    /// Redis to use
    #[arg(long, global = true, value_name = "URL")]
    redis_url: Option<String>,
    /// Start of every Redis key [default: grapevine:]
    #[arg(long, global = true, value_name = "TEXT")]
    redis_prefix: Option<String>,
    /// Folder of the private servers and the secret [default: ./data]
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// Days that the log of events is kept [default: for ever]
    #[arg(long, global = true, value_name = "COUNT")]
    events_retention_days: Option<String>,
    /// Requests of one webhook source, 0 for no limit [default: 50000]
    #[arg(long, global = true, value_name = "COUNT")]
    source_requests_per_second: Option<String>,
    /// GraphQL requests of one API key, 0 for no limit [default: 600000]
    #[arg(long, global = true, value_name = "COUNT")]
    key_requests_per_minute: Option<String>,
    /// Cost of one API key's GraphQL documents, 0 for no limit [default: 60000000]
    #[arg(long, global = true, value_name = "COST")]
    key_cost_per_minute: Option<String>,
    /// Recorded clicks from one address, 0 for no limit [default: 6000]
    #[arg(long, global = true, value_name = "COUNT")]
    address_clicks_per_minute: Option<String>,
    /// Milliseconds that a request waits for Redis to count it [default: 5]
    #[arg(long, global = true, value_name = "MS")]
    rate_limit_wait_ms: Option<String>,
    /// Whether webhooks may go to private addresses: allowed or refused [default: refused]
    #[arg(long, global = true, value_name = "WORD")]
    webhook_private_addresses: Option<String>,
    /// What is logged [default: info]
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// How it is logged: text or json [default: text]
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl Flags {
    /// The settings that were given.
    pub fn given(&self) -> Vec<(Key, String)> {
        let all = [
            (Key::Listen, &self.listen),
            (Key::PublicUrl, &self.public_url),
            (Key::TrustedProxyCount, &self.trusted_proxy_count),
            (Key::DatabaseUrl, &self.database_url),
            (Key::DatabasePoolSize, &self.database_pool_size),
            (Key::RedisUrl, &self.redis_url),
            (Key::RedisPrefix, &self.redis_prefix),
            (Key::DataDir, &self.data_dir),
            (Key::EventsRetentionDays, &self.events_retention_days),
            (Key::SourceRequestsPerSecond, &self.source_requests_per_second),
            (Key::KeyRequestsPerMinute, &self.key_requests_per_minute),
            (Key::KeyCostPerMinute, &self.key_cost_per_minute),
            (Key::AddressClicksPerMinute, &self.address_clicks_per_minute),
            (Key::RateLimitWaitMs, &self.rate_limit_wait_ms),
            (Key::WebhookPrivateAddresses, &self.webhook_private_addresses),
            (Key::Log, &self.log),
            (Key::LogFormat, &self.log_format),
        ];
        all.into_iter().filter_map(|(key, text)| Some((key, text.clone()?))).collect()
    }
}
