//! GraphQL over HTTP beyond what the audits look at: who is let in, which bodies are taken, which status is told.

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use super::front::Front;

#[tokio::test]
async fn nothing_is_open_without_a_key() {
    let front = Front::open().await;
    let body = json!({ "query": "{ __typename }" });
    for key in [None, Some("gv_wrong"), Some("nonsense"), Some("")] {
        let request = front.client.post(front.graphql_url()).json(&body);
        let request = if let Some(key) = key { request.bearer_auth(key) } else { request };
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer realm=\"grapevine\"");
        assert_eq!(Front::code_of(response).await, (401, "UNAUTHENTICATED".to_owned()), "{key:?}");
    }
    let twice = front.post().bearer_auth(&front.key).json(&body).send().await.unwrap();
    assert_eq!(twice.status(), StatusCode::UNAUTHORIZED, "two authorization headers");
    front.close().await;
}

#[tokio::test]
async fn each_request_has_an_id_that_its_errors_repeat() {
    let front = Front::open().await;
    let response = front.post().header("x-request-id", "abc-1").json(&json!({ "query": "{" })).send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "abc-1");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["errors"][0]["extensions"]["requestId"], "abc-1");
    let response =
        front.post().header("x-request-id", "no\tplain word").json(&json!({ "query": "{" })).send().await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(id.len(), 32, "{id}");
    front.close().await;
}

#[tokio::test]
async fn only_queries_go_over_get() {
    let front = Front::open().await;
    let get = |query: &str| {
        let mut url = reqwest::Url::parse(&front.graphql_url()).unwrap();
        url.query_pairs_mut().append_pair("query", query);
        front.client.get(url).bearer_auth(&front.key).send()
    };
    let response = get("{ __typename }").await.unwrap();
    assert_eq!(response.text().await.unwrap(), r#"{"data":{"__typename":"Query"}}"#);
    let response = get("mutation { __typename }").await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()[ALLOW]),
        (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
    );
    for method in ["PUT", "DELETE", "OPTIONS", "HEAD"] {
        let request = front.client.request(method.parse().unwrap(), front.graphql_url()).bearer_auth(&front.key);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(response.headers()[ALLOW], "GET, POST");
    }
    front.close().await;
}

#[tokio::test]
async fn a_browser_gets_graphiql_and_no_one_else() {
    let front = Front::open().await;
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let page = front.client.get(front.graphql_url()).header(ACCEPT, accept).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().await.unwrap().contains("graphiql"));
    let home = front.client.get(&front.url).header(ACCEPT, accept).send().await.unwrap();
    assert_eq!((home.status(), home.headers()["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/graphql"));
    let other = front.client.get(front.graphql_url()).header(ACCEPT, "*/*").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::UNAUTHORIZED);
    front.close().await;
}

#[tokio::test]
async fn what_another_site_can_post_without_asking_is_refused() {
    let front = Front::open().await;
    let body = r#"{"query":"{ __typename }"}"#;
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/graphql"]
    {
        let response = front.post().header(CONTENT_TYPE, content_type).body(body).send().await.unwrap();
        assert_eq!(Front::code_of(response).await, (415, "UNSUPPORTED_MEDIA_TYPE".to_owned()), "{content_type}");
    }
    let image =
        front.post().header(ACCEPT, "image/png").json(&json!({ "query": "{ __typename }" })).send().await.unwrap();
    assert_eq!(image.status(), StatusCode::NOT_ACCEPTABLE);
    front.close().await;
}

#[tokio::test]
async fn an_unknown_path_is_json_404() {
    let front = Front::open().await;
    let response = front.client.get(format!("{}/nothing", front.url)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "NOT_FOUND");
    front.close().await;
}
