-- The channels of which YouTube's hub tells us, per source: it grants a lease, and falls silent when that ends.
create table channel_watches (
    brand_id uuid not null,
    source_id uuid not null,
    channel_id text not null,
    -- When the hub was last asked. Null where it asked us first.
    asked_at timestamptz,
    -- When the lease ends that the hub granted. Null where it has not answered yet.
    expires_at timestamptz,
    constraint channel_watches_pkey primary key (brand_id, source_id, channel_id),
    constraint channel_watches_source_id_fkey foreign key (brand_id, source_id)
    references webhook_sources (brand_id, id) on delete cascade
);
create index channel_watches_expires_at_idx on channel_watches (brand_id, expires_at);
