//! `grapevine lint-url`: what an address with identifiers says, and what is wrong with it. Without `--brand` it asks no server.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::{Context, choose_brand};
use crate::access::Scope;
use crate::base::{Error, Kind, Result};
use crate::db::{Conn, Db};
use crate::urls::{CHAIN, Finding, Identifiers, Severity, lint};
use crate::{brands, campaigns, creators, links};

#[derive(Args)]
pub struct LintUrl {
    /// The address, in quotes
    url: String,
    /// Also look up its host, creator, campaign and link in the brand of this slug
    #[arg(long, value_name = "SLUG")]
    brand: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl LintUrl {
    /// The code is 1 where the address has an error.
    pub async fn run(self, context: &Context) -> Result<ExitCode> {
        let (identifiers, findings) = match &self.brand {
            None => lint(&self.url, &[]),
            Some(slug) => {
                let db = Db::connect(&context.database_url().await?, 1)?;
                let conn = &mut *db.conn().await?;
                let scope = choose_brand(conn, Some(slug)).await?.scope();
                look_up(conn, &scope, &self.url).await?
            }
        };
        self.print(identifiers.as_ref(), &findings)?;
        let is_wrong = findings.iter().any(|finding| finding.severity == Severity::Error);
        Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn print(&self, identifiers: Option<&Identifiers>, findings: &[Finding]) -> Result<()> {
        let found: Vec<(&str, &str)> = identifiers.into_iter().flat_map(named).collect();
        let channel = identifiers.and_then(Identifiers::channel).map_or("unknown", |channel| channel.as_str());
        if self.json {
            let found: serde_json::Map<String, serde_json::Value> =
                found.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
            let answer = json!({ "identifiers": found, "channel": channel, "findings": findings });
            let text = serde_json::to_string_pretty(&answer);
            println!("{}", text.map_err(|error| Error::fault("writing the findings as JSON", error))?);
            return Ok(());
        }
        for (name, value) in found {
            println!("{name:<18}{value:?}");
        }
        println!("{:<18}{channel}", "channel");
        for finding in findings {
            println!("{}: {}", finding.severity.as_str(), finding.message);
        }
        Ok(())
    }
}

/// Everything that the address carries, by name.
fn named(identifiers: &Identifiers) -> impl Iterator<Item = (&str, &str)> {
    let chain = CHAIN.into_iter().filter_map(|name| Some((name, identifiers.get(name)?)));
    chain.chain(identifiers.ad_clicks.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// The same, and whether the brand knows what the address names.
async fn look_up(conn: &mut Conn, scope: &Scope, url: &str) -> Result<(Option<Identifiers>, Vec<Finding>)> {
    let hosts = brands::settings(conn, scope).await?.allowed_hosts;
    let (identifiers, mut findings) = lint(url, &hosts);
    let Some(named) = identifiers else { return Ok((None, findings)) };
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    if let Some(creator) = given(&named.creator_id).map(|name| name.trim().to_lowercase()) {
        let is_known = match Kind::Creator.parse(&creator) {
            Some(id) => creators::by_ids(conn, scope, &[id]).await?.contains_key(&id),
            None => creators::by_handle(conn, scope, &creator).await?.is_some(),
        };
        if !is_known {
            findings.push(Finding::error("`creator_id` names no creator of this brand."));
        }
    }
    let mut has_link = false;
    if let Some(token) = given(&named.gv_token) {
        has_link = links::by_token(conn, scope, &token).await?.is_some();
        if !has_link {
            findings.push(Finding::error("`gv_token` names no link of this brand."));
        }
    }
    if let Some(campaign) = given(&named.utm_campaign).filter(|_| !has_link)
        && campaigns::by_slug(conn, scope, &campaign.trim().to_lowercase()).await?.is_none()
    {
        let message = "`utm_campaign` names no campaign of this brand.";
        findings.push(if named.is_ours() { Finding::error(message) } else { Finding::warning(message) });
    }
    Ok((Some(named), findings))
}
