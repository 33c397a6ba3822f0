//! The binary: reads the command line, runs it, and tells what went wrong.

use std::process::ExitCode;

use grapevine::cli;
use mimalloc::MiMalloc;

/// The door allocates a few dozen times per event, on several threads: the C library's allocator took a fifth of its processor time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::run(cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", cli::describe(&error));
            ExitCode::FAILURE
        }
    }
}
