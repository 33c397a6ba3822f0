//! What a resolver has in hand: the process, who asks, and the loaders of this one request. It is never shared between requests.

use std::sync::Arc;

use async_graphql::{Context, ID};
use scoped_futures::{ScopedBoxFuture, ScopedFutureExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::loaders::Loaders;
use crate::access::{self, Permission, Scope};
use crate::app::App;
use crate::base::{Error, Kind, Result};
use crate::brands::{self, Home};
use crate::db::{Conn, PooledConn};
use crate::kv::{Limit, Wait};

/// The data of one request. The door makes a new one for each operation.
#[derive(Clone)]
pub struct RequestContext {
    pub app: App,
    pub scope: Scope,
    pub loaders: Loaders,
    home: Arc<OnceCell<Home>>,
}

impl RequestContext {
    /// What one operation of this bearer needs.
    #[must_use]
    pub fn new(app: &App, scope: Scope) -> Self {
        Self { app: app.clone(), loaders: Loaders::new(&app.db, &scope), scope, home: Arc::default() }
    }

    /// A connection. Give it back (drop it) before asking a loader, which takes one of its own.
    pub async fn conn(&self) -> Result<PooledConn> {
        self.app.db.conn().await
    }

    /// Where the brand's links stand, read once for all links of the request.
    pub async fn home(&self) -> Result<&Home> {
        self.home.get_or_try_init(async || brands::home(&mut *self.conn().await?, &self.scope).await).await
    }

    /// Takes the cost of a document from what the bearer's key may spend.
    pub async fn spend_cost(&self, cost: usize) -> std::result::Result<(), Wait> {
        spend(&self.app, &self.scope, Limit::KeyCost, cost as u64).await
    }

    /// Refuses with FORBIDDEN unless the bearer's role carries the permission.
    pub fn require(&self, permission: Permission) -> Result<()> {
        self.scope.require(permission)
    }

    /// Whether the bearer may see what belongs to this creator. A key of role `creator` sees its own only.
    #[must_use]
    pub fn sees_creator(&self, creator_id: Option<Uuid>) -> bool {
        self.scope.creator_id.is_none() || self.scope.creator_id == creator_id
    }

    /// The creator to whom a list must be narrowed: the bearer's own, else the one asked for.
    #[must_use]
    pub fn narrow_creator(&self, asked: Option<Uuid>) -> Option<Uuid> {
        self.scope.creator_id.or(asked)
    }
}

/// Takes something from what the bearer's key may spend. The process itself may spend without end.
pub async fn spend(app: &App, scope: &Scope, limit: Limit, count: u64) -> std::result::Result<(), Wait> {
    let Some(key_id) = scope.key_id else { return Ok(()) };
    app.limiter.spend(limit, scope.brand_id, key_id.into_bytes(), count, app.env.now()).await
}

impl RequestContext {
    /// Runs a mutation in one transaction, once per idempotency key; the arguments are what a replay must repeat.
    pub async fn once<'a, T, W>(
        &'a self,
        operation: &'a str,
        key: Option<&'a str>,
        arguments: &'a async_graphql::Value,
        work: W,
    ) -> Result<T>
    where
        T: Serialize + DeserializeOwned + Send,
        W: for<'c> Fn(&'c mut Conn) -> ScopedBoxFuture<'a, 'c, Result<T>> + Send + Sync,
    {
        let (scope, env, work) = (&self.scope, &self.app.env, &work);
        let run = self.app.db.transaction(|conn| {
            async move { access::once(conn, scope, env, operation, key, arguments, work).await }.scope_boxed()
        });
        run.await
    }
}

/// Finds the [`RequestContext`] in the engine's own context.
pub trait RequestExt<'a> {
    fn request(&self) -> async_graphql::Result<&'a RequestContext>;
}

impl<'a> RequestExt<'a> for Context<'a> {
    fn request(&self) -> async_graphql::Result<&'a RequestContext> {
        self.data::<RequestContext>()
    }
}

/// Reads an identifier of a kind; `path` names the argument in the refusal.
pub fn parse_id(kind: Kind, id: &ID, path: &[&str]) -> Result<Uuid> {
    kind.parse(id).ok_or_else(|| {
        Error::invalid(path, format!("Pass an identifier that starts with {}_, as the API gives it.", kind.prefix()))
    })
}

/// Reads an identifier that may be left out.
pub fn parse_id_opt(kind: Kind, id: Option<&ID>, path: &[&str]) -> Result<Option<Uuid>> {
    id.map(|id| parse_id(kind, id, path)).transpose()
}

/// The public identifier of a row.
#[must_use]
pub fn to_id(kind: Kind, id: Uuid) -> ID {
    ID(kind.id(id))
}
