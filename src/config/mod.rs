//! Settings: flags over environment over `grapevine.toml` over defaults, and the master secret's file. A name that nobody knows
//! and a value that does not fit stop the start. It never logs a secret. Start with [`Draft::read`].

mod draft;
mod error;
mod key;
mod layer;
mod platforms;
mod rates;
mod secret;
mod show;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use draft::{Draft, LogFormat};
pub use error::ConfigError;
pub use key::Key;
pub use platforms::PlatformSettings;
pub use rates::RateLimits;
pub use secret::{make_secret, read_secret};
pub use show::show;

/// The file that is read from the working directory where no other is named.
pub const FILE_NAME: &str = "grapevine.toml";

/// The effective settings.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    /// What links and the printed URLs start with, without a slash at the end.
    pub public_url: String,
    /// How many proxies in front of us append to `X-Forwarded-For`; 0 believes the peer's address only.
    pub trusted_proxy_count: usize,
    pub database_url: String,
    pub database_pool_size: usize,
    pub redis_url: String,
    /// Led to every Redis key, so that several installations (and tests) can share a server.
    pub redis_prefix: String,
    /// The master secret, 32 bytes.
    pub secret: [u8; 32],
    pub data_dir: PathBuf,
    /// How long the log of events is kept; `None` keeps it for ever.
    pub events_retention_days: Option<u64>,
    pub rate_limits: RateLimits,
    pub platforms: PlatformSettings,
    /// Whether webhooks may go to addresses of our own network, and to this machine without TLS.
    pub webhook_private_addresses: bool,
}
