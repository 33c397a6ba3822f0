//! The app under test. When it is dropped, every data invariant is checked, so that no test leaves a breach unseen.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use grapevine::access::{Brand, NewApiKey, NewBrand, Role, Scope, all_brands, create_brand, create_key};
use grapevine::app::App;
use grapevine::base::{Env, FixedClock, SeededChance, SystemChance, random_bytes};
use grapevine::config::{PlatformSettings, Settings};
use grapevine::db::sql;
use grapevine::ingest::{NewSource, create_source, reveal, source_by_id};
use grapevine::kv::Kv;
use grapevine::platforms::{Scheme, sign_generic};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::database::{Database, connect};
use super::servers::{Servers, servers, target_dir};

/// The moment at which every test begins.
pub const START: &str = "2026-08-15T12:00:00Z";

/// A running app with one brand and its admin key. It derefs to [`App`].
pub struct TestApp {
    app: App,
    pub brand: Brand,
    /// The brand's own scope, with every permission.
    pub scope: Scope,
    /// An admin key of the brand.
    pub key: String,
    pub clock: Arc<FixedClock>,
    pub client: reqwest::Client,
    database: Database,
    address: SocketAddr,
    is_served: AtomicBool,
    stop: CancellationToken,
}

/// A webhook source of the test's brand.
pub struct TestSource {
    pub slug: String,
    pub secret: String,
}

impl Deref for TestApp {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

impl TestApp {
    /// An app on an empty database with one brand, `acme`, in USD. Nothing is served and no worker runs until it is asked for.
    pub async fn start() -> Self {
        Self::start_on(servers()).await
    }

    /// The same on servers of the test's own.
    pub async fn start_on(servers: &Servers) -> Self {
        Self::start_as(servers, |_| {}).await
    }

    /// The same with platforms of the test's own.
    pub async fn start_with(platforms: PlatformSettings) -> Self {
        Self::start_as(servers(), |settings| settings.platforms = platforms).await
    }

    /// The same, with webhooks that may go to this machine.
    pub async fn start_with_receivers() -> Self {
        Self::start_as(servers(), |settings| settings.webhook_private_addresses = true).await
    }

    async fn start_as(servers: &Servers, change: impl FnOnce(&mut Settings)) -> Self {
        let database = Database::create_on(servers).await;
        let clock = Arc::new(FixedClock::at(START.parse().unwrap()));
        let env = Env { clock: Arc::clone(&clock) as _, chance: Arc::new(SeededChance::from_seed(42)) };
        let address = free_address();
        let mut settings = settings(&database, servers, address);
        change(&mut settings);
        let app = App::new(settings, env).unwrap();
        let mut conn = app.db.conn().await.unwrap();
        let brand = NewBrand { slug: "acme".into(), name: "Acme".into(), currency: "USD".parse().unwrap() };
        let brand = create_brand(&mut conn, &app.env, brand).await.unwrap();
        let scope = brand.scope();
        let key = NewApiKey { name: "test".into(), role: Role::Admin, creator_id: None, expires_at: None };
        let (_, key) = create_key(&mut conn, &scope, &app.env, key).await.unwrap();
        drop(conn);
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let (is_served, stop) = (AtomicBool::new(false), CancellationToken::new());
        Self { app, brand, scope, key, clock, client, database, address, is_served, stop }
    }

    /// Serves HTTP until the test ends and returns the base URL. The second call returns the same.
    pub async fn serve(&self) -> String {
        if !self.is_served.swap(true, Ordering::SeqCst) {
            let listener = TcpListener::bind(self.address).await.unwrap();
            tokio::spawn(grapevine::http::serve(self.app.clone(), listener, self.stop.clone()));
        }
        format!("http://{}", self.address)
    }

    /// Lets the worker do everything that is left to do.
    pub async fn drain(&self) -> u64 {
        grapevine::worker::drain(&self.app).await.unwrap()
    }

    /// Now, as the app sees it.
    pub fn now(&self) -> DateTime<Utc> {
        self.app.env.now()
    }

    /// Moves the clock.
    pub fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    /// Makes a key of this role.
    pub async fn key_of(&self, role: Role) -> String {
        let mut conn = self.db.conn().await.unwrap();
        let input = NewApiKey { name: role.as_str().into(), role, creator_id: None, expires_at: None };
        create_key(&mut conn, &self.scope, &self.env, input).await.unwrap().1
    }

    /// Posts a GraphQL document over HTTP with the admin key and returns the answer's body.
    pub async fn gql(&self, query: &str, variables: Value) -> Value {
        self.gql_as(&self.key, query, variables).await
    }

    /// Posts a GraphQL document over HTTP with this key and returns the answer's body.
    pub async fn gql_as(&self, key: &str, query: &str, variables: Value) -> Value {
        let url = format!("{}/graphql", self.serve().await);
        let body = json!({ "query": query, "variables": variables });
        self.client.post(url).bearer_auth(key).json(&body).send().await.unwrap().json().await.unwrap()
    }

    /// Posts a document that must succeed and returns its `data`.
    pub async fn data(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.gql(query, variables).await;
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"].take()
    }

    /// Makes a generic webhook source.
    pub async fn source(&self) -> TestSource {
        self.source_of(Scheme::Generic, None).await
    }

    /// Makes a webhook source of this scheme, with a secret of its own choice if one is given.
    pub async fn source_of(&self, scheme: Scheme, secret: Option<&str>) -> TestSource {
        let input = NewSource { name: "test".into(), scheme, secret: secret.map(str::to_owned) };
        make_source(&self.app, &self.scope, &input).await
    }

