//! Attribution as it is read: records by page, per creator, per campaign and per conversion, and the touchpoints and conversions that
//! they point at. Each is one statement whatever the number of parents; nothing here decides a credit.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::{Cursor, Error, Money, Page, Result, Slice};
use crate::campaigns::AttributionModel;
use crate::creators::Platform;
use crate::db::schema::attribution_records as records;
use crate::db::{Conn, sql};
use crate::events::TouchKind;
use crate::journeys::{self, Conversion, Decision};
use crate::urls::{AdClicks, Channel};

/// A part of the credit of a conversion.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributionRecord {
    pub id: Uuid,
    pub conversion_id: Uuid,
    pub touchpoint_id: Uuid,
    pub creator_id: Option<Uuid>,
    pub referrer_id: Option<Uuid>,
    pub campaign_id: Uuid,
    pub model: AttributionModel,
    pub policy_version: i32,
    /// The version of what channels are worth, under DATA_DRIVEN; 0 where there was none yet.
    pub model_version: Option<i32>,
    pub degree: i16,
    /// Millionths of a millionth.
    pub weight_units: i64,
    pub value: Money,
    pub occurred_at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
    /// When newer records took its place; `None` while it stands.
    pub superseded_at: Option<DateTime<Utc>>,
}

impl AttributionRecord {
    /// The record's place in lists, which are newest first.
    #[must_use]
    pub fn place(&self) -> Cursor {
        Cursor::at(self.occurred_at, self.id)
    }
}

/// Which records are wanted; everything that is `None` is not asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RecordFilter {
    pub creator_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    /// The member who is credited.
    pub member_id: Option<Uuid>,
    pub conversion_id: Option<Uuid>,
    pub model: Option<AttributionModel>,
    /// From this moment on.
    pub from: Option<DateTime<Utc>>,
    /// Before this moment.
    pub to: Option<DateTime<Utc>>,
    /// Whether superseded records are shown too.
    pub has_superseded: bool,
}

/// Whose records a batch reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordParent {
    Creator,
    Campaign,
}

/// The columns of a [`RecordRow`] from the alias `a`, as a literal for `concat!`.
macro_rules! record_columns {
    () => {
        "a.id, a.conversion_id, a.touchpoint_id, a.creator_id, a.referrer_id, a.campaign_id, a.model, a.policy_version, a.degree,
         a.weight_units, a.amount_minor, a.currency, a.occurred_at, a.recorded_at, a.superseded_at, a.model_version"
    };
}

/// What a [`RecordFilter`] asks of the alias `a`, as a literal for `concat!`. Binds 1 to 9 are those of `bind_filter!`.
macro_rules! fitting {
    () => {
        "a.brand_id = $1
         and a.occurred_at >= coalesce($2, '-infinity') and a.occurred_at < coalesce($3, 'infinity') and ($4 or a.superseded_at is null)
         and ($5::uuid is null or a.creator_id = $5) and ($6::uuid is null or a.campaign_id = $6)
         and ($7::uuid is null or a.referrer_id = $7) and ($8::uuid is null or a.conversion_id = $8)
         and ($9::text is null or a.model = $9)"
    };
}

/// A statement with the binds of `fitting!`; what else it binds comes behind them.
macro_rules! bind_filter {
    ($text:expr, $scope:expr, $filter:expr) => {
        $crate::db::sql($text)
            .bind::<diesel::sql_types::Uuid, _>($scope.brand_id)
            .bind::<diesel::sql_types::Nullable<diesel::sql_types::Timestamptz>, _>($filter.from)
            .bind::<diesel::sql_types::Nullable<diesel::sql_types::Timestamptz>, _>($filter.to)
            .bind::<diesel::sql_types::Bool, _>($filter.has_superseded)
            .bind::<diesel::sql_types::Nullable<diesel::sql_types::Uuid>, _>($filter.creator_id)
            .bind::<diesel::sql_types::Nullable<diesel::sql_types::Uuid>, _>($filter.campaign_id)
            .bind::<diesel::sql_types::Nullable<diesel::sql_types::Uuid>, _>($filter.member_id)
            .bind::<diesel::sql_types::Nullable<diesel::sql_types::Uuid>, _>($filter.conversion_id)
            .bind::<diesel::sql_types::Nullable<diesel::sql_types::Text>, _>(
                $filter.model.map($crate::campaigns::AttributionModel::as_str),
            )
    };
}

