-- A brand's apps: what the two files under /.well-known say of them, and where somebody who lacks the app gets it.
alter table brand_settings
    add column ios_app_ids text[] not null default '{}',
    add column ios_store_url text,
    add column android_package text,
    add column android_fingerprints text[] not null default '{}',
    add column is_probabilistic boolean not null default false;

-- A link for one person: whoever comes first redeems it.
alter table links
    add column is_single_use boolean not null default false,
    add column redeemed_at timestamptz;

-- Who was sent to an app store within the last minutes, for brands that want likely matches. Rows are deleted soon after.
create table link_visits (
    brand_id uuid not null,
    id uuid not null,
    link_id uuid not null,
    network_hash bytea not null,
    device text not null,
    visited_at timestamptz not null,
    constraint link_visits_pkey primary key (brand_id, id),
    constraint link_visits_link_id_fkey foreign key (brand_id, link_id)
    references links (brand_id, id) on delete cascade,
    constraint link_visits_device_check check (device in ('IOS', 'ANDROID'))
);
create index link_visits_link_id_idx on link_visits (brand_id, link_id);
create index link_visits_network_hash_idx on link_visits (brand_id, network_hash, device, visited_at);
create index link_visits_visited_at_idx on link_visits (brand_id, visited_at);
