//! As whom PostgreSQL runs. It refuses root, so root starts it in a user namespace of its own, where it is nobody and the files
//! stay root's: nothing is chowned, and a folder under root's closed home works. It never changes who the calling process is.

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::EmbeddedError;

/// As whom a server is started.
#[derive(Clone, Debug)]
pub(super) enum Account {
    /// As the caller, who is not root.
    Caller,
    /// As nobody, in a user namespace of its own.
    Namespace,
    /// As another user: where namespaces are refused, as in many containers. The data folder becomes that user's.
    User { uid: u32, gid: u32 },
}

impl Account {
    pub(super) async fn choose() -> Result<Self, EmbeddedError> {
        if id(&["-u"]).await != Some(0) {
            return Ok(Self::Caller);
        }
        if can_unshare().await {
            return Ok(Self::Namespace);
        }
        for user in ["postgres", "nobody"] {
            if let (Some(uid), Some(gid)) = (id(&["-u", user]).await, id(&["-g", user]).await) {
                return Ok(Self::User { uid, gid });
            }
        }
        Err(EmbeddedError::NoAccount)
    }

    /// A command that runs `program` as this account, in a process group of its own, so that a Ctrl-C meant for us does not reach
    /// it. Without a real home: libpq inside PostgreSQL reads certificates there, and fails on those of another user.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = match self {
            Self::Namespace => {
                let mut command = Command::new("unshare");
                command.arg("--user").arg("--").arg(program);
                command
            }
            Self::Caller | Self::User { .. } => Command::new(program),
        };
        if let Self::User { uid, gid } = self {
            command.uid(*uid).gid(*gid);
        }
        command.process_group(0).env("HOME", "/nonexistent").env("LC_ALL", "C").stdin(Stdio::null());
        for name in ["PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSERVICE", "PGOPTIONS"] {
            command.env_remove(name);
        }
        command
    }

    /// Gives a file to the account where it would not be able to use it otherwise.
    pub(super) fn give(&self, path: &Path) -> Result<(), EmbeddedError> {
        let Self::User { uid, gid } = self else { return Ok(()) };
        chown(path, Some(*uid), Some(*gid)).map_err(|source| EmbeddedError::File {
            doing: "giving to PostgreSQL's user",
            path: path.to_owned(),
            source,
        })
    }

    /// Gives a folder and all that is in it: for a database that was made under another account.
    pub(super) fn give_all(&self, path: &Path) -> Result<(), EmbeddedError> {
        if !matches!(self, Self::User { .. }) {
            return Ok(());
        }
        self.give(path)?;
        let fault = |source| EmbeddedError::File { doing: "listing", path: path.to_owned(), source };
        for entry in std::fs::read_dir(path).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            if entry.file_type().map_err(fault)?.is_dir() {
                self.give_all(&entry.path())?;
            } else {
                self.give(&entry.path())?;
            }
        }
        Ok(())
    }
}

async fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).stdin(Stdio::null()).output().await.ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

async fn can_unshare() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--user", "--", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}
