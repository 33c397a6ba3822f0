//! Logs: one subscriber per process, as text for people or as JSON lines for machines, on the standard error, so that a command's
//! output stays clean. It holds no metrics, and never sees a token, an address or a body unless a caller logs one.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::base::{Error, Result};
use crate::config::{Draft, LogFormat};

/// Starts the log of this process. Once.
pub fn start(draft: &Draft) -> Result<()> {
    let filter = EnvFilter::try_new(&draft.log).map_err(|error| Error::fault("reading the setting `log`", error))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    let started = match draft.log_format {
        LogFormat::Text => builder.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Error::fault("starting the log", error))
}
