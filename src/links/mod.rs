//! Share links: who shares what, until when. A token is 128 random bits and a keyed check, so that a guessed one costs no look-up.
//! It never counts: the pipeline does, from the events of the log. Start with [`generate`] and [`resolve`].

mod claim;
mod generate;
mod resolve;
mod store;
mod token;
mod visits;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::{Permission, Scope};
use crate::base::{Env, Error, Kind, Result};
use crate::brands::Home;
use crate::creators::Platform;
use crate::db::Conn;
use crate::kv::Kv;
use crate::urls::with_chain;

pub use claim::{Claim, ClaimMethod, Claimed, claim};
pub use generate::{NewLink, NewOwner, NewUtm, generate};
pub use resolve::{Place, Resolution, ResolvedLink, resolve, resolve_at};
pub use store::{by_ids, by_token, counts_of_creators, of_creators};
pub use token::check_token;
pub use visits::{forget_visits, note_visit};

/// Whose link it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Owner {
    Creator(Uuid),
    Member(Uuid),
}

/// The parameters that analytics tools read from the destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utm {
    pub source: String,
    pub medium: String,
    pub campaign: String,
    pub content: Option<String>,
    pub term: Option<String>,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub id: Uuid,
    pub token: String,
    /// A name that people can read, unique in the brand.
    pub slug: Option<String>,
    pub campaign_id: Uuid,
    pub owner: Owner,
    pub platform: Platform,
    pub sub_id: Option<String>,
    pub destination_url: String,
    /// Where iPhones and iPads are led instead.
    pub ios_url: Option<String>,
    /// Where Android devices are led instead.
    pub android_url: Option<String>,
    pub utm: Utm,
    /// Whether the first claim is the only one.
    #[serde(default)]
    pub is_single_use: bool,
    /// When a link of a single use was claimed.
    pub redeemed_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub click_count: i64,
    /// How often something looked without clicking: previews, prefetches, HEAD.
    #[serde(default)]
    pub view_count: i64,
    pub signup_count: i64,
    pub conversion_count: i64,
    pub created_at: DateTime<Utc>,
}

impl Link {
    /// The creator who owns the link, if a creator does.
    #[must_use]
    pub fn creator_id(&self) -> Option<Uuid> {
        match self.owner {
            Owner::Creator(id) => Some(id),
            Owner::Member(_) => None,
        }
    }

    /// The member who owns the link, if a member does.
    #[must_use]
    pub fn member_id(&self) -> Option<Uuid> {
        match self.owner {
            Owner::Member(id) => Some(id),
            Owner::Creator(_) => None,
        }
    }

    /// Where visitors with this kind of device are led: IOS, ANDROID, or anything else.
    #[must_use]
    pub fn destination(&self, device: Platform) -> &str {
        let own = match device {
            Platform::Ios => self.ios_url.as_deref(),
            Platform::Android => self.android_url.as_deref(),
            _ => None,
        };
        own.unwrap_or(&self.destination_url)
    }

    /// The destination for a kind of device with the identifier chain: utm_*, `creator_id`, `sub_id`, `gv_token`, and the click that led
    /// there. What the destination says under the same names is replaced.
    #[must_use]
    pub fn url(&self, device: Platform, click_id: Option<Uuid>) -> String {
        let chain = self.chain(click_id);
        let destination = self.destination(device);
        with_chain(destination, &chain).map_or_else(|| destination.to_owned(), String::from)
    }

