//! A sender's fields become a canonical event, or a reason why not. Pure: the names that it needs are looked up before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::value::RawValue;
use url::Url;
use uuid::Uuid;

use super::Origin;
use super::item::{Content, Item};
use crate::access::Keyring;
use crate::base::limits::{
    EVENT_TEXT_BYTES_MAX, EVENT_URL_BYTES_MAX, PROPERTIES_BYTES_MAX, PROPERTY_NAME_BYTES_MAX, PROPERTY_VALUE_BYTES_MAX,
};
use crate::base::{Currency, Kind, Money};
use crate::creators::Platform;
use crate::events::{AgentClass, Event, EventType, Hash16};
use crate::platforms::{EventFields, user_agents};
use crate::urls::{Channel, Identifiers, channel_of};

/// How far ahead of our clock a sender's may be.
const AHEAD_MINUTES_MAX: i64 = 5;
/// How old a live event may be; history comes through an import.
const AGE_DAYS_MAX: i64 = 90;
/// Keyed hashes of addresses change their key this often.
const ADDRESS_KEY_DAYS: i64 = 90;

/// A reason to quarantine: a code of `docs/errors.md` and a sentence.
pub(super) type Doubt = (&'static str, String);

/// What the names in a group of events stand for, each by brand.
#[derive(Default)]
pub(super) struct Directory {
    /// By handle and by identifier.
    pub creators: HashMap<(Uuid, String), Uuid>,
    /// By slug and by identifier.
    pub campaigns: HashMap<(Uuid, String), Uuid>,
    pub links: HashMap<(Uuid, String), LinkEntry>,
    /// Creators by their accounts on platforms.
    pub accounts: HashMap<(Uuid, Platform, String), Uuid>,
    /// Brands that keep what their events say beyond our vocabulary.
    pub keepers: HashSet<Uuid>,
}

/// The account on a platform that an event names in place of a creator.
pub(super) fn account_of(fields: &EventFields) -> Option<(Platform, &str)> {
    Some((Platform::parse(fields.platform.as_deref()?)?, fields.account_id.as_deref()?))
}

/// What an event needs to know of its link.
#[derive(Clone, Debug)]
pub(super) struct LinkEntry {
    pub id: Uuid,
    pub campaign_id: Uuid,
    pub creator_id: Option<Uuid>,
    pub member_id: Option<Uuid>,
    pub platform: Platform,
    pub sub_id: Option<String>,
    pub channel: Channel,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// The fields with what their URL says, before names are resolved.
pub(super) struct Draft {
    pub fields: EventFields,
    /// What the URL says; nothing where there is none.
    pub address: Identifiers,
    /// The campaign that the URL names, in lower case as slugs are.
    pub utm_campaign: Option<String>,
    /// Why the URL cannot be read.
    pub wrong_url: Option<Doubt>,
    /// Whether it is the URL that names the creator.
    pub is_creator_of_url: bool,
}

/// Reads the URL's identifier chain into the fields that are not given otherwise.
pub(super) fn draft(mut fields: EventFields) -> Draft {
    let (address, wrong_url) = match fields.url.as_deref().filter(|url| !url.is_empty()).map(read_url) {
        None => (Identifiers::default(), None),
        Some(Ok(address)) => (address, None),
        Some(Err(doubt)) => (Identifiers::default(), Some(doubt)),
    };
    let is_creator_of_url = fields.creator_id.is_none();
    for (field, value) in [
        (&mut fields.creator_id, &address.creator_id),
        (&mut fields.sub_id, &address.sub_id),
        (&mut fields.click_id, &address.gv_click),
        (&mut fields.link_token, &address.gv_token),
    ] {
        if field.is_none() {
            *field = value.clone().filter(|value| !value.is_empty());
        }
    }
    fields.creator_id = fields.creator_id.map(|creator| creator.trim().to_lowercase());
    let utm_campaign = address.utm_campaign.as_ref().map(|name| name.trim().to_lowercase());
    Draft { fields, utm_campaign: utm_campaign.filter(|name| is_text(name)), address, wrong_url, is_creator_of_url }
}

fn read_url(text: &str) -> Result<Identifiers, Doubt> {
    if text.len() > EVENT_URL_BYTES_MAX {
        return Err(("BAD_URL", format!("url has more than {EVENT_URL_BYTES_MAX} bytes.")));
    }
    let wrong = |error: url::ParseError| {
        ("BAD_URL", format!("url is not an absolute address: {error}. Pass it with its scheme."))
    };
    Ok(Identifiers::read(&Url::parse(text).map_err(wrong)?))
}

/// What the rules need beside the event itself.
pub(super) struct Bench<'a> {
    pub directory: &'a Directory,
    pub keyring: &'a Keyring,
    pub now: DateTime<Utc>,
}

impl Bench<'_> {
    /// The canonical event of what was posted, and how it is written, or why it cannot be used. How old it is counts from when it
    /// was `received`: it does not grow too old while it waits to be taken in again.
    pub fn judge(&self, item: &Item<'_>, received: DateTime<Utc>) -> Result<(Event, serde_json::Value), Doubt> {
        let event = match &item.content {
            Content::Draft(draft) => self.event(item.origin, draft, received)?,
            Content::Unreadable(code, reason) => return Err((*code, reason.clone())),
        };
        let wrong = |error: serde_json::Error| ("BAD_FIELD", format!("The event could not be kept: {error}."));
        let payload = serde_json::to_value(&event).map_err(wrong)?;
        Ok((event, payload))
    }

    fn event(&self, origin: &Origin, draft: &Draft, received: DateTime<Utc>) -> Result<Event, Doubt> {
        let fields = &draft.fields;
        if let Some(doubt) = &draft.wrong_url {
            return Err(doubt.clone());
        }
        check_texts(fields)?;
        let event_type = event_type(fields)?;
        let occurred_at = self.occurred_at(origin, received, fields.timestamp.as_deref())?;
        let link = self.link(origin, fields, event_type, occurred_at)?;
        let currency = currency(origin, fields)?;
        let event = Event {
            event_type,
            occurred_at,
            creator_id: self.creator(origin, draft)?.or(link.and_then(|link| link.creator_id)),
            campaign_id: self.campaign(origin, draft, link.is_some())?.or(link.map(|link| link.campaign_id)),
            link_id: link.map(|link| link.id),
            referrer_id: link.and_then(|link| link.member_id),
            referrer_user_id: fields.referrer_user_id.clone(),
            user_id: fields.user_id.clone(),
            anonymous_hash: self.hash(origin, "anonymous", fields.anonymous_id.as_deref()),
            click_id: click_id(fields)?,
            order_id: fields.order_id.clone(),
            value_minor: value(fields, currency)?,
            currency: fields.conversion_value.is_some().then(|| currency.to_string()),
            platform: platform(fields)?.or(link.map(|link| link.platform)),
            sub_id: fields.sub_id.clone().or(link.and_then(|link| link.sub_id.clone())),
            channel: link.map(|link| link.channel).or_else(|| draft.address.channel()),
            ad_clicks: draft.address.ad_clicks.clone(),
            ip_hash: self.address_hash(origin, fields, occurred_at)?,
            device_hash: self.hash(origin, "device", fields.device_id.as_deref()),
            agent_class: fields.user_agent.as_deref().map_or(AgentClass::Unknown, user_agents::classify),
            has_consent: fields.consent.as_ref().and_then(|consent| consent.attribution).unwrap_or(true),
            properties: properties(fields)?.filter(|_| self.directory.keepers.contains(&origin.scope.brand_id)),
        };
        check_complete(&event)?;
        Ok(event)
    }

    fn occurred_at(
        &self,
        origin: &Origin,
        received: DateTime<Utc>,
        timestamp: Option<&RawValue>,
    ) -> Result<DateTime<Utc>, Doubt> {
        let Some(timestamp) = timestamp.filter(|value| value.get() != "null") else { return Ok(received) };
        let wrong = "Pass timestamp as RFC 3339, Unix seconds or Unix milliseconds.";
        let time = parse_time(timestamp.get()).ok_or(("BAD_TIMESTAMP", wrong.to_owned()))?;
        if time > self.now + TimeDelta::minutes(AHEAD_MINUTES_MAX) {
            return Err((
                "TIMESTAMP_IN_FUTURE",
                format!("The timestamp is over {AHEAD_MINUTES_MAX} minutes ahead of our clock."),
            ));
        }
        if !origin.is_import && time < received - TimeDelta::days(AGE_DAYS_MAX) {
            return Err((
                "TIMESTAMP_TOO_OLD",
                format!("Events older than {AGE_DAYS_MAX} days come through an import."),
            ));
        }
        Ok(time)
    }

    fn creator(&self, origin: &Origin, draft: &Draft) -> Result<Option<Uuid>, Doubt> {
        let Some(name) = &draft.fields.creator_id else { return self.account_holder(origin, &draft.fields) };
        let found = self.directory.creators.get(&(origin.scope.brand_id, name.clone())).copied();
        let place = if draft.is_creator_of_url { "creator_id in url" } else { "creator_id" };
        found.map(Some).ok_or_else(|| ("UNKNOWN_CREATOR", format!("{place} names no creator of this brand.")))
    }

    fn account_holder(&self, origin: &Origin, fields: &EventFields) -> Result<Option<Uuid>, Doubt> {
        let Some((platform, id)) = account_of(fields) else { return Ok(None) };
        let found = self.directory.accounts.get(&(origin.scope.brand_id, platform, id.to_owned())).copied();
        let unknown = || format!("No creator of this brand has this account on {}: connect it.", platform.as_str());
        found.map(Some).ok_or_else(|| ("UNKNOWN_CREATOR", unknown()))
    }

    /// A link says its own campaign, whatever became of the address on the way.
    fn campaign(&self, origin: &Origin, draft: &Draft, has_link: bool) -> Result<Option<Uuid>, Doubt> {
        let find = |name: &String| self.directory.campaigns.get(&(origin.scope.brand_id, name.clone())).copied();
        match &draft.fields.campaign {
            Some(name) => {
                let unknown = || ("UNKNOWN_CAMPAIGN", "campaign names no campaign of this brand.".to_owned());
                find(name).map(Some).ok_or_else(unknown)
            }
            // A brand's mails and advertisements have campaigns that are none of ours. Where the address carries our identifiers, its
            // campaign must be.
            None => match draft.utm_campaign.as_ref().map(find) {
                Some(None) if draft.address.is_ours() && !has_link => {
                    Err(("UNKNOWN_CAMPAIGN", "utm_campaign in url names no campaign of this brand.".to_owned()))
                }
                found => Ok(found.flatten()),
            },
        }
    }

    fn link(
        &self,
        origin: &Origin,
        fields: &EventFields,
        event_type: EventType,
        occurred_at: DateTime<Utc>,
    ) -> Result<Option<&LinkEntry>, Doubt> {
        let Some(token) = &fields.link_token else { return Ok(None) };
        let found = self.directory.links.get(&(origin.scope.brand_id, token.clone()));
        let link = found.ok_or_else(|| ("UNKNOWN_LINK", "link_token names no link of this brand.".to_owned()))?;
        let is_touch = matches!(event_type, EventType::Click | EventType::View | EventType::Open | EventType::Install);
        let ended = [link.expires_at, link.revoked_at].into_iter().flatten().any(|end| end <= occurred_at);
        // What follows a click may come long after it; the click itself needs a live link.
        if is_touch && ended {
            return Err(("LINK_ENDED", "The link had expired or was revoked when this happened.".to_owned()));
        }
        Ok(Some(link))
    }

    fn hash(&self, origin: &Origin, purpose: &str, value: Option<&str>) -> Option<Hash16> {
        let value = value.filter(|value| !value.is_empty())?;
        Some(Hash16(self.keyring.hash(origin.scope.brand_id, purpose, value)))
    }

    /// An IPv4 address, or the /64 network of an IPv6 one, under a key that changes with the quarter.
    fn address_hash(&self, origin: &Origin, fields: &EventFields, at: DateTime<Utc>) -> Result<Option<Hash16>, Doubt> {
        let Some(ip) = fields.ip.as_deref() else { return Ok(None) };
        let wrong = |_: std::net::AddrParseError| ("BAD_FIELD", "ip is not an IPv4 or IPv6 address.".to_owned());
        let address = match ip.trim().parse::<IpAddr>().map_err(wrong)?.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("{:x?}", &address.segments()[..4]),
        };
        let purpose = format!("ip {}", at.timestamp() / 86_400 / ADDRESS_KEY_DAYS);
        Ok(self.hash(origin, &purpose, Some(&address)))
    }
}

