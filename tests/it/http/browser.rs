//! Invitations in a real browser, as an iPhone, an Android phone and a desktop show them: to the right place, and back to a claim.

use serde_json::{Value, json};
use url::Url;

use super::invitations::fingerprint;
use crate::graphql::world::setting;
use crate::support::peers::run;
use crate::support::{TestApp, free_address};

const SETTINGS: &str =
    "mutation($i: UpdateBrandInput!) { updateBrand(input: $i) { userErrors { code path message } } }";
const GENERATE: &str =
    "mutation($i: GenerateLinkInput!) { generateLink(input: $i) { link { token } userErrors { code path message } } }";
const CLAIM: &str = "mutation($i: ClaimLinkInput!) { claimLink(input: $i) { link { token } method confidence userErrors { message } } }";

async fn claim(app: &TestApp, user: &str, name: &str, text: &Value) -> Value {
    let input = json!({ "userId": user, (name): text, "idempotencyKey": user });
    app.data(CLAIM, json!({ "i": input })).await["claimLink"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_follows_an_invitation_to_the_right_place_and_back_to_a_claim() {
    let app = setting().await;
    let port = free_address().port().to_string();
    let apps = json!({ "allowedHosts": ["localhost"],
        "iosApp": { "appIds": ["ABCDE12345.example.acme"], "storeUrl": "https://apps.apple.com/app/id123456789" },
        "androidApp": { "packageName": "com.example.acme", "fingerprints": [fingerprint()] } });
    let set = app.data(SETTINGS, json!({ "i": apps })).await;
    assert_eq!(set["updateBrand"]["userErrors"], json!([]));
    let link = json!({ "campaignId": "campaign_00000000000000000000000051", "memberExternalId": "ann",
                       "destinationUrl": format!("http://localhost:{port}/welcome") });
    let made = app.data(GENERATE, json!({ "i": link })).await;
    let token = made["generateLink"]["link"]["token"].as_str().unwrap_or_else(|| panic!("{made}"));
    let said = run("browser.mjs", &[&app.serve().await, token, &port]).await;
    assert!(said.is_success && said.lines.len() == 3, "{:?} {}", said.lines, said.error);
    let (android, iphone, desktop) = (&said.lines[0], &said.lines[1], &said.lines[2]);

    let store = Url::parse(android["leads_to"].as_str().unwrap()).unwrap();
    assert_eq!((store.host_str(), store.path()), (Some("play.google.com"), "/store/apps/details"));
    let referrer = store.query_pairs().find(|(name, _)| name == "referrer").unwrap().1.into_owned();
    let claimed = claim(&app, "bob", "installReferrer", &json!(referrer)).await;
    assert_eq!(
        (&claimed["method"], &claimed["link"]["token"]),
        (&json!("INSTALL_REFERRER"), &json!(token)),
        "{claimed}"
    );

    assert_eq!(
        (&iphone["heading"], &iphone["leads_to"]),
        (&json!("You are invited"), &json!("https://apps.apple.com/app/id123456789"))
    );
    let claimed = claim(&app, "zoe", "clipboard", &iphone["clipboard"]).await;
    assert_eq!((&claimed["method"], &claimed["confidence"]), (&json!("CLIPBOARD"), &json!(1.0)), "{claimed} {iphone}");

    let landed = Url::parse(desktop["leads_to"].as_str().unwrap()).unwrap();
    assert_eq!((landed.host_str(), landed.path()), (Some("localhost"), "/welcome"));
    let click = landed.query_pairs().find(|(name, _)| name == "gv_click").unwrap().1.into_owned();
    assert_eq!(
        (&desktop["field"], &desktop["kept"]["gv_click"], &desktop["kept"]["gv_token"]),
        (&json!(click), &json!(click), &json!(token))
    );

    // The shop's back end read the cookie, and tells of the sale.
    let source = app.source().await;
    let sale = json!({ "event_type": "conversion", "order_id": "o1", "conversion_value": "10.00", "click_id": desktop["kept"]["gv_click"] });
    assert_eq!(app.post_signed(&source, &sale).await.0, 202);
    app.drain().await;
    let records = app.data("{ attributionRecords { nodes { weight referrer { externalId } } } }", json!({})).await;
    assert_eq!(records["attributionRecords"]["nodes"], json!([{ "weight": "1", "referrer": { "externalId": "ann" } }]));
    let kinds = app.texts("select kind || ' ' || count(*) as text from touchpoints group by kind order by 1").await;
    assert_eq!(kinds, ["CLICK 3", "OPEN 2"]);
}
