//! The real binary, on a test's database and Redis.

use std::process::Stdio;

use tokio::process::{Child, Command};

use super::app::TestApp;
use super::servers::target_dir;

/// The binary with the test's settings, ended when it is dropped.
pub fn binary(app: &TestApp) -> Command {
    let folder = target_dir().join("processes-test");
    std::fs::create_dir_all(&folder).unwrap();
    let settings = &app.settings;
    // One that was built otherwise, where it is named: what is measured should be what people run.
    let built = std::env::var("GRAPEVINE_TEST_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_grapevine").to_owned());
    let mut binary = Command::new(built);
    // The binary refuses settings that it does not know, and ours are none of its own.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GRAPEVINE_")) {
        binary.env_remove(name);
    }
    binary
        .current_dir(&folder)
        .env("DATABASE_URL", app.database_url())
        .env("REDIS_URL", &settings.redis_url)
        .env("GRAPEVINE_REDIS_PREFIX", &settings.redis_prefix)
        .env("GRAPEVINE_LISTEN", settings.listen.to_string())
        .env("GRAPEVINE_SECRET", hex::encode(settings.secret))
        .env("GRAPEVINE_DATA_DIR", &folder)
        .env("GRAPEVINE_LOG", "error")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    binary
}

/// A running process of it.
pub fn spawn(app: &TestApp, command: &str) -> Child {
    binary(app).arg(command).spawn().unwrap()
}
