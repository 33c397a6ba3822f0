//! Stripe: sales and what is given back. `Stripe-Signature: t=<seconds>,v1=<hex>`, HMAC-SHA256 over `t.body`
//! (<https://docs.stripe.com/webhooks>). An order goes by its payment intent, so that a checkout, its intent and its charge are one sale.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::adapter::{
    Adapter, Attached, Authentic, Doubt, Post, Rejected, Request, SignedHeaders, attached, bad_field, identify,
    json_doubt, raw, unknown_kind,
};
use super::amounts::decimal;
use super::signing::{sha256, timed, verify_timed};
use super::{EventFields, Parsed};
use crate::base::Currency;
use crate::base::limits::{DELIVERY_ID_BYTES_MAX, WEBHOOK_SIGNATURES_MAX};

const HEADER: &str = "stripe-signature";
/// The tolerance of Stripe's own libraries, which do not mind a moment that is ahead.
const LATE_SECONDS_MAX: i64 = 300;
/// Releases of the interface that we have read: those named by a date alone, to the last of them, and those with a name.
const DATED_VERSION_MAX: &str = "2024-06-20";
const NAMED_VERSIONS: [&str; 5] = ["acacia", "basil", "clover", "dahlia", "endive"];
/// Currencies of which Stripe counts whole units (<https://docs.stripe.com/currencies#zero-decimal>). ISK and UGX are none of them,
/// for reasons of Stripe's past, and MGA is, for reasons of Madagascar's.
const WHOLE: [&str; 15] =
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"];
const THOUSANDTHS: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];

pub(super) struct Stripe;

#[derive(Deserialize)]
struct Envelope<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    created: u64,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
    #[serde(borrow, default)]
    previous_attributes: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Checkout {
    id: String,
    /// When it began, before anything was paid.
    #[serde(default)]
    created: Option<u64>,
    #[serde(default)]
    mode: Option<String>,
    payment_status: String,
    #[serde(default)]
    amount_total: Option<u64>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    client_reference_id: Option<String>,
    #[serde(default)]
    customer: Option<Reference>,
    #[serde(default)]
    payment_intent: Option<Reference>,
    #[serde(default)]
    metadata: Option<Attached>,
}

/// A charge or a payment intent.
#[derive(Deserialize)]
struct Payment {
    id: String,
    currency: String,
    #[serde(default)]
    amount: Option<u64>,
    #[serde(default)]
    amount_received: Option<u64>,
    /// Of a charge: whether the money was taken, or is only held.
    #[serde(default)]
    captured: Option<bool>,
    #[serde(default)]
    amount_captured: Option<u64>,
    #[serde(default)]
    amount_refunded: Option<u64>,
    #[serde(default)]
    customer: Option<Reference>,
    #[serde(default)]
    payment_intent: Option<Reference>,
    #[serde(default)]
    metadata: Option<Attached>,
}

#[derive(Deserialize)]
struct Before {
    #[serde(default)]
    amount_refunded: Option<u64>,
}

#[derive(Deserialize)]
struct Dispute {
    id: String,
    status: String,
    amount: u64,
    currency: String,
    #[serde(default)]
    charge: Option<Reference>,
    #[serde(default)]
    payment_intent: Option<Reference>,
}

/// Another object: by its identifier, or as a whole where the sender has it expanded.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reference {
    Id(String),
    Object { id: String },
}

impl Reference {
    fn into_id(self) -> String {
        match self {
            Self::Id(id) | Self::Object { id } => id,
        }
    }
}

