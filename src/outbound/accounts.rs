//! Creators' accounts as their platforms show them: whether they are there, who follows them, and whether they are the creator's. That is
//! so once the account's public description has held the code that we gave the creator: only who controls the account can put it there.

use chrono::TimeDelta;

use super::client::Unanswered;
use super::{Outbound, store};
use crate::access::{Keyring, Scope};
use crate::base::limits::{ACCOUNT_HOURS_MAX, ACCOUNT_RETRY_MINUTES, ACCOUNTS_PER_ROUND_MAX};
use crate::base::{Env, Result};
use crate::config::PlatformSettings;
use crate::creators::{Platform, PlatformAccount};
use crate::db::Db;
use crate::platforms::profiles::{ASKED, Profile, Subject, answer, question};

/// The code that proves whose an account is. It follows from brand, creator and account: nobody can use another's.
#[must_use]
pub fn verification_code(keyring: &Keyring, scope: &Scope, account: &PlatformAccount) -> String {
    let named = format!("{} {} {}", account.creator_id, account.platform.as_str(), account.external_id);
    format!("gv-{}", hex::encode(&keyring.hash(scope.brand_id, "account code", &named)[..5]))
}

/// What is asked and kept with.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    pub outbound: &'a Outbound,
    pub settings: &'a PlatformSettings,
    pub db: &'a Db,
    pub env: &'a Env,
    pub keyring: &'a Keyring,
}

impl Desk<'_> {
    /// Asks the platform about an account and keeps what it says. Where it cannot be asked or does not answer, all stays as it is; the
    /// worker asks again.
    pub async fn refresh_account(&self, scope: &Scope, account: &PlatformAccount) -> Result<Option<Unanswered>> {
        let subject = Subject { external_id: &account.external_id, username: account.username.as_deref() };
        let Some(question) = question(self.settings, account.platform, subject) else { return Ok(None) };
        let Some(client) = self.outbound.client(account.platform) else { return Ok(None) };
        let answer = client.ask(&question, |status, body| answer(account.platform, subject, status, body)).await;
        self.outbound.keep_health(self.db, self.env, client, answer.as_ref().err()).await?;
        match answer {
            Ok(found) => {
                let code = verification_code(self.keyring, scope, account);
                let is_shown = |profile: &Profile| profile.description.contains(&code);
                let seen = store::Seen {
                    account_id: account.id,
                    is_there: found.is_some(),
                    has_code: found.as_ref().is_some_and(is_shown),
                    username: found
                        .as_ref()
                        .and_then(|profile| profile.username.as_deref().filter(|name| is_name(name))),
                    follower_count: found.as_ref().and_then(|profile| profile.follower_count),
                };
                store::keep_seen(&mut *self.db.conn().await?, scope, &seen, self.env.now()).await?;
                Ok(None)
            }
            Err(unanswered) => {
                tracing::info!(platform = account.platform.as_str(), reason = %unanswered, "a platform was not heard about an account");
                Ok(Some(unanswered))
            }
        }
    }

    /// Asks about the accounts of a brand that a platform said nothing of for a day, those first that were not asked about for longest. A
    /// platform in trouble is left alone for this round. Returns how many were answered about.
    pub async fn refresh_due(&self, scope: &Scope) -> Result<usize> {
        let nobody = Subject { external_id: "", username: None };
        let mut silent: Vec<Platform> = Vec::new();
        silent.extend(ASKED.iter().filter(|platform| question(self.settings, **platform, nobody).is_none()));
        let asked: Vec<&str> =
            ASKED.iter().filter(|platform| !silent.contains(platform)).map(|platform| platform.as_str()).collect();
        if asked.is_empty() {
            return Ok(0);
        }
        let now = self.env.now();
        let due = store::AccountsDue {
            now,
            checked_before: now - TimeDelta::hours(ACCOUNT_HOURS_MAX),
            asked_before: now - TimeDelta::minutes(ACCOUNT_RETRY_MINUTES),
            limit: ACCOUNTS_PER_ROUND_MAX,
        };
        // Claimed before the work: two workers do not ask about the same one, and one that is never answered about waits in line.
        let due = store::claim_accounts(&mut *self.db.conn().await?, scope, &asked, &due).await?;
        let mut count = 0;
        for account in due {
            if silent.contains(&account.platform) {
                continue;
            }
            match self.refresh_account(scope, &account).await? {
                Some(unanswered) if unanswered.is_outage() => silent.push(account.platform),
                Some(_) => {}
                None => count += 1,
            }
        }
        Ok(count)
    }
}

/// A name that can be kept: platforms let people call themselves anything.
fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= 200 && !name.chars().any(char::is_control)
}
