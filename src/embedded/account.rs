//! As whom PostgreSQL runs. It refuses root, so root starts it in a user namespace of its own, where it is nobody and the files
//! stay root's: nothing is chowned, and a folder under root's closed home works. It never changes who the calling process is.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
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

    /// Whose files the account works with, where we may change it.
    fn owner(&self) -> Option<(u32, u32)> {
        match self {
            Self::Caller => None,
            Self::Namespace => Some((0, 0)),
            Self::User { uid, gid } => Some((*uid, *gid)),
        }
    }

    /// Lets the account pass through a folder that stays ours.
    pub(super) fn let_through(&self, path: &Path) -> Result<(), EmbeddedError> {
        if !matches!(self, Self::User { .. }) {
            return Ok(());
        }
        let permissions = Permissions::from_mode(0o711);
        fs::set_permissions(path, permissions).map_err(fault("opening to PostgreSQL's user", path))
    }

    /// Gives a file or an empty folder to the account.
    pub(super) fn give(&self, path: &Path) -> Result<(), EmbeddedError> {
        let Some((uid, gid)) = self.owner() else { return Ok(()) };
        chown(path, Some(uid), Some(gid)).map_err(fault("giving to PostgreSQL's user", path))
    }

    /// Gives a folder and all that is in it, unless it is the account's: for a database that was made under another one.
    pub(super) fn give_all(&self, path: &Path) -> Result<(), EmbeddedError> {
        let Some((uid, _)) = self.owner() else { return Ok(()) };
        if fs::metadata(path).map_err(fault("looking at", path))?.uid() == uid {
            return Ok(());
        }
        for entry in fs::read_dir(path).map_err(fault("listing", path))? {
            let entry = entry.map_err(fault("listing", path))?;
            if entry.file_type().map_err(fault("listing", path))?.is_dir() {
                self.give_all(&entry.path())?;
            } else {
                self.give(&entry.path())?;
            }
        }
        // The folder itself comes last, so that a start that was killed half-way is seen and finished by the next.
        self.give(path)
    }
}

fn fault(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> EmbeddedError + use<> {
    let path = path.to_owned();
    move |source| EmbeddedError::File { doing, path, source }
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