impl Adapter for Stripe {
    fn proof_header(&self) -> &'static str {
        HEADER
    }

    fn sign(&self, key: &[u8], _delivery_id: &str, now: DateTime<Utc>, raw: &[u8]) -> SignedHeaders {
        let sent_at = now.timestamp().to_string();
        let mac = sha256(key, &[sent_at.as_bytes(), b".", raw]);
        vec![(HEADER, format!("t={sent_at},v1={}", hex::encode(mac)))]
    }

    fn verify(&self, keys: &[&[u8]], request: &Request<'_>) -> Result<Authentic, Rejected> {
        #[derive(Deserialize)]
        struct Named {
            id: String,
        }
        let found = timed(request.headers, HEADER, "v1", WEBHOOK_SIGNATURES_MAX);
        verify_timed(keys, request, found, LATE_SECONDS_MAX)?;
        // Signed with the rest: so an event of a kind that we do not know is one event too, however often it is sent.
        let named = serde_json::from_slice::<Named>(request.raw).ok().map(|named| named.id);
        Ok(Authentic { delivery_id: named.filter(|id| (1..=DELIVERY_ID_BYTES_MAX).contains(&id.len())) })
    }

    fn schema_version(&self, post: &Post<'_>) -> Option<String> {
        #[derive(Deserialize)]
        struct Versioned {
            api_version: Option<String>,
        }
        post.json::<Versioned>().ok()?.api_version
    }

    fn knows_version(&self, version: &str) -> bool {
        match version.split_once('.') {
            Some((_, name)) => NAMED_VERSIONS.contains(&name),
            None => version <= DATED_VERSION_MAX,
        }
    }

    fn parse(&self, post: &Post<'_>) -> Parsed {
        post.one(post.json::<Envelope<'_>>().and_then(|event| read(&event)))
    }
}

fn read(event: &Envelope<'_>) -> Result<Option<EventFields>, Doubt> {
    let found = match event.kind.as_str() {
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => checkout(event)?,
        "payment_intent.succeeded" | "charge.succeeded" | "charge.captured" => sale(object(event)?)?,
        "charge.refunded" => refund(event)?,
        "charge.dispute.closed" => dispute(object(event)?)?,
        // Money has not moved for good yet, or has not moved at all.
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated"
        | "charge.pending"
        | "charge.failed"
        | "charge.expired"
        | "charge.updated"
        | "checkout.session.expired"
        | "checkout.session.async_payment_failed"
        | "payment_intent.created"
        | "payment_intent.processing"
        | "payment_intent.requires_action"
        | "payment_intent.payment_failed"
        | "payment_intent.canceled" => None,
        other => return Err(unknown_kind(other)),
    };
    Ok(found.map(|mut fields| {
        fields.event_id = Some(event.id.clone());
        fields.timestamp = fields.timestamp.or_else(|| raw(event.created));
        fields.platform = Some("STRIPE".to_owned());
        fields
    }))
}

fn object<T: DeserializeOwned>(event: &Envelope<'_>) -> Result<T, Doubt> {
    serde_json::from_str(event.data.object.get()).map_err(|error| json_doubt(&error))
}

fn checkout(event: &Envelope<'_>) -> Result<Option<EventFields>, Doubt> {
    let session: Checkout = object(event)?;
    if session.mode.as_deref() == Some("subscription") {
        return Ok(if event.kind == "checkout.session.completed" { subscriber(session) } else { None });
    }
    let (Some(amount), Some(currency)) = (session.amount_total, &session.currency) else {
        // A session that only keeps a card for later sells nothing.
        return Ok(None);
    };
    match session.payment_status.as_str() {
        // What is paid later comes as `async_payment_succeeded`.
        "unpaid" => return Ok(None),
        "paid" | "no_payment_required" => {}
        _ => return Err(bad_field("data.object.payment_status", "paid, unpaid or no_payment_required")),
    }
    let mut fields = EventFields { event_type: Some("conversion".to_owned()), ..EventFields::default() };
    let order_id = session.payment_intent.map_or(session.id, Reference::into_id);
    buyer(&mut fields, session.metadata.as_ref(), session.customer, &order_id);
    fields.user_id = fields.user_id.or(session.client_reference_id.filter(|id| !id.is_empty()));
    fields.order_id = Some(order_id);
    value(&mut fields, amount, currency)?;
    Ok(Some(fields))
}

/// A subscription's money is told by its charges, this month's and all later ones, which say no more of the buyer than the customer. So its
/// checkout tells who that customer is and what led there, at the moment that it began: before the first charge.
fn subscriber(session: Checkout) -> Option<EventFields> {
    let customer = session.customer.map(Reference::into_id).filter(|id| !id.is_empty())?;
    let mut fields = EventFields::default();
    if let Some(metadata) = &session.metadata {
        identify(&mut fields, |name| attached(metadata, name));
    }
    fields.user_id = fields.user_id.or(session.client_reference_id.filter(|id| !id.is_empty()));
    fields.anonymous_id = Some(format!("stripe:{customer}"));
    let has_led = fields.link_token.is_some() || fields.creator_id.is_some();
    let event_type = match fields.user_id {
        Some(_) if !has_led => "identify",
        None if !has_led && fields.click_id.is_none() => return None,
        _ => "open",
    };
    fields.event_type = Some(event_type.to_owned());
    fields.timestamp = session.created.and_then(raw);
    Some(fields)
}

