//! Settings: flags over environment over `grapevine.toml` over defaults. It never reads anything else.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The effective settings.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    /// What links and the printed URLs start with, without a slash at the end.
    pub public_url: String,
    pub database_url: String,
    pub database_pool_size: usize,
    pub redis_url: String,
    /// Led to every Redis key, so that several installations (and tests) can share a server.
    pub redis_prefix: String,
    /// The master secret, 32 bytes.
    pub secret: [u8; 32],
    pub data_dir: PathBuf,
}
