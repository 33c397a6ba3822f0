//! One plain HTTP POST, for test events. It speaks no TLS: a test event goes to a server nearby.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

use crate::base::{Error, Result};

const WAIT: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

type Headers = Vec<(&'static str, String)>;

/// Posts JSON with more headers; returns the status and the body.
pub async fn post_json(url: &str, headers: Headers, body: Vec<u8>) -> Result<(u16, String)> {
    let fault = |error: Box<dyn std::error::Error + Send + Sync>| Error::fault("posting the event", error);
    match tokio::time::timeout(WAIT, exchange(url, headers, body)).await {
        Ok(answer) => answer.map_err(fault),
        Err(late) => Err(fault(late.into())),
    }
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(url: &str, headers: Headers, body: Vec<u8>) -> Result<(u16, String), Fault> {
    let url = Url::parse(url)?;
    let (Some(host), Some(port), "http") = (url.host_str(), url.port_or_known_default(), url.scheme()) else {
        return Err(format!("{url} is no http URL; pass --to with one, such as http://127.0.0.1:8080").into());
    };
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await;
    let stream = stream.map_err(|error| format!("{host}:{port}: {error}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request =
        Request::post(url.path()).header(HOST, format!("{host}:{port}")).header(CONTENT_TYPE, "application/json");
    let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    let request = request.body(Full::new(Bytes::from(body)))?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
        Ok::<_, Fault>((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection may end with the answer already in hand.
        ended = connection => {
            ended?;
            answer.await
        }
    }
}
