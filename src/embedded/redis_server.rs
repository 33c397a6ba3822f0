//! The life of the private Redis: started or adopted, stopped after it has saved. It never lets two of them write the same files,
//! which Redis itself does not prevent.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::EmbeddedError;
use super::folder::{Folder, make_dir};
use super::process::{Server, is_running, read_pid, signal, until};
use crate::kv::Kv;

const PROGRAM: &str = "redis-server";
const NAME: &str = "redis";
const START_WAIT: Duration = Duration::from_secs(60);
const STOP_WAIT: Duration = Duration::from_secs(30);
const START_ATTEMPTS_MAX: u32 = 3;

/// Starts Redis on its folder, or adopts the one that already answers there with our password.
pub(super) async fn start(folder: &Folder, program: &Path) -> Result<Server, EmbeddedError> {
    make_dir(&folder.redis_dir())?;
    if answers(folder).await {
        return Ok(Server { child: None });
    }
    end_leftover(folder).await?;
    let mut attempt = 1;
    loop {
        match launch(folder, program).await {
            // Another process may have taken the port between the look and the start.
            Err(EmbeddedError::Failed { .. }) if attempt < START_ATTEMPTS_MAX => attempt += 1,
            outcome => return outcome,
        }
    }
}

/// Stops Redis; on SIGTERM it writes what it holds before it ends.
pub(super) async fn stop(folder: &Folder, server: Server) -> Result<(), EmbeddedError> {
    match server.child {
        Some(mut child) => {
            if let Some(pid) = child.id() {
                signal(pid, "TERM").await?;
            }
            let ended = tokio::time::timeout(STOP_WAIT, child.wait()).await;
            if ended.is_err() {
                return Err(silent(folder, STOP_WAIT));
            }
            Ok(())
        }
        None => end_leftover(folder).await,
    }
}

/// Ends a Redis of this folder that is not our child.
async fn end_leftover(folder: &Folder) -> Result<(), EmbeddedError> {
    let dir = folder.redis_dir();
    let Some(pid) = read_pid(&dir.join("redis.pid")) else { return Ok(()) };
    if !is_running(pid, PROGRAM, &dir).await {
        return Ok(());
    }
    signal(pid, "TERM").await?;
    if until(STOP_WAIT, async || !is_running(pid, PROGRAM, &dir).await).await {
        Ok(())
    } else {
        Err(silent(folder, STOP_WAIT))
    }
}

fn silent(folder: &Folder, wait: Duration) -> EmbeddedError {
    EmbeddedError::Silent { program: PROGRAM, wait_seconds: wait.as_secs(), log: folder.log_path(NAME) }
}

/// Starts the process and waits until it answers. The configuration goes in by the standard input, where no list of processes
/// shows the password.
async fn launch(folder: &Folder, program: &Path) -> Result<Server, EmbeddedError> {
    let failed = |source| EmbeddedError::Run { program: PROGRAM.to_owned(), source };
    let configuration = configuration(folder)?;
    let log = folder.open_log(NAME)?;
    let log_start = log.metadata().map_or(0, |file| file.len());
    let copy = log.try_clone().map_err(failed)?;
    let mut command = Command::new(program);
    command.arg("-").current_dir(folder.redis_dir()).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::from(log)).stderr(Stdio::from(copy));
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(configuration.as_bytes()).await.map_err(failed)?;
    }
    let mut has_ended = false;
    let is_settled = until(START_WAIT, async || {
        has_ended = !matches!(child.try_wait(), Ok(None));
        has_ended || answers(folder).await
    });
    if !is_settled.await {
        return Err(silent(folder, START_WAIT));
    }
    if has_ended {
        return Err(EmbeddedError::Failed { program: PROGRAM, output: folder.log_tail(NAME, log_start) });
    }
    Ok(Server { child: Some(child) })
}

fn configuration(folder: &Folder) -> Result<String, EmbeddedError> {
    let port = folder.choose_port(NAME)?;
    let password = folder.password().ok_or(EmbeddedError::Forgotten)?;
    let dir = quoted(&folder.redis_dir().to_string_lossy());
    Ok(format!(
        "bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {dir}\npidfile redis.pid\ndaemonize no\nappendonly yes\n\
         maxmemory-policy noeviction\n"
    ))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Whether our own Redis answers: the password tells it from any other server that took the port.
async fn answers(folder: &Folder) -> bool {
    let Some(url) = folder.redis_url() else { return false };
    let Ok(kv) = Kv::connect(&url, "") else { return false };
    kv.ping().await.is_ok()
}
