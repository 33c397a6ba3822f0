-- A link can have a name that people can read, destinations of its own for phones, and is looked at without being clicked. Its name is
-- never given to another link: it may be printed somewhere.
alter table links
    add column slug text,
    add column ios_url text,
    add column android_url text,
    add column view_count bigint not null default 0,
    add constraint links_slug_key unique (brand_id, slug),
    add constraint links_slug_check check (slug ~ '^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$');

-- What was blocked as fraud was counted as clicks until now.
update links l set click_count = t.clicks, view_count = t.views, signup_count = t.signups
from (
    select
        brand_id,
        link_id,
        count(*) filter (where kind = 'CLICK') as clicks,
        count(*) filter (where kind = 'VIEW') as views,
        count(*) filter (where kind = 'SIGNUP') as signups
    from touchpoints
    where link_id is not null and decision <> 'BLOCK'
    group by brand_id, link_id
) t
where t.brand_id = l.brand_id and t.link_id = l.id;

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
