//! Share links: who shares what, until when. A token is 128 random bits and a keyed check, so that a guessed one costs no look-up.
//! It never counts: the pipeline does, from the events of the log. Start with [`generate`] and [`resolve`].

mod claim;
mod generate;
mod resolve;
mod store;
mod token;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::{Permission, Scope};
use crate::base::{Env, Error, Kind, Result};
use crate::creators::Platform;
use crate::db::Conn;
use crate::kv::Kv;
use crate::urls::with_chain;

pub use claim::{Claim, ClaimMethod, Claimed, claim};
pub use generate::{NewLink, NewOwner, generate};
pub use resolve::{Resolution, ResolvedLink, resolve};
pub use store::{by_ids, by_token, counts_of_creators, of_creators};
pub use token::check_token;

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
    pub campaign_id: Uuid,
    pub owner: Owner,
    pub platform: Platform,
    pub sub_id: Option<String>,
    pub destination_url: String,
    pub utm: Utm,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub click_count: i64,
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

    /// The destination with the identifier chain: utm_*, `creator_id`, `sub_id`, `gv_token`, and the click that led there. What
    /// the destination says under the same names is replaced.
    #[must_use]
    pub fn url(&self, click_id: Option<Uuid>) -> String {
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
        let chain: Vec<_> = chain.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        with_chain(&self.destination_url, &chain).map_or_else(|| self.destination_url.clone(), String::from)
    }

    /// The short address that people share.
    #[must_use]
    pub fn short_url(&self, public_url: &str) -> String {
        format!("{public_url}/r/{}", self.token)
    }
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
            campaign_id: Uuid::nil(),
            owner: Owner::Member(Uuid::nil()),
            platform: Platform::Web,
            sub_id: Some("a b&c".into()),
            destination_url: "https://shop.example/p?x=1&utm_source=old#top".into(),
            utm: Utm {
                source: "member".into(),
                medium: "referral".into(),
                campaign: "c".into(),
                content: None,
                term: None,
            },
            expires_at: None,
            revoked_at: None,
            click_count: 0,
            signup_count: 0,
            conversion_count: 0,
            created_at: DateTime::default(),
        };
        let expected = "https://shop.example/p?x=1&utm_source=member&utm_medium=referral&utm_campaign=c&sub_id=a+b%26c&gv_token=t#top";
        assert_eq!(link.url(None), expected);
    }
}
