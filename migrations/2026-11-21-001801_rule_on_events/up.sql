-- Events that were refused or failed can be taken in again, or given up. An event keeps its row and its key: `replay_count` says how
-- often it came back into the line, `discarded_at` that somebody gave it up, and whether it came by an import decides how old it may be.
alter table events
    add column replay_count smallint not null default 0,
    add column discarded_at timestamptz,
    add column is_import boolean not null default false;
alter table events add constraint events_discarded_at_check check (discarded_at is null or state <> 'ACCEPTED');

-- What people ruled on such events: who, when, why, on which, and what it came to.
create table event_rulings (
    brand_id uuid not null,
    id uuid not null,
    verb text not null,
    reason text not null,
    -- The events as they were asked for, by identifier or by filter.
    selection jsonb not null,
    -- Null where it was ruled on the command line.
    api_key_id uuid,
    ruled_at timestamptz not null,
    changed_count integer not null,
    refused_count integer not null,
    unchanged_count integer not null,
    constraint event_rulings_pkey primary key (brand_id, id),
    constraint event_rulings_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade,
    constraint event_rulings_api_key_id_fkey foreign key (brand_id, api_key_id)
    references api_keys (brand_id, id) on delete restrict,
    constraint event_rulings_verb_check check (verb in ('REPLAY', 'DISCARD'))
);
create index event_rulings_api_key_id_idx on event_rulings (brand_id, api_key_id);
