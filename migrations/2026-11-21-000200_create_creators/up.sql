-- The people who share links for a brand, and the accounts that they have on platforms.
create table creators (
    brand_id uuid not null,
    id uuid not null,
    handle text not null,
    display_name text not null,
    status text not null,
    tier text,
    created_at timestamptz not null,
    constraint creators_pkey primary key (brand_id, id),
    constraint creators_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade,
    constraint creators_handle_key unique (brand_id, handle),
    constraint creators_handle_check check (handle ~ '^[a-z0-9_][a-z0-9_.-]{0,63}$'),
    constraint creators_status_check check (status in ('ACTIVE', 'PAUSED', 'BANNED'))
);
create index creators_created_at_idx on creators (brand_id, created_at, id);

alter table api_keys
    add constraint api_keys_creator_id_fkey foreign key (brand_id, creator_id)
    references creators (brand_id, id) on delete cascade;
create index api_keys_creator_id_idx on api_keys (brand_id, creator_id);

create table platform_accounts (
    brand_id uuid not null,
    id uuid not null,
    creator_id uuid not null,
    platform text not null,
    external_id text not null,
    username text,
    verified_at timestamptz,
    follower_count integer,
    created_at timestamptz not null,
    constraint platform_accounts_pkey primary key (brand_id, id),
    constraint platform_accounts_creator_id_fkey foreign key (brand_id, creator_id)
    references creators (brand_id, id) on delete cascade,
    constraint platform_accounts_external_id_key unique (brand_id, platform, external_id),
    constraint platform_accounts_platform_check check (
        platform in (
            'WEB', 'IOS', 'ANDROID', 'INSTAGRAM', 'TIKTOK', 'YOUTUBE', 'SHOPIFY', 'STRIPE', 'BRANCH', 'APPSFLYER', 'OTHER'
        )
    ),
    constraint platform_accounts_follower_count_check check (follower_count >= 0)
);
create index platform_accounts_creator_id_idx on platform_accounts (brand_id, creator_id);
