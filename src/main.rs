//! The binary: reads the command line, runs it, and tells what went wrong.

use std::process::ExitCode;

use grapevine::cli;

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
