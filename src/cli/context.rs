//! What every command has in hand: the settings as read, time and chance, and the way to the servers. Where no address is set it
//! looks for the private servers that `grapevine up` runs in the same folder.

use crate::access::{Brand, all_brands, brand_by_slug};
use crate::app::App;
use crate::base::{Env, Error, Result};
use crate::cli::flags::Flags;
use crate::config::{ConfigError, Draft, Settings, read_secret};
use crate::db::{Conn, Db};
use crate::{embedded, telemetry};

/// The brand of an installation that has no other.
pub const DEFAULT_BRAND: &str = "default";

pub struct Context {
    pub draft: Draft,
    pub env: Env,
}

pub fn fault(error: ConfigError) -> Error {
    Error::fault("reading the settings", error)
}

impl Context {
    /// Reads the settings and starts the log.
    pub fn new(flags: &Flags) -> Result<Self> {
        let variables = std::env::vars_os();
        // What is not UTF-8 is none of ours: our names and values are.
        let variables =
            variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let draft = Draft::read(flags.given(), variables, flags.config.as_deref()).map_err(fault)?;
        telemetry::start(&draft)?;
        Ok(Self { draft, env: Env::system() })
    }

    /// The database's address: as it is set, else that of the private server, which must be running.
    pub async fn database_url(&self) -> Result<String> {
        if let Some(url) = &self.draft.database_url {
            return Ok(url.clone());
        }
        let data_dir = &self.draft.data_dir;
        let missing = || ConfigError::Missing { name: "DATABASE_URL", data_dir: data_dir.clone() };
        let url = embedded::find_database(data_dir).ok_or_else(missing).map_err(fault)?;
        if Db::connect(&url, 1)?.conn().await.is_err() {
            let message = format!(
                "The private PostgreSQL in {} does not answer: run `grapevine up` there, or set DATABASE_URL.",
                data_dir.display()
            );
            return Err(Error::invalid(&[], message));
        }
        Ok(url)
    }

    /// All the settings.
    pub async fn settings(&self) -> Result<Settings> {
        let data_dir = &self.draft.data_dir;
        let database_url = self.database_url().await?;
        let missing = || ConfigError::Missing { name: "REDIS_URL", data_dir: data_dir.clone() };
        let redis_url = self.draft.redis_url.clone().or_else(|| embedded::find_redis(data_dir));
        let redis_url = redis_url.ok_or_else(missing).map_err(fault)?;
        let secret = match self.draft.secret {
            Some(secret) => Some(secret),
            None => read_secret(data_dir).map_err(fault)?,
        };
        let secret = secret.ok_or_else(|| fault(ConfigError::NoSecret { data_dir: data_dir.clone() }))?;
        Ok(self.draft.settle(database_url, redis_url, secret))
    }

    pub async fn app(&self) -> Result<App> {
        App::new(self.settings().await?, self.env.clone())
    }
}

/// The brand of this slug; without one the brand `default`, else the only one there is.
pub async fn choose_brand(conn: &mut Conn, slug: Option<&str>) -> Result<Brand> {
    let found = match slug {
        Some(slug) => brand_by_slug(conn, slug).await?,
        None => brand_by_slug(conn, DEFAULT_BRAND).await?,
    };
    if let Some(brand) = found {
        return Ok(brand);
    }
    let mut brands = all_brands(conn).await?;
    match (slug, brands.len()) {
        (None, 1) => Ok(brands.remove(0)),
        (_, 0) => Err(Error::not_found(&["brand"], "There is no brand yet: `grapevine up` makes the first.")),
        _ => {
            let slugs: Vec<&str> = brands.iter().map(|brand| brand.slug.as_str()).collect();
            Err(Error::not_found(&["brand"], format!("Pass --brand with one of: {}.", slugs.join(", "))))
        }
    }
}
