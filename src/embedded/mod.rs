//! A private PostgreSQL and Redis out of the machine's own binaries, under one data folder, on loopback, behind a random
//! password. It never downloads anything, never listens to other machines, and never touches a server that it did not start.
//! Start with [`start`]; `postgres_server.rs` and `redis_server.rs` hold the life of each.

mod account;
mod binaries;
mod error;
mod folder;
mod postgres_server;
mod process;
mod redis_server;

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::base::{Env, Error, Result};
use account::Account;
pub use error::EmbeddedError;
use folder::Folder;
use process::Server;

/// Running private servers. Dropping it leaves them running, to be found again; [`Servers::stop`] stops them.
pub struct Servers {
    pub database_url: String,
    pub redis_url: String,
    folder: Folder,
    programs: Option<Programs>,
    /// `None` where the caller brought an address of its own.
    postgres: Option<Server>,
    redis: Option<Server>,
    /// Held as long as this lives, so that no second process starts servers on the same files.
    _lock: File,
}

/// How PostgreSQL's programs are run.
struct Programs {
    bin_dir: PathBuf,
    account: Account,
}

/// Starts both servers under `data_dir`, or adopts those that an earlier process left running there. A second process on the same
/// folder is refused while the first one holds its [`Servers`].
pub async fn start(data_dir: &Path, env: &Env) -> Result<Servers> {
    start_missing(data_dir, env, None, None).await
}

/// As [`start`], but only the servers that the caller has no address for; an address that is given is handed back.
pub async fn start_missing(
    data_dir: &Path,
    env: &Env,
    database_url: Option<String>,
    redis_url: Option<String>,
) -> Result<Servers> {
    let begun = begin(data_dir, env, database_url, redis_url).await;
    begun.map_err(|error| Error::fault("starting the private servers", error))
}

async fn begin(
    data_dir: &Path,
    env: &Env,
    database_url: Option<String>,
    redis_url: Option<String>,
) -> Result<Servers, EmbeddedError> {
    let folder = Folder::open(data_dir)?;
    let lock = folder.lock()?;
    folder.make_password(env)?;
    let (programs, redis_program) = find_programs(&folder, database_url.is_none(), redis_url.is_none()).await?;
    let start_postgres = async {
        let Some(Programs { bin_dir, account }) = &programs else { return Ok(None) };
        postgres_server::start(&folder, bin_dir, account).await.map(Some)
    };
    let start_redis = async {
        let Some(program) = &redis_program else { return Ok(None) };
        redis_server::start(&folder, program).await.map(Some)
    };
    let (postgres, redis) = tokio::join!(start_postgres, start_redis);
    let (postgres, redis) = (postgres?, redis?);
    let database_url = database_url.or_else(|| folder.database_url(folder::NAME)).ok_or(EmbeddedError::Forgotten)?;
    let redis_url = redis_url.or_else(|| folder.redis_url()).ok_or(EmbeddedError::Forgotten)?;
    Ok(Servers { database_url, redis_url, folder, programs, postgres, redis, _lock: lock })
}

/// Everything that is needed is looked for before anything is started.
async fn find_programs(
    folder: &Folder,
    needs_postgres: bool,
    needs_redis: bool,
) -> Result<(Option<Programs>, Option<PathBuf>), EmbeddedError> {
    let mut programs = None;
    if needs_postgres {
        let bin_dir = binaries::find_postgres(folder).await?;
        programs = Some(Programs { bin_dir, account: Account::choose().await? });
    }
    let redis_program = if needs_redis { Some(binaries::find_redis()?) } else { None };
    Ok((programs, redis_program))
}

/// The address that the private PostgreSQL under `data_dir` was last started with. Whether it answers shows on the first use.
#[must_use]
pub fn find_database(data_dir: &Path) -> Option<String> {
    Folder::at(data_dir).database_url(folder::NAME)
}

/// The address that the private Redis under `data_dir` was last started with.
#[must_use]
pub fn find_redis(data_dir: &Path) -> Option<String> {
    Folder::at(data_dir).redis_url()
}

impl Servers {
    /// Stops both and waits until they are gone: PostgreSQL with its fast shutdown, Redis after it has saved.
    pub async fn stop(self) -> Result<()> {
        let Self { folder, programs, postgres, redis, .. } = self;
        let stop_postgres = async {
            let (Some(Programs { bin_dir, account }), Some(server)) = (&programs, postgres) else { return Ok(()) };
            postgres_server::stop(&folder, bin_dir, account, server).await
        };
        let stop_redis = async {
            let Some(server) = redis else { return Ok(()) };
            redis_server::stop(&folder, server).await
        };
        let (postgres, redis) = tokio::join!(stop_postgres, stop_redis);
        postgres.and(redis).map_err(|error| Error::fault("stopping the private servers", error))
    }

    /// Ends when one of the servers has ended by itself, with its name. Adopted servers are not watched: they are not our children.
    pub async fn failure(&mut self) -> &'static str {
        tokio::select! {
            () = ended(&mut self.postgres) => "PostgreSQL",
            () = ended(&mut self.redis) => "Redis",
        }
    }
}

async fn ended(server: &mut Option<Server>) {
    match server {
        Some(server) => server.ended().await,
        None => std::future::pending().await,
    }
}
