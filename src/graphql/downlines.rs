//! The sums over everyone below a member, in the API.

use async_graphql::{Context, Result, SimpleObject};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::creators::to_int;
use super::scalars::Money;
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::base;
use crate::members::{ActivityQuery, DownlineQuery};

const ACTIVE_DAYS: i64 = 30;

/// The sums over everyone below a member. Amounts are in the brand's own currency.
#[derive(SimpleObject, Clone, Debug)]
pub struct Downline {
    /// How many members stand below.
    pub size: i32,
    /// The same by degree, the nearest first. A degree without members is left out.
    pub by_degree: Vec<DownlineDegree>,
    /// The members' sales less refunds.
    pub value: Money,
    /// Members who signed up, were first activated or bought in the last 30 days, today included (days of UTC).
    pub active_last30_days: i32,
}

/// One degree of a downline.
#[derive(SimpleObject, Clone, Debug)]
pub struct DownlineDegree {
    /// 1: invited by the member itself; 2: invited by those; and so on.
    pub degree: i32,
    /// How many members stand there.
    pub members: i32,
    /// How many of them were activated.
    pub activated: i32,
    /// Their sales less refunds.
    pub value: Money,
    /// What the member at the top earned from this degree, less what was taken back.
    pub rewards: Money,
}

/// The downline of a member. What costs look-ups of its own is looked up only where it is selected.
pub async fn downline(ctx: &Context<'_>, id: Uuid, degrees_max: i32, since: Option<DateTime<Utc>>) -> Result<Downline> {
    let request = ctx.request()?;
    let fields = ctx.look_ahead();
    let degree = fields.field("byDegree");
    let has_rewards = degree.field("rewards").exists();
    if has_rewards {
        request.require(Permission::ReadMoney)?;
    }
    let has_value = since.is_some() && (degree.field("value").exists() || fields.field("value").exists());
    let part = if degree.exists() { DownlineQuery::by_degree } else { DownlineQuery::of_all };
    let query = DownlineQuery { has_value, has_rewards, ..part(degrees_max, since) };
    let degrees = request.loaders.downlines.load((id, query)).await?.unwrap_or_default();
    let active = match fields.field("activeLast30Days").exists() {
        true => request.loaders.active_counts.load((id, activity(request, degrees_max, since))).await?.unwrap_or(0),
        false => 0,
    };
    let money = |minor: i64| Money::from(base::Money::new(minor, request.scope.currency));
    Ok(Downline {
        size: to_int(degrees.iter().map(|sums| sums.member_count).sum()),
        value: money(degrees.iter().map(|sums| sums.value_minor).sum()),
        active_last30_days: to_int(active),
        by_degree: degrees
            .iter()
            .map(|sums| DownlineDegree {
                degree: sums.degree,
                members: to_int(sums.member_count),
                activated: to_int(sums.activated_count),
                value: money(sums.value_minor),
                rewards: money(sums.reward_minor),
            })
            .collect(),
    })
}

/// Who was active today or on one of the days before, counted in whole days of UTC.
fn activity(request: &RequestContext, degrees_max: i32, since: Option<DateTime<Utc>>) -> ActivityQuery {
    let active_from = (request.app.env.now() - TimeDelta::days(ACTIVE_DAYS - 1)).date_naive();
    ActivityQuery { degrees_max, since, active_from }
}

/// How many members stand below one, down to a degree.
pub async fn degree_count(request: &RequestContext, id: Uuid, degrees_max: i32) -> base::Result<i64> {
    let query = DownlineQuery::of_all(degrees_max, None);
    let degrees = request.loaders.downlines.find((id, query)).await?;
    Ok(degrees.unwrap_or_default().iter().map(|sums| sums.member_count).sum())
}
