//! What every fault is tried on: a world with a campaign that pays, the real binary as processes, and senders; and what must hold in
//! the end: every acknowledged event is in the log once, with one effect, and the books follow from nothing else.

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::Deref;
use std::process::Stdio;
use std::sync::Arc;

use grapevine::base::{Clock, Kind, Money, SystemClock};
use grapevine::db::sql;
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::load::{Load, Running};
use super::{HEAL, pause};
use crate::flows::pipeline::furnish;
use crate::support::{Servers, TestApp, TestSource, binary, connect, servers, target_dir};

/// Much more than any load earns.
const BUDGET_MINOR: i64 = 1_000_000_000_000;
/// What a purchase of the load earns the creator: a tenth.
const COMMISSION_MINOR: u64 = 100;

const LENIENT: &str = r#"update campaign_policies
    set fraud = fraud || '{"referrals_per_window": 1000000, "ip_correlation_limit": 1000000}'"#;
/// Events that wait for the worker.
const WAITING: &str = "select count(*) from events e join positions p on p.consumer = 'pipeline' and p.shard = e.shard
    where e.state = 'ACCEPTED' and (e.recorded_xid, e.seq) > (p.recorded_xid, p.seq)";
/// Events that the worker has read.
pub const READ: &str = "select count(*) from events e join positions p on p.consumer = 'pipeline' and p.shard = e.shard
    where e.state = 'ACCEPTED' and (e.recorded_xid, e.seq) <= (p.recorded_xid, p.seq)";
/// What the outbox holds that Redis was not told.
const UNTOLD: &str = "select (sum(value) filter (where name = 'outbox') - sum(value) filter (where name = 'outbox_published'))::int8 as count
    from brand_counters";
/// Events of the load that have no effect, or two.
const ODD: &str = "select count(*) from events e
    left join touchpoints t on t.brand_id = e.brand_id and t.id = e.id
    left join conversions c on c.brand_id = e.brand_id and c.id = e.id
    where num_nonnulls(t.id, c.id) <> 1";

/// The stand. It derefs to [`TestApp`].
pub struct Stand {
    app: TestApp,
    pub source: TestSource,
}

impl Deref for Stand {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

/// Gives the campaign more than any load earns, and lets everyone do what only the fraud rules would hold up.
pub async fn endow(app: &TestApp) {
    app.execute(&format!("update campaigns set budget_minor = budget_minor + {BUDGET_MINOR}")).await;
    app.execute(LENIENT).await;
    let amount = Money::new(BUDGET_MINOR, "USD".parse().unwrap());
    let mut conn = app.db.conn().await.unwrap();
    let (campaign, cause) = (Uuid::from_u128(0xa1), Uuid::from_u128(0xf1));
    grapevine::ledger::fund_campaign(&mut conn, &app.scope, &app.env, campaign, amount, cause).await.unwrap();
}

impl Stand {
    /// On the servers that all tests share, or on those of the test.
    pub async fn on(database_url: Option<String>, redis_url: Option<String>) -> Self {
        let shared = servers();
        let own = Servers {
            database_url: database_url.unwrap_or_else(|| shared.database_url.clone()),
            redis_url: redis_url.unwrap_or_else(|| shared.redis_url.clone()),
        };
        let app = TestApp::start_on(&own).await;
        // The processes have the clock of the machine, and so has what the test does between them.
        app.advance(SystemClock.now() - app.now());
        furnish(&app).await;
        endow(&app).await;
        let source = app.source().await;
        Self { app, source }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.settings.listen)
    }

    /// One process of the real binary, ended when it is dropped. It speaks to a file: what it has to say of faults is expected.
    pub fn spawn(&self, command: &str) -> Child {
        let path = target_dir().join(format!("fault-{command}.log"));
        let log = File::options().create(true).append(true).open(path).unwrap();
        let mut binary = binary(&self.app);
        binary.env("GRAPEVINE_SOURCE_REQUESTS_PER_SECOND", "0").env("GRAPEVINE_LOG", "warn");
        binary.arg(command).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// `serve` and `work`, ready.
    pub async fn processes(&self) -> [Child; 2] {
        let processes = [self.spawn("serve"), self.spawn("work")];
        self.until("serve is ready", async || self.status_of("/readyz").await == Some(200)).await;
        processes
    }

    /// No fault ends a process of ours.
    pub fn check_alive(processes: &mut [Child]) {
        for process in processes {
            assert!(
                process.try_wait().unwrap().is_none(),
                "a process ended by itself: its log is in fault-*.log of the target folder"
            );
        }
    }

    /// What a GET is answered with, if it is.
    pub async fn status_of(&self, path: &str) -> Option<u16> {
        let request = self.client.get(format!("{}{path}", self.url())).timeout(Duration::from_secs(10));
        request.send().await.ok().map(|answer| answer.status().as_u16())
    }

    pub fn load(&self) -> Arc<Load> {
        let url = format!("{}/webhooks/{}", self.url(), self.source.slug);
        Load::new(url, &self.source.secret, SystemClock.now())
    }

    /// Waits until something is so, and returns how long that took.
    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) -> Duration {
        let started = Instant::now();
        while !is_so().await {
            assert!(started.elapsed() < HEAL, "not within {} s: {what}", HEAL.as_secs());
            pause(20).await;
        }
        started.elapsed()
    }

