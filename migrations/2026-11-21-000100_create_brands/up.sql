-- A brand is one tenant; everything else leads with its id. Keys are how anyone is let in.
create extension if not exists ltree;

create table brands (
    id uuid not null,
    slug text not null,
    name text not null,
    currency text not null,
    shard smallint not null,
    keeps_properties boolean not null default false,
    created_at timestamptz not null,
    constraint brands_pkey primary key (id),
    constraint brands_slug_key unique (slug),
    constraint brands_slug_check check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    constraint brands_currency_check check (currency ~ '^[A-Z]{3}$'),
    constraint brands_shard_check check (shard between 0 and 15)
);

-- Dense numbers per brand. A row is locked from its increment to the commit, so numbers commit in order, without a gap.
create table brand_counters (
    brand_id uuid not null,
    name text not null,
    value bigint not null,
    constraint brand_counters_pkey primary key (brand_id, name),
    constraint brand_counters_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade,
    constraint brand_counters_name_check check (name in ('members', 'outbox', 'outbox_published'))
);

create table api_keys (
    brand_id uuid not null,
    id uuid not null,
    name text not null,
    role text not null,
    key_hash bytea not null,
    creator_id uuid,
    created_at timestamptz not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    constraint api_keys_pkey primary key (brand_id, id),
    constraint api_keys_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade,
    constraint api_keys_role_check check (
        role in ('admin', 'growth', 'finance', 'fraud_analyst', 'viewer', 'bot', 'ingest', 'creator')
    ),
    constraint api_keys_creator_id_check check ((role = 'creator') = (creator_id is not null))
);
create index api_keys_key_hash_idx on api_keys (key_hash);
