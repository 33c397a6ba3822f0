//! kill -9 while a sender posts: what was acknowledged is there once, with one effect. `GRAPEVINE_KILL_ROUNDS` sets how often the
//! processes are killed, `GRAPEVINE_KILL_RATE` how many events a second are posted.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grapevine::base::{SystemChance, random_bytes};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::support::{TestApp, TestSource, servers, target_dir};

/// Posters that work side by side.
const POSTERS: u64 = 8;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn random_below(end: u64) -> u64 {
    u64::from_be_bytes(random_bytes(&SystemChance)) % end
}

/// One process of the real binary on the test's database.
pub(super) fn spawn(app: &TestApp, command: &str) -> Child {
    binary(app).arg(command).spawn().unwrap()
}

/// The real binary with the test's settings.
pub(super) fn binary(app: &TestApp) -> Command {
    let folder = target_dir().join("kill-test");
    std::fs::create_dir_all(&folder).unwrap();
    let settings = &app.settings;
    let mut binary = Command::new(env!("CARGO_BIN_EXE_grapevine"));
    // The binary refuses settings that it does not know, and ours are none of its own.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GRAPEVINE_")) {
        binary.env_remove(name);
    }
    binary
        .current_dir(&folder)
        .env("DATABASE_URL", app.database_url())
        .env("REDIS_URL", &servers().redis_url)
        .env("GRAPEVINE_REDIS_PREFIX", &settings.redis_prefix)
        .env("GRAPEVINE_LISTEN", settings.listen.to_string())
        .env("GRAPEVINE_SECRET", hex::encode(settings.secret))
        .env("GRAPEVINE_DATA_DIR", &folder)
        .env("GRAPEVINE_LOG", "error")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    binary
}

/// What the posters share: the next event's number, and the identifier that each acknowledged event got.
struct Sending {
    client: reqwest::Client,
    url: String,
    secret: Vec<u8>,
    next: AtomicU64,
    stop: AtomicBool,
    acknowledged: Mutex<HashMap<u64, String>>,
}

impl Sending {
    /// Three clicks, then a purchase by the same person.
    fn body(number: u64) -> Value {
        let person = format!("person-{}", number / 4);
        let common = json!({"event_id": format!("kill-{number}"), "anonymous_id": person, "ip": "192.0.2.1"});
        let more = if number % 4 == 3 {
            json!({"event_type": "conversion", "conversion_value": "10.00", "order_id": format!("order-{number}")})
        } else {
            json!({"event_type": "click", "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"})
        };
        let (Value::Object(mut common), Value::Object(more)) = (common, more) else { unreachable!() };
        common.extend(more);
        Value::Object(common)
    }

    /// Posts until the event is acknowledged, as a sender does that gets 503, or no answer.
    async fn post(&self, number: u64) {
        let raw = Self::body(number).to_string();
        let signature = grapevine::platforms::sign_generic(&self.secret, raw.as_bytes());
        loop {
            let request = self.client.post(&self.url).header("x-webhook-signature", &signature).body(raw.clone());
            match request.send().await {
                Ok(answer) if matches!(answer.status().as_u16(), 200 | 202) => {
                    // The answer may be cut off by the kill: then it was not an acknowledgement.
                    let Ok(answer) = answer.json::<Value>().await else { continue };
                    assert_ne!(answer["status"], "quarantined", "{answer}");
                    let id = answer["event_id"].as_str().unwrap().to_owned();
                    let known = self.acknowledged.lock().unwrap().insert(number, id.clone());
                    assert!(known.is_none_or(|known| known == id), "event {number} got two identifiers");
                    return;
                }
                Ok(answer) => assert!(matches!(answer.status().as_u16(), 429 | 503), "{}", answer.status()),
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn run(self: Arc<Self>, rate: u64) {
        let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 * POSTERS / rate));
        while !self.stop.load(Ordering::SeqCst) {
            tick.tick().await;
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            self.post(number).await;
            if random_below(100) < 5 {
                self.post(random_below(number + 1)).await;
            }
        }
    }
}

async fn kill_while_sending(app: &TestApp, source: &TestSource) -> Arc<Sending> {
    let sending = Arc::new(Sending {
        client: reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap(),
        url: format!("http://{}/webhooks/{}", app.settings.listen, source.slug),
        secret: source.secret.clone().into_bytes(),
        next: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        acknowledged: Mutex::default(),
    });
    let rate = setting("GRAPEVINE_KILL_RATE", 200);
    let posters: Vec<_> = (0..POSTERS).map(|_| tokio::spawn(Arc::clone(&sending).run(rate))).collect();
    for _ in 0..setting("GRAPEVINE_KILL_ROUNDS", 3) {
        let mut processes = [spawn(app, "serve"), spawn(app, "work")];
        let before = sending.acknowledged.lock().unwrap().len();
        while sending.acknowledged.lock().unwrap().len() <= before {
            for process in &mut processes {
                assert!(process.try_wait().unwrap().is_none(), "a process ended by itself");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(300 + random_below(1_200))).await;
        for process in &mut processes {
            process.kill().await.unwrap();
        }
    }
    let _processes = [spawn(app, "serve"), spawn(app, "work")];
    sending.stop.store(true, Ordering::SeqCst);
    for poster in posters {
        poster.await.unwrap();
    }
    sending
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_has_one_effect_whatever_is_killed() {
    let app = TestApp::start().await;
    let source = app.source().await;
    let sending = kill_while_sending(&app, &source).await;
    app.drain().await;

    let acknowledged = sending.acknowledged.lock().unwrap().len();
    let sent = usize::try_from(sending.next.load(Ordering::SeqCst)).unwrap();
    assert!(acknowledged > 100, "only {acknowledged} events were acknowledged");
    assert_eq!(acknowledged, sent, "each event was acknowledged in the end");
    let count = |number: i64| usize::try_from(number).unwrap();
    assert_eq!(count(app.sql_count("select count(*) from events where state = 'ACCEPTED'").await), acknowledged);
    assert_eq!(count(app.sql_count("select count(*) from events").await), acknowledged);
    let purchases = (0..sent as u64).filter(|number| number % 4 == 3).count();
    assert_eq!(count(app.sql_count("select count(*) from conversions").await), purchases);
    assert_eq!(count(app.sql_count("select count(*) from touchpoints").await), acknowledged - purchases);
    let effects = "select count(*) from events e
                   left join touchpoints t on t.brand_id = e.brand_id and t.id = e.id
                   left join conversions c on c.brand_id = e.brand_id and c.id = e.id
                   where num_nonnulls(t.id, c.id) <> 1";
    assert_eq!(app.sql_count(effects).await, 0, "each event has exactly one effect");
    eprintln!("{acknowledged} events survived");
}
