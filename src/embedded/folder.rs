//! The data folder: which file is what, who may read it, and what is remembered from one start to the next.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::EmbeddedError;
use crate::base::{Env, random_bytes};

/// The role that owns the private database, and the database's name.
pub(super) const NAME: &str = "grapevine";

/// A log longer than this is set aside at the next start, over the one set aside before.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How much of a log an error shows.
const LOG_TAIL_BYTES: u64 = 2_000;

/// The data folder of one installation.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// The folder as it is named, which need not exist.
    pub(super) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Makes the folder where it is missing; nobody else may look into a new one.
    pub(super) fn open(path: &Path) -> Result<Self, EmbeddedError> {
        make_dir(path)?;
        let path = fs::canonicalize(path).map_err(|source| EmbeddedError::File {
            doing: "finding",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn postgres_dir(&self) -> PathBuf {
        self.0.join("postgres")
    }

    pub(super) fn redis_dir(&self) -> PathBuf {
        self.0.join("redis")
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The major version of the database that is there already.
    pub(super) fn postgres_version(&self) -> Option<String> {
        fs::read_to_string(self.postgres_dir().join("PG_VERSION")).ok().map(|text| text.trim().to_owned())
    }

    /// Takes the folder for this process. The lock goes with the process, however that ends.
    pub(super) fn lock(&self) -> Result<File, EmbeddedError> {
        let path = self.file("lock");
        let fault = |source| EmbeddedError::File { doing: "locking", path: path.clone(), source };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(fault)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(EmbeddedError::Locked { folder: self.0.clone() }),
            Err(TryLockError::Error(source)) => Err(fault(source)),
        }
    }

    /// Draws the password of both servers on the first start.
    pub(super) fn make_password(&self, env: &Env) -> Result<(), EmbeddedError> {
        if self.password().is_none() {
            self.write_secret("password", &hex::encode(random_bytes::<24>(&*env.chance)))?;
        }
        Ok(())
    }

    pub(super) fn password(&self) -> Option<String> {
        let text = fs::read_to_string(self.file("password")).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Writes a file that only its owner may read, whole or not at all.
    pub(super) fn write_secret(&self, name: &str, text: &str) -> Result<(), EmbeddedError> {
        let (path, draft) = (self.file(name), self.file(&format!("{name}.draft")));
        let write = || {
            let mut options = OpenOptions::new();
            let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        write().map_err(|source| EmbeddedError::File { doing: "writing", path: path.clone(), source })
    }

    /// The port that a server was last started on.
    pub(super) fn port(&self, server: &str) -> Option<u16> {
        fs::read_to_string(self.file(&format!("{server}.port"))).ok()?.trim().parse().ok()
    }

    /// The port of the last start if it is still free, else another free one, remembered from now on.
    pub(super) fn choose_port(&self, server: &str) -> Result<u16, EmbeddedError> {
        let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        if let Some(port) = self.port(server).filter(is_free) {
            return Ok(port);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|source| EmbeddedError::Port { source })?;
        let port = listener.local_addr().map_err(|source| EmbeddedError::Port { source })?.port();
        self.write_secret(&format!("{server}.port"), &port.to_string())?;
        Ok(port)
    }

    pub(super) fn database_url(&self, database: &str) -> Option<String> {
        let (port, password) = (self.port("postgres")?, self.password()?);
        Some(format!("postgres://{NAME}:{password}@127.0.0.1:{port}/{database}"))
    }

    pub(super) fn redis_url(&self) -> Option<String> {
        let (port, password) = (self.port("redis")?, self.password()?);
        Some(format!("redis://:{password}@127.0.0.1:{port}/0"))
    }

    /// The log of a server, open at its end.
    pub(super) fn open_log(&self, server: &str) -> Result<File, EmbeddedError> {
        let path = self.log_path(server);
        if fs::metadata(&path).is_ok_and(|file| file.len() > LOG_BYTES_MAX) {
            let aside = self.file(&format!("{server}.log.1"));
            fs::rename(&path, &aside).map_err(|source| EmbeddedError::File {
                doing: "setting aside",
                path: aside.clone(),
                source,
            })?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600).open(&path).map_err(|source| EmbeddedError::File {
            doing: "opening",
            path,
            source,
        })
    }

    pub(super) fn log_path(&self, server: &str) -> PathBuf {
        self.file(&format!("{server}.log"))
    }

    /// What a server last wrote to its log since it was `from` bytes long.
    pub(super) fn log_tail(&self, server: &str, from: u64) -> String {
        let read = || {
            let mut file = File::open(self.log_path(server))?;
            let start = from.max(file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES));
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        read().unwrap_or_default()
    }
}

/// Makes a folder that only its owner may enter, with the folders above it.
pub(super) fn make_dir(path: &Path) -> Result<(), EmbeddedError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| EmbeddedError::File { doing: "making", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("grapevine-folder-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        Folder::open(&path).unwrap()
    }

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_gone() {
        let folder = scratch("lock");
        let lock = folder.lock().unwrap();
        assert!(matches!(folder.lock(), Err(EmbeddedError::Locked { .. })));
        drop(lock);
        folder.lock().unwrap();
    }

    #[test]
    fn a_port_is_kept_while_it_is_free() {
        let folder = scratch("port");
        let port = folder.choose_port("redis").unwrap();
        assert_eq!(folder.choose_port("redis").unwrap(), port);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_ne!(folder.choose_port("redis").unwrap(), port);
    }

    #[test]
    fn the_password_is_drawn_once_and_only_the_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = scratch("password");
        folder.make_password(&Env::system()).unwrap();
        let first = folder.password().unwrap();
        folder.make_password(&Env::system()).unwrap();
        assert_eq!(folder.password().unwrap(), first);
        assert_eq!(fs::metadata(folder.file("password")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
