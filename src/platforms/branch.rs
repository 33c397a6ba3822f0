//! Branch: clicks, installs, opens, sign-ups and purchases of an app, with the link that led to them. Branch signs nothing: the source's
//! secret stands in the address, as `?token=` (<https://help.branch.io/developers-hub/docs/webhooks-for-developers>).

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::adapter::{
    Adapter, Attached, Authentic, Doubt, Loose, Post, Rejected, Request, SignedHeaders, attached, device_of, identify,
    raw, text_key, unknown_kind,
};
use super::signing::verify_token;
use super::{EventFields, Parsed};

const HEADER: &str = "x-branch-token";
/// The format has no version; this is when we read its description.
const VERSION: &str = "2026-11";
/// The secret is all that keeps others out, so it is as long as one of ours.
const SECRET_BYTES_MIN: usize = 24;

pub(super) struct Branch;

#[derive(Deserialize)]
struct Event {
    name: String,
    #[serde(default)]
    id: Option<Loose>,
    /// Unix milliseconds.
    #[serde(default)]
    timestamp: Option<u64>,
    #[serde(default)]
    last_attributed_touch_data: Option<Attached>,
    #[serde(default)]
    custom_data: Option<Attached>,
    #[serde(default)]
    user_data: User,
    #[serde(default)]
    event_data: Option<Sale>,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    os: Option<String>,
    #[serde(default)]
    ip: Option<String>,
    #[serde(default)]
    user_agent: Option<String>,
    #[serde(default)]
    developer_identity: Option<String>,
    #[serde(default)]
    idfv: Option<String>,
    #[serde(default)]
    idfa: Option<String>,
    #[serde(default)]
    aaid: Option<String>,
    #[serde(default)]
    android_id: Option<String>,
    #[serde(default)]
    randomized_device_token: Option<Loose>,
    #[serde(default)]
    randomized_bundle_token: Option<Loose>,
}

#[derive(Deserialize)]
struct Sale {
    /// A number or a text, in whole units.
    #[serde(default)]
    revenue: Option<Box<RawValue>>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    transaction_id: Option<Loose>,
}

impl Adapter for Branch {
    fn proof_header(&self) -> &'static str {
        HEADER
    }

    fn key_of(&self, secret: &str) -> Option<Vec<u8>> {
        text_key(secret, SECRET_BYTES_MIN)
    }

    fn secret_expected(&self) -> &'static str {
        "Pass a token of 24 to 256 visible ASCII characters, or leave it out."
    }

    fn sign(&self, key: &[u8], _delivery_id: &str, _now: DateTime<Utc>, _raw: &[u8]) -> SignedHeaders {
        vec![(HEADER, String::from_utf8_lossy(key).into_owned())]
    }

    fn verify(&self, keys: &[&[u8]], request: &Request<'_>) -> Result<Authentic, Rejected> {
        verify_token(keys, request, &[HEADER, "authorization"])
    }

    fn schema_version(&self, _post: &Post<'_>) -> Option<String> {
        Some(VERSION.to_owned())
    }

    fn parse(&self, post: &Post<'_>) -> Parsed {
        post.one(post.json().and_then(read))
    }
}

fn read(event: Event) -> Result<Option<EventFields>, Doubt> {
    let event_type = match event.name.to_ascii_uppercase().as_str() {
        "CLICK" => "click",
        "IMPRESSION" => "view",
        "INSTALL" | "REINSTALL" => "install",
        "OPEN" => "open",
        "COMPLETE_REGISTRATION" => "signup",
        "PURCHASE" => "conversion",
        "WEB_SESSION_START" | "PAGEVIEW" | "WEB_TO_APP_AUTO_REDIRECT" => return Ok(None),
        _ => return Err(unknown_kind(&event.name)),
    };
    let touch = event.last_attributed_touch_data.unwrap_or_default();
    let custom = event.custom_data.unwrap_or_default();
    let user = event.user_data;
    let mut fields = EventFields { event_type: Some(event_type.to_owned()), ..EventFields::default() };
    // Branch finds some links by a likeness of networks and devices, and says so
    // (<https://help.branch.io/marketer-hub/docs/branch-attribution-explained>): a guess names nobody, since whom it names would be paid.
    let is_guess = touch.get("+match_guaranteed").is_some_and(Loose::is_false);
    identify(&mut fields, |name| attached(&custom, name).or_else(|| attached(&touch, name).filter(|_| !is_guess)));
    let link = ["~referring_link", "+url", "$canonical_url"];
    fields.url = link.iter().find_map(|name| attached(&touch, name)).filter(|url| url.contains('?') && !is_guess);
    fields.user_id = fields.user_id.or(user.developer_identity);
    let tokens = [user.randomized_bundle_token, user.randomized_device_token];
    let visitor = tokens.into_iter().flatten().find_map(|token| token.text());
    fields.anonymous_id = fields.anonymous_id.or(visitor.map(|token| format!("branch:{token}")));
    fields.device_id = device_of([user.idfv, user.aaid, user.android_id, user.idfa]);
    (fields.ip, fields.user_agent) = (user.ip, user.user_agent);
    let platform = match user.os.unwrap_or_default().to_ascii_uppercase().as_str() {
        "IOS" | "IPADOS" => "IOS",
        "ANDROID" => "ANDROID",
        _ => "BRANCH",
    };
    fields.platform = Some(platform.to_owned());
    fields.event_id = event.id.and_then(|id| id.text());
    fields.timestamp = event.timestamp.and_then(raw);
    if let Some(sale) = event.event_data.filter(|_| event_type == "conversion") {
        (fields.conversion_value, fields.currency) = (sale.revenue, sale.currency);
        fields.order_id = sale.transaction_id.and_then(|id| id.text());
    }
    Ok(Some(fields))
}