    /// Posts a body to a source, signed, and returns the status and the answer.
    pub async fn post_signed(&self, source: &TestSource, body: &Value) -> (u16, Value) {
        let url = format!("{}/webhooks/{}", self.serve().await, source.slug);
        let raw = body.to_string();
        let signature = sign_generic(source.secret.as_bytes(), raw.as_bytes());
        let request = self.client.post(url).header("content-type", "application/json");
        let answer = request.header("x-webhook-signature", signature).body(raw).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// The one number that a `select count(*) ...` gives.
    pub async fn sql_count(&self, text: &'static str) -> i64 {
        let mut conn = self.db.conn().await.unwrap();
        let found: Count = sql(text).get_result(&mut conn).await.unwrap();
        found.count
    }

    /// The texts that a `select ... as text` gives.
    pub async fn texts(&self, text: &'static str) -> Vec<String> {
        let mut conn = self.db.conn().await.unwrap();
        let found: Vec<Text> = sql(text).load(&mut conn).await.unwrap();
        found.into_iter().map(|found| found.text).collect()
    }

    /// Runs statements without a result.
    pub async fn execute(&self, text: &str) {
        self.db.conn().await.unwrap().batch_execute(text).await.unwrap();
    }

    /// Runs statements that no guard of the books judges: what is tried is who finds it afterwards.
    pub async fn tamper(&self, text: &str) {
        let text = format!("set session_replication_role = replica; {text}; set session_replication_role = origin");
        self.execute(&text).await;
    }

    /// Statements that the app has sent so far.
    pub fn statement_count(&self) -> u64 {
        self.db.statement_count()
    }

    /// The database's address, for a process that the test starts itself.
    pub fn database_url(&self) -> &str {
        &self.database.url
    }
}

/// Makes a webhook source in this scope.
pub async fn make_source(app: &App, scope: &Scope, input: &NewSource) -> TestSource {
    let mut conn = app.db.conn().await.unwrap();
    let made = create_source(&mut conn, scope, &app.env, &app.keyring, input).await.unwrap();
    let source = source_by_id(&mut conn, scope, made.source_id).await.unwrap().unwrap();
    let secret = reveal(scope, &app.keyring, &made).unwrap();
    TestSource { slug: source.slug, secret }
}

impl Drop for TestApp {
    /// Checks every invariant and removes the database. On a thread with a runtime of its own, since a drop cannot wait on ours.
    fn drop(&mut self) {
        self.stop.cancel();
        let (database, settings, now) = (&self.database, &self.app.settings, self.now());
        let breaches = std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut breaches = breaches(&database.url, now).await;
                    breaches.extend(stream_breaches(&database.url, settings).await);
                    database.remove().await;
                    breaches
                })
            });
            work.join().unwrap_or_else(|_| vec!["the invariants could not be checked".to_owned()])
        });
        if !std::thread::panicking() {
            assert!(breaches.is_empty(), "the test leaves broken invariants: {breaches:#?}");
        }
    }
}

/// The invariants that do not hold, over all brands.
pub async fn breaches(database_url: &str, now: DateTime<Utc>) -> Vec<String> {
    let mut conn = connect(database_url).await;
    let mut found = Vec::new();
    for brand in all_brands(&mut conn).await.unwrap() {
        let findings = grapevine::verify::check(&mut conn, &brand, now).await.unwrap();
        let broken = findings.into_iter().filter(|finding| finding.breach_count > 0);
        found.extend(broken.map(|finding| format!("{finding:?}")));
    }
    found
}

/// What the streams in Redis tell that does not stand in the outbox.
async fn stream_breaches(database_url: &str, settings: &Settings) -> Vec<String> {
    let kv = Kv::connect(&settings.redis_url, &settings.redis_prefix).unwrap();
    let mut conn = connect(database_url).await;
    let mut found = Vec::new();
    for brand in all_brands(&mut conn).await.unwrap() {
        let finding = grapevine::verify::check_stream(&mut conn, &kv, &brand).await.unwrap();
        found.extend((finding.breach_count > 0).then(|| format!("{finding:?}")));
    }
    found
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    count: i64,
}

#[derive(diesel::QueryableByName)]
struct Text {
    #[diesel(sql_type = diesel::sql_types::Text)]
    text: String,
}

fn settings(database: &Database, servers: &Servers, address: SocketAddr) -> Settings {
    Settings {
        listen: address,
        public_url: format!("http://{address}"),
        database_url: database.url.clone(),
        trusted_proxy_count: 0,
        database_pool_size: 8,
        redis_url: servers.redis_url.clone(),
        redis_prefix: format!("{}:", hex::encode(random_bytes::<8>(&SystemChance))),
        secret: [7; 32],
        events_retention_days: None,
        data_dir: target_dir().join("test-data").join(&database.name),
        rate_limits: grapevine::config::RateLimits::default(),
        platforms: grapevine::config::PlatformSettings::default(),
        webhook_private_addresses: false,
    }
}

/// A free port below those that the system hands out by itself: a client that calls a server which is down could be given the very
/// port that it calls, and would then talk to itself.
pub fn free_address() -> SocketAddr {
    loop {
        let port = 10_000 + u16::from_be_bytes(random_bytes(&SystemChance)) % 10_000;
        if let Ok(listener) = std::net::TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
}