/// Whether every text is one that can be looked up and kept.
fn check_texts(fields: &EventFields) -> Result<(), Doubt> {
    let texts = [
        ("event_id", &fields.event_id),
        ("creator_id", &fields.creator_id),
        ("campaign", &fields.campaign),
        ("sub_id", &fields.sub_id),
        ("user_id", &fields.user_id),
        ("anonymous_id", &fields.anonymous_id),
        ("link_token", &fields.link_token),
        ("click_id", &fields.click_id),
        ("referrer_user_id", &fields.referrer_user_id),
        ("order_id", &fields.order_id),
        ("device_id", &fields.device_id),
        ("account_id", &fields.account_id),
    ];
    for (name, text) in texts {
        let Some(text) = text else { continue };
        if !is_text(text) {
            let expected = format!(
                "Pass {name} as 1 to {EVENT_TEXT_BYTES_MAX} bytes without control characters, or leave it out."
            );
            return Err(("BAD_FIELD", expected));
        }
    }
    Ok(())
}

/// The channel group of a link of ours: the platform that it is shared on counts as its source, where that is a site.
pub(super) fn channel_of_link(platform: Platform, utm_source: &str, utm_medium: &str, utm_campaign: &str) -> Channel {
    let source = match platform {
        Platform::Instagram => "instagram",
        Platform::Tiktok => "tiktok",
        Platform::Youtube => "youtube",
        _ => utm_source,
    };
    channel_of(source, utm_medium, utm_campaign)
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= EVENT_TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

fn event_type(fields: &EventFields) -> Result<EventType, Doubt> {
    let names: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
    let expected = || ("UNKNOWN_EVENT_TYPE", format!("Pass event_type as one of {}.", names.join(", ")));
    fields.event_type.as_deref().and_then(EventType::parse).ok_or_else(expected)
}

fn platform(fields: &EventFields) -> Result<Option<Platform>, Doubt> {
    let Some(name) = fields.platform.as_deref() else { return Ok(None) };
    let names: Vec<&str> = Platform::ALL.iter().map(|platform| platform.as_str()).collect();
    let expected = || ("BAD_FIELD", format!("Pass platform as one of {}.", names.join(", ")));
    Platform::parse(&name.to_uppercase()).map(Some).ok_or_else(expected)
}

fn click_id(fields: &EventFields) -> Result<Option<Uuid>, Doubt> {
    let Some(text) = &fields.click_id else { return Ok(None) };
    let expected = || ("BAD_FIELD", "Pass click_id as the gv_click that the redirect gave.".to_owned());
    Kind::Event.parse(text).map(Some).ok_or_else(expected)
}

fn currency(origin: &Origin, fields: &EventFields) -> Result<Currency, Doubt> {
    match &fields.currency {
        Some(code) => code.trim().to_uppercase().parse().map_err(|error| ("BAD_CURRENCY", format!("{error}."))),
        None => Ok(origin.scope.currency),
    }
}

/// Reads the digits that were sent, whether they stand in a string or in a number.
fn value(fields: &EventFields, currency: Currency) -> Result<Option<i64>, Doubt> {
    let Some(raw) = fields.conversion_value.as_deref().filter(|raw| raw.get() != "null") else { return Ok(None) };
    let text = unquoted(raw.get());
    Money::parse(&text, currency).map(|money| Some(money.minor)).map_err(|error| ("BAD_VALUE", format!("{error}.")))
}

fn unquoted(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_: serde_json::Error| json.to_owned())
}

