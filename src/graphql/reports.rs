//! Credit by group, several models side by side, in the API.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use scoped_futures::ScopedFutureExt;

use super::attribution::to_weight;
use super::context::parse_id_opt;
use super::creators::to_int;
use super::node::require_growth;
use super::scalars::{Decimal, Money, MoneyInput};
use super::{AttributionModel, RequestContext, RequestExt};
use crate::attribution::report::{self, Degree, Dimension, Group, Question, Total};
use crate::attribution::{WEIGHT_UNITS, figures};
use crate::base::limits::REPORT_ROWS_MAX;
use crate::base::{self, Code, Currency, Error, Kind};

/// What credit is grouped by.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Dimension")]
pub enum AttributionDimension {
    /// The creator of the touch, by identifier; empty for touches of members' links.
    Creator,
    /// The campaign of the touch, by identifier.
    Campaign,
    /// The platform of the touch, for example `INSTAGRAM`.
    Platform,
    /// The sub id of the touch; empty for touches without one.
    SubId,
    /// The channel group of the address that was touched, as `Touchpoint.channel` has it; empty for touches without one.
    Channel,
    /// The UTC day of the conversion, for example `2026-03-01`.
    Day,
}

/// What was spent on a group besides rewards, for example on advertising.
#[derive(InputObject, Clone, Debug)]
pub struct GroupSpendInput {
    /// The group's key, as the report shows it.
    key: String,
    /// How much.
    amount: MoneyInput,
}

/// What a report is asked for. It writes nothing.
#[derive(InputObject, Clone, Debug)]
pub struct AttributionReportInput {
    /// What credit is grouped by.
    group_by: AttributionDimension,
    /// The models to show side by side, each once; rows are sorted by value under the first.
    models: Vec<AttributionModel>,
    /// The conversions from this moment on.
    from: DateTime<Utc>,
    /// The conversions before this moment.
    to: DateTime<Utc>,
    /// Only conversions that this campaign's policy judges, and the touches and rewards of this campaign.
    campaign_id: Option<ID>,
    /// A lookback window in place of each policy's own: 1 to 8760.
    lookback_hours: Option<i32>,
    /// Whether journeys are split at the previous conversion, in place of what each policy says.
    split_at_previous_conversion: Option<bool>,
    /// What was spent on groups besides rewards, each key once.
    spend: Option<Vec<GroupSpendInput>>,
}

/// What a group has under one model.
#[derive(SimpleObject)]
pub struct ModelTotal {
    /// The model.
    model: AttributionModel,
    /// The sum of the weights: a conversion counts as the part of it that is credited here.
    conversions: Decimal,
    /// The sum of the values, before refunds.
    value: Money,
    /// What was spent per conversion; null where spend or conversions are missing.
    cost_per_conversion: Option<Money>,
    /// Value per what was spent, to twelve places; null where nothing was spent, or it is not known.
    return_on_spend: Option<Decimal>,
}

/// What a group has.
#[derive(SimpleObject)]
pub struct AttributionReportRow {
    /// The group; empty for what has none.
    key: String,
    /// Touches of the time that somebody shared.
    touches: i32,
    /// The clicks among them that were not blocked as fraud.
    clicks: i32,
    /// What the group cost: the rewards in money that were owed for it in the time, less what was taken back, where the report is by
    /// creator, campaign or day; and what the question says was spent besides. Null where neither is known.
    spend: Option<Money>,
    /// What it has under each model, in the order of the question.
    results: Vec<ModelTotal>,
}

/// What members of one degree above the buyers have together.
#[derive(SimpleObject)]
pub struct UplineCredit {
    /// 1 for who referred the buyer, 2 for theirs, and so on.
    degree: i32,
    /// How many members have a part in it.
    members: i32,
    /// The sum of the shares: a conversion counts as the part of it that is credited here.
    conversions: Decimal,
    /// The sum of the values, before refunds.
    value: Money,
}

/// What no degree of the up-line is credited with.
#[derive(SimpleObject)]
pub struct UplineRest {
    /// The sum of the shares.
    conversions: Decimal,
    /// The sum of the values, before refunds.
    value: Money,
}

/// Credit by group. For each model, the rows and what is unattributed sum to exactly the whole, unless rows are left out.
#[derive(SimpleObject)]
pub struct AttributionReport {
    /// The groups, the most valuable under the first model first.
    rows: Vec<AttributionReportRow>,
    /// Whether rows are left out: there are at most 1,000.
    truncated: bool,
    /// All conversions of the time, credited or not.
    conversions: i32,
    /// Their value, before refunds, in the report's currency: the campaign's where one is named, else the brand's own.
    value: Money,
    /// What no touch is credited for, under each model.
    unattributed: Vec<ModelTotal>,
    /// The credit of the members above those who bought, by degree, apart from the credit of touches: as policies share it (`upline`), of
    /// conversions that any touch is credited for. The forest is as it is now.
    upline: Vec<UplineCredit>,
    /// What no degree is credited with: with all degrees it makes the whole.
    upline_unassigned: UplineRest,
}

/// What turns sums into what is shown.
struct Shown {
    models: Vec<AttributionModel>,
    currency: Currency,
}

impl Shown {
    fn money(&self, minor: u128) -> base::Result<Money> {
        let fault = |error| Error::fault("showing a sum of money", error);
        Ok(Money::of_sum(i128::try_from(minor).map_err(fault)?, self.currency))
    }