// Behind the macros that they use.
mod export;
mod feed;

pub use export::{NamedRecord, begin_export, end_export, export_page};
pub use feed::records_after;

#[derive(Queryable, QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct RecordRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    conversion_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    touchpoint_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    creator_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    referrer_id: Option<Uuid>,
    #[diesel(sql_type = SqlUuid)]
    campaign_id: Uuid,
    #[diesel(sql_type = Text)]
    model: String,
    #[diesel(sql_type = Integer)]
    policy_version: i32,
    #[diesel(sql_type = SmallInt)]
    degree: i16,
    #[diesel(sql_type = BigInt)]
    weight_units: i64,
    #[diesel(sql_type = BigInt)]
    amount_minor: i64,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Timestamptz)]
    occurred_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    recorded_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    superseded_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Integer>)]
    model_version: Option<i32>,
}

impl RecordRow {
    fn into_record(self) -> Result<AttributionRecord> {
        let currency = self.currency.parse().map_err(|error| Error::fault("reading a record's currency", error))?;
        Ok(AttributionRecord {
            id: self.id,
            conversion_id: self.conversion_id,
            touchpoint_id: self.touchpoint_id,
            creator_id: self.creator_id,
            referrer_id: self.referrer_id,
            campaign_id: self.campaign_id,
            model: AttributionModel::from_column(&self.model)?,
            policy_version: self.policy_version,
            model_version: self.model_version,
            degree: self.degree,
            weight_units: self.weight_units,
            value: Money::new(self.amount_minor, currency),
            occurred_at: self.occurred_at,
            recorded_at: self.recorded_at,
            superseded_at: self.superseded_at,
        })
    }
}

type Query<'a> = records::BoxedQuery<'a, diesel::pg::Pg>;

