//! One database per test, copied from a template that is migrated once per version of the migrations.

use std::path::Path;

use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use grapevine::base::{SystemChance, random_bytes};
use sha2::{Digest, Sha256};

use super::servers::{Servers, servers};

/// A database that only one test uses. Dropped by [`Database::remove`].
pub struct Database {
    pub name: String,
    pub url: String,
    maintenance_url: String,
}

impl Database {
    /// A migrated, empty database.
    pub async fn create() -> Self {
        Self::create_on(servers()).await
    }

    /// The same on these servers.
    pub async fn create_on(servers: &Servers) -> Self {
        let template = template(&servers.database_url).await;
        Self::copy(&servers.database_url, &template).await
    }

    /// A database without any table.
    pub async fn create_bare() -> Self {
        Self::copy(&servers().database_url, "template0").await
    }

    async fn copy(maintenance_url: &str, template: &str) -> Self {
        let name = format!("test_{}", hex::encode(random_bytes::<8>(&SystemChance)));
        let statement = format!("create database {name} template {template}");
        connect(maintenance_url).await.batch_execute(&statement).await.unwrap();
        Self { url: url_of(maintenance_url, &name), name, maintenance_url: maintenance_url.to_owned() }
    }

    /// Drops the database, whoever is still connected.
    pub async fn remove(&self) {
        let mut maintenance = connect(&self.maintenance_url).await;
        let statement = format!("drop database if exists {} with (force)", self.name);
        maintenance.batch_execute(&statement).await.unwrap();
    }
}

/// A connection outside of any pool.
pub async fn connect(url: &str) -> AsyncPgConnection {
    AsyncPgConnection::establish(url).await.unwrap()
}

fn url_of(maintenance_url: &str, name: &str) -> String {
    let mut url = url::Url::parse(maintenance_url).unwrap();
    url.set_path(name);
    url.to_string()
}

#[derive(diesel::QueryableByName)]
struct Found {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    count: i64,
}

/// The template's name carries a hash of the migrations, so that a stale one is never used; the lock lets one process make it, and
/// it gets its name when it is ready, so that a half-made one is never used either.
pub async fn template(maintenance_url: &str) -> String {
    let maintenance = &mut connect(maintenance_url).await;
    let name = format!("template_{}", migrations_hash());
    maintenance.batch_execute("select pg_advisory_lock(7203812)").await.unwrap();
    let found: Found = grapevine::db::sql("select count(*) from pg_database where datname = $1")
        .bind::<diesel::sql_types::Text, _>(&name)
        .get_result(maintenance)
        .await
        .unwrap();
    if found.count == 0 {
        let draft = format!("{name}_draft");
        for statement in [format!("drop database if exists {draft} with (force)"), format!("create database {draft}")] {
            maintenance.batch_execute(&statement).await.unwrap();
        }
        grapevine::db::migrate(&url_of(maintenance_url, &draft)).await.unwrap();
        // The migrating connection may need a moment to go: PostgreSQL waits 5 s for it before it refuses.
        let rename = format!("alter database {draft} rename to {name}");
        maintenance.batch_execute(&rename).await.unwrap();
    }
    maintenance.batch_execute("select pg_advisory_unlock(7203812)").await.unwrap();
    name
}

/// Changes with the migrations.
pub fn migrations_hash() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().join("up.sql")).collect();
    files.sort();
    let mut hasher = Sha256::new();
    for file in files {
        hasher.update(std::fs::read(&file).unwrap());
    }
    hex::encode(&hasher.finalize()[..8])
}