    fn totals(&self, totals: &[Total], spend_minor: Option<u128>) -> base::Result<Vec<ModelTotal>> {
        let total = |(model, total): (&AttributionModel, &Total)| {
            let cost = spend_minor.and_then(|spend| figures::cost_per_conversion_minor(spend, total.conversion_units));
            let value_units = total.value_minor.checked_mul(u128::from(WEIGHT_UNITS));
            let returned =
                spend_minor.zip(value_units).and_then(|(spend, value)| figures::return_on_spend(value, spend));
            Ok(ModelTotal {
                model: *model,
                conversions: to_weight(total.conversion_units),
                value: self.money(total.value_minor)?,
                cost_per_conversion: cost.map(|minor| self.money(minor)).transpose()?,
                return_on_spend: returned.map(to_weight),
            })
        };
        self.models.iter().zip(totals).map(total).collect()
    }

    fn degree(&self, (degree, found): (i32, Degree)) -> base::Result<UplineCredit> {
        Ok(UplineCredit {
            degree,
            members: to_int(found.member_count.try_into().unwrap_or(i64::MAX)),
            conversions: to_weight(found.total.conversion_units),
            value: self.money(found.total.value_minor)?,
        })
    }

    fn row(&self, (key, group): (String, Group)) -> base::Result<AttributionReportRow> {
        Ok(AttributionReportRow {
            key,
            touches: to_int(group.touch_count),
            clicks: to_int(group.click_count),
            spend: group.spend_minor.map(|minor| self.money(minor)).transpose()?,
            results: self.totals(&group.totals, group.spend_minor)?,
        })
    }
}

impl AttributionReportInput {
    async fn read(&self, request: &RequestContext, has_upline: bool) -> Result<Question> {
        let campaign_id = parse_id_opt(Kind::Campaign, self.campaign_id.as_ref(), &["input", "campaignId"])?;
        let campaign = match campaign_id {
            Some(id) => request.loaders.campaigns.load(id).await?,
            None => None,
        };
        let currency = campaign.map_or(request.scope.currency, |campaign| campaign.currency);
        let spend = self.spend.iter().flatten().enumerate().map(|(index, one)| one.read(index, currency));
        Ok(Question {
            dimension: self.group_by.into(),
            models: self.models.iter().copied().map(Into::into).collect(),
            from: self.from,
            to: self.to,
            campaign_id,
            lookback_hours: self.lookback_hours,
            is_split_at_previous_conversion: self.split_at_previous_conversion,
            currency,
            spend: spend.collect::<base::Result<_>>()?,
            has_upline,
        })
    }
}

impl GroupSpendInput {
    fn read(&self, index: usize, currency: Currency) -> base::Result<(String, i64)> {
        let index = index.to_string();
        let path = ["input", "spend", &index, "amount"];
        let amount = self.amount.to_money(&path)?;
        if amount.currency != currency {
            let message = format!("Pass an amount in the report's currency, {currency}.");
            return Err(Error::invalid(&path, message));
        }
        Ok((self.key.clone(), amount.minor))
    }
}

/// The cost of a report: its rows are not known before it is worked out, so that a hundred are counted, and a thousand fields for the work.
fn report_cost(child_cost: usize) -> usize {
    child_cost.saturating_mul(REPORT_ROWS_MAX / 10).saturating_add(1_000)
}

#[derive(Default)]
pub struct ReportQuery;

#[Object]
impl ReportQuery {
    /// Credit by group, several models side by side, worked out from the touches and conversions of the time. Each conversion is judged under its
    /// own policy, with the model in question in place of the policy's. Without another window or splitting of journeys, and without DATA_DRIVEN,
    /// kept sums of hours and days are added up where nothing of them has changed: the answer is the same.
    #[graphql(complexity = "report_cost(child_complexity)")]
    async fn attribution_report(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to report.")] input: AttributionReportInput,
    ) -> Result<AttributionReport> {
        let request = ctx.request()?;
        require_growth(request)?;
        // A report tells of every creator: more than a creator's key may see.
        if request.scope.creator_id.is_some() {
            let message = "A key of role creator may not read reports: they tell of other creators.";
            return Err(Error::refused(Code::Forbidden, &[], message).into());
        }
        let has_upline = ["upline", "uplineUnassigned"].iter().any(|name| ctx.look_ahead().field(name).exists());
        let question = &input.read(request, has_upline).await?;
        let scope = &request.scope;
        let work =
            request.app.db.transaction(|conn| async move { report::report(conn, scope, question).await }.scope_boxed());
        let found = work.await?;
        let shown = Shown { models: input.models, currency: question.currency };
        Ok(AttributionReport {
            rows: found.groups.into_iter().map(|group| shown.row(group)).collect::<base::Result<_>>()?,
            truncated: found.is_truncated,
            conversions: to_int(found.conversion_count.try_into().unwrap_or(i64::MAX)),
            value: shown.money(found.value_minor)?,
            unattributed: shown.totals(&found.unattributed, None)?,
            upline: found.upline.into_iter().map(|one| shown.degree(one)).collect::<base::Result<_>>()?,
            upline_unassigned: UplineRest {
                conversions: to_weight(found.upline_unassigned.conversion_units),
                value: shown.money(found.upline_unassigned.value_minor)?,
            },
        })
    }
}
