-- A share link belongs to a creator or to a member, never to both. The token is 128 random bits and a keyed check.
create table links (
    brand_id uuid not null,
    id uuid not null,
    token text not null,
    campaign_id uuid not null,
    creator_id uuid,
    member_id uuid,
    platform text not null,
    sub_id text,
    destination_url text not null,
    utm_source text not null,
    utm_medium text not null,
    utm_campaign text not null,
    utm_content text,
    utm_term text,
    expires_at timestamptz,
    revoked_at timestamptz,
    click_count bigint not null default 0,
    signup_count bigint not null default 0,
    conversion_count bigint not null default 0,
    created_at timestamptz not null,
    constraint links_pkey primary key (brand_id, id),
    constraint links_token_key unique (brand_id, token),
    constraint links_campaign_id_fkey foreign key (brand_id, campaign_id)
    references campaigns (brand_id, id) on delete restrict,
    constraint links_creator_id_fkey foreign key (brand_id, creator_id)
    references creators (brand_id, id) on delete restrict,
    constraint links_member_id_fkey foreign key (brand_id, member_id)
    references members (brand_id, id) on delete restrict,
    constraint links_owner_check check (num_nonnulls(creator_id, member_id) = 1),
    constraint links_platform_check check (
        platform in (
            'WEB', 'IOS', 'ANDROID', 'INSTAGRAM', 'TIKTOK', 'YOUTUBE', 'SHOPIFY', 'STRIPE', 'BRANCH', 'APPSFLYER', 'OTHER'
        )
    )
);
-- The door knows the token before it knows the brand.
create index links_token_idx on links (token);
create index links_creator_id_idx on links (brand_id, creator_id, created_at, id);
create index links_member_id_idx on links (brand_id, member_id, created_at, id);
create index links_campaign_id_idx on links (brand_id, campaign_id, created_at, id);

-- Deferred deep links: one redemption per link and person.
create table link_claims (
    brand_id uuid not null,
    id uuid not null,
    link_id uuid not null,
    claimant_hash bytea not null,
    method text not null,
    confidence_ppm integer not null,
    candidate_count integer not null,
    claimed_at timestamptz not null,
    constraint link_claims_pkey primary key (brand_id, id),
    constraint link_claims_claimant_key unique (brand_id, link_id, claimant_hash),
    constraint link_claims_link_id_fkey foreign key (brand_id, link_id)
    references links (brand_id, id) on delete cascade,
    constraint link_claims_method_check check (
        method in ('EXACT_TOKEN', 'INSTALL_REFERRER', 'CLIPBOARD', 'PROBABILISTIC')
    ),
    constraint link_claims_confidence_ppm_check check (confidence_ppm between 0 and 1000000)
);
