//! The pool and the transaction. One pool per process; a transaction is tried again where the database asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::connection::InstrumentationEvent;
use diesel_async::pooled_connection::deadpool::{Object, Pool, PoolError};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolableConnection, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use scoped_futures::ScopedBoxFuture;

use super::error::is_timeout;
use crate::base::limits::{IDLE_IN_TRANSACTION_MS, STATEMENT_TIMEOUT_MS, TRANSACTION_ATTEMPTS_MAX};
use crate::base::{Error, Result};

/// What every store verb takes.
pub type Conn = AsyncPgConnection;
/// A connection on loan from the pool.
pub type PooledConn = Object<AsyncPgConnection>;

const WAIT: Duration = Duration::from_secs(5);

/// The door to PostgreSQL.
#[derive(Clone)]
pub struct Db {
    pool: Pool<AsyncPgConnection>,
    statement_count: Arc<AtomicU64>,
}

impl Db {
    /// A pool of at most `size` connections. Nothing is opened until the first use.
    pub fn connect(url: &str, size: usize) -> Result<Self> {
        let statement_count = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&statement_count);
        let mut config = ManagerConfig::default();
        // A connection that PostgreSQL closed is known to be closed: asking it first would cost each use one more round trip.
        config.recycling_method = RecyclingMethod::Fast;
        config.custom_setup = Box::new(move |url| {
            let (url, counter) = (url.to_owned(), Arc::clone(&counter));
            async move { open(&url, counter).await }.boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(url, config);
        let pool = Pool::builder(manager)
            .max_size(size)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(WAIT))
            .recycle_timeout(Some(WAIT))
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| Error::fault("building the pool of connections", error))?;
        Ok(Self { pool, statement_count })
    }

    /// A connection, or a transient fault after five seconds.
    pub async fn conn(&self) -> Result<PooledConn> {
        self.pool.get().await.map_err(|error: PoolError| Error::transient("connecting to PostgreSQL", error))
    }

    /// Runs `work` in one transaction at READ COMMITTED: committed if it returns `Ok`, else rolled back. Work that fails in a
    /// transient way is tried again from the start, so it must have no effect outside of the connection. A commit that got no answer is
    /// a transient fault: it may have been done, so that only the caller can know whether to ask again.
    pub async fn transaction<'a, T, F>(&self, work: F) -> Result<T>
    where
        F: for<'c> Fn(&'c mut Conn) -> ScopedBoxFuture<'a, 'c, Result<T>> + Send + Sync,
        T: Send,
    {
        let mut attempt = 1;
        loop {
            let mut conn = self.conn().await?;
            match in_transaction(&mut conn, &work).await {
                Outcome::Undone(error)
                    if error.is_transient() && !is_timeout(&error) && attempt < TRANSACTION_ATTEMPTS_MAX =>
                {
                    tracing::debug!(attempt, error = &error as &dyn std::error::Error, "a transaction is tried again");
                    drop(conn);
                    tokio::time::sleep(Duration::from_millis(5 << attempt)).await;
                    attempt += 1;
                }
                Outcome::Done(value) => return Ok(value),
                Outcome::Undone(error) | Outcome::Unknown(error) => return Err(error),
            }
        }
    }

    /// Statements sent since the start, over all connections: what the N+1 test and `/metrics` read.
    #[must_use]
    pub fn statement_count(&self) -> u64 {
        self.statement_count.load(Ordering::Relaxed)
    }
}

/// Every statement of the transaction sees the same rows from here on, and none writes. It must be the first.
pub async fn take_snapshot(conn: &mut Conn) -> Result<()> {
    Ok(conn.batch_execute("set transaction isolation level repeatable read, read only").await?)
}

/// How a transaction ended.
enum Outcome<T> {
    Done(T),
    Undone(Error),
    /// The connection was lost between the commit and its answer.
    Unknown(Error),
}

async fn in_transaction<'a, T, F>(conn: &mut Conn, work: &F) -> Outcome<T>
where
    F: for<'c> Fn(&'c mut Conn) -> ScopedBoxFuture<'a, 'c, Result<T>> + Send + Sync,
{
    use diesel_async::TransactionManager;
    type Manager = <Conn as AsyncConnection>::TransactionManager;

    if let Err(error) = Manager::begin_transaction(conn).await {
        return Outcome::Undone(error.into());
    }
    match work(conn).await {
        Ok(value) => match Manager::commit_transaction(conn).await {
            Ok(()) => Outcome::Done(value),
            Err(error) if conn.is_broken() => Outcome::Unknown(Error::transient("hearing of a commit", error)),
            Err(error) => Outcome::Undone(error.into()),
        },
        Err(error) => {
            if let Err(rollback) = Manager::rollback_transaction(conn).await {
                tracing::debug!(
                    error = &rollback as &dyn std::error::Error,
                    "a rollback failed; the connection is dropped"
                );
            }
            Outcome::Undone(error)
        }
    }
}

async fn open(url: &str, counter: Arc<AtomicU64>) -> diesel::ConnectionResult<AsyncPgConnection> {
    let mut conn = AsyncPgConnection::establish(url).await?;
    // Statements are short and run again and again: to compile them costs more than to run them.
    let setup = format!(
        "set statement_timeout = {STATEMENT_TIMEOUT_MS}; set jit = off; set timezone = 'UTC'; \
         set idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_MS}"
    );
    conn.batch_execute(&setup).await.map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if matches!(event, InstrumentationEvent::StartQuery { .. }) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok(conn)
}
