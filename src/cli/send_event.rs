//! `grapevine send-event`: one test event, signed with the source's secret as its sender would sign it, sent through the real door.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};

use super::context::Context;
use super::post::post_json;
use crate::base::{Error, Kind, Result};
use crate::ingest::{Source, source_by_slug};
use crate::platforms::sign;

#[derive(Args)]
pub struct SendEvent {
    /// Address of the webhook source, or only its slug: the last part of the address
    #[arg(long, value_name = "SLUG")]
    source: String,
    /// click, view, install, open, signup, activation, conversion, refund or identify
    #[arg(long = "type", value_name = "TYPE", default_value = "conversion")]
    event_type: String,
    /// Handle or identifier of the creator
    #[arg(long, value_name = "CREATOR")]
    creator: Option<String>,
    /// Slug or identifier of the campaign
    #[arg(long, value_name = "CAMPAIGN")]
    campaign: Option<String>,
    /// The buyer's or member's identifier in your system
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The visitor's identifier before signing in
    #[arg(long, value_name = "ID")]
    anonymous: Option<String>,
    /// Token of the link that was followed
    #[arg(long, value_name = "TOKEN")]
    link_token: Option<String>,
    /// Who invited, as your system names them
    #[arg(long, value_name = "ID")]
    referrer: Option<String>,
    /// Order that is bought or refunded
    #[arg(long, value_name = "ID")]
    order: Option<String>,
    /// Value, as a decimal number
    #[arg(long, value_name = "AMOUNT")]
    value: Option<String>,
    /// Currency of the value [default: the brand's]
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// The sender's identifier of the event: sent twice, it counts once [default: a new one]
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    /// When it happened, in RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Where to send it [default: the source's address, else public_url]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
}

impl SendEvent {
    pub async fn run(self, context: &Context) -> Result<ExitCode> {
        let app = context.app().await?;
        let (home, slug) = match self.source.rsplit_once("/webhooks/") {
            Some((home, slug)) => (Some(home), slug),
            None => (None, self.source.as_str()),
        };
        let source = source_by_slug(&mut *app.db.conn().await?, &app.keyring, slug).await?;
        let source = source.ok_or_else(|| {
            Error::not_found(&["source"], "There is no such source: pass the last part of its webhook address.")
        })?;
        if source.scheme.is_platform() {
            let message = "This source takes what its platform posts: send test events from the platform's dashboard.";
            return Err(Error::invalid(&["source"], message));
        }
        let body = Value::Object(self.body(context, &source)).to_string().into_bytes();
        let (now, delivery_id) = (context.env.now(), Kind::Event.id(context.env.new_id()));
        let keys = source.keys(now);
        let key = keys.first().ok_or_else(|| Error::fault("signing the event", "the source has no secret"))?;
        let headers = sign(source.scheme, key, &delivery_id, now, &body);
        let base = self.to.as_deref().or(home).unwrap_or(&app.settings.public_url).trim_end_matches('/');
        let url = format!("{base}/webhooks/{slug}");
        let (status, answer) = post_json(&url, headers, body).await?;
        println!("{status} {answer}");
        Ok(if (200..300).contains(&status) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn body(&self, context: &Context, source: &Source) -> Map<String, Value> {
        let event_id = self.event_id.clone().unwrap_or_else(|| Kind::Event.id(context.env.new_id()));
        let currency = self.currency.clone().or_else(|| {
            self.value.as_ref()?;
            Some(source.scope.currency.as_str().to_owned())
        });
        let fields = [
            ("event_type", Some(self.event_type.clone())),
            ("event_id", Some(event_id)),
            ("timestamp", Some(self.at.clone().unwrap_or_else(|| context.env.now().to_rfc3339()))),
            ("creator_id", self.creator.clone()),
            ("campaign", self.campaign.clone()),
            ("user_id", self.user.clone()),
            ("anonymous_id", self.anonymous.clone()),
            ("link_token", self.link_token.clone()),
            ("referrer_user_id", self.referrer.clone()),
            ("order_id", self.order.clone()),
            ("conversion_value", self.value.clone()),
            ("currency", currency),
        ];
        fields.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::String(text?)))).collect()
    }
}