fn sale(payment: Payment) -> Result<Option<EventFields>, Doubt> {
    if payment.captured == Some(false) {
        // The money is held and may never be taken: `charge.captured`, or the intent, says when it is.
        return Ok(None);
    }
    let amount = payment.amount_received.or(payment.amount_captured).or(payment.amount);
    let amount = amount.ok_or_else(|| bad_field("data.object.amount", "a whole number of minor units"))?;
    let mut fields = EventFields { event_type: Some("conversion".to_owned()), ..EventFields::default() };
    let order_id = payment.payment_intent.map_or(payment.id, Reference::into_id);
    buyer(&mut fields, payment.metadata.as_ref(), payment.customer, &order_id);
    fields.order_id = Some(order_id);
    value(&mut fields, amount, &payment.currency)?;
    Ok(Some(fields))
}

/// A charge says what was given back of it in all; what was given back this time is the difference to what it said before.
fn refund(event: &Envelope<'_>) -> Result<Option<EventFields>, Doubt> {
    let charge: Payment = object(event)?;
    if charge.captured == Some(false) {
        // What was only held is let go: there was no sale.
        return Ok(None);
    }
    let before = event.data.previous_attributes.map(|text| serde_json::from_str::<Before>(text.get()));
    let before = before.transpose().map_err(|error| json_doubt(&error))?.and_then(|before| before.amount_refunded);
    let missing = || bad_field("data.previous_attributes.amount_refunded", "what was refunded before");
    let amount = charge.amount_refunded.zip(before).and_then(|(now, before)| now.checked_sub(before));
    let amount = amount.ok_or_else(missing)?;
    if amount == 0 {
        return Ok(None);
    }
    let order_id = charge.payment_intent.map_or(charge.id, Reference::into_id);
    Ok(Some(given_back(order_id, amount, &charge.currency)?))
}

/// A dispute that is lost is a refund that nobody was asked about. While it is open the sale stands.
fn dispute(dispute: Dispute) -> Result<Option<EventFields>, Doubt> {
    match dispute.status.as_str() {
        "lost" => {}
        "won" | "warning_closed" | "prevented" => return Ok(None),
        _ => return Err(bad_field("data.object.status", "how a dispute ends")),
    }
    let order_id = dispute.payment_intent.or(dispute.charge).map_or(dispute.id, Reference::into_id);
    Ok(Some(given_back(order_id, dispute.amount, &dispute.currency)?))
}

fn given_back(order_id: String, amount: u64, currency: &str) -> Result<EventFields, Doubt> {
    let event_type = Some("refund".to_owned());
    let mut fields = EventFields { event_type, order_id: Some(order_id), ..EventFields::default() };
    value(&mut fields, amount, currency)?;
    Ok(fields)
}

/// Who bought: as the shop says in the metadata, else the customer, else whoever this one payment is from.
fn buyer(fields: &mut EventFields, metadata: Option<&Attached>, customer: Option<Reference>, order_id: &str) {
    if let Some(metadata) = metadata {
        identify(fields, |name| attached(metadata, name));
    }
    let customer = customer.map(Reference::into_id).filter(|id| !id.is_empty());
    let named = fields.anonymous_id.take();
    fields.anonymous_id = named.or_else(|| Some(format!("stripe:{}", customer.as_deref().unwrap_or(order_id))));
}

fn value(fields: &mut EventFields, amount: u64, currency: &str) -> Result<(), Doubt> {
    let code = currency.to_ascii_uppercase();
    Currency::from_str(&code)
        .map_err(|_error: crate::base::MoneyError| bad_field("data.object.currency", "a code of ISO 4217"))?;
    let exponent = match code.as_str() {
        code if WHOLE.contains(&code) => 0,
        code if THOUSANDTHS.contains(&code) => 3,
        _ => 2,
    };
    fields.conversion_value = raw(decimal(amount, exponent));
    fields.currency = Some(code);
    Ok(())
}
