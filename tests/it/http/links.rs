//! What links are beside redirects: names that people can read, hosts of the brand's own, destinations for phones, QR codes, counts, and the
//! way of a click to a back end and back.

use std::process::Stdio;

use reqwest::header::{CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;
use url::Url;

use crate::graphql::world::setting;
use crate::support::{TestApp, binary};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";
const ANDROID: &str = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36";

const GENERATE: &str = "mutation($i: GenerateLinkInput!) { generateLink(input: $i) {
    link { id token slug url iosUrl androidUrl shortUrl qrCodeUrl utm { source medium content } } userErrors { code path } } }";
const HOSTS: &str =
    "mutation($h: [String!]!) { updateBrand(input: {linkHosts: $h}) { brand { linkHosts } userErrors { code path } } }";

async fn generate(app: &TestApp, more: Value) -> Value {
    let mut input = json!({ "campaignId": "campaign_00000000000000000000000051", "creatorId": "creator_00000000000000000000000061",
                            "destinationUrl": "https://acme.example/p" });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.data(GENERATE, json!({ "i": input })).await["generateLink"].take()
}

async fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = app.client.get(format!("{}{path}", app.serve().await));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn location(response: &Response) -> Url {
    assert_eq!(response.status(), StatusCode::FOUND);
    Url::parse(response.headers()[LOCATION].to_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_link_has_a_name_that_no_other_link_of_the_brand_ever_gets() {
    let app = setting().await;
    let named = generate(&app, json!({ "slug": "spring-sale" })).await;
    let link = &named["link"];
    let base = app.serve().await;
    assert_eq!(link["shortUrl"], format!("{base}/r/acme/spring-sale"), "{named}");
    let url = location(&get(&app, "/r/acme/spring-sale", &[(USER_AGENT.as_str(), BROWSER)]).await);
    assert!(url.query_pairs().any(|(name, value)| name == "gv_token" && link["token"] == *value), "{url}");
    for path in ["/r/spring-sale", "/r/globex/spring-sale", "/r/acme/spring", "/r/acme/%00%27", "/r/ACME/spring-sale"] {
        assert_eq!(get(&app, path, &[]).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    app.data("mutation($l: ID!) { revokeLink(input: {linkId: $l}) { link { id } } }", json!({ "l": link["id"] })).await;
    assert_eq!(get(&app, "/r/acme/spring-sale", &[]).await.status(), StatusCode::GONE);
    let taken = json!([{ "code": "CONFLICT", "path": ["slug"] }]);
    assert_eq!(
        generate(&app, json!({ "slug": "spring-sale" })).await["userErrors"],
        taken,
        "revoked, and still its own"
    );
    for slug in ["ab", "-ab", "ab-", "Spring", "a b", "a/b", "ä-b", &"x".repeat(65)] {
        let refused = generate(&app, json!({ "slug": slug })).await;
        assert_eq!(refused["userErrors"], json!([{ "code": "INVALID", "path": ["slug"] }]), "{slug}");
    }
    let many = "mutation($l: [GenerateLinkInput!]!) { generateLinks(input: {links: $l}) { links { slug } userErrors { code path } } }";
    let one = json!({ "campaignId": "campaign_00000000000000000000000051", "memberExternalId": "u", "destinationUrl": "https://a.example/", "slug": "twice" });
    let data = app.data(many, json!({ "l": [one, one] })).await;
    assert_eq!(data["generateLinks"]["userErrors"], json!([{ "code": "CONFLICT", "path": ["links", "1", "slug"] }]));
}

#[tokio::test]
async fn links_stand_under_the_brands_own_host() {
    let app = setting().await;
    let named = generate(&app, json!({ "slug": "spring-sale" })).await;
    let data = app.data(HOSTS, json!({ "h": ["Go.Acme.example", "l.acme.example"] })).await;
    assert_eq!(data["updateBrand"]["brand"]["linkHosts"], json!(["go.acme.example", "l.acme.example"]), "{data}");
    let query = "query($t: String!) { link(token: $t) { shortUrl qrCodeUrl } }";
    let link = app.data(query, json!({ "t": named["link"]["token"] })).await["link"].take();
    assert_eq!(link["shortUrl"], "http://go.acme.example/r/spring-sale");
    assert_eq!(link["qrCodeUrl"], "http://go.acme.example/qr/spring-sale.svg");
    for host in ["go.acme.example", "L.acme.example:8080"] {
        location(&get(&app, "/r/spring-sale", &[(HOST.as_str(), host)]).await);
    }
    assert_eq!(
        get(&app, "/r/spring-sale", &[(HOST.as_str(), "go.globex.example")]).await.status(),
        StatusCode::NOT_FOUND
    );

    // A host is one brand's.
    app.execute("insert into brands (id, slug, name, currency, shard, created_at) select gen_random_uuid(), 'globex', 'Globex', 'USD', 1, now();
                 insert into brand_hosts (brand_id, host, created_at) select id, 'go.globex.example', now() from brands where slug = 'globex';
                 insert into brand_counters (brand_id, name, value) select id, n, 0 from brands, unnest('{members,outbox,outbox_published}'::text[]) n where slug = 'globex'").await;
    let data = app.data(HOSTS, json!({ "h": ["go.acme.example", "go.globex.example"] })).await;
    assert_eq!(data["updateBrand"]["userErrors"], json!([{ "code": "CONFLICT", "path": ["linkHosts"] }]));
    assert_eq!(app.sql_count("select count(*) from brand_hosts").await, 3, "nothing has changed");
    // Nor does another brand's link stand under it: Globex would lead wherever it likes in Acme's name.
    let theirs = json!({ "creatorId": "creator_00000000000000000000000061" });
    let token = generate(&app, theirs).await["link"]["token"].as_str().unwrap().to_owned();
    for (path, name) in [("r", token.as_str()), ("invite", token.as_str()), ("r", "acme/spring-sale")] {
        let path = format!("/{path}/{name}");
        for (host, status) in [("go.globex.example", 404), ("go.acme.example", 302), ("alias.example", 302)] {
            let answer = get(&app, &path, &[(HOST.as_str(), host)]).await;
            assert_eq!(answer.status().as_u16(), status, "{path} under {host}");
        }
    }
    for path in [format!("/qr/{token}.svg"), "/qr/acme/spring-sale.svg".to_owned()] {
        assert_eq!(get(&app, &path, &[(HOST.as_str(), "go.globex.example")]).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(get(&app, &path, &[(HOST.as_str(), "go.acme.example")]).await.status(), StatusCode::OK);
    }
    let data = app.data(HOSTS, json!({ "h": ["https://x.example"] })).await;
    assert_eq!(data["updateBrand"]["userErrors"], json!([{ "code": "INVALID", "path": ["linkHosts", "0"] }]));
}

#[tokio::test]
async fn the_installations_own_address_is_no_brands() {
    let app = setting().await;
    let own = Url::parse(&app.serve().await).unwrap().host_str().unwrap().to_owned();
    let data = app.data(HOSTS, json!({ "h": ["go.acme.example", own] })).await;
    assert_eq!(data["updateBrand"]["userErrors"], json!([{ "code": "CONFLICT", "path": ["linkHosts"] }]));
    assert_eq!(app.sql_count("select count(*) from brand_hosts").await, 0);
}

#[tokio::test]
async fn short_addresses_are_made_with_the_host_that_was_named_first_last_time() {
    let app = setting().await;
    for hosts in [json!(["go.acme.example"]), json!(["new.acme.example", "go.acme.example"])] {
        let data = app.data(HOSTS, json!({ "h": hosts })).await;
        assert_eq!(data["updateBrand"]["brand"]["linkHosts"], hosts, "{data}");
        let made = generate(&app, json!({})).await;
        let short = made["link"]["shortUrl"].as_str().unwrap();
        assert_eq!(Url::parse(short).unwrap().host_str(), hosts[0].as_str(), "{short}");
    }
}

#[tokio::test]
async fn an_address_is_checked_on_the_command_line_with_and_without_a_brand() {
    let app = setting().await;
    let address = |creator: &str| {
        format!("https://acme.example/?utm_source=tiktok&utm_medium=creator&utm_campaign=spring&creator_id={creator}")
    };
    let check = async |arguments: &[&str], expected: (bool, &str)| {
        let output = binary(&app).arg("lint-url").args(arguments).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.success(), expected.0, "{arguments:?}: {text}");
        assert!(text.contains(expected.1), "{arguments:?}: {text}");
        text
    };
    let known = generate(&app, json!({})).await["link"]["url"].as_str().unwrap().to_owned();
    check(&[&address("nobody")], (true, "nobody")).await;
    check(&["not an address"], (false, "error")).await;
    check(&["--brand", "acme", &address("nobody")], (false, "names no creator")).await;
    check(&["--brand", "acme", &known], (true, "gv_token")).await;
    let json = check(&["--json", "--brand", "acme", &known], (true, "identifiers")).await;
    assert!(serde_json::from_str::<Value>(&json).unwrap()["findings"].is_array(), "{json}");
}

#[tokio::test]
async fn phones_are_led_to_destinations_of_their_own() {
    let app = setting().await;
    let made = generate(
        &app,
        json!({ "iosUrl": "https://acme.example/ios?x=1", "androidUrl": "https://acme.example/android",
                                      "utm": { "source": "tiktok", "medium": "affiliate", "content": "blue button" } }),
    )
    .await;
    let link = &made["link"];
    assert_eq!(link["utm"], json!({ "source": "tiktok", "medium": "affiliate", "content": "blue button" }), "{made}");
    assert!(
        link["iosUrl"]
            .as_str()
            .unwrap()
            .starts_with("https://acme.example/ios?x=1&utm_source=tiktok&utm_medium=affiliate&")
    );
    let path = format!("/r/{}", link["token"].as_str().unwrap());
    for (agent, expected) in [(IPHONE, "/ios"), (ANDROID, "/android"), (BROWSER, "/p")] {
        let response = get(&app, &path, &[(USER_AGENT.as_str(), agent)]).await;
        assert_eq!(response.headers()["cache-control"], "no-store");
        let url = location(&response);
        assert_eq!(url.path(), expected);
        assert!(
            url.query().unwrap().contains("utm_content=blue+button")
                && url.query().unwrap().contains("gv_click=event_")
        );
    }
    for field in ["iosUrl", "androidUrl"] {
        let refused = generate(&app, json!({ field: "myapp://open" })).await;
        assert_eq!(refused["userErrors"], json!([{ "code": "INVALID", "path": [field] }]));
    }
    let refused = generate(&app, json!({ "utm": { "source": "" } })).await;
    assert_eq!(refused["userErrors"], json!([{ "code": "INVALID", "path": ["utm", "source"] }]));
}

#[tokio::test]
async fn a_qr_code_leads_to_the_short_address() {
    let app = setting().await;
    let made = generate(&app, json!({ "slug": "poster" })).await;
    let short = made["link"]["shortUrl"].as_str().unwrap();
    let path = Url::parse(made["link"]["qrCodeUrl"].as_str().unwrap()).unwrap().path().to_owned();
    assert_eq!(path, "/qr/acme/poster.svg");
    let svg = get(&app, &path, &[]).await;
    assert_eq!(
        (&svg.headers()[CONTENT_TYPE], &svg.headers()["cache-control"]),
        (&"image/svg+xml".parse().unwrap(), &"public, max-age=3600".parse().unwrap())
    );
    assert!(svg.text().await.unwrap().contains("<svg"));

    let image = get(&app, "/qr/acme/poster.png?size=400", &[]).await;
    assert_eq!(image.headers()[CONTENT_TYPE], "image/png");
    let bytes = image.bytes().await.unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height, info.bit_depth), (400, 400, png::BitDepth::One));
    let is_dark = |x: usize, y: usize| pixels[y * 50 + x / 8] & (0x80 >> (x % 8)) == 0;
    let code = qrcode::QrCode::with_error_correction_level(short, qrcode::EcLevel::M).unwrap();
    let (width, scale) = (code.width(), 400 / (code.width() + 8));
    let margin = (400 - scale * width) / 2;
    for y in 0..width {
        for x in 0..width {
            let expected = code[(x, y)] == qrcode::Color::Dark;
            assert_eq!(is_dark(margin + x * scale + scale / 2, margin + y * scale + scale / 2), expected, "{x} {y}");
        }
    }
    assert!((0..400).all(|at| !is_dark(at, 3) && !is_dark(3, at)), "white around it");
    for path in [
        "/qr/acme/poster",
        "/qr/acme/poster.gif",
        "/qr/acme/poster.png?size=9999",
        "/qr/acme/poster.png?size=x",
        "/qr/nothing.svg",
    ] {
        assert_eq!(get(&app, path, &[]).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let token = format!("/qr/{}.svg", made["link"]["token"].as_str().unwrap());
    assert_eq!(get(&app, &token, &[]).await.status(), StatusCode::OK);
    assert_eq!(app.sql_count("select count(*) from events").await, 0, "a look at the code is nothing");
}

#[tokio::test]
async fn people_are_counted_and_what_only_looks_is_counted_apart() {
    let app = setting().await;
    let made = generate(&app, json!({})).await;
    let path = format!("/r/{}", made["link"]["token"].as_str().unwrap());
    for agent in [BROWSER, IPHONE, "WhatsApp/2.23.20.0 A", "curl/8.5.0"] {
        get(&app, &path, &[(USER_AGENT.as_str(), agent)]).await;
    }
    let url = format!("{}{path}", app.serve().await);
    app.client.head(url).header(USER_AGENT, BROWSER).send().await.unwrap();
    let ahead = get(&app, &path, &[(USER_AGENT.as_str(), BROWSER), ("sec-purpose", "prefetch;prerender")]).await;
    assert_eq!(
        (ahead.status(), &ahead.headers()["cache-control"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"no-store".parse().unwrap())
    );
    app.drain().await;
    let query = "query($t: String!) { link(token: $t) { clicks views } }";
    let link = app.data(query, json!({ "t": made["link"]["token"] })).await["link"].take();
    assert_eq!(link, json!({ "clicks": 2, "views": 3 }), "the bot's click was blocked");
    assert_eq!(app.sql_count("select count(*) from touchpoints where decision = 'BLOCK'").await, 1);
}

#[tokio::test]
async fn the_script_is_small_and_can_be_kept() {
    let app = setting().await;
    let response = get(&app, "/gv.js", &[]).await;
    assert_eq!(
        (&response.headers()[CONTENT_TYPE], &response.headers()["cache-control"]),
        (&"text/javascript; charset=utf-8".parse().unwrap(), &"public, max-age=3600".parse().unwrap())
    );
    assert!(response.bytes().await.unwrap().len() <= 1_024);
}

/// Runs an example of the documentation as a back end would run it, and returns what it printed.
async fn run_example(program: &str, file: &str, arguments: &[&str]) -> String {
    let path = format!("{}/docs/examples/{file}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(program).arg(path).args(arguments).stdin(Stdio::null()).output().await.unwrap();
    assert!(output.status.success(), "{program} {file}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_back_end_sends_the_click_back_and_the_sale_is_credited_to_its_link() {
    let app = setting().await;
    let source = app.source().await;
    let address = format!("{}/webhooks/{}", app.serve().await, source.slug);
    for (index, (program, file)) in [("node", "conversion.mjs"), ("python3", "conversion.py")].into_iter().enumerate() {
        let sub_id = format!("placement-{index}");
        let made = generate(&app, json!({ "subId": sub_id })).await;
        let path = format!("/r/{}", made["link"]["token"].as_str().unwrap());
        let url = location(&get(&app, &path, &[(USER_AGENT.as_str(), BROWSER)]).await);
        let click = url.query_pairs().find(|(name, _)| name == "gv_click").unwrap().1.into_owned();
        // The visitor comes back another day on a page without any parameter: only the cookie tells.
        let cookie = format!("theme=dark; gv_click={click}; gv_token=x");
        let order = format!("order-{index}");
        let printed = run_example(program, file, &[&address, &source.secret, &order, "49.99", &cookie]).await;
        assert!(printed.contains("queued"), "{printed}");
        app.drain().await;
        let query = "{ attributionRecords(first: 1) { nodes { weight touchpoint { link { subId } } } } }";
        let records = app.data(query, json!({})).await["attributionRecords"]["nodes"].take();
        assert_eq!(records, json!([{ "weight": "1", "touchpoint": { "link": { "subId": sub_id } } }]), "{program}");
        let printed = run_example(program, file, &[&address, &source.secret, &order, "49.99", &cookie]).await;
        assert!(printed.contains("duplicate"), "{printed}");
        app.advance(chrono::TimeDelta::minutes(1));
    }
}
