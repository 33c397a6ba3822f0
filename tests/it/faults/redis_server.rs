//! A Redis of a test's own, which can be killed, and started again from the file that it had an hour ago.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use grapevine::base::{SystemChance, random_bytes};
use redis::AsyncConnectionConfig;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::pause;
use super::postgres::signal;
use crate::support::{free_address, script, target_dir, watch};

/// How long a server may take to come up. Only a server that never comes takes it.
const UP: Duration = Duration::from_secs(30);

/// A server, ended and removed when it is dropped.
pub struct Redis {
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Redis {
    pub async fn start() -> Self {
        let folder =
            target_dir().join("test-servers").join(format!("fault-{}", hex::encode(random_bytes::<8>(&SystemChance))));
        std::fs::create_dir_all(&folder).unwrap();
        watch(&folder, std::process::id());
        let mut server = Self { folder, port: free_address().port(), child: None };
        server.run().await;
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts the server from the file that is there, and waits until it answers.
    pub async fn run(&mut self) {
        let mut command = Command::new("bash");
        command.arg(script()).arg("exec").arg(&self.folder).arg("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().unwrap();
        std::fs::write(self.folder.join("redis.pid"), child.id().unwrap().to_string()).unwrap();
        self.child = Some(child);
        let deadline = Instant::now() + UP;
        while self.ask::<String>(&["PING"]).await.is_err() {
            assert!(Instant::now() < deadline, "Redis did not start");
            pause(20).await;
        }
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }

    /// Stops the process where it stands, or lets it go on: its connections stay open, and nobody answers.
    pub async fn signal(&self, name: &str) {
        signal(name, &[self.child.as_ref().unwrap().id().unwrap()]).await;
    }

    /// What the server answers to one command.
    pub async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        // A busy machine may take its time.
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(UP)).set_response_timeout(Some(UP));
        let mut conn = client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut conn).await
    }

    /// The file that the server starts from.
    pub fn file(&self) -> PathBuf {
        self.folder.join("dump.rdb")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.child = None;
        if !std::thread::panicking() {
            // A file that the server still writes goes with its process.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
