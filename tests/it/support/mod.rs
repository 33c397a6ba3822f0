//! What every test stands on: an app of its own on a database and a Redis prefix of its own, with a clock that stands still.
//! Start with [`TestApp`].

mod app;
mod database;
pub mod peers;
mod process;
mod servers;

pub use app::{TestApp, TestSource, free_address, make_source};
pub use database::{Database, connect, migrations_hash, template};
pub use process::{binary, spawn};
pub use servers::{Servers, script, servers, target_dir, watch};
