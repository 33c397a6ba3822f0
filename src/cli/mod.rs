//! The command line: what may be asked, and which part answers. It holds no rule of its own.
//! Start with [`Command`]; each group of commands has a file, and `context.rs` is what they share.

mod context;
mod demo;
mod export;
mod flags;
mod import;
mod import_events;
mod keys;
mod lint_url;
mod post;
mod replay;
mod send_event;
mod server;
mod stop;
mod up;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::base::{Error, Result};
use crate::{config, graphql};
use context::Context;

/// Measures word of mouth: who invited whom, who gets the credit, what is owed, and what is fraud.
#[derive(Parser)]
#[command(name = "grapevine", version, about, max_term_width = 120)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    flags: flags::Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine: the API, the worker, and a private PostgreSQL and Redis where none are set
    Up(up::Up),
    /// Serve the API. Run as many of these as you like
    Serve,
    /// Work on the log of events. Run as many of these as you like
    Work,
    /// Bring the database to this version's schema
    Migrate,
    /// Check every data invariant; ends with 1 on a breach
    Verify(verify::Verify),
    /// Print the GraphQL schema
    Schema,
    /// Print the effective settings, secrets masked
    Config,
    /// Manage API keys
    #[command(subcommand)]
    Key(keys::KeyCommand),
    /// Load the demo brand, unless it is there, and print its key
    Demo(demo::Demo),
    /// Import a file of history; what is turned away is told line by line in FILE.rejected.csv
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Export what the books hold as a file
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Take quarantined and dead events in again, with today's rules and names, or give them up
    Replay(Box<replay::Replay>),
    /// Say what an address with utm_* parameters and identifiers carries, and what is wrong with it; ends with 1 on an error
    LintUrl(lint_url::LintUrl),
    /// Send one signed test event to a webhook source
    SendEvent(Box<send_event::SendEvent>),
}

/// Reads the command line. What it cannot read ends the process with 2 and says why; `--help` and `--version` end it with 0.
#[must_use]
pub fn parse() -> Arguments {
    Arguments::parse()
}

/// Does what was asked. The code is not 0 where the answer itself is bad news.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let context = Context::new(&arguments.flags)?;
    match arguments.command {
        Command::Up(command) => command.run(&context).await?,
        Command::Serve => server::serve(&context).await?,
        Command::Work => server::work(&context).await?,
        Command::Migrate => server::migrate(&context).await?,
        Command::Verify(command) => return command.run(&context).await,
        Command::Schema => print!("{}", graphql::sdl()),
        Command::Config => print!("{}", config::show(&context.draft)),
        Command::Key(command) => command.run(&context).await?,
        Command::Demo(command) => command.run(&context).await?,
        Command::Import(command) => command.run(&context).await?,
        Command::Export(command) => command.run(&context).await?,
        Command::Replay(command) => command.run(&context).await?,
        Command::LintUrl(command) => return command.run(&context).await,
        Command::SendEvent(command) => return command.run(&context).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// An error as a person at a terminal needs it: what was being done, then every cause below it.
#[must_use]
pub fn describe(error: &Error) -> String {
    let mut text = match error {
        Error::Refused(refusals) => {
            let messages: Vec<&str> = refusals.iter().map(|refusal| refusal.message.as_str()).collect();
            messages.join("\n       ")
        }
        Error::Fault { doing, .. } => (*doing).to_owned(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let message = error.to_string();
        // Some libraries repeat their cause in their own words.
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}
