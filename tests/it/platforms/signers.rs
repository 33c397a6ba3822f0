//! Signatures that are none of our making: by the platform's own package from npm where it has one, else by openssl.

use std::process::Stdio;

use grapevine::platforms::Scheme;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::peers::run;

pub type Headers = Vec<(String, String)>;

/// The HMAC of a text, in hexadecimal, as openssl makes it.
async fn openssl(hash: &str, secret: &str, text: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["dgst", &format!("-{hash}"), "-hmac", secret, "-r"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

/// The headers that prove who posts this body, at this moment in Unix seconds.
pub async fn sign(scheme: Scheme, secret: &str, now: i64, body: &str) -> Headers {
    let one = |name: &str, value: String| vec![(name.to_owned(), value)];
    match scheme {
        Scheme::Stripe | Scheme::Shopify => {
            let said = run("sign.mjs", &[scheme.as_str(), secret, &now.to_string(), body]).await;
            assert!(said.is_success, "{}", said.error);
            let headers: std::collections::BTreeMap<String, String> =
                serde_json::from_value(said.lines[0].clone()).unwrap();
            headers.into_iter().collect()
        }
        Scheme::Meta => one("X-Hub-Signature-256", format!("sha256={}", openssl("sha256", secret, body).await)),
        Scheme::Youtube => one("X-Hub-Signature", format!("sha1={}", openssl("sha1", secret, body).await)),
        Scheme::Tiktok => {
            let mac = openssl("sha256", secret, &format!("{now}.{body}")).await;
            one("Tiktok-Signature", format!("t={now},s={mac}"))
        }
        // Nothing is signed: the token is sent along.
        Scheme::Branch => Vec::new(),
        Scheme::Appsflyer => one("Authorization", format!("Bearer {secret}")),
        Scheme::Generic | Scheme::StandardWebhooks => panic!("they are no platforms"),
    }
}

/// Whether the platform's own package takes what we sign.
pub async fn is_taken(scheme: Scheme, secret: &str, now: i64, headers: &Value, body: &str) -> bool {
    let said = run("check.mjs", &[scheme.as_str(), secret, &now.to_string(), &headers.to_string(), body]).await;
    assert!(said.is_success, "{}", said.error);
    said.lines[0]["valid"].as_bool().unwrap()
}
