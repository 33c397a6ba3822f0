//! A redirect that does nothing else: the least that a redirect by axum costs. Prints the port that it listens on.

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::routing::get;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let router = Router::new()
        .route("/r/{token}", get(async || (StatusCode::FOUND, [(LOCATION, "https://shop.example/?utm_source=x")])));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    axum::serve(listener, router).await
}