    /// A number from the database, on a connection of its own, as whoever looks from outside does.
    pub async fn count(&self, text: &'static str) -> i64 {
        use diesel_async::RunQueryDsl;
        #[derive(diesel::QueryableByName)]
        struct Count {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            count: i64,
        }
        let found: Count = sql(text).get_result(&mut connect(self.database_url()).await).await.unwrap();
        found.count
    }

    pub async fn texts_of(&self, text: &'static str) -> Vec<String> {
        use diesel_async::RunQueryDsl;
        #[derive(diesel::QueryableByName)]
        struct Text {
            #[diesel(sql_type = diesel::sql_types::Text)]
            text: String,
        }
        let found: Vec<Text> = sql(text).load(&mut connect(self.database_url()).await).await.unwrap();
        found.into_iter().map(|found| found.text).collect()
    }

    /// Lets the senders finish and the worker's process come to the end of the log by itself.
    pub async fn finish(&self, running: Running) -> Arc<Load> {
        let load = running.finish().await;
        self.until("the worker has read the log", async || self.count(WAITING).await == 0).await;
        self.until("Redis was told", async || self.count(UNTOLD).await == 0).await;
        self.advance(SystemClock.now() - self.now());
        load
    }

    /// Waits until the worker's process has read this many events that are not in quarantine.
    pub async fn read_through(&self, count: u64) {
        let count = count.cast_signed();
        self.until("the worker has read the log", async || self.count(READ).await == count).await;
        self.advance(SystemClock.now() - self.now());
    }

    /// What was acknowledged is in the log once, each with one effect, and nothing else is. The invariants are checked when the stand
    /// is dropped. Returns the figures.
    pub async fn check(&self, load: &Load) -> Value {
        let (lost, foreign) = self.lost(load).await;
        assert_eq!((lost, foreign), (0, 0), "lost, and in the log without an acknowledgement");
        assert_eq!(load.acknowledged_count() as u64, load.sent_count(), "each event was acknowledged in the end");
        assert_eq!(self.count("select count(*) from events").await, load.sent_count().cast_signed());
        let odd = self.count(ODD).await;
        assert_eq!(odd, 0, "each event has exactly one effect");
        let purchases = load.purchase_count();
        assert_eq!(self.count("select count(*) from conversions").await, purchases.cast_signed());
        let commissions = "select coalesce(sum(amount_minor - reversed_minor), 0)::int8 as count from rewards where kind = 'COMMISSION'";
        assert_eq!(self.count(commissions).await, (purchases * COMMISSION_MINOR).cast_signed());
        assert_eq!(self.count("select count(*) from fraud_alerts").await, load.bot_count().cast_signed());
        json!({
            "acknowledged": load.acknowledged_count(), "per_second": load.per_second(), "lost": lost, "double": odd, "refused": load.refused_count(),
            "unheard": load.unheard_count(),
        })
    }

    /// How many acknowledged events the log lacks, and how many it has that nobody was told of.
    pub async fn lost(&self, load: &Load) -> (usize, usize) {
        self.lost_of(load.acknowledged()).await
    }

    pub async fn lost_of(&self, acknowledged: Vec<String>) -> (usize, usize) {
        let acknowledged: BTreeSet<String> = acknowledged.into_iter().collect();
        let logged = self.texts_of("select id::text as text from events").await;
        let logged: BTreeSet<String> = logged.iter().map(|id| Kind::Event.id(id.parse().unwrap())).collect();
        (acknowledged.difference(&logged).count(), logged.difference(&acknowledged).count())
    }
}
