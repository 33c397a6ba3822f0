//! F9: the connection breaks at the commit: before the database hears of it, or after it has done it.

use grapevine::base::Kind;
use serde_json::{Value, json};
use uuid::Uuid;

use super::proxy::Proxy;
use super::stand::Stand;
use super::{pause, rate, sized, tell};
use crate::support::servers;

const ISSUE: &str =
    "mutation($input: IssueRewardInput!) { issueReward(input: $input) { reward { id } userErrors { code } } }";

/// Issues a reward, again and again under the same key until it is told of. Returns its identifier and how often it was asked for.
async fn issue(stand: &Stand, number: u64) -> (String, u64) {
    let input = json!({"campaignId": Kind::Campaign.id(Uuid::from_u128(0xa1)), "creatorId": Kind::Creator.id(Uuid::from_u128(0xc1)),
        "kind": "CREDIT", "amount": {"amount": "1.00", "currency": "USD"}, "reason": "A good month.", "idempotencyKey": format!("k{number}")});
    for asked in 1.. {
        let body = json!({ "query": ISSUE, "variables": { "input": input } });
        let request = stand.client.post(format!("{}/graphql", stand.url())).bearer_auth(&stand.key).json(&body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        if let Some(id) = answer["data"]["issueReward"]["reward"]["id"].as_str() {
            return (id.to_owned(), asked);
        }
        assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer}");
        pause(20).await;
    }
    unreachable!()
}

const SOURCE: &str =
    "mutation($name: String!) { createWebhookSource(input: {name: $name}) { source { id } userErrors { code } } }";

/// Webhook sources that are made for each reward.
const SOURCES: i64 = 5;

/// Makes a webhook source, asking once and without a key; whether it was told of.
async fn make_source(stand: &Stand, number: i64) -> bool {
    let body = json!({ "query": SOURCE, "variables": { "name": format!("source {number}") } });
    let request = stand.client.post(format!("{}/graphql", stand.url())).bearer_auth(&stand.key).json(&body);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert!(answer["data"]["createWebhookSource"]["userErrors"][0].is_null(), "{answer}");
    answer["data"]["createWebhookSource"]["source"].is_object()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_has_its_effect_once() {
    let mut url = url::Url::parse(&servers().database_url).unwrap();
    let proxy = Proxy::to(url.port().unwrap_or(5432)).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(proxy.address.port())).unwrap();
    let stand = Stand::on(Some(url.to_string()), None).await;
    let sources_before = stand.count("select count(*) from webhook_sources").await;
    let mut processes = stand.processes().await;
    let running = stand.load().run(rate());
    proxy.cut_commits(sized(20, 200));
    let (mut rewards, mut asked, mut sources_asked, mut sources_told) = (0, 0, 0, 0);
    while proxy.cuts_left() > 0 || rewards == 0 {
        asked += issue(&stand, rewards).await.1;
        rewards += 1;
        let sources = (0..SOURCES).map(|number| make_source(&stand, sources_asked + number));
        let told = futures_util::future::join_all(sources).await;
        sources_told += told.into_iter().map(i64::from).sum::<i64>();
        sources_asked += SOURCES;
    }
    let load = stand.finish(running).await;
    Stand::check_alive(&mut processes);
    let issued = stand.count("select count(*) from rewards where kind = 'CREDIT'").await;
    assert_eq!(issued, rewards.cast_signed(), "each reward once, asked for {asked} times");
    let sources = stand.count("select count(*) from webhook_sources").await - sources_before;
    let is_once = sources_told <= sources && sources <= sources_asked;
    assert!(
        is_once,
        "{sources_asked} sources asked for, {sources_told} told of, {sources} there: nothing is done twice unasked"
    );
    assert!(sources_told > 0);
    let mut figures = stand.check(&load).await;
    let (answers_lost, commits_lost) = proxy.lost();
    assert!(answers_lost > 0 && commits_lost > 0, "{answers_lost} answers and {commits_lost} commits were lost");
    figures["answers_lost"] = json!(answers_lost);
    figures["commits_lost"] = json!(commits_lost);
    figures["rewards"] = json!(rewards);
    figures["sources_asked"] = json!(sources_asked);
    figures["sources_told"] = json!(sources_told);
    figures["sources"] = json!(sources);
    tell("F9", figures);
}
