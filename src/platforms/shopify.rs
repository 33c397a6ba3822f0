//! Shopify: orders and refunds. `X-Shopify-Hmac-Sha256`, base64 of HMAC-SHA256 over the body; what the body is stands in the headers
//! (<https://shopify.dev/docs/apps/build/webhooks>), which the signature does not cover: so an event goes by what its body says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::adapter::{
    Adapter, Authentic, Doubt, Loose, Post, Rejected, Request, SignedHeaders, bad_field, identify, only, raw,
    unknown_kind,
};
use super::amounts::sum;
use super::shop_money::{PriceSet, Reasons, in_shop_money};
use super::signing::{is_signed, outcome, sha256};
use super::{EventFields, Parsed};
use crate::base::limits::DELIVERY_ID_BYTES_MAX;

/// The older name of each header, and the one of the newer family of events
/// (<https://shopify.dev/docs/apps/build/events/verify-deliveries>).
const HEADERS: [&str; 2] = ["x-shopify-hmac-sha256", "shopify-hmac-sha256"];
const DELIVERY: [&str; 2] = ["x-shopify-webhook-id", "shopify-webhook-id"];
const TOPIC: [&str; 2] = ["x-shopify-topic", "shopify-topic"];
const VERSION: [&str; 2] = ["x-shopify-api-version", "shopify-api-version"];
const SHOP: [&str; 2] = ["x-shopify-shop-domain", "shopify-shop-domain"];
const KEPT: [&str; 6] = [TOPIC[0], VERSION[0], SHOP[0], TOPIC[1], VERSION[1], SHOP[1]];
/// Releases of the interface that we have read: one a quarter.
const VERSIONS: [&str; 12] = [
    "2024-01", "2024-04", "2024-07", "2024-10", "2025-01", "2025-04", "2025-07", "2025-10", "2026-01", "2026-04",
    "2026-07", "2026-10",
];

pub(super) struct Shopify;

#[derive(Deserialize)]
struct Order {
    id: u64,
    created_at: String,
    #[serde(default)]
    processed_at: Option<String>,
    currency: String,
    total_price: String,
    #[serde(default)]
    financial_status: Option<String>,
    #[serde(default)]
    test: bool,
    #[serde(default)]
    customer: Option<Customer>,
    #[serde(default)]
    checkout_token: Option<String>,
    #[serde(default)]
    cart_token: Option<String>,
    #[serde(default)]
    browser_ip: Option<String>,
    #[serde(default)]
    landing_site: Option<String>,
    #[serde(default)]
    client_details: Option<Client>,
    #[serde(default)]
    note_attributes: Vec<Note>,
}

#[derive(Deserialize)]
struct Customer {
    #[serde(default)]
    id: Option<u64>,
}

#[derive(Deserialize)]
struct Client {
    #[serde(default)]
    user_agent: Option<String>,
}

#[derive(Deserialize)]
struct Note {
    name: String,
    value: Loose,
}

#[derive(Deserialize)]
struct Refund {
    id: u64,
    order_id: u64,
    created_at: String,
    transactions: Vec<Transaction>,
    #[serde(default)]
    refund_line_items: Vec<Line>,
    #[serde(default)]
    order_adjustments: Vec<Adjustment>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    subtotal_set: Option<PriceSet>,
    #[serde(default)]
    total_tax_set: Option<PriceSet>,
}

/// What a refund gives back that is no goods, which is below zero, and what it keeps back.
#[derive(Deserialize)]
struct Adjustment {
    #[serde(default)]
    amount_set: Option<PriceSet>,
    #[serde(default)]
    tax_amount_set: Option<PriceSet>,
}

#[derive(Deserialize)]
struct Transaction {
    kind: String,
    status: String,
    amount: String,
    currency: String,
}

impl Adapter for Shopify {
    fn proof_header(&self) -> &'static str {
        HEADERS[0]
    }

    fn kept_headers(&self) -> &'static [&'static str] {
        &KEPT
    }

    fn sign(&self, key: &[u8], delivery_id: &str, _now: DateTime<Utc>, raw: &[u8]) -> SignedHeaders {
        vec![(HEADERS[0], STANDARD.encode(sha256(key, &[raw]))), (DELIVERY[0], delivery_id.to_owned())]
    }

    fn verify(&self, keys: &[&[u8]], request: &Request<'_>) -> Result<Authentic, Rejected> {
        let text = HEADERS.iter().find_map(|name| only(request.headers, name)).unwrap_or_default();
        let offer: Option<[u8; 32]> = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        let is_signed = is_signed(keys, &[offer.unwrap_or_default()], |key| sha256(key, &[request.raw]));
        let delivery_id = DELIVERY.iter().find_map(|name| only(request.headers, name));
        let delivery_id = delivery_id.filter(|id| id.len() <= DELIVERY_ID_BYTES_MAX);
        outcome(offer.is_some(), is_signed, delivery_id)
    }

    fn schema_version(&self, post: &Post<'_>) -> Option<String> {
        header(post, VERSION).map(str::to_owned)
    }

    fn knows_version(&self, version: &str) -> bool {
        VERSIONS.contains(&version)
    }

    fn parse(&self, post: &Post<'_>) -> Parsed {
        let topic = header(post, TOPIC).unwrap_or_default();
        post.one(match topic {
            "orders/create" | "orders/paid" => post.json().and_then(|order| sale(topic, header(post, SHOP), order)),
            "refunds/create" => post.json().and_then(refund),
            other => Err(unknown_kind(other)),
        })
    }
}

