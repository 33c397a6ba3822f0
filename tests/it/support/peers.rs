//! Other people's clients and calculations, from npm and PyPI, pinned in `tests/peers`: they judge what we do better than we can.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::OnceCell;

static INSTALLED: OnceCell<PathBuf> = OnceCell::const_new();

/// The directory of the peers, its packages installed once per run.
async fn directory() -> &'static Path {
    let install = async || {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
        if !["stripe", "playwright-core"]
            .iter()
            .all(|name| directory.join("node_modules").join(name).join("package.json").exists())
        {
            let status = Command::new("npm").args(["ci", "--silent"]).current_dir(&directory).status().await.unwrap();
            assert!(status.success(), "npm ci failed in tests/peers");
        }
        directory
    };
    INSTALLED.get_or_init(install).await
}

static PYTHON: OnceCell<PathBuf> = OnceCell::const_new();

/// The Python of the peers, with their packages, made once for each list of them. The mark is written last: what was cut off is made again.
async fn python() -> &'static Path {
    let install = async || {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
        let program = directory.join("python/bin/python");
        let wanted = tokio::fs::read(directory.join("requirements.txt")).await.unwrap();
        let mark = directory.join("python/installed.txt");
        if tokio::fs::read(&mark).await.ok().as_ref() != Some(&wanted) {
            let in_place = |program: &Path, arguments: &[&str]| {
                let mut command = Command::new(program);
                command.args(arguments).current_dir(&directory).stdin(Stdio::null());
                command
            };
            let made = in_place(Path::new("python3"), &["-m", "venv", "--clear", "python"]).status().await.unwrap();
            assert!(made.success(), "python3 -m venv failed in tests/peers");
            let arguments =
                ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"];
            let filled = in_place(&program, &arguments).status().await.unwrap();
            assert!(filled.success(), "pip install failed in tests/peers");
            tokio::fs::write(&mark, wanted).await.unwrap();
        }
        program
    };
    PYTHON.get_or_init(install).await
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
    said(output)
}

/// A peer script that runs beside the test, with lines of JSON going in and coming out. It ends when it is dropped.
pub struct Peer {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    pub async fn start(script: &str) -> Self {
        let mut child = Command::new("node")
            .arg(script)
            .current_dir(directory().await)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { _child: child, stdin, lines: BufReader::new(stdout).lines() }
    }

    /// The next line that it prints.
    pub async fn hear(&mut self) -> Value {
        let line = self.lines.next_line().await.unwrap();
        serde_json::from_str(&line.unwrap_or_else(|| panic!("the peer has ended"))).unwrap()
    }

    /// Tells it a line.
    pub async fn tell(&mut self, line: &Value) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
}

/// Runs a Python script to its end with this JSON as its input.
pub async fn run_python(script: &str, input: &Value) -> Said {
    let mut child = Command::new(python().await)
        .arg(script)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    said(child.wait_with_output().await.unwrap())
}

fn said(output: Output) -> Said {
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Said { lines, error: String::from_utf8_lossy(&output.stderr).into_owned(), is_success: output.status.success() }
}
