//! F15: one delivery in a hundred is poison. Each is kept with its reason, and costs its neighbours nothing.

use std::sync::Arc;

use grapevine::platforms::sign_generic;
use serde_json::{Value, json};

use super::stand::Stand;
use super::{rate, sized, tell};

/// What breaks parsers, databases and people, and the name of each.
fn poisons(number: usize) -> Vec<(&'static str, String)> {
    let with = |field: &str, value: &str| {
        format!(r#"{{"event_id":"{field}-{number}","event_type":"conversion","anonymous_id":"p",{value}}}"#)
    };
    vec![
        ("a zero character", with("zero", r#""order_id":"a\u0000b","conversion_value":"1.00""#)),
        ("half a character", with("surrogate", r#""order_id":"\ud800","conversion_value":"1.00""#)),
        ("a number of 131,000 digits", with("exponent", r#""order_id":"o","conversion_value":1e131000"#)),
        (
            "ten thousand levels",
            format!(r#"{{"event_id":"deep-{number}","event_type":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000)),
        ),
        ("types that are not ours", format!(r#"{{"event_id":[{number}],"event_type":7,"conversion_value":{{}}}}"#)),
        ("no text at all", format!("\u{feff}<xml>{number}</xml>")),
    ]
}

async fn post(stand: &Stand, raw: &str) -> Value {
    let signature = sign_generic(stand.source.secret.as_bytes(), raw.as_bytes());
    let url = format!("{}/webhooks/{}", stand.url(), stand.source.slug);
    let request = stand.client.post(url).header("x-webhook-signature", signature).body(raw.to_owned());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 202, "{}", raw.get(..80).unwrap_or(raw));
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_kept_with_its_reason_and_delays_nobody() {
    let stand = Stand::on(None, None).await;
    let mut processes = stand.processes().await;
    let load = stand.load();
    let running = Arc::clone(&load).run(rate());
    running.progress(sized(100, 5_000)).await;
    running.begin_phase(1);
    let rounds = sized(3, 20);
    for number in 0..rounds {
        for (name, raw) in poisons(number) {
            running.progress(sized(20, 100)).await;
            let answer = post(&stand, &raw).await;
            assert_eq!(answer["status"], "quarantined", "{name}: {answer}");
            let is_told =
                ["code", "reason"].iter().all(|field| answer[field].as_str().is_some_and(|text| !text.is_empty()));
            assert!(is_told, "{name}: {answer}");
        }
    }
    let load = running.finish().await;
    stand.read_through(load.sent_count()).await;
    Stand::check_alive(&mut processes);
    assert_eq!(stand.lost(&load).await.0, 0);
    let poison_count = i64::try_from(rounds * poisons(0).len()).unwrap();
    let kept = "select count(*) from events where state = 'QUARANTINED' and raw_sealed is not null and code <> '' and reason <> ''";
    assert_eq!(stand.count(kept).await, poison_count);
    assert_eq!(stand.count("select count(*) from conversions").await, load.purchase_count().cast_signed());
    tell(
        "F15",
        json!({"acknowledged": load.acknowledged_count(), "lost": 0, "double": 0, "refused": load.refused_count(), "quarantined": poison_count,
            "ack_p50_p99_ms": load.waits_ms(0), "poisoned_p50_p99_ms": load.waits_ms(1)}),
    );
}