/// A header under either of its names.
fn header<'a>(post: &Post<'a>, names: [&str; 2]) -> Option<&'a str> {
    names.iter().find_map(|name| post.header(name))
}

fn sale(topic: &str, shop: Option<&str>, order: Order) -> Result<Option<EventFields>, Doubt> {
    let is_paid = match order.financial_status.as_deref() {
        Some("paid" | "partially_refunded" | "refunded") => true,
        // It sells when it is paid, which `orders/paid` says. A topic is not signed: it does not overrule what the body says.
        None => topic == "orders/paid",
        Some("pending" | "authorized" | "partially_paid" | "voided" | "expired") if topic != "orders/paid" => false,
        Some(_) => {
            return Err(bad_field("financial_status", "a state of an order that we know and that fits the topic"));
        }
    };
    if !is_paid || order.test {
        return Ok(None);
    }
    let mut fields = EventFields { event_type: Some("conversion".to_owned()), ..EventFields::default() };
    let note =
        |name: &str| order.note_attributes.iter().find(|note| note.name == name).and_then(|note| note.value.text());
    identify(&mut fields, note);
    let customer = order.customer.and_then(|customer| customer.id).map(|id| id.to_string());
    let visitor =
        customer.or(order.checkout_token).or(order.cart_token).unwrap_or_else(|| format!("order {}", order.id));
    fields.anonymous_id = fields.anonymous_id.or(Some(format!("shopify:{visitor}")));
    fields.event_id = Some(format!("{topic}:{}", order.id));
    fields.order_id = Some(order.id.to_string());
    fields.timestamp = raw(order.processed_at.unwrap_or(order.created_at));
    fields.conversion_value = raw(order.total_price);
    fields.currency = Some(order.currency);
    fields.url = order.landing_site.and_then(|site| landing(shop, &site));
    fields.ip = order.browser_ip;
    fields.user_agent = order.client_details.and_then(|client| client.user_agent);
    fields.platform = Some("SHOPIFY".to_owned());
    Ok(Some(fields))
}

/// Where the buyer came in, which says what link was followed: a path of the shop, or a whole address.
fn landing(shop: Option<&str>, site: &str) -> Option<String> {
    if site.starts_with('/') { Some(format!("https://{}{site}", shop?)) } else { Some(site.to_owned()) }
}

fn refund(refund: Refund) -> Result<Option<EventFields>, Doubt> {
    let tried = || refund.transactions.iter().filter(|one| one.kind == "refund");
    if tried().any(|one| !matches!(one.status.as_str(), "success" | "failure" | "error")) {
        // It is posted once: whether the money arrived is not told later, so that this must not be taken for nothing.
        return Err(bad_field("transactions", "settled: whether the money went back is not known yet"));
    }
    let paid: Vec<&Transaction> = tried().filter(|one| one.status == "success").collect();
    // Goods can come back without money going back.
    let Some(first) = paid.first() else { return Ok(None) };
    if paid.iter().any(|one| one.currency != first.currency) {
        return Err(bad_field("transactions", "amounts of one currency of ISO 4217"));
    }
    let Some(value) = sum("transactions", &first.currency, paid.iter().map(|one| one.amount.as_str()))? else {
        return Ok(None);
    };
    let value = in_shop_money(value, &reasons(&refund))?;
    Ok(Some(EventFields {
        event_type: Some("refund".to_owned()),
        event_id: Some(format!("refunds/create:{}", refund.id)),
        order_id: Some(refund.order_id.to_string()),
        timestamp: raw(&refund.created_at),
        conversion_value: raw(value.amount()),
        currency: Some(value.currency.to_string()),
        platform: Some("SHOPIFY".to_owned()),
        ..EventFields::default()
    }))
}

/// Transactions are in the currency that the buyer paid in
/// (<https://shopify.dev/docs/api/admin-rest/latest/resources/transaction>), orders count in the shop's: what a refund is for says both.
fn reasons(refund: &Refund) -> Reasons<'_> {
    let adjusted = refund.order_adjustments.iter();
    Reasons {
        lines: refund.refund_line_items.iter().filter_map(|line| line.subtotal_set.as_ref()).collect(),
        taxes: refund.refund_line_items.iter().filter_map(|line| line.total_tax_set.as_ref()).collect(),
        adjustments: adjusted.flat_map(|one| [&one.amount_set, &one.tax_amount_set]).flatten().collect(),
    }
}
