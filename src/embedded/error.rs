//! What can keep the private servers from running, each with what to do about it.

use std::io;
use std::path::PathBuf;

/// Why the private servers do not run.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(
        "PostgreSQL's programs (initdb, postgres, pg_ctl) were not found in $PG_BIN, on PATH, or where Debian and Homebrew put \
         them. Install them with `apt-get install postgresql postgresql-contrib redis-server` (Debian, Ubuntu) or \
         `brew install postgresql@16 redis` (macOS), or set DATABASE_URL and REDIS_URL to servers of your own"
    )]
    NoPostgres,
    #[error(
        "redis-server was not found on PATH or where Homebrew puts it. Install it with `apt-get install postgresql \
         postgresql-contrib redis-server` (Debian, Ubuntu) or `brew install postgresql@16 redis` (macOS), or set DATABASE_URL and \
         REDIS_URL to servers of your own"
    )]
    NoRedis,
    #[error(
        "{folder} holds a database of PostgreSQL {wanted}, but only PostgreSQL {found} was found. Install PostgreSQL {wanted}, or \
         set PG_BIN to its folder of programs"
    )]
    OtherVersion { folder: PathBuf, wanted: String, found: String },
    #[error(
        "another `grapevine up` is running in {folder}. Stop it first, or choose another folder with --data-dir or \
         GRAPEVINE_DATA_DIR"
    )]
    Locked { folder: PathBuf },
    #[error(
        "PostgreSQL refuses to run as root, `unshare --user` is refused on this machine, and there is no user `postgres` or \
         `nobody` to run it as. Run grapevine as another user, or set DATABASE_URL and REDIS_URL"
    )]
    NoAccount,
    #[error("{program} failed: {output}")]
    Failed { program: &'static str, output: String },
    #[error("{program} did not answer within {wait_seconds} seconds; its log is {log}")]
    Silent { program: &'static str, wait_seconds: u64, log: PathBuf },
    #[error("a port or the password of the private servers is missing from the data folder")]
    Forgotten,
    #[error("{doing} {path}")]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("running {program}")]
    Run { program: String, source: io::Error },
    #[error("looking for a free port on 127.0.0.1")]
    Port { source: io::Error },
}
