//! AppsFlyer's Push API 2.0: installs, re-engagements and in-app events, with the link that led to them. It signs nothing and sends the
//! token that was agreed with it (<https://support.appsflyer.com/hc/en-us/articles/207034356>). Keys without a value are not sent, and new
//! ones come without notice.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::adapter::{
    Adapter, Attached, Authentic, Doubt, Loose, Post, Rejected, Request, SignedHeaders, attached, bad_field, device_of,
    identify, raw, text_key, unknown_kind,
};
use super::signing::verify_token;
use super::{EventFields, Parsed};

/// Which header carries the token is not written down anywhere that we found: these are taken, and `?token=` in the address.
const HEADERS: [&str; 4] = ["authentication", "authorization", "x-appsflyer-token", "token"];
/// The format has no version in it; this is AppsFlyer's name for it.
const VERSION: &str = "2.0";
const SECRET_BYTES_MIN: usize = 24;

pub(super) struct Appsflyer;

#[derive(Deserialize)]
struct Message {
    event_name: String,
    appsflyer_id: String,
    /// `yyyy-mm-dd hh:mm:ss.sss` in UTC.
    event_time: String,
    #[serde(default)]
    event_value: Option<String>,
    #[serde(default)]
    event_revenue: Option<Box<RawValue>>,
    #[serde(default)]
    event_revenue_currency: Option<String>,
    #[serde(default)]
    customer_user_id: Option<Loose>,
    /// How the link was found.
    #[serde(default)]
    match_type: Option<String>,
    #[serde(default)]
    original_url: Option<String>,
    #[serde(default)]
    deep_link_url: Option<String>,
    #[serde(default)]
    platform: Option<String>,
    #[serde(default)]
    ip: Option<String>,
    #[serde(default)]
    user_agent: Option<String>,
    #[serde(default)]
    idfv: Option<String>,
    #[serde(default)]
    advertising_id: Option<String>,
    #[serde(default)]
    android_id: Option<String>,
}

impl Adapter for Appsflyer {
    fn proof_header(&self) -> &'static str {
        HEADERS[0]
    }

    fn key_of(&self, secret: &str) -> Option<Vec<u8>> {
        text_key(secret, SECRET_BYTES_MIN)
    }

    fn secret_expected(&self) -> &'static str {
        "Pass a token of 24 to 256 visible ASCII characters, or leave it out."
    }

    fn sign(&self, key: &[u8], _delivery_id: &str, _now: DateTime<Utc>, _raw: &[u8]) -> SignedHeaders {
        vec![(HEADERS[0], String::from_utf8_lossy(key).into_owned())]
    }

    fn verify(&self, keys: &[&[u8]], request: &Request<'_>) -> Result<Authentic, Rejected> {
        verify_token(keys, request, &HEADERS)
    }

    fn schema_version(&self, _post: &Post<'_>) -> Option<String> {
        Some(VERSION.to_owned())
    }

    fn parse(&self, post: &Post<'_>) -> Parsed {
        post.one(post.json().and_then(read))
    }
}

fn read(message: Message) -> Result<Option<EventFields>, Doubt> {
    let event_type = match message.event_name.as_str() {
        "install" | "reinstall" | "re-attribution" => "install",
        "re-engagement" | "af_app_opened" => "open",
        "af_complete_registration" => "signup",
        "af_purchase" | "af_subscribe" => "conversion",
        other => return Err(unknown_kind(other)),
    };
    let wrong = |_error: chrono::ParseError| bad_field("event_time", "yyyy-mm-dd hh:mm:ss.sss");
    let time = NaiveDateTime::parse_from_str(&message.event_time, "%Y-%m-%d %H:%M:%S%.f").map_err(wrong)?;
    // What the app says of the event is JSON within JSON, and anything else where the app is careless.
    let said: Attached =
        message.event_value.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut fields = EventFields { event_type: Some(event_type.to_owned()), ..EventFields::default() };
    identify(&mut fields, |name| attached(&said, name));
    // A link that was found by a likeness of networks and devices names nobody, since whom it names would be paid.
    let is_guess = message.match_type.is_some_and(|found| found.to_ascii_lowercase().starts_with("probabilistic"));
    fields.url = message.original_url.or(message.deep_link_url).filter(|_| !is_guess);
    fields.user_id = message.customer_user_id.and_then(|id| id.text()).or(fields.user_id);
    fields.anonymous_id = fields.anonymous_id.or(Some(format!("appsflyer:{}", message.appsflyer_id)));
    fields.device_id = device_of([message.idfv, message.advertising_id, message.android_id]);
    (fields.ip, fields.user_agent) = (message.ip, message.user_agent);
    let platform = match message.platform.unwrap_or_default().to_ascii_lowercase().as_str() {
        "ios" => "IOS",
        "android" => "ANDROID",
        _ => "APPSFLYER",
    };
    fields.platform = Some(platform.to_owned());
    fields.timestamp = raw(time.and_utc().to_rfc3339());
    if event_type == "conversion" {
        (fields.conversion_value, fields.currency) = (message.event_revenue, message.event_revenue_currency);
        fields.order_id = ["af_order_id", "af_receipt_id"].iter().find_map(|name| attached(&said, name));
    }
    Ok(Some(fields))
}
