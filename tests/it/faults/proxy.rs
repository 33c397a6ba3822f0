//! A TCP proxy between Grapevine and a server: it can lead to another server, cut what it holds, and lose the answer to a COMMIT.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::random_below;

/// The commit of a transaction as PostgreSQL's clients send it.
const COMMIT: &[u8] = b"COMMIT\0";

/// A running proxy; it ends with the test's runtime.
#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    upstream: Mutex<SocketAddr>,
    /// Connections made under an earlier number are cut.
    generation: watch::Sender<u64>,
    /// Commits that are still to be cut.
    cuts_left: AtomicU64,
    /// Commits whose answer was lost, and commits that were lost themselves.
    answers_lost: AtomicU64,
    commits_lost: AtomicU64,
}

impl Proxy {
    /// A proxy to this port of the loopback.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(State {
            upstream: Mutex::new(local(port)),
            generation: watch::Sender::new(0),
            cuts_left: AtomicU64::new(0),
            answers_lost: AtomicU64::new(0),
            commits_lost: AtomicU64::new(0),
        });
        let proxy = Self { address: listener.local_addr().unwrap(), state: Arc::clone(&state) };
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(Arc::clone(&state).carry(client));
            }
        });
        proxy
    }

    /// Cuts every connection, and leads new ones to this port.
    pub fn lead_to(&self, port: u16) {
        *self.state.upstream.lock().unwrap() = local(port);
        self.state.generation.send_modify(|generation| *generation += 1);
    }

    /// Cuts the connections of this many transactions at their commit, picked at random: half of them before the server hears of it,
    /// half after it has answered.
    pub fn cut_commits(&self, count: u64) {
        self.state.cuts_left.store(count, Ordering::SeqCst);
    }

    /// Cuts that are still to come.
    pub fn cuts_left(&self) -> u64 {
        self.state.cuts_left.load(Ordering::SeqCst)
    }

    /// Commits that took effect and whose answer nobody heard; and commits that nobody heard.
    pub fn lost(&self) -> (u64, u64) {
        (self.state.answers_lost.load(Ordering::SeqCst), self.state.commits_lost.load(Ordering::SeqCst))
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

impl State {
    async fn carry(self: Arc<Self>, mut client: TcpStream) {
        let upstream = *self.upstream.lock().unwrap();
        let mut generation = self.generation.subscribe();
        let Ok(mut server) = TcpStream::connect(upstream).await else { return };
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        loop {
            tokio::select! {
                read = client.read(&mut asked) => {
                    let Ok(count @ 1..) = read else { return };
                    if is_commit(&asked[..count]) && self.takes_a_cut() {
                        self.cut(&mut server, &asked[..count]).await;
                        return;
                    }
                    if server.write_all(&asked[..count]).await.is_err() { return }
                }
                read = server.read(&mut answered) => {
                    let Ok(count @ 1..) = read else { return };
                    if client.write_all(&answered[..count]).await.is_err() { return }
                }
                _ = generation.changed() => return,
            }
        }
    }

    /// One commit in three, while any are left.
    fn takes_a_cut(&self) -> bool {
        random_below(3) == 0
            && self.cuts_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    async fn cut(&self, server: &mut TcpStream, commit: &[u8]) {
        if random_below(2) == 0 {
            self.commits_lost.fetch_add(1, Ordering::SeqCst);
            return;
        }
        if server.write_all(commit).await.is_ok() && matches!(server.read(&mut [0; 64]).await, Ok(1..)) {
            self.answers_lost.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn is_commit(bytes: &[u8]) -> bool {
    bytes.windows(COMMIT.len()).any(|window| window == COMMIT)
}