    /// The identifier chain: what stands in a destination, and in an install referrer.
    #[must_use]
    pub fn chain(&self, click_id: Option<Uuid>) -> Vec<(&'static str, String)> {
        let chain = [
            ("utm_source", Some(self.utm.source.clone())),
            ("utm_medium", Some(self.utm.medium.clone())),
            ("utm_campaign", Some(self.utm.campaign.clone())),
            ("utm_content", self.utm.content.clone()),
            ("utm_term", self.utm.term.clone()),
            ("creator_id", self.creator_id().map(|id| Kind::Creator.id(id))),
            ("sub_id", self.sub_id.clone()),
            ("gv_token", Some(self.token.clone())),
            ("gv_click", click_id.map(|id| Kind::Event.id(id))),
        ];
        chain.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The short address that people share: by its name where it has one, under the brand's first host where it has any.
    #[must_use]
    pub fn short_url(&self, public_url: &str, home: &Home) -> String {
        format!("{}/r/{}", base_url(public_url, home), self.name(home))
    }

    /// The address of the short address as a QR code, as SVG.
    #[must_use]
    pub fn qr_url(&self, public_url: &str, home: &Home) -> String {
        format!("{}/qr/{}.svg", base_url(public_url, home), self.name(home))
    }

    /// The address that opens the app where it is installed, and leads to its store where it is not.
    #[must_use]
    pub fn invitation_url(&self, public_url: &str, home: &Home) -> String {
        format!("{}/invite/{}", base_url(public_url, home), self.name(home))
    }

    /// What tells the link from all others behind [`base_url`]. A brand's names are its own, so that on the installation's address its
    /// slug stands before them.
    fn name(&self, home: &Home) -> String {
        match &self.slug {
            None => self.token.clone(),
            Some(slug) if home.link_hosts.is_empty() => format!("{}/{slug}", home.brand_slug),
            Some(slug) => slug.clone(),
        }
    }
}

/// What the addresses of a brand's links begin with: its first host, else the installation's own address.
#[must_use]
pub fn base_url(public_url: &str, home: &Home) -> String {
    let scheme = if public_url.starts_with("http:") { "http" } else { "https" };
    home.link_hosts.first().map_or_else(|| public_url.to_owned(), |host| format!("{scheme}://{host}"))
}

/// Revokes a link; revoking twice keeps the first moment. Returns its token, for [`forget`] after the commit.
pub async fn revoke(conn: &mut Conn, scope: &Scope, env: &Env, id: Uuid) -> Result<String> {
    scope.require(Permission::WriteGrowth)?;
    let token = store::revoke(conn, scope, id, env.now()).await?;
    token.ok_or_else(|| Error::not_found(&["linkId"], "There is no such link."))
}

/// Makes every server read the link anew. Without Redis a revoked link resolves for the few minutes of the cache at most.
pub async fn forget(kv: &Kv, token: &str) {
    if let Err(error) = kv.forget_global(&resolve::cache_name(token)).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a revoked link could not be taken out of the cache");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identifier_chain_replaces_what_the_destination_says() {
        let link = Link {
            id: Uuid::nil(),
            token: "t".into(),
            slug: None,
            campaign_id: Uuid::nil(),
            owner: Owner::Member(Uuid::nil()),
            platform: Platform::Web,
            sub_id: Some("a b&c".into()),
            destination_url: "https://shop.example/p?x=1&utm_source=old#top".into(),
            ios_url: Some("https://shop.example/ios".into()),
            android_url: None,
            utm: Utm {
                source: "member".into(),
                medium: "referral".into(),
                campaign: "c".into(),
                content: None,
                term: None,
            },
            is_single_use: false,
            redeemed_at: None,
            expires_at: None,
            revoked_at: None,
            click_count: 0,
            view_count: 0,
            signup_count: 0,
            conversion_count: 0,
            created_at: DateTime::default(),
        };
        let expected = "https://shop.example/p?x=1&utm_source=member&utm_medium=referral&utm_campaign=c&sub_id=a+b%26c&gv_token=t#top";
        assert_eq!(link.url(Platform::Web, None), expected);
        assert_eq!(link.url(Platform::Android, None), expected);
        assert!(link.url(Platform::Ios, None).starts_with("https://shop.example/ios?utm_source=member&"));
        let home = |hosts: &[&str]| Home {
            brand_slug: "acme".into(),
            link_hosts: hosts.iter().map(ToString::to_string).collect(),
            has_app: false,
        };
        let public = "http://localhost:8080";
        assert_eq!(link.short_url(public, &home(&[])), "http://localhost:8080/r/t");
        let named = Link { slug: Some("spring".into()), ..link };
        assert_eq!(named.short_url(public, &home(&[])), "http://localhost:8080/r/acme/spring");
        assert_eq!(
            named.short_url("https://g.example", &home(&["go.acme.example"])),
            "https://go.acme.example/r/spring"
        );
        assert_eq!(named.qr_url("https://g.example", &home(&[])), "https://g.example/qr/acme/spring.svg");
    }
}
