//! New links, revocations and claims in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::access::Scope;
use crate::base::{Code, Error, Result};
use crate::db::schema::links;
use crate::db::{Conn, constraint_of, sql};
use crate::links::generate::SLUG_TAKEN;
use crate::links::{ClaimMethod, Link};

/// Inserts links in one statement.
pub async fn insert(conn: &mut Conn, scope: &Scope, new: &[Link]) -> Result<()> {
    fn all<'a, T>(new: &'a [Link], field: impl Fn(&'a Link) -> T) -> Vec<T> {
        new.iter().map(field).collect()
    }
    sql("insert into links (brand_id, id, token, campaign_id, creator_id, member_id, platform, sub_id, destination_url, utm_source,
                            utm_medium, utm_campaign, utm_content, utm_term, expires_at, created_at, slug, ios_url, android_url, is_single_use)
         select $1, n.*
         from unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[],
                     $11::text[], $12::text[], $13::text[], $14::text[], $15::timestamptz[], $16::timestamptz[], $17::text[], $18::text[],
                     $19::text[], $20::bool[]) as n")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<Array<SqlUuid>, _>(all(new, |link| link.id))
    .bind::<Array<Text>, _>(all(new, |link| link.token.as_str()))
    .bind::<Array<SqlUuid>, _>(all(new, |link| link.campaign_id))
    .bind::<Array<Nullable<SqlUuid>>, _>(all(new, Link::creator_id))
    .bind::<Array<Nullable<SqlUuid>>, _>(all(new, Link::member_id))
    .bind::<Array<Text>, _>(all(new, |link| link.platform.as_str()))
    .bind::<Array<Nullable<Text>>, _>(all(new, |link| link.sub_id.as_deref()))
    .bind::<Array<Text>, _>(all(new, |link| link.destination_url.as_str()))
    .bind::<Array<Text>, _>(all(new, |link| link.utm.source.as_str()))
    .bind::<Array<Text>, _>(all(new, |link| link.utm.medium.as_str()))
    .bind::<Array<Text>, _>(all(new, |link| link.utm.campaign.as_str()))
    .bind::<Array<Nullable<Text>>, _>(all(new, |link| link.utm.content.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(all(new, |link| link.utm.term.as_deref()))
    .bind::<Array<Nullable<Timestamptz>>, _>(all(new, |link| link.expires_at))
    .bind::<Array<Timestamptz>, _>(all(new, |link| link.created_at))
    .bind::<Array<Nullable<Text>>, _>(all(new, |link| link.slug.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(all(new, |link| link.ios_url.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(all(new, |link| link.android_url.as_deref()))
    .bind::<Array<Bool>, _>(all(new, |link| link.is_single_use))
    .execute(conn)
    .await
    .map_err(|error| match constraint_of(&error) {
        // Somebody else took it since we looked.
        Some("links_slug_key") => Error::refused(Code::Conflict, &["slug"], SLUG_TAKEN),
        _ => error.into(),
    })?;
    Ok(())
}

/// Revokes a link and returns its token; `None`: there is no such link.
pub async fn revoke(conn: &mut Conn, scope: &Scope, id: Uuid, now: DateTime<Utc>) -> Result<Option<String>> {
    let link = links::table.filter(links::brand_id.eq(scope.brand_id)).filter(links::id.eq(id));
    diesel::update(link.filter(links::revoked_at.is_null())).set(links::revoked_at.eq(now)).execute(conn).await?;
    Ok(link.select(links::token).first(conn).await.optional()?)
}

/// A claim to be kept.
pub struct NewClaim<'a> {
    pub id: Uuid,
    pub link_id: Uuid,
    pub claimant_hash: &'a [u8],
    pub method: ClaimMethod,
    pub confidence_ppm: i32,
    pub candidate_count: i32,
    pub claimed_at: DateTime<Utc>,
}

/// Keeps a claim. False: the claimant has claimed this link before.
pub async fn insert_claim(conn: &mut Conn, scope: &Scope, claim: &NewClaim<'_>) -> Result<bool> {
    let count = sql("insert into link_claims
             (brand_id, id, link_id, claimant_hash, method, confidence_ppm, candidate_count, claimed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (brand_id, link_id, claimant_hash) do nothing")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(claim.id)
    .bind::<SqlUuid, _>(claim.link_id)
    .bind::<Binary, _>(claim.claimant_hash)
    .bind::<Text, _>(claim.method.as_str())
    .bind::<Integer, _>(claim.confidence_ppm)
    .bind::<Integer, _>(claim.candidate_count)
    .bind::<Timestamptz, _>(claim.claimed_at)
    .execute(conn)
    .await?;
    Ok(count == 1)
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct ClaimRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    method: String,
    #[diesel(sql_type = Timestamptz)]
    claimed_at: DateTime<Utc>,
}

/// A claim that is there: its identifier, its method, its moment.
pub type KeptClaim = (Uuid, ClaimMethod, DateTime<Utc>);

/// The claim of a claimant on a link, by the strongest of its identifiers under which there is one. From then on it goes by the strongest
/// of all, so that another person who uses the same device later is not taken for this one.
pub async fn claim_of(
    conn: &mut Conn,
    scope: &Scope,
    link_id: Uuid,
    claimant: &[Vec<u8>],
) -> Result<Option<KeptClaim>> {
    let row: Option<ClaimRow> = sql("update link_claims set claimant_hash = ($3::bytea[])[1]
         where brand_id = $1 and id = (
             select id from link_claims where brand_id = $1 and link_id = $2 and claimant_hash = any ($3)
             order by array_position($3, claimant_hash) limit 1
             for no key update)
         returning id, method, claimed_at")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(link_id)
    .bind::<Array<Binary>, _>(claimant)
    .get_result(conn)
    .await
    .optional()?;
    row.map(|row| Ok((row.id, ClaimMethod::from_column(&row.method)?, row.claimed_at))).transpose()
}

/// Makes a likely claim a certain one.
pub async fn confirm_claim(
    conn: &mut Conn,
    scope: &Scope,
    id: Uuid,
    method: ClaimMethod,
    now: DateTime<Utc>,
) -> Result<()> {
    sql("update link_claims set method = $3, confidence_ppm = 1000000, candidate_count = 1, claimed_at = $4
         where brand_id = $1 and id = $2")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .bind::<Text, _>(method.as_str())
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Redeems a link of a single use, whoever else tries at the same moment. False: somebody else has.
pub async fn redeem(conn: &mut Conn, scope: &Scope, id: Uuid, now: DateTime<Utc>) -> Result<bool> {
    let count = sql("update links set redeemed_at = $3 where brand_id = $1 and id = $2 and redeemed_at is null")
        .bind::<SqlUuid, _>(scope.brand_id)
        .bind::<SqlUuid, _>(id)
        .bind::<Timestamptz, _>(now)
        .execute(conn)
        .await?;
    Ok(count == 1)
}
