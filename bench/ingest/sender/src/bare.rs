//! The ceiling: axum, one HMAC-SHA256 over the body, and an answer of the same size. It has the threads that Grapevine has.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::net::TcpListener;

#[derive(clap::Args)]
pub struct Bare {
    #[arg(long)]
    listen: String,
    #[arg(long)]
    secret: String,
}

const ANSWER: &str = r#"{"status":"queued","event_id":"event_01hzzzzzzzzzzzzzzzzzzzzzzz"}"#;

impl Bare {
    pub async fn run(self) -> std::io::Result<()> {
        let runtime = std::thread::spawn(move || {
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
                let app = Router::new().route("/", post(check)).with_state(self.secret.into_bytes());
                axum::serve(TcpListener::bind(&self.listen).await?, app).await
            })
        });
        runtime.join().map_err(|_| std::io::Error::other("the server panicked"))?
    }
}

async fn check(State(secret): State<Vec<u8>>, headers: HeaderMap, body: Bytes) -> (StatusCode, &'static str) {
    let signature = headers.get("x-webhook-signature").and_then(|value| hex::decode(value.as_bytes()).ok());
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&secret) else { return (StatusCode::INTERNAL_SERVER_ERROR, "") };
    mac.update(&body);
    match signature.map(|signature| mac.verify_slice(&signature)) {
        Some(Ok(())) => (StatusCode::ACCEPTED, ANSWER),
        _ => (StatusCode::UNAUTHORIZED, ""),
    }
}
