//! Links in PostgreSQL.

mod visits;
mod write;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::resolve::Cached;
use super::{Link, Owner, Utm};
use crate::access::Scope;
use crate::base::{Error, ListKey, Result};
use crate::brands::BrandSettings;
use crate::creators::Platform;
use crate::db::{Conn, sql};

pub(super) use visits::{delete_visits, insert_visit, visited_links};
pub(super) use write::{KeptClaim, NewClaim, claim_of, confirm_claim, insert, insert_claim, redeem, revoke};

/// A link as a statement returns it: select `link_columns!` of an alias `l`.
#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub(super) struct LinkRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    token: String,
    #[diesel(sql_type = Nullable<Text>)]
    slug: Option<String>,
    #[diesel(sql_type = SqlUuid)]
    campaign_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    creator_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    member_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    platform: String,
    #[diesel(sql_type = Nullable<Text>)]
    sub_id: Option<String>,
    #[diesel(sql_type = Text)]
    destination_url: String,
    #[diesel(sql_type = Nullable<Text>)]
    ios_url: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    android_url: Option<String>,
    #[diesel(sql_type = Text)]
    utm_source: String,
    #[diesel(sql_type = Text)]
    utm_medium: String,
    #[diesel(sql_type = Text)]
    utm_campaign: String,
    #[diesel(sql_type = Nullable<Text>)]
    utm_content: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    utm_term: Option<String>,
    #[diesel(sql_type = Bool)]
    is_single_use: bool,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    redeemed_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    expires_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    revoked_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = BigInt)]
    click_count: i64,
    #[diesel(sql_type = BigInt)]
    view_count: i64,
    #[diesel(sql_type = BigInt)]
    signup_count: i64,
    #[diesel(sql_type = BigInt)]
    conversion_count: i64,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
}

impl LinkRow {
    pub(super) fn into_link(self) -> Result<Link> {
        let owner = match (self.creator_id, self.member_id) {
            (Some(id), None) => Owner::Creator(id),
            (None, Some(id)) => Owner::Member(id),
            _ => return Err(Error::fault("reading a link's owner", "there must be exactly one")),
        };
        Ok(Link {
            id: self.id,
            token: self.token,
            slug: self.slug,
            campaign_id: self.campaign_id,
            owner,
            platform: Platform::from_column(&self.platform)?,
            sub_id: self.sub_id,
            destination_url: self.destination_url,
            ios_url: self.ios_url,
            android_url: self.android_url,
            utm: Utm {
                source: self.utm_source,
                medium: self.utm_medium,
                campaign: self.utm_campaign,
                content: self.utm_content,
                term: self.utm_term,
            },
            is_single_use: self.is_single_use,
            redeemed_at: self.redeemed_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            click_count: self.click_count,
            view_count: self.view_count,
            signup_count: self.signup_count,
            conversion_count: self.conversion_count,
            created_at: self.created_at,
        })
    }
}

/// The columns of a [`LinkRow`] from the alias `l`, as a literal for `concat!`.
macro_rules! link_columns {
    () => {
        "l.id, l.token, l.slug, l.campaign_id, l.creator_id, l.member_id, l.platform, l.sub_id, l.destination_url, l.ios_url,
         l.android_url, l.utm_source, l.utm_medium, l.utm_campaign, l.utm_content, l.utm_term, l.is_single_use, l.redeemed_at,
         l.expires_at, l.revoked_at, l.click_count, l.view_count, l.signup_count, l.conversion_count, l.created_at"
    };
}

/// Links by identifier; what is missing does not exist.
pub async fn by_ids(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Link>> {
    let rows: Vec<LinkRow> =
        sql(concat!("select ", link_columns!(), " from links l where l.brand_id = $1 and l.id = any ($2)"))
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<Array<SqlUuid>, _>(ids)
            .load(conn)
            .await?;
    rows.into_iter().map(|row| Ok((row.id, row.into_link()?))).collect()
}

/// The link of a token.
pub async fn by_token(conn: &mut Conn, scope: &Scope, token: &str) -> Result<Option<Link>> {
    let row: Option<LinkRow> =
        sql(concat!("select ", link_columns!(), " from links l where l.brand_id = $1 and l.token = $2"))
            .bind::<SqlUuid, _>(scope.brand_id)
            .bind::<Text, _>(token)
            .get_result(conn)
            .await
            .optional()?;
    row.map(LinkRow::into_link).transpose()
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct BrandLinkRow {
    #[diesel(sql_type = SqlUuid)]
    brand_id: Uuid,
    #[diesel(sql_type = SmallInt)]
    shard: i16,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Array<Text>)]
    link_hosts: Vec<String>,
    #[diesel(embed)]
    link: LinkRow,
}

