//! What every test stands on: an app of its own on a database and a Redis prefix of its own, with a clock that stands still.
//! Start with [`TestApp`].

mod app;
mod database;
pub mod peers;
mod servers;

pub use app::{TestApp, TestSource, make_source};
pub use database::{Database, connect};
pub use servers::{servers, target_dir};
