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

/// Where the private servers answer. The addresses carry the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub database_url: String,
    pub redis_url: String,
}

/// Running private servers. Dropping it leaves them running, to be found again; [`Servers::stop`] stops them.
pub struct Servers {
    pub database_url: String,
    pub redis_url: String,
    folder: Folder,
    account: Account,
    bin_dir: PathBuf,
    postgres: Server,
    redis: Server,
    /// Held as long as this lives, so that no second process starts servers on the same files.
    _lock: File,
}

/// Starts both servers under `data_dir`, or adopts those that an earlier process left running there. A second process on the same
/// folder is refused while the first one holds its [`Servers`].
pub async fn start(data_dir: &Path, env: &Env) -> Result<Servers> {
    begin(data_dir, env).await.map_err(|error| Error::fault("starting the private servers", error))
}

async fn begin(data_dir: &Path, env: &Env) -> Result<Servers, EmbeddedError> {
    let folder = Folder::open(data_dir)?;
    let lock = folder.lock()?;
    folder.make_password(env)?;
    let bin_dir = binaries::find_postgres(folder.postgres_version().as_deref()).await?;
    let redis_binary = binaries::find_redis()?;
    let account = Account::choose().await?;
    let (postgres, redis) =
        tokio::join!(postgres_server::start(&folder, &bin_dir, &account), redis_server::start(&folder, &redis_binary));
    let (postgres, redis) = (postgres?, redis?);
    let addresses = folder.addresses().ok_or(EmbeddedError::Forgotten)?;
    let Addresses { database_url, redis_url } = addresses;
    Ok(Servers { database_url, redis_url, folder, account, bin_dir, postgres, redis, _lock: lock })
}

/// The addresses that the servers under `data_dir` were last started with. Whether they still answer shows on the first use.
#[must_use]
pub fn find(data_dir: &Path) -> Option<Addresses> {
    Folder::at(data_dir).addresses()
}

impl Servers {
    /// Stops both and waits until they are gone: PostgreSQL with its fast shutdown, Redis after it has saved.
    pub async fn stop(self) -> Result<()> {
        let Self { folder, account, bin_dir, postgres, redis, .. } = self;
        let (postgres, redis) = tokio::join!(
            postgres_server::stop(&folder, &bin_dir, &account, postgres),
            redis_server::stop(&folder, redis)
        );
        postgres.and(redis).map_err(|error| Error::fault("stopping the private servers", error))
    }

    /// Ends when one of the servers has ended by itself, with its name. Adopted servers are not watched: they are not our children.
    pub async fn failure(&mut self) -> &'static str {
        tokio::select! {
            () = self.postgres.ended() => "PostgreSQL",
            () = self.redis.ended() => "Redis",
        }
    }
}
