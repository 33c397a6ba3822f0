-- A link can have a name that people can read, destinations of its own for phones, and is looked at without being clicked. Its name is
-- never given to another link: it may be printed somewhere.
alter table links
    add column slug text,
    add column ios_url text,
    add column android_url text,
    add column view_count bigint not null default 0,
    add constraint links_slug_key unique (brand_id, slug),
    add constraint links_slug_check check (slug ~ '^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$');

-- Hosts of a brand's own under which its links stand. Whoever named a host first has it: a unique key without the brand is not possible,
-- so the door reads the earliest.
create table brand_hosts (
    brand_id uuid not null,
    host text not null,
    created_at timestamptz not null,
    constraint brand_hosts_pkey primary key (brand_id, host),
    constraint brand_hosts_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade
);
create index brand_hosts_host_idx on brand_hosts (host, created_at, brand_id);
