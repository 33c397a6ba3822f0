//! A PostgreSQL of a test's own that keeps what it acknowledges (fsync on), and can be killed, moved to another disk and slowed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use grapevine::base::{SystemChance, random_bytes};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::pause;
use crate::support::{free_address, migrations_hash, script, target_dir, template, watch};

/// How long a server may take to come up. Only a server that never comes takes it.
const UP: Duration = Duration::from_secs(60);

/// A server, ended and removed when it is dropped.
pub struct Postgres {
    /// Holds all that the server has.
    pub folder: PathBuf,
    pub data: PathBuf,
    port: u16,
    settings: Vec<&'static str>,
    environment: Vec<(&'static str, PathBuf)>,
    child: Option<Child>,
    /// How often it was started.
    pub start_count: u32,
}

impl Postgres {
    /// A running server with these settings (`name=value`).
    pub async fn start(settings: &[&'static str]) -> Self {
        let mut server = Self::place(settings).await;
        let data = server.folder.join("pg");
        server.settle(data).await;
        server.run().await;
        server
    }

    /// A folder for a server that has no data yet.
    pub async fn place(settings: &[&'static str]) -> Self {
        let folder =
            target_dir().join("test-servers").join(format!("fault-{}", hex::encode(random_bytes::<8>(&SystemChance))));
        std::fs::create_dir_all(&folder).unwrap();
        watch(&folder, std::process::id());
        let (data, port) = (folder.join("pg"), free_address().port());
        Self { folder, data, port, settings: settings.to_vec(), environment: Vec::new(), child: None, start_count: 0 }
    }

    /// Copies the data of a migrated server to here.
    pub async fn settle(&mut self, data: PathBuf) {
        let status = Command::new("cp").arg("-R").arg(template_cluster().await).arg(&data).status().await.unwrap();
        assert!(status.success());
        self.data = data;
    }

    /// What the server's process finds in its environment.
    pub fn set(&mut self, name: &'static str, value: PathBuf) {
        self.environment.push((name, value));
    }

    /// The maintenance database.
    pub fn url(&self) -> String {
        format!("postgres://grapevine@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts the server and waits until it answers; starts it again where it ends instead, as whoever runs a database does.
    pub async fn run(&mut self) {
        let deadline = Instant::now() + UP;
        while !self.is_up().await {
            assert!(Instant::now() < deadline, "PostgreSQL did not start: see {}", self.folder.display());
            if self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None))) {
                self.spawn();
            }
            pause(50).await;
        }
    }

    fn spawn(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.join("postgres.log")).unwrap();
        let mut command = Command::new("bash");
        command.arg(script()).arg("exec").args([&self.folder, Path::new("postgres")]);
        command.arg("-D").arg(&self.data).args(["-p", &self.port.to_string(), "-k", ""]);
        for setting in
            ["listen_addresses=127.0.0.1", "max_connections=80", "shared_buffers=64MB", "timezone=UTC", "jit=off"]
                .iter()
                .chain(&self.settings)
        {
            command.args(["-c", setting]);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).kill_on_drop(true);
        let child = command.spawn().unwrap();
        std::fs::write(self.folder.join("postgres.pid"), child.id().unwrap_or(0).to_string()).unwrap();
        self.child = Some(child);
        self.start_count += 1;
    }

    async fn is_up(&self) -> bool {
        use diesel_async::AsyncConnection;
        diesel_async::AsyncPgConnection::establish(&self.url()).await.is_ok()
    }

    /// kill -9 for the server and all of its processes.
    pub async fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let Some(id) = child.id() else { return };
        // Stopped first, so that it makes no new one while we look.
        signal("STOP", &[id]).await;
        let mut all = children(id).await;
        all.push(id);
        signal("KILL", &all).await;
        child.wait().await.unwrap();
    }

    /// Asks the server to end in good order.
    async fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        signal("INT", &[child.id().unwrap()]).await;
        child.wait().await.unwrap();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.child = None;
        if !std::thread::panicking() {
            // What is still open in there goes with its process.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Sends a signal, by the shell's own `kill`.
pub async fn signal(name: &str, ids: &[u32]) {
    let ids = ids.iter().map(ToString::to_string);
    let mut command = Command::new("sh");
    command.args(["-c", r#"kill -s "$0" "$@" 2>/dev/null"#, name]).args(ids);
    command.status().await.unwrap();
}

async fn children(id: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let pairs = text.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
    let own = pairs.filter(|(_, parent)| parent.trim() == id.to_string());
    own.map(|(child, _)| child.parse().unwrap()).collect()
}

/// The folder of a server that was stopped in good order after its template was migrated: made once per version of the migrations.
async fn template_cluster() -> PathBuf {
    let home = target_dir().join("test-servers");
    std::fs::create_dir_all(&home).unwrap();
    let folder = home.join(format!("cluster-{}", migrations_hash()));
    // Held by one process of the run, and within it by one test, until the cluster is there.
    let lock = File::create(home.join("cluster.lock")).unwrap();
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await.unwrap().unwrap();
    if !folder.exists() {
        let draft = home.join(format!("cluster-draft-{}", hex::encode(random_bytes::<8>(&SystemChance))));
        let mut server = Postgres::place(&["fsync=off"]).await;
        server.data = draft.clone();
        let mut initdb = Command::new("bash");
        initdb.arg(script()).arg("exec").args([&server.folder, Path::new("initdb"), Path::new("-D"), &draft]);
        initdb.args(["-U", "grapevine", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"]);
        let output = initdb.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        server.run().await;
        template(&server.url()).await;
        server.stop().await;
        std::fs::rename(&draft, &folder).unwrap();
    }
    drop(lock);
    folder
}
