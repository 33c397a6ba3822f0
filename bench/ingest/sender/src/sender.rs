//! Connections that post one request after the other. In an open loop each request has its moment, and its time counts from that
//! moment, whether or not the connection was free: a server that stalls is not spared the requests that would have come.

use std::io::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::story::Story;

#[derive(clap::Args, Clone)]
pub struct Send {
    /// Address and port of the server
    #[arg(long)]
    to: String,
    #[arg(long)]
    path: String,
    #[arg(long)]
    secret: String,
    /// Makes the events of this run its own
    #[arg(long)]
    run: String,
    #[arg(long)]
    campaign: String,
    /// Names of creators, with commas between them
    #[arg(long, value_delimiter = ',')]
    creators: Vec<String>,
    /// Events a second; 0: as many as are answered
    #[arg(long, default_value_t = 0)]
    rate: u64,
    #[arg(long)]
    seconds: u64,
    /// Events of one request; more than one are posted as an array
    #[arg(long, default_value_t = 1)]
    batch: u64,
    #[arg(long, default_value_t = 128)]
    connections: u64,
    /// People who begin between two steps of one person
    #[arg(long, default_value_t = 250)]
    people_apart: u64,
    /// Clicks alone
    #[arg(long)]
    clicks: bool,
}

/// What a connection saw. Times are in microseconds.
#[derive(Default)]
struct Seen {
    times_us: Vec<u64>,
    statuses: std::collections::BTreeMap<u16, u64>,
}

impl Send {
    pub async fn run(self) -> Result<()> {
        let story = Story {
            run: self.run.clone(),
            campaign: self.campaign.clone(),
            creators: self.creators.clone(),
            people_apart: self.people_apart,
            is_clicks: self.clicks,
        };
        let next = Arc::new(AtomicU64::new(0));
        let begin = Instant::now() + Duration::from_millis(100);
        let connections: Vec<_> = (0..self.connections)
            .map(|place| {
                tokio::spawn(Connection { send: self.clone(), story: story.clone(), next: Arc::clone(&next), begin, place }.run())
            })
            .collect();
        let mut all = Seen::default();
        for connection in connections {
            let seen = connection.await.map_err(Error::other)??;
            all.times_us.extend(seen.times_us);
            seen.statuses.into_iter().for_each(|(status, count)| *all.statuses.entry(status).or_default() += count);
        }
        let elapsed = begin.elapsed().as_secs_f64();
        println!("{}", self.summary(all, elapsed));
        Ok(())
    }

    fn summary(&self, mut seen: Seen, elapsed: f64) -> serde_json::Value {
        seen.times_us.sort_unstable();
        let at = |share: f64| {
            let place = (seen.times_us.len() as f64 * share) as usize;
            seen.times_us.get(place.min(seen.times_us.len().saturating_sub(1))).map(|us| *us as f64 / 1_000.0)
        };
        let taken = seen.statuses.get(&202).copied().unwrap_or(0) * self.batch;
        serde_json::json!({
            "events": taken, "seconds": elapsed, "per_second": taken as f64 / elapsed, "statuses": seen.statuses,
            "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0), "cpu_seconds": cpu_seconds(),
        })
    }
}

/// Processor time of this process so far: user and system, in ticks of a hundredth.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

struct Connection {
    send: Send,
    story: Story,
    next: Arc<AtomicU64>,
    begin: Instant,
    place: u64,
}

impl Connection {
    async fn run(self) -> Result<Seen> {
        let mut stream = TcpStream::connect(&self.send.to).await?;
        stream.set_nodelay(true)?;
        tokio::time::sleep_until(self.begin.into()).await;
        let end = self.begin + Duration::from_secs(self.send.seconds);
        let (mut seen, mut answer, mut request) = (Seen::default(), Vec::with_capacity(4096), Vec::with_capacity(4096));
        for turn in 0.. {
            let Some(due) = self.due(turn, end) else { break };
            self.write_request(&mut request);
            let started = self.wait_for(due).await;
            stream.write_all(&request).await?;
            let status = read_answer(&mut stream, &mut answer).await?;
            seen.times_us.push(started.elapsed().as_micros() as u64);
            *seen.statuses.entry(status).or_default() += 1;
        }
        Ok(seen)
    }

    /// When the next request of this connection is due; `None` when the run is over.
    fn due(&self, turn: u64, end: Instant) -> Option<Instant> {
        let due = match self.send.rate {
            0 => Instant::now(),
            rate => {
                let place = (turn * self.send.connections + self.place) * self.send.batch;
                self.begin + Duration::from_micros(place * 1_000_000 / rate)
            }
        };
        (due < end).then_some(due)
    }

    /// Waits for the moment. Its clock starts there, or where the timer of a free connection woke it.
    async fn wait_for(&self, due: Instant) -> Instant {
        let is_free = Instant::now() < due;
        tokio::time::sleep_until(due.into()).await;
        if is_free { Instant::now() } else { due }
    }

    fn write_request(&self, request: &mut Vec<u8>) {
        let batch = self.send.batch;
        let first = self.next.fetch_add(batch, Ordering::Relaxed);
        let mut body = String::with_capacity(320 * batch as usize);
        for number in first..first + batch {
            body.push(if number > first { ',' } else { '[' });
            self.story.write(number, &mut body);
        }
        let body = if batch == 1 { body.split_off(1) } else { body + "]" };
        let mut mac = Hmac::<Sha256>::new_from_slice(self.send.secret.as_bytes()).expect("any length is a key");
        mac.update(body.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        request.clear();
        request.extend_from_slice(
            format!(
                "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nx-webhook-signature: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
                self.send.path, self.send.to, body.len()
            )
            .as_bytes(),
        );
    }
}

/// Reads an answer to its end and returns its status.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<u16> {
    answer.clear();
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err(Error::other("the server closed the connection"));
        }
        if let Some(head) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
            let length: usize = field(&text, "content-length: ").unwrap_or(0);
            while answer.len() < head + 4 + length {
                stream.read_buf(answer).await?;
            }
            return field(&text, "http/1.1 ").ok_or_else(|| Error::other("an answer without a status"));
        }
    }
}

fn field<T: std::str::FromStr>(head: &str, name: &str) -> Option<T> {
    let start = head.find(name)? + name.len();
    head[start..].split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}
