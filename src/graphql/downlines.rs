//! The sums over everyone below a member, in the API.

use async_graphql::{Context, Result, SimpleObject};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use uuid::Uuid;

use super::creators::to_int;
use super::scalars::Money;
use super::{RequestContext, RequestExt};
use crate::access::Permission;
use crate::base;
use crate::members::{self, DegreeSums, DownlineQuery};

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
    /// Members who signed up, were first activated or bought in the last 30 days.
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

/// All degrees below a member, or as many as asked for; never so many that a depth overflows.
#[must_use]
pub fn to_degrees(hops: i32, top: &members::Member) -> i32 {
    hops.min(i32::MAX - 64 - top.depth)
}

/// The downline of a member. Sales and rewards are looked up only where they are selected.
pub async fn downline(ctx: &Context<'_>, id: Uuid, degrees_max: i32, since: Option<DateTime<Utc>>) -> Result<Downline> {
    let request = ctx.request()?;
    let fields = ctx.look_ahead();
    let degree = fields.field("byDegree");
    if degree.field("rewards").exists() {
        request.require(Permission::ReadMoney)?;
    }
    let has_value = degree.field("value").exists()
        || degree.field("rewards").exists()
        || fields.field("value").exists()
        || fields.field("activeLast30Days").exists();
    let query = DownlineQuery { degrees_max, since, has_value, ..query(request) };
    let degrees = request.loaders.downlines.load((id, query)).await?.unwrap_or_default();
    let money = |minor: i64| Money::from(base::Money::new(minor, request.scope.currency));
    let total = |part: fn(&DegreeSums) -> i64| degrees.iter().map(part).sum::<i64>();
    Ok(Downline {
        size: to_int(total(|sums| sums.member_count)),
        value: money(total(|sums| sums.value_minor)),
        active_last30_days: to_int(total(|sums| sums.active_count)),
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

/// How many members stand below one, down to a degree.
pub async fn degree_count(request: &RequestContext, id: Uuid, degrees_max: i32) -> base::Result<i64> {
    let degrees = request.loaders.downlines.find((id, DownlineQuery { degrees_max, ..query(request) })).await?;
    Ok(degrees.unwrap_or_default().iter().map(|sums| sums.member_count).sum())
}

/// Counts only. The moment is cut to the hour, so that all downlines of a request ask the same question.
fn query(request: &RequestContext) -> DownlineQuery {
    let now = request.app.env.now();
    let now = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
    DownlineQuery {
        degrees_max: 1,
        since: None,
        active_since: now - TimeDelta::days(ACTIVE_DAYS),
        currency: request.scope.currency,
        has_value: false,
    }
}
