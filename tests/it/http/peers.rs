//! Other people's clients, from npm, pinned in `tests/peers`: they judge the protocol better than we can.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::front::{Front, SUBSCRIPTION};

static INSTALLED: OnceCell<PathBuf> = OnceCell::const_new();

/// The directory of the peers, its packages installed once per run.
async fn directory() -> &'static Path {
    let install = async || {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
        if !directory.join("node_modules/graphql-ws/package.json").exists() {
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

#[tokio::test]
async fn every_audit_of_graphql_http_passes() {
    let front = Front::open().await;
    let said = run("audit.mjs", &[&front.graphql_url(), &front.key]).await;
    assert!(said.is_success, "{}", said.error);
    assert_eq!(said.lines[0]["failures"], json!([]));
    assert_eq!((said.lines[0]["total"].as_u64(), said.lines[0]["passed"].as_u64()), (Some(61), Some(61)));
    front.close().await;
}

#[tokio::test]
async fn graphql_ws_runs_queries_and_hears_why_it_is_refused() {
    let front = Front::open().await;
    let url = front.graphql_url();
    let said = run("subscribe.mjs", &[&url, &front.key, "{ __typename }", "{}", "5"]).await;
    assert_eq!(said.lines, [json!({ "data": { "__typename": "Query" } })], "{}", said.error);
    let said = run("subscribe.mjs", &[&url, "gv_wrong", "{ __typename }", "{}", "1"]).await;
    assert!(said.error.contains("4403"), "{}", said.error);
    let said = run("subscribe.mjs", &[&url, &front.key, "subscription { nothing }", "{}", "1"]).await;
    assert_eq!(said.lines[0]["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED", "{}", said.error);
    front.close().await;
}

#[tokio::test]
async fn graphql_sse_streams_in_distinct_connections_mode() {
    let front = Front::open().await;
    let url = front.graphql_url();
    let said = run("stream.mjs", &[&url, &front.key, "{ __typename }", "{}", "5"]).await;
    assert_eq!(said.lines, [json!({ "data": { "__typename": "Query" } })], "{}", said.error);
    assert!(said.is_success, "{}", said.error);
    let said = run("stream.mjs", &[&url, "gv_wrong", SUBSCRIPTION, "{}", "1"]).await;
    assert!(said.error.contains("401"), "{}", said.error);
    front.close().await;
}

#[tokio::test]
async fn the_usual_introspection_is_within_the_limits() {
    let front = Front::open().await;
    let said = run("introspect.mjs", &[&front.graphql_url(), &front.key]).await;
    assert!(said.lines[0]["types"].as_u64() > Some(10), "{:?} {}", said.lines, said.error);
    front.close().await;
}