fn filtered<'a>(scope: &Scope, filter: &RecordFilter) -> Query<'a> {
    let mut query = records::table.filter(records::brand_id.eq(scope.brand_id)).into_boxed();
    if let Some(id) = filter.creator_id {
        query = query.filter(records::creator_id.eq(id));
    }
    if let Some(id) = filter.campaign_id {
        query = query.filter(records::campaign_id.eq(id));
    }
    if let Some(id) = filter.member_id {
        query = query.filter(records::referrer_id.eq(id));
    }
    if let Some(id) = filter.conversion_id {
        query = query.filter(records::conversion_id.eq(id));
    }
    if let Some(model) = filter.model {
        query = query.filter(records::model.eq(model.as_str()));
    }
    if let Some(from) = filter.from {
        query = query.filter(records::occurred_at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(records::occurred_at.lt(to));
    }
    if !filter.has_superseded {
        query = query.filter(records::superseded_at.is_null());
    }
    query
}

/// A page of records, newest first.
pub async fn record_page(
    conn: &mut Conn,
    scope: &Scope,
    filter: &RecordFilter,
    page: &Page,
) -> Result<Slice<AttributionRecord>> {
    let mut query = filtered(scope, filter);
    // The place of a row, (time, id), against a cursor: the first half is the range of the index, the second mends equal times.
    if let Some(after) = page.after {
        let earlier = records::occurred_at.lt(after.time()).or(records::id.lt(after.id));
        query = query.filter(records::occurred_at.le(after.time())).filter(earlier);
    }
    if let Some(before) = page.before {
        let later = records::occurred_at.gt(before.time()).or(records::id.gt(before.id));
        query = query.filter(records::occurred_at.ge(before.time())).filter(later);
    }
    query = if page.is_backward {
        query.order((records::occurred_at.asc(), records::id.asc()))
    } else {
        query.order((records::occurred_at.desc(), records::id.desc()))
    };
    let rows: Vec<RecordRow> = query
        .select((
            records::id,
            records::conversion_id,
            records::touchpoint_id,
            records::creator_id,
            records::referrer_id,
            records::campaign_id,
            records::model,
            records::policy_version,
            records::degree,
            records::weight_units,
            records::amount_minor,
            records::currency,
            records::occurred_at,
            records::recorded_at,
            records::superseded_at,
            records::model_version,
        ))
        .limit(page.fetch_limit())
        .load(conn)
        .await?;
    Ok(page.slice(rows.into_iter().map(RecordRow::into_record).collect::<Result<_>>()?))
}

/// How many records there are.
pub async fn record_count(conn: &mut Conn, scope: &Scope, filter: &RecordFilter) -> Result<i64> {
    Ok(filtered(scope, filter).count().get_result(conn).await?)
}

#[derive(QueryableByName)]
struct ChildRow {
    #[diesel(sql_type = SqlUuid)]
    parent_id: Uuid,
    #[diesel(embed)]
    record: RecordRow,
}

/// Behind the filter's binds: 10 parents, 11 rows per parent, 12 and 13 the cursor. The parent's index gives the order, so that a parent
/// costs what it returns.
macro_rules! children_sql {
    ($parent:literal) => {
        concat!(
            "select parent.id as parent_id, r.* from unnest($10::uuid[]) as parent (id)
             cross join lateral (
                 select ",
            record_columns!(),
            " from attribution_records a where ",
            fitting!(),
            " and a.",
            $parent,
            " = parent.id and ($12::timestamptz is null or (a.occurred_at, a.id) < ($12, $13))
                 order by a.occurred_at desc, a.id desc
                 limit $11) r"
        )
    };
}

/// The first rows after a cursor of each parent, newest first: one statement for all parents. `page` is read forwards.
pub async fn records_of_parents(
    conn: &mut Conn,
    scope: &Scope,
    parent: RecordParent,
    parent_ids: &[Uuid],
    filter: &RecordFilter,
    page: &Page,
) -> Result<HashMap<Uuid, Slice<AttributionRecord>>> {
    let text = match parent {
        RecordParent::Creator => children_sql!("creator_id"),
        RecordParent::Campaign => children_sql!("campaign_id"),
    };
    let rows: Vec<ChildRow> = bind_filter!(text, scope, filter)
        .bind::<Array<SqlUuid>, _>(parent_ids)
        .bind::<BigInt, _>(page.fetch_limit())
        .bind::<Nullable<Timestamptz>, _>(page.after.map(|cursor| cursor.time()))
        .bind::<Nullable<SqlUuid>, _>(page.after.map(|cursor| cursor.id))
        .load(conn)
        .await?;
    let mut children: HashMap<Uuid, Vec<AttributionRecord>> = parent_ids.iter().map(|id| (*id, Vec::new())).collect();
    for row in rows {
        children.entry(row.parent_id).or_default().push(row.record.into_record()?);
    }
    Ok(children.into_iter().map(|(id, rows)| (id, page.slice(rows))).collect())
}

/// The records of each conversion that stand, of its newest generation: by model, then by time.
pub async fn current_of_conversions(
    conn: &mut Conn,
    scope: &Scope,
    conversion_ids: &[Uuid],
) -> Result<HashMap<Uuid, Vec<AttributionRecord>>> {
    let rows: Vec<RecordRow> = sql(concat!(
        "select ",
        record_columns!(),
        " from attribution_records a join touchpoints t on t.brand_id = a.brand_id and t.id = a.touchpoint_id
          where a.brand_id = $1 and a.conversion_id = any ($2) and a.superseded_at is null
          order by a.conversion_id, a.model, a.degree, t.occurred_at, t.id"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(conversion_ids)
    .load(conn)
    .await?;
    let mut records: HashMap<Uuid, Vec<AttributionRecord>> = HashMap::new();
    for row in rows {
        records.entry(row.conversion_id).or_default().push(row.into_record()?);
    }
    Ok(records)
}

/// Records by identifier, superseded ones too.
pub async fn records_by_ids(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, AttributionRecord>> {
    let rows: Vec<RecordRow> = sql(concat!(
        "select ",
        record_columns!(),
        " from attribution_records a where a.brand_id = $1 and a.id = any ($2)"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
    .await?;
    rows.into_iter().map(|row| Ok((row.id, row.into_record()?))).collect()
}

/// A touchpoint as it is shown: nothing of the person.
#[derive(Clone, Debug, PartialEq)]
pub struct Touchpoint {
    pub id: Uuid,
    pub kind: TouchKind,
    pub occurred_at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
    pub creator_id: Option<Uuid>,
    pub referrer_id: Option<Uuid>,
    pub link_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    pub platform: Platform,
    pub channel: Option<Channel>,
    pub ad_clicks: AdClicks,
    pub decision: Decision,
}

#[derive(QueryableByName)]
struct TouchpointRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Timestamptz)]
    occurred_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    recorded_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    creator_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    referrer_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    link_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    campaign_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    platform: String,
    #[diesel(sql_type = Nullable<Text>)]
    channel: Option<String>,
    #[diesel(sql_type = Nullable<Jsonb>)]
    ad_clicks: Option<serde_json::Value>,
    #[diesel(sql_type = Text)]
    decision: String,
}

/// Touchpoints by identifier.
pub async fn touchpoints_by_ids(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Touchpoint>> {
    let rows: Vec<TouchpointRow> =
        sql("select id, kind, occurred_at, recorded_at, creator_id, referrer_id, link_id, campaign_id, platform,
                channel, ad_clicks, decision
         from touchpoints where brand_id = $1 and id = any ($2)")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<SqlUuid>, _>(ids)
        .load(conn)
        .await?;
    let touchpoint = |row: TouchpointRow| {
        let touchpoint = Touchpoint {
            id: row.id,
            kind: TouchKind::from_column(&row.kind)?,
            occurred_at: row.occurred_at,
            recorded_at: row.recorded_at,
            creator_id: row.creator_id,
            referrer_id: row.referrer_id,
            link_id: row.link_id,
            campaign_id: row.campaign_id,
            platform: Platform::from_column(&row.platform)?,
            channel: row.channel.as_deref().map(Channel::from_column).transpose()?,
            ad_clicks: journeys::ad_clicks_of_column(row.ad_clicks)?,
            decision: Decision::from_column(&row.decision)?,
        };
        Ok((row.id, touchpoint))
    };
    rows.into_iter().map(touchpoint).collect()
}

/// Conversions by identifier.
pub async fn conversions_by_ids(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Conversion>> {
    let found = journeys::conversions_by_id(conn, scope, ids).await?;
    Ok(found.into_iter().map(|(_, conversion)| (conversion.id, conversion)).collect())
}

#[derive(QueryableByName)]
struct PlaceRow {
    #[diesel(sql_type = SqlUuid)]
    parent_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// The first conversions after a cursor of each member, newest first, in two statements for all. `page` is read forwards.
pub async fn conversions_of_members(
    conn: &mut Conn,
    scope: &Scope,
    member_ids: &[Uuid],
    page: &Page,
) -> Result<HashMap<Uuid, Slice<Conversion>>> {
    let places: Vec<PlaceRow> = sql("select member.id as parent_id, v.id from unnest($2::uuid[]) as member (id)
         cross join lateral (
             select c.id, c.occurred_at from conversions c
             where c.brand_id = $1 and c.member_id = member.id
               and ($4::timestamptz is null or (c.occurred_at, c.id) < ($4, $5))
             order by c.occurred_at desc, c.id desc
             limit $3) v
         order by v.occurred_at desc, v.id desc")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(member_ids)
    .bind::<BigInt, _>(page.fetch_limit())
    .bind::<Nullable<Timestamptz>, _>(page.after.map(|cursor| cursor.time()))
    .bind::<Nullable<SqlUuid>, _>(page.after.map(|cursor| cursor.id))
    .load(conn)
    .await?;
    let ids: Vec<Uuid> = places.iter().map(|place| place.id).collect();
    let mut found = conversions_by_ids(conn, scope, &ids).await?;
    let mut of_member: HashMap<Uuid, Vec<Conversion>> = member_ids.iter().map(|id| (*id, Vec::new())).collect();
    for place in places {
        of_member.entry(place.parent_id).or_default().extend(found.remove(&place.id));
    }
    Ok(of_member.into_iter().map(|(id, rows)| (id, page.slice(rows))).collect())
}

/// How many conversions each of these members has; who has none is missing.
pub async fn conversion_counts(conn: &mut Conn, scope: &Scope, member_ids: &[Uuid]) -> Result<HashMap<Uuid, i64>> {
    use crate::db::schema::conversions;
    let rows: Vec<(Option<Uuid>, i64)> = conversions::table
        .filter(conversions::brand_id.eq(scope.brand_id))
        .filter(conversions::member_id.eq_any(member_ids))
        .group_by(conversions::member_id)
        .select((conversions::member_id, diesel::dsl::count_star()))
        .load(conn)
        .await?;
    Ok(rows.into_iter().filter_map(|(id, count)| Some((id?, count))).collect())
}
