//! Lists of campaigns.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;

use super::CampaignRow;
use crate::access::Scope;
use crate::base::{Page, Result, Slice};
use crate::campaigns::{Campaign, CampaignObjective, CampaignStatus};
use crate::db::{Conn, sql};

/// Which campaigns are wanted. Empty: all.
#[derive(Clone, Debug, Default)]
pub struct CampaignFilter {
    pub statuses: Option<Vec<CampaignStatus>>,
    pub objectives: Option<Vec<CampaignObjective>>,
}

macro_rules! fitting {
    () => {
        " from campaigns c where c.brand_id = $1 and ($2::text[] is null or c.status = any ($2))
             and ($3::text[] is null or c.objective = any ($3))"
    };
}

macro_rules! page_text {
    ($direction:literal) => {
        concat!(
            "select c.id, c.slug, c.name, c.objective, c.status, c.starts_at, c.ends_at, c.budget_minor, c.currency,
                    c.destination_url, c.policy_version, c.created_at",
            fitting!(),
            " and (c.created_at, c.id) > ($5, $6) and (c.created_at, c.id) < ($7, $8) order by c.created_at ",
            $direction,
            ", c.id ",
            $direction,
            " limit $4"
        )
    };
}

macro_rules! bind_filter {
    ($text:expr, $scope:expr, $filter:expr) => {
        sql($text)
            .bind::<SqlUuid, _>($scope.brand_id)
            .bind::<Nullable<Array<Text>>, _>($filter.status_names())
            .bind::<Nullable<Array<Text>>, _>($filter.objective_names())
    };
}

impl CampaignFilter {
    fn status_names(&self) -> Option<Vec<&'static str>> {
        self.statuses.as_ref().map(|all| all.iter().map(|status| status.as_str()).collect())
    }

    fn objective_names(&self) -> Option<Vec<&'static str>> {
        self.objectives.as_ref().map(|all| all.iter().map(|objective| objective.as_str()).collect())
    }
}

/// One page of the campaigns that fit, the oldest first.
pub async fn page(conn: &mut Conn, scope: &Scope, filter: &CampaignFilter, page: &Page) -> Result<Slice<Campaign>> {
    let text = if page.is_backward { page_text!("desc") } else { page_text!("asc") };
    let [(low, low_id), (high, high_id)] = page.time_bounds();
    let rows: Vec<CampaignRow> = bind_filter!(text, scope, filter)
        .bind::<BigInt, _>(page.fetch_limit())
        .bind::<Timestamptz, _>(low)
        .bind::<SqlUuid, _>(low_id)
        .bind::<Timestamptz, _>(high)
        .bind::<SqlUuid, _>(high_id)
        .load(conn)
        .await?;
    Ok(page.slice(rows.into_iter().map(CampaignRow::into_campaign).collect::<Result<_>>()?))
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// How many campaigns fit.
pub async fn count(conn: &mut Conn, scope: &Scope, filter: &CampaignFilter) -> Result<i64> {
    let row: CountRow =
        bind_filter!(concat!("select count(*) as count", fitting!()), scope, filter).get_result(conn).await?;
    Ok(row.count)
}
