//! Where the machine keeps the programs of PostgreSQL and Redis. It never downloads any.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::EmbeddedError;
use super::folder::Folder;

const POSTGRES_PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_ctl"];

/// The folder with PostgreSQL's programs: `$PG_BIN`, else PATH, else the newest of Debian's or Homebrew's. Where a database is
/// there already, the first of its own major version.
pub(super) async fn find_postgres(folder: &Folder) -> Result<PathBuf, EmbeddedError> {
    let mut folders = postgres_folders();
    folders.retain(|bin_dir| POSTGRES_PROGRAMS.iter().all(|program| bin_dir.join(program).is_file()));
    let Some(wanted) = folder.postgres_version() else {
        return folders.into_iter().next().ok_or(EmbeddedError::NoPostgres);
    };
    let mut found = Vec::new();
    for bin_dir in folders {
        match major_version(&bin_dir.join("postgres")).await {
            Some(version) if version == wanted => return Ok(bin_dir),
            Some(version) => found.push(version),
            None => {}
        }
    }
    if found.is_empty() {
        return Err(EmbeddedError::NoPostgres);
    }
    found.dedup();
    Err(EmbeddedError::OtherVersion { folder: folder.postgres_dir(), wanted, found: found.join(", ") })
}

/// `redis-server` of PATH, else of Homebrew.
pub(super) fn find_redis() -> Result<PathBuf, EmbeddedError> {
    let usual =
        ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/homebrew/opt/redis/bin", "/usr/local/opt/redis/bin"];
    let folders = path_folders().into_iter().chain(usual.map(PathBuf::from));
    let mut programs = folders.map(|folder| folder.join("redis-server"));
    programs.find(|program| program.is_file()).ok_or(EmbeddedError::NoRedis)
}

fn postgres_folders() -> Vec<PathBuf> {
    if let Some(folder) = env::var_os("PG_BIN").filter(|folder| !folder.is_empty()) {
        return vec![PathBuf::from(folder)];
    }
    let mut folders: Vec<PathBuf> = path_folders().into_iter().map(|folder| follow(&folder)).collect();
    folders.extend(newest_first("/usr/lib/postgresql", ""));
    folders.extend(newest_first("/opt/homebrew/opt", "postgresql"));
    folders.extend(newest_first("/usr/local/opt", "postgresql"));
    folders
}

fn path_folders() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

/// The folder that a link to `postgres` leads to, since the other programs may not be linked.
fn follow(folder: &Path) -> PathBuf {
    let target = folder.join("postgres").canonicalize().ok();
    target.and_then(|program| program.parent().map(Path::to_owned)).unwrap_or_else(|| folder.to_owned())
}

/// The `bin` folders below `parent` of the entries whose names start with `prefix`, the highest version first.
fn newest_first(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse(version_in(name)));
    names.into_iter().map(|name| Path::new(parent).join(name).join("bin")).collect()
}

fn version_in(name: &str) -> u32 {
    let digits: String = name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

async fn major_version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(version_in(&text)).filter(|version| *version > 0).map(|version| version.to_string())
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn versions_are_read_as_numbers() {
        let check = |name: &str, expected: u32| assert_eq!(version_in(name), expected, "{name}");
        check("9.6", 9);
        check("15", 15);
        check("postgresql@16", 16);
        check("postgresql", 0);
        check("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)", 15);
    }
}
