//! PostgreSQL, the only truth: the pool, transactions that retry, raw statements that stay prepared, and migrations.
//! It never holds a rule or a table's own queries: those live in each module's `store.rs`.
//! Start with [`Db::transaction`] and [`sql`].

mod error;
mod migrate;
mod pool;
mod schema_text;
mod statement;
mod statistics;

#[rustfmt::skip]
pub mod schema;

pub use error::{constraint_of, fault, is_lost, is_timeout};
pub use migrate::{migrate, pending_migrations, revert_all};
pub use pool::{Conn, Db, PooledConn, take_snapshot};
pub use schema_text::schema_text;
pub use statement::{Bound, Sql, sql, sql_anew};
pub use statistics::analyze_grown;
