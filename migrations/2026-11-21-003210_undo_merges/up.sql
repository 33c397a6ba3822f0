-- Merges of identities that somebody ruled undone: which, who, when, why, and how far the log had been worked on by then. A replay of the log
-- undoes the merge at the same place again, so that what people decided outlives what follows from the log.
create table merge_rulings (
    brand_id uuid not null,
    id uuid not null,
    -- Of a row that follows from the log, which a replay deletes and makes again: so it is no foreign key.
    merge_id uuid not null,
    reason text not null,
    -- Null where it was ruled by the process itself.
    api_key_id uuid,
    ruled_at timestamptz not null,
    recorded_xid bigint not null,
    seq bigint not null,
    -- Null while a replay has not come to its place.
    done_at timestamptz,
    constraint merge_rulings_pkey primary key (brand_id, id),
    constraint merge_rulings_merge_id_key unique (brand_id, merge_id),
    constraint merge_rulings_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade,
    constraint merge_rulings_api_key_id_fkey foreign key (brand_id, api_key_id)
    references api_keys (brand_id, id) on delete restrict
);
create index merge_rulings_api_key_id_idx on merge_rulings (brand_id, api_key_id);
create index merge_rulings_waiting_idx on merge_rulings (brand_id, recorded_xid, seq) where done_at is null;

-- Whom no event joins again.
create index identity_merges_undone_idx on identity_merges (brand_id, merged_at) where undone_at is not null;