fn parse_time(json: &str) -> Option<DateTime<Utc>> {
    let text = unquoted(json);
    if text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 15 {
        let number: i64 = text.parse().ok()?;
        // Seconds reach this in the year 5138, milliseconds passed it in 1973.
        return if number < 100_000_000_000 {
            DateTime::from_timestamp(number, 0)
        } else {
            DateTime::from_timestamp_millis(number)
        };
    }
    let time = DateTime::parse_from_rfc3339(&text).ok()?.with_timezone(&Utc);
    (1970..=9999).contains(&chrono::Datelike::year(&time)).then_some(time)
}

/// Scalars as texts, numbers as they were written: a float would not compare exactly. What is nested or long cannot be asked for.
fn properties(fields: &EventFields) -> Result<Option<serde_json::Value>, Doubt> {
    let Some(raw) = fields.properties.as_deref().filter(|raw| raw.get() != "null") else { return Ok(None) };
    let expected =
        || ("BAD_FIELD", format!("Pass properties as a JSON object of at most {PROPERTIES_BYTES_MAX} bytes."));
    if raw.get().len() > PROPERTIES_BYTES_MAX || !raw.get().starts_with('{') || raw.get().contains("\\u0000") {
        return Err(expected());
    }
    let named: BTreeMap<String, &RawValue> =
        serde_json::from_str(raw.get()).map_err(|_error: serde_json::Error| expected())?;
    let kept = named.into_iter().filter_map(|(name, value)| {
        let is_scalar = !value.get().starts_with(['{', '[']) && value.get() != "null";
        let text = is_scalar.then(|| unquoted(value.get()))?;
        let fits = name.len() <= PROPERTY_NAME_BYTES_MAX && text.len() <= PROPERTY_VALUE_BYTES_MAX;
        fits.then_some((name, serde_json::Value::String(text)))
    });
    let kept: serde_json::Map<String, serde_json::Value> = kept.collect();
    Ok((!kept.is_empty()).then_some(serde_json::Value::Object(kept)))
}

fn check_complete(event: &Event) -> Result<(), Doubt> {
    let has_person = event.user_id.is_some() || event.anonymous_hash.is_some() || event.click_id.is_some();
    let missing = match event.event_type {
        EventType::Signup | EventType::Activation if event.user_id.is_none() => "user_id",
        EventType::Conversion if !has_person => "user_id, anonymous_id or click_id",
        EventType::Conversion | EventType::Refund if event.value_minor.is_none() => "conversion_value",
        EventType::Refund if event.order_id.is_none() => "order_id",
        EventType::Refund if event.value_minor == Some(0) => "a conversion_value above 0",
        EventType::Identify if event.user_id.is_none() => "user_id",
        EventType::Post if event.creator_id.is_none() => "creator_id",
        EventType::Identify if event.anonymous_hash.is_none() && event.click_id.is_none() => "anonymous_id or click_id",
        _ => return Ok(()),
    };
    Err(("MISSING_FIELD", format!("An event of type {} needs {missing}.", event.event_type.as_str())))
}
