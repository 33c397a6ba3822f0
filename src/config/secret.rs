//! The master secret's file, for an installation that was not given a secret: made once, for its owner's eyes only.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::{ConfigError, Key, draft};
use crate::base::{Chance, random_bytes};

const FILE: &str = "secret";

/// The secret that an earlier start made under `data_dir`, if there is one.
pub fn read_secret(data_dir: &Path) -> Result<Option<[u8; 32]>, ConfigError> {
    let path = data_dir.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ConfigError::Read { path, source }),
    };
    let (name, expected) = (path.display().to_string(), Key::Secret.expected());
    let secret = draft::secret(text.trim());
    secret.map(Some).ok_or(ConfigError::Value { name, expected, found: String::new() })
}

/// The secret of `data_dir`, drawn and kept on the first call. It is written whole or not at all: what it once sealed cannot be
/// opened with another.
pub fn make_secret(data_dir: &Path, chance: &dyn Chance) -> Result<[u8; 32], ConfigError> {
    if let Some(secret) = read_secret(data_dir)? {
        return Ok(secret);
    }
    let secret: [u8; 32] = random_bytes(chance);
    let (path, draft) = (data_dir.join(FILE), data_dir.join("secret.draft"));
    let write = || {
        DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
        let mut options = OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
        writeln!(file, "{}", hex::encode(secret))?;
        file.sync_all()?;
        // A link, not a rename: where two starts race, the first one's secret stands.
        match fs::hard_link(&draft, &path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => fs::remove_file(&draft),
        }
    };
    write().map_err(|source| ConfigError::Write { path: path.clone(), source })?;
    read_secret(data_dir)?.ok_or(ConfigError::NoSecret { data_dir: data_dir.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::base::SystemChance;

    #[test]
    fn the_secret_is_drawn_once_kept_closed_and_refused_when_broken() {
        let dir = std::env::temp_dir().join(format!("grapevine-secret-{}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        assert!(read_secret(&dir).unwrap().is_none());
        let secret = make_secret(&dir, &SystemChance).unwrap();
        assert_eq!(make_secret(&dir, &SystemChance).unwrap(), secret);
        assert_eq!(fs::metadata(dir.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(dir.join(FILE), "short").unwrap();
        assert!(read_secret(&dir).unwrap_err().to_string().contains("64 hexadecimal digits"));
        fs::remove_dir_all(&dir).unwrap();
    }
}
