-- The referral forest. `path` is local to a segment: where a chain grows past the cap, the next member starts a new path,
-- and its row in member_segments remembers the path of its referrer. `depth` counts from the root of the tree, across segments.
create table members (
    brand_id uuid not null,
    id uuid not null,
    number bigint not null,
    external_id text,
    person_id uuid,
    status text not null,
    referrer_id uuid,
    creator_id uuid,
    campaign_id uuid,
    path ltree not null,
    depth integer not null,
    joined_at timestamptz not null,
    signed_up_at timestamptz,
    activated_at timestamptz,
    activation_count integer not null default 0,
    referee_count integer not null default 0,
    pending_referrer_external_id text,
    erased_at timestamptz,
    created_at timestamptz not null,
    constraint members_pkey primary key (brand_id, id),
    constraint members_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade,
    constraint members_number_key unique (brand_id, number),
    constraint members_external_id_key unique (brand_id, external_id),
    constraint members_person_id_fkey foreign key (brand_id, person_id) references people (brand_id, id) on delete restrict,
    constraint members_referrer_id_fkey foreign key (brand_id, referrer_id)
    references members (brand_id, id) on delete restrict,
    constraint members_creator_id_fkey foreign key (brand_id, creator_id)
    references creators (brand_id, id) on delete restrict,
    constraint members_campaign_id_fkey foreign key (brand_id, campaign_id)
    references campaigns (brand_id, id) on delete restrict,
    constraint members_status_check check (status in ('INVITED', 'SIGNED_UP', 'ACTIVATED', 'CHURNED', 'ERASED')),
    constraint members_referrer_id_check check (referrer_id <> id),
    constraint members_depth_check check (depth >= 0 and (depth = 0) = (referrer_id is null)),
    constraint members_activation_count_check check (activation_count >= 0),
    constraint members_referee_count_check check (referee_count >= 0)
);
create index members_referrer_id_idx on members (brand_id, referrer_id, joined_at, id);
create index members_path_idx on members (brand_id, depth, path);
create index members_joined_at_idx on members (brand_id, joined_at, id);
create index members_person_id_idx on members (brand_id, person_id);
create index members_creator_id_idx on members (brand_id, creator_id, joined_at, id);
create index members_campaign_id_idx on members (brand_id, campaign_id, joined_at, id);
create index members_pending_referrer_idx on members (brand_id, pending_referrer_external_id)
where pending_referrer_external_id is not null;

create table member_segments (
    brand_id uuid not null,
    root_member_id uuid not null,
    parent_path ltree not null,
    constraint member_segments_pkey primary key (brand_id, root_member_id),
    constraint member_segments_root_member_id_fkey foreign key (brand_id, root_member_id)
    references members (brand_id, id) on delete cascade
);
create index member_segments_parent_path_idx on member_segments (brand_id, parent_path);
