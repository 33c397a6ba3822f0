//! Other people's clients, from npm, pinned in `tests/peers`: they judge the protocol better than we can.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;
use tokio::sync::OnceCell;

static INSTALLED: OnceCell<PathBuf> = OnceCell::const_new();

/// The directory of the peers, its packages installed once per run.
async fn directory() -> &'static Path {
    let install = async || {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
        if !directory.join("node_modules/stripe/package.json").exists() {
            let status = Command::new("npm").args(["ci", "--silent"]).current_dir(&directory).status().await.unwrap();
            assert!(status.success(), "npm ci failed in tests/peers");
        }
        directory
    };
    INSTALLED.get_or_init(install).await
}

/// What a peer script printed, line by line, what it said on standard error, and whether it succeeded.
pub struct Said {
    pub lines: Vec<Value>,
    pub error: String,
    pub is_success: bool,
}

/// Runs a peer script to its end.
pub async fn run(script: &str, arguments: &[&str]) -> Said {
    let output = Command::new("node")
        .arg(script)
        .args(arguments)
        .current_dir(directory().await)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Said { lines, error: String::from_utf8_lossy(&output.stderr).into_owned(), is_success: output.status.success() }
}
