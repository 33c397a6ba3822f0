//! What can be wrong with the settings. Each names the key as its layer spells it, and never shows a secret.

use std::io;
use std::path::PathBuf;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{name} is not a setting; known settings: {known}")]
    Unknown { name: String, known: String },
    #[error("{name} must be {expected}{found}")]
    Value {
        name: String,
        expected: &'static str,
        /// `, not ...`, or nothing where the value is secret.
        found: String,
    },
    #[error("{path} is not valid TOML: {message}")]
    Syntax { path: PathBuf, message: String },
    #[error("reading {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("writing {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "{name} is not set, and no private server was ever started in {data_dir}. Set it in the environment or in grapevine.toml, \
         or run `grapevine up`, which brings its own"
    )]
    Missing { name: &'static str, data_dir: PathBuf },
    #[error(
        "GRAPEVINE_SECRET is not set, and {data_dir}/secret does not exist. Set it to 64 hexadecimal digits (`openssl rand -hex \
         32`), the same for every process, or run `grapevine up`, which makes the file"
    )]
    NoSecret { data_dir: PathBuf },
}
