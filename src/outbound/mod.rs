//! What goes out to platforms: questions about creators' accounts, and requests to a hub to tell of their channels. Every platform has one
//! client, whose breaker keeps a platform in trouble from being asked on and on. It never sends anything about a person.
//! Start with `client.rs`; `breaker.rs` is pure.

mod accounts;
mod breaker;
mod client;
mod health;
mod store;
mod watches;

use std::time::Duration;

use crate::base::Env;
use crate::config::PlatformSettings;
use crate::creators::Platform;
use crate::platforms::profiles::ASKED;

pub use accounts::{Desk, verification_code};
pub use breaker::BreakerState;
pub use client::{CallOutcome, PlatformClient, Unanswered};
pub use health::{Health, breaker_states, health};
pub use watches::grant;

/// The clients of this process.
pub struct Outbound {
    clients: Vec<PlatformClient>,
}

impl Outbound {
    /// One client for each platform that can be asked. Opens no connection yet.
    #[must_use]
    pub fn new(env: &Env, settings: &PlatformSettings) -> Self {
        let timeout = Duration::from_millis(settings.platform_timeout_ms);
        let client = |platform: &Platform| PlatformClient::new(*platform, env.clone(), timeout);
        Self { clients: ASKED.iter().map(client).collect() }
    }

    /// All of them.
    #[must_use]
    pub fn clients(&self) -> &[PlatformClient] {
        &self.clients
    }

    /// The client of a platform, if it can be asked.
    #[must_use]
    pub fn client(&self, platform: Platform) -> Option<&PlatformClient> {
        self.clients.iter().find(|client| client.platform() == platform)
    }
}
