//! What a running process holds, built once and handed to the doors.

use std::sync::Arc;

use crate::access::{KeyCache, Keyring};
use crate::base::{Env, Result};
use crate::config::Settings;
use crate::db::Db;
use crate::deliveries::Courier;
use crate::ingest::Door;
use crate::kv::{Kv, Limiter};
use crate::outbound::{Desk, Outbound};
use crate::outbox::Feed;

/// Everything that a door needs. Cloning is cheap and shares it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    pub env: Env,
    pub settings: Settings,
    pub db: Db,
    pub kv: Kv,
    pub keyring: Keyring,
    pub keys: KeyCache,
    pub door: Door,
    pub feed: Feed,
    pub limiter: Limiter,
    pub outbound: Outbound,
    pub courier: Courier,
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Builds the parts from the settings. Must be called inside a tokio runtime. Opens no connection yet.
    pub fn new(settings: Settings, env: Env) -> Result<Self> {
        let db = Db::connect(&settings.database_url, settings.database_pool_size)?;
        let kv = Kv::connect(&settings.redis_url, &settings.redis_prefix)?;
        let keyring = Keyring::new(settings.secret);
        let door = Door::open(db.clone(), env.clone(), keyring.clone());
        let feed = Feed::new(kv.clone());
        let limiter = Limiter::new(kv.clone(), &settings.rate_limits);
        let (outbound, keys) = (Outbound::new(&env, &settings.platforms), KeyCache::default());
        let courier = Courier::new(db.clone(), env.clone(), keyring.clone(), settings.webhook_private_addresses);
        Ok(Self(Arc::new(Parts { env, settings, db, kv, keyring, keys, door, feed, limiter, outbound, courier })))
    }

    /// What platforms are asked with.
    #[must_use]
    pub fn desk(&self) -> Desk<'_> {
        Desk {
            outbound: &self.outbound,
            settings: &self.settings.platforms,
            db: &self.db,
            env: &self.env,
            keyring: &self.keyring,
        }
    }
}
