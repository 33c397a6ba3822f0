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

const LINK: &str =
    "mutation($input: GenerateLinkInput!) { generateLink(input: $input) { link { id } userErrors { code } } }";

/// Links that are made for each reward.
const LINKS: i64 = 5;

/// Makes a link, once and without a key.
async fn link(stand: &Stand) {
    let input = json!({"campaignId": Kind::Campaign.id(Uuid::from_u128(0xa1)), "creatorId": Kind::Creator.id(Uuid::from_u128(0xc1))});
    let body = json!({ "query": LINK, "variables": { "input": input } });
    let request = stand.client.post(format!("{}/graphql", stand.url())).bearer_auth(&stand.key).json(&body);
    request.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_has_its_effect_once() {
    let mut url = url::Url::parse(&servers().database_url).unwrap();
    let proxy = Proxy::to(url.port().unwrap_or(5432)).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(proxy.address.port())).unwrap();
    let stand = Stand::on(Some(url.to_string()), None).await;
    let links_before = stand.count("select count(*) from links").await;
    let mut processes = stand.processes().await;
    let running = stand.load().run(rate());
    proxy.cut_commits(sized(20, 200));
    let (mut rewards, mut asked, mut links_asked) = (0, 0, 0);
    while proxy.cuts_left() > 0 || rewards == 0 {
        asked += issue(&stand, rewards).await.1;
        rewards += 1;
        futures_util::future::join_all((0..LINKS).map(|_| link(&stand))).await;
        links_asked += LINKS;
    }
    let load = stand.finish(running).await;
    Stand::check_alive(&mut processes);
    let issued = stand.count("select count(*) from rewards where kind = 'CREDIT'").await;
    assert_eq!(issued, rewards.cast_signed(), "each reward once, asked for {asked} times");
    let links = stand.count("select count(*) from links").await - links_before;
    assert!(
        links <= rewards.cast_signed(),
        "{links} links for {rewards} requests: nobody does again what may have been done"
    );
    let mut figures = stand.check(&load).await;
    let (answers_lost, commits_lost) = proxy.lost();
    assert!(answers_lost > 0 && commits_lost > 0, "{answers_lost} answers and {commits_lost} commits were lost");
    figures["answers_lost"] = json!(answers_lost);
    figures["commits_lost"] = json!(commits_lost);
    figures["rewards"] = json!(rewards);
    figures["links"] = json!(links);
    figures["links_asked"] = json!(links_asked);
    tell("F9", figures);
}
