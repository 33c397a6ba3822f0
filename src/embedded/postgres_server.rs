//! The life of the private PostgreSQL: made once, started or adopted, stopped fast. It never removes a lock file while a
//! PostgreSQL still works in the folder.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::EmbeddedError;
use super::account::Account;
use super::folder::{Folder, NAME};
use super::process::{Server, is_running, read_pid, until};
use crate::db::Db;

const PROGRAM: &str = "postgres";
/// Crash recovery replays at most a few checkpoints of log: minutes on a slow disk.
const START_WAIT: Duration = Duration::from_secs(180);
const STOP_WAIT: Duration = Duration::from_secs(60);
const START_ATTEMPTS_MAX: u32 = 8;
const ATTEMPT_PAUSE: Duration = Duration::from_secs(1);

/// For a machine that does other things too. Durability stays as PostgreSQL ships it: an acknowledged event is on the disk.
const CONFIGURATION: [&str; 10] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=100",
    // The check of all invariants has every day of the log in hand: five locks a day, for years of days.
    "max_locks_per_transaction=256",
    "shared_buffers=256MB",
    "synchronous_commit=on",
    "logging_collector=off",
    "log_destination=stderr",
    "log_line_prefix=%m [%p] ",
    "log_checkpoints=off",
];

/// Starts PostgreSQL on its folder, or adopts the one that already answers there with our password.
pub(super) async fn start(folder: &Folder, bin_dir: &Path, account: &Account) -> Result<Server, EmbeddedError> {
    if answers(folder).await {
        return Ok(Server { child: None });
    }
    account.let_through(folder.path())?;
    if folder.postgres_version().is_none() {
        make_cluster(folder, bin_dir, account).await?;
    }
    account.give_all(&folder.postgres_dir())?;
    let mut attempt = 1;
    loop {
        clear_stale_pid(folder).await?;
        match launch(folder, bin_dir, account).await {
            Err(EmbeddedError::Failed { output, .. }) if is_passing(&output) && attempt < START_ATTEMPTS_MAX => {
                attempt += 1;
                tokio::time::sleep(ATTEMPT_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// Workers of a killed postmaster may outlive it for a moment, and another process may have taken the port since we looked.
fn is_passing(output: &str) -> bool {
    ["shared memory block", "Address already in use", "could not create any TCP/IP sockets"]
        .iter()
        .any(|reason| output.contains(reason))
}

/// Stops PostgreSQL with its fast shutdown: running statements end, everything acknowledged is kept.
pub(super) async fn stop(
    folder: &Folder,
    bin_dir: &Path,
    account: &Account,
    server: Server,
) -> Result<(), EmbeddedError> {
    let mut command = account.command(&bin_dir.join("pg_ctl"));
    command.arg("stop").args(["-s", "-w", "-m", "fast", "-t", &STOP_WAIT.as_secs().to_string(), "-D"]);
    command.arg(folder.postgres_dir());
    let outcome = run("pg_ctl", command).await;
    if let Some(mut child) = server.child {
        drop(tokio::time::timeout(STOP_WAIT, child.wait()).await);
    }
    match outcome {
        Err(EmbeddedError::Failed { .. }) if !is_alive(folder).await => Ok(()),
        outcome => outcome,
    }
}

async fn run(program: &'static str, mut command: tokio::process::Command) -> Result<(), EmbeddedError> {
    let output = command.output().await;
    let output = output.map_err(|source| EmbeddedError::Run { program: program.to_owned(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(EmbeddedError::Failed { program, output: String::from_utf8_lossy(&text).trim().to_owned() })
}

/// Makes the database's files beside their place and moves them there whole, so that a killed first start leaves no half of them.
async fn make_cluster(folder: &Folder, bin_dir: &Path, account: &Account) -> Result<(), EmbeddedError> {
    let (place, draft) = (folder.postgres_dir(), folder.file("postgres.draft"));
    let file = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| EmbeddedError::File { doing, path, source }
    };
    if draft.exists() {
        std::fs::remove_dir_all(&draft).map_err(file("removing", &draft))?;
    }
    super::folder::make_dir(&draft)?;
    account.give(&draft)?;
    let password = folder.file("initdb.password");
    folder.write_secret("initdb.password", &folder.password().ok_or(EmbeddedError::Forgotten)?)?;
    account.give(&password)?;
    let mut command = account.command(&bin_dir.join("initdb"));
    command.args(["-U", NAME, "-E", "UTF8", "-A", "scram-sha-256"]).args(locale()).arg("--pwfile").arg(&password);
    command.arg("-D").arg(&draft);
    let outcome = run("initdb", command).await;
    std::fs::remove_file(&password).map_err(file("removing", &password))?;
    outcome?;
    make_database(&draft, bin_dir, account).await?;
    std::fs::rename(&draft, &place).map_err(file("making", &place))
}

/// Makes our database while no server runs yet, in PostgreSQL's single-user mode.
async fn make_database(draft: &Path, bin_dir: &Path, account: &Account) -> Result<(), EmbeddedError> {
    let failed = |source| EmbeddedError::Run { program: PROGRAM.to_owned(), source };
    let mut command = account.command(&bin_dir.join(PROGRAM));
    command.arg("--single").arg("-D").arg(draft).arg("template1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(format!("create database {NAME};\n").as_bytes()).await.map_err(failed)?;
    }
    let output = child.wait_with_output().await.map_err(failed)?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned();
    if output.status.success() && !text.contains("ERROR:") {
        return Ok(());
    }
    Err(EmbeddedError::Failed { program: "create database", output: text })
}

/// Text sorts by its bytes, the same on every machine. macOS has no `C.UTF-8`.
fn locale() -> &'static [&'static str] {
    if cfg!(target_os = "macos") { &["--locale=C", "--lc-ctype=en_US.UTF-8"] } else { &["--locale=C.UTF-8"] }
}

/// Starts the process and waits until it takes connections.
async fn launch(folder: &Folder, bin_dir: &Path, account: &Account) -> Result<Server, EmbeddedError> {
    let port = folder.choose_port(PROGRAM)?;
    let log = folder.open_log(PROGRAM)?;
    let log_start = log.metadata().map_or(0, |file| file.len());
    let copy = log.try_clone().map_err(|source| EmbeddedError::File {
        doing: "opening",
        path: folder.log_path(PROGRAM),
        source,
    })?;
    let mut command = account.command(&bin_dir.join(PROGRAM));
    command.arg("-D").arg(folder.postgres_dir()).args(["-p", &port.to_string()]);
    for setting in CONFIGURATION {
        command.args(["-c", setting]);
    }
    let child = command.stdout(Stdio::from(log)).stderr(Stdio::from(copy)).spawn();
    let mut child = child.map_err(|source| EmbeddedError::Run { program: PROGRAM.to_owned(), source })?;
    let mut has_ended = false;
    let is_settled = until(START_WAIT, async || {
        has_ended = !matches!(child.try_wait(), Ok(None));
        has_ended || answers(folder).await
    });
    if !is_settled.await {
        let (wait_seconds, log) = (START_WAIT.as_secs(), folder.log_path(PROGRAM));
        return Err(EmbeddedError::Silent { program: PROGRAM, wait_seconds, log });
    }
    if has_ended {
        return Err(EmbeddedError::Failed { program: PROGRAM, output: folder.log_tail(PROGRAM, log_start) });
    }
    Ok(Server { child: Some(child) })
}

/// Whether our own PostgreSQL answers: the password tells it from any other server that took the port.
async fn answers(folder: &Folder) -> bool {
    let Some(url) = folder.database_url("postgres") else { return false };
    let Ok(db) = Db::connect(&url, 1) else { return false };
    db.conn().await.is_ok()
}

async fn is_alive(folder: &Folder) -> bool {
    let place = folder.postgres_dir();
    match read_pid(&place.join("postmaster.pid")) {
        Some(pid) => is_running(pid, PROGRAM, &place).await,
        None => false,
    }
}

/// A killed PostgreSQL leaves `postmaster.pid`. PostgreSQL takes it for stale unless some process has the number again, and in
/// a namespace every process of root counts; so a file whose process is no PostgreSQL of this folder is removed here. One that is
/// still alive but does not answer (it recovers, or it is ending) is waited for.
async fn clear_stale_pid(folder: &Folder) -> Result<(), EmbeddedError> {
    let path = folder.postgres_dir().join("postmaster.pid");
    until(START_WAIT, async || !is_alive(folder).await).await;
    if path.exists() && !is_alive(folder).await {
        std::fs::remove_file(&path).map_err(|source| EmbeddedError::File { doing: "removing", path, source })?;
    }
    Ok(())
}
