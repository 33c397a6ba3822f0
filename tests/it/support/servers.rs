//! PostgreSQL and Redis for the tests: those that `GRAPEVINE_TEST_DATABASE_URL` and `GRAPEVINE_TEST_REDIS_URL` name, else private
//! ones that `tests/servers.sh` starts once per test run (nextest runs every test in a process of its own) and ends with it.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the test servers are.
pub struct Servers {
    /// The maintenance database of PostgreSQL.
    pub database_url: String,
    pub redis_url: String,
}

const DATABASE: &str = "GRAPEVINE_TEST_DATABASE_URL";
const REDIS: &str = "GRAPEVINE_TEST_REDIS_URL";

/// The servers of this test run, started by whichever test comes first.
pub fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| match (std::env::var(DATABASE), std::env::var(REDIS)) {
        (Ok(database_url), Ok(redis_url)) => Servers { database_url, redis_url },
        _ => start(),
    })
}

/// The folder that cargo builds into, for what tests leave behind.
pub fn target_dir() -> PathBuf {
    let near = Path::new(env!("CARGO_TARGET_TMPDIR"));
    near.parent().unwrap_or(near).to_path_buf()
}

/// The script that knows where servers are and how to run them.
pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers.sh")
}

fn run(arguments: &[&str]) -> String {
    let output = Command::new("bash").arg(script()).args(arguments).output().unwrap();
    assert!(output.status.success(), "tests/servers.sh: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Ends the servers of this folder, and the folder, when this process has ended.
pub fn watch(folder: &Path, process: u32) {
    run(&["watch", folder.to_str().unwrap(), &process.to_string()]);
}

fn start() -> Servers {
    // The parent is the runner (nextest, or cargo for `cargo test`): all tests of a run share it, and the servers end with it.
    let runner = std::os::unix::process::parent_id();
    let home = target_dir().join("test-servers");
    std::fs::create_dir_all(&home).unwrap();
    let lock = File::create(home.join("lock")).unwrap();
    lock.lock().unwrap();

    let folder = home.join(runner.to_string());
    let is_first = !folder.exists();
    let printed = run(&["start", folder.to_str().unwrap()]);
    if is_first {
        watch(&folder, runner);
    }
    let mut variables: HashMap<&str, &str> =
        printed.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('=')).collect();
    let mut take = |name| variables.remove(name).map(str::to_owned).unwrap();
    Servers { database_url: take(DATABASE), redis_url: take(REDIS) }
}