/// The one look-up of a link that does not start with a brand: the token tells which brand it is.
pub(super) async fn by_token_of_any_brand(conn: &mut Conn, token: &str) -> Result<Option<Cached>> {
    let row: Option<BrandLinkRow> = sql(concat!(
        "select b.id as brand_id, b.shard, b.currency, array(select h.host from brand_hosts h where h.brand_id = b.id) as link_hosts, ",
        link_columns!(),
        " from links l join brands b on b.id = l.brand_id where l.token = $1 limit 1"
    ))
    .bind::<Text, _>(token)
    .get_result(conn)
    .await
    .optional()?;
    row.map(|row| {
        Ok(Cached {
            brand_id: row.brand_id,
            shard: row.shard,
            currency: row.currency,
            settings: BrandSettings::default(),
            link_hosts: row.link_hosts,
            link: row.link.into_link()?,
        })
    })
    .transpose()
}

#[derive(QueryableByName)]
struct TokenRow {
    #[diesel(sql_type = Text)]
    token: String,
}

/// The token of the link of this name under a host: that of the brand which named the host first.
pub(super) async fn token_under_host(conn: &mut Conn, host: &str, slug: &str) -> Result<Option<String>> {
    let row: Option<TokenRow> = sql("select l.token from links l
         where l.brand_id = (select brand_id from brand_hosts where host = $1 order by created_at, brand_id limit 1) and l.slug = $2")
    .bind::<Text, _>(host)
    .bind::<Text, _>(slug)
    .get_result(conn)
    .await
    .optional()?;
    Ok(row.map(|row| row.token))
}

/// The token of a brand's link of this name.
pub(super) async fn token_of_brand(conn: &mut Conn, brand_slug: &str, slug: &str) -> Result<Option<String>> {
    let row: Option<TokenRow> =
        sql("select l.token from brands b join links l on l.brand_id = b.id and l.slug = $2 where b.slug = $1")
            .bind::<Text, _>(brand_slug)
            .bind::<Text, _>(slug)
            .get_result(conn)
            .await
            .optional()?;
    Ok(row.map(|row| row.token))
}

/// The token of the link of this name.
pub(super) async fn token_of_slug(conn: &mut Conn, scope: &Scope, slug: &str) -> Result<Option<String>> {
    let row: Option<TokenRow> = sql("select token from links where brand_id = $1 and slug = $2")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Text, _>(slug)
        .get_result(conn)
        .await
        .optional()?;
    Ok(row.map(|row| row.token))
}

#[derive(QueryableByName)]
struct SlugRow {
    #[diesel(sql_type = Text)]
    slug: String,
}

/// Those of these names that links of the brand have.
pub(super) async fn taken_slugs(conn: &mut Conn, scope: &Scope, slugs: &[String]) -> Result<HashSet<String>> {
    if slugs.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<SlugRow> = sql("select slug from links where brand_id = $1 and slug = any ($2)")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<Array<Text>, _>(slugs)
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|row| row.slug).collect())
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct ListedRow {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(embed)]
    link: LinkRow,
}

/// The first links of each creator, the oldest first.
pub async fn of_creators(conn: &mut Conn, scope: &Scope, keys: &[ListKey]) -> Result<HashMap<ListKey, Vec<Link>>> {
    let (after_times, after_ids): (Vec<DateTime<Utc>>, Vec<Uuid>) = keys.iter().map(ListKey::after_time).unzip();
    let rows: Vec<ListedRow> = sql(concat!(
        "select k.place, ",
        link_columns!(),
        " from unnest($2::uuid[], $3::int8[], $4::timestamptz[], $5::uuid[])
              with ordinality as k (creator_id, row_limit, after_at, after_id, place)
          cross join lateral (
              select * from links
              where brand_id = $1 and creator_id = k.creator_id and (created_at, id) > (k.after_at, k.after_id)
              order by created_at, id limit k.row_limit) l
          order by k.place, l.created_at, l.id"
    ))
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|key| key.parent_id).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(keys.iter().map(|key| key.limit).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(after_times)
    .bind::<Array<SqlUuid>, _>(after_ids)
    .load(conn)
    .await?;
    let mut lists: HashMap<ListKey, Vec<Link>> = HashMap::new();
    for row in rows {
        let key = usize::try_from(row.place - 1).ok().and_then(|place| keys.get(place));
        let key = key.ok_or_else(|| Error::fault("reading links of creators", "an unasked list"))?;
        lists.entry(*key).or_default().push(row.link.into_link()?);
    }
    Ok(lists)
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct CountRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// How many links each creator has; none: absent.
pub async fn counts_of_creators(conn: &mut Conn, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, i64>> {
    let rows: Vec<CountRow> = sql("select creator_id as id, count(*) as count from links
         where brand_id = $1 and creator_id = any ($2) group by creator_id")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.count)).collect())
}
