-- A person is whom touches belong to. Merges move `canonical_id`; touches keep the person that they were recorded with, so that a merge can be undone.
create table people (
    brand_id uuid not null,
    id uuid not null,
    canonical_id uuid not null,
    created_at timestamptz not null,
    constraint people_pkey primary key (brand_id, id),
    constraint people_canonical_id_fkey foreign key (brand_id, canonical_id)
    references people (brand_id, id) on delete restrict
);
create index people_canonical_id_idx on people (brand_id, canonical_id);

-- Identifiers are kept as keyed hashes only.
create table identities (
    brand_id uuid not null,
    kind text not null,
    value_hash bytea not null,
    person_id uuid not null,
    first_seen_at timestamptz not null,
    constraint identities_pkey primary key (brand_id, kind, value_hash),
    constraint identities_person_id_fkey foreign key (brand_id, person_id)
    references people (brand_id, id) on delete cascade,
    constraint identities_kind_check check (kind in ('user', 'anonymous', 'click'))
);
create index identities_person_id_idx on identities (brand_id, person_id);

create table identity_merges (
    brand_id uuid not null,
    id uuid not null,
    from_person_id uuid not null,
    into_person_id uuid not null,
    event_id uuid not null,
    merged_at timestamptz not null,
    undone_at timestamptz,
    constraint identity_merges_pkey primary key (brand_id, id),
    constraint identity_merges_from_person_id_fkey foreign key (brand_id, from_person_id)
    references people (brand_id, id) on delete restrict,
    constraint identity_merges_into_person_id_fkey foreign key (brand_id, into_person_id)
    references people (brand_id, id) on delete restrict,
    constraint identity_merges_into_person_id_check check (from_person_id <> into_person_id)
);
create index identity_merges_from_person_id_idx on identity_merges (brand_id, from_person_id);
create index identity_merges_into_person_id_idx on identity_merges (brand_id, into_person_id);
