//! Requests that mean harm: each is refused fast, with a small answer that does not repeat what was sent.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::front::{Front, short_deadlines};

/// Nothing hostile may take longer than this, on a loaded machine and in a debug build.
const TIME_MAX: Duration = Duration::from_millis(250);
const ANSWER_BYTES_MAX: usize = 8 * 1024;

fn documents() -> Vec<(String, &'static str)> {
    let mut bomb = String::from("{ a { ...f0 } }");
    for n in 0..100 {
        bomb += &format!(" fragment f{n} on Query {{ ...f{m} ...f{m} }}", m = n + 1);
    }
    bomb += " fragment f100 on Query { __typename }";
    vec![
        ("{".repeat(30_000), "QUERY_TOO_DEEP"),
        (format!("{{ a(b: {}) }}", "[".repeat(30_000)), "QUERY_TOO_DEEP"),
        (format!("{}a{}", "{ a ".repeat(40), "}".repeat(40)), "QUERY_TOO_DEEP"),
        (format!("{{ {} }}", (0..1_000).map(|n| format!("a{n}:__typename ")).collect::<String>()), "TOO_MANY_ALIASES"),
        (format!("{{ {} }}", "__typename ".repeat(1_000)), "TOO_MANY_ROOT_FIELDS"),
        (format!("{{ __typename {} }}", "@include(if: true) ".repeat(500)), "TOO_MANY_DIRECTIVES"),
        (bomb, "QUERY_TOO_COSTLY"),
        (
            "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }".to_owned(),
            "QUERY_TOO_COSTLY",
        ),
        ("{ ...a } fragment a on Query { ...a ...a }".to_owned(), "FRAGMENT_CYCLE"),
        ("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }".to_owned(), "FRAGMENT_CYCLE"),
        ((0..50).map(|n| format!("query q{n} {{ __typename }} ")).collect(), "TOO_MANY_OPERATIONS"),
        (format!("{{ {} }}", "a,".repeat(5_000)), "TOO_MANY_TOKENS"),
        (format!("{{ {} }}", "x".repeat(100_000)), "DOCUMENT_TOO_LARGE"),
        (format!("{{ {} }}", "x".repeat(30_000)), "GRAPHQL_VALIDATION_FAILED"),
        (format!("{{ __typename(\"{}\") }}", "x".repeat(30_000)), "GRAPHQL_PARSE_FAILED"),
        ("\u{0}".to_owned(), "GRAPHQL_PARSE_FAILED"),
        (String::new(), "GRAPHQL_PARSE_FAILED"),
    ]
}

#[tokio::test]
async fn hostile_documents_are_refused_fast_and_briefly() {
    let front = Front::open().await;
    front.query("{ __typename }").await;
    for (document, code) in documents() {
        let started = Instant::now();
        let response = front.query(&document).await;
        let elapsed = started.elapsed();
        let text = response.text().await.unwrap();
        let start: String = document.chars().take(40).collect();
        assert!(text.contains(&format!("\"{code}\"")), "{start}: {text}");
        assert!(!text.contains("\"data\""), "{start}: {text}");
        assert!(text.len() < ANSWER_BYTES_MAX, "{start}: {} bytes", text.len());
        assert!(elapsed < TIME_MAX, "{start}: {elapsed:?}");
    }
    front.close().await;
}

#[tokio::test]
async fn hostile_bodies_are_refused() {
    let front = Front::open().await;
    let deep = format!(r#"{{"query":"{{ __typename }}","variables":{{"a":{}}}}}"#, "[".repeat(50_000));
    let bodies = [
        r#"[{"query":"{ __typename }"}]"#,
        r#"[]"#,
        r#"{"query":"{ __typename }","query":"mutation { __typename }"}"#,
        r#"{"query":"{ __typename }","variables":{"a":{"b":1,"b":2}}}"#,
        r#"{"query":"{ __typename }"} {}"#,
        r#""query""#,
        "",
        "null",
        &deep,
        "\u{feff}{}",
    ];
    for body in bodies {
        let request = front.post().header(CONTENT_TYPE, "application/json").body(body.to_owned());
        let (status, code) = Front::code_of(request.send().await.unwrap()).await;
        assert_eq!((status, code.as_str()), (400, "BAD_REQUEST"), "{}", &body[..body.len().min(80)]);
    }
    let compressed = front.post().header("content-encoding", "gzip").json(&json!({ "query": "{ __typename }" }));
    assert_eq!(compressed.send().await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    front.close().await;
}

#[tokio::test]
async fn a_body_beyond_the_cap_is_413_and_is_not_held() {
    let front = Front::open().await;
    let body = format!(r#"{{"query":"{}"}}"#, " ".repeat(10 * 1024 * 1024));
    let request = front.post().header(CONTENT_TYPE, "application/json").body(body);
    assert_eq!(Front::code_of(request.send().await.unwrap()).await, (413, "BODY_TOO_LARGE".to_owned()));
    front.close().await;
}

#[tokio::test]
async fn a_mutation_in_a_link_does_nothing() {
    let front = Front::open().await;
    let url = format!("{}?query=mutation%7B__typename%7D&operationName=&query=x", front.graphql_url());
    let response = front.client.get(url).bearer_auth(&front.key).send().await.unwrap();
    assert_eq!(Front::code_of(response).await, (400, "BAD_REQUEST".to_owned()));
    front.close().await;
}

/// Reads until the other side closes, and says how long that took.
async fn time_to_close(stream: &mut TcpStream) -> (Duration, String) {
    let started = Instant::now();
    let mut text = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut text)).await;
    // A reset is an end, too.
    assert!(read.is_ok(), "the connection stays open");
    (started.elapsed(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn half_open_requests_are_closed() {
    let front = Front::open_with(short_deadlines()).await;
    let address = front.url.trim_start_matches("http://").to_owned();
    let mut silent = TcpStream::connect(&address).await.unwrap();
    let mut slow_head = TcpStream::connect(&address).await.unwrap();
    slow_head.write_all(b"POST /graphql HTTP/1.1\r\nhost: a\r\n").await.unwrap();
    let mut slow_body = TcpStream::connect(&address).await.unwrap();
    let head = "POST /webhooks/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{";
    slow_body.write_all(head.as_bytes()).await.unwrap();
    for stream in [&mut silent, &mut slow_head] {
        let (elapsed, _) = time_to_close(stream).await;
        assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
    }
    let (_, text) = time_to_close(&mut slow_body).await;
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    front.close().await;
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_for_a_seat() {
    let options = grapevine::http::Options { connections_max: 1, ..short_deadlines() };
    let front = Front::open_with(options).await;
    let address = front.url.trim_start_matches("http://").to_owned();
    let _holds_the_seat = TcpStream::connect(&address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let started = Instant::now();
    let response = front.client.get(format!("{}/healthz", front.url)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(started.elapsed() > Duration::from_millis(100), "it did not wait: {:?}", started.elapsed());
    front.close().await;
}
