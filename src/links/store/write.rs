//! New links, revocations and claims in PostgreSQL.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Nullable, Text, Timestamptz, Uuid as SqlUuid};
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
                            utm_medium, utm_campaign, utm_content, utm_term, expires_at, created_at, slug, ios_url, android_url)
         select $1, n.*
         from unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[],
                     $11::text[], $12::text[], $13::text[], $14::text[], $15::timestamptz[], $16::timestamptz[], $17::text[], $18::text[],
                     $19::text[]) as n")
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

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct ClaimRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    claimed_at: DateTime<Utc>,
}

/// Records a claim, and returns the identifier and the moment of the one that is kept: this, or the claimant's first.
pub async fn insert_claim(
    conn: &mut Conn,
    scope: &Scope,
    id: Uuid,
    link_id: Uuid,
    claimant_hash: &[u8],
    method: ClaimMethod,
    now: DateTime<Utc>,
) -> Result<(Uuid, DateTime<Utc>)> {
    let row: ClaimRow = sql("insert into link_claims as c
             (brand_id, id, link_id, claimant_hash, method, confidence_ppm, candidate_count, claimed_at)
         values ($1, $2, $3, $4, $5, 1000000, 1, $6)
         on conflict (brand_id, link_id, claimant_hash) do update set claimed_at = c.claimed_at
         returning c.id, c.claimed_at")
    .bind::<SqlUuid, _>(scope.brand_id)
    .bind::<SqlUuid, _>(id)
    .bind::<SqlUuid, _>(link_id)
    .bind::<Binary, _>(claimant_hash)
    .bind::<Text, _>(method.as_str())
    .bind::<Timestamptz, _>(now)
    .get_result(conn)
    .await?;
    Ok((row.id, row.claimed_at))
}
