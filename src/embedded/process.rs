//! Processes by number: whether one is what it is taken for, and how to ask it to end. It never signals a process whose name and
//! folder do not match.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::EmbeddedError;

const PAUSE: Duration = Duration::from_millis(20);

/// A running server: our child, or one that an earlier process left and we adopted.
pub(super) struct Server {
    pub(super) child: Option<Child>,
}

impl Server {
    /// Ends when our child has ended; never for an adopted server.
    pub(super) async fn ended(&mut self) {
        match &mut self.child {
            Some(child) => drop(child.wait().await),
            None => std::future::pending().await,
        }
    }
}

/// The number in a pid file's first line.
pub(super) fn read_pid(path: &Path) -> Option<u32> {
    std::fs::read_to_string(path).ok()?.lines().next()?.trim().parse().ok()
}

/// Whether `pid` is a living process of this program that works in `folder`. A number may long since name another process.
pub(super) async fn is_running(pid: u32, program: &str, folder: &Path) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    if Path::new("/proc/self").exists() {
        let state = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
        let is_dead = state.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']));
        let has_name = state.contains(&format!("({program}"));
        let is_elsewhere = std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd != folder);
        return has_name && !is_dead && !is_elsewhere;
    }
    let mut command = Command::new("ps");
    command.args(["-o", "comm=", "-p", &pid.to_string()]).stdin(Stdio::null());
    command.output().await.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(program))
}

/// Asks a process to end, by the shell's own `kill`: a machine without procps has no such program.
pub(super) async fn signal(pid: u32, name: &str) -> Result<(), EmbeddedError> {
    let mut command = Command::new("sh");
    command.args(["-c", r#"kill -s "$0" "$1""#, name, &pid.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.map_err(|source| EmbeddedError::Run { program: "sh".to_owned(), source })?;
    Ok(())
}

/// Asks again and again, at most for `wait`; whether the answer came to be yes.
pub(super) async fn until(wait: Duration, mut is_so: impl AsyncFnMut() -> bool) -> bool {
    let deadline = Instant::now() + wait;
    loop {
        if is_so().await {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
