-- The log by the day on which an event was recorded (UTC), so that a day is dropped whole once it was kept long enough. The day follows
-- from the event's identifier, which begins with the moment of its recording: who looks for an identifier looks in one day. The
-- tables of the days are made ahead by the worker, and by the door where one is missing.
alter table events rename to events_whole;
alter index events_pkey rename to events_whole_pkey;
alter index events_place_idx rename to events_whole_place_idx;
alter index events_refused_idx rename to events_whole_refused_idx;
alter index events_recorded_at_idx rename to events_whole_recorded_at_idx;
alter sequence events_seq_seq rename to events_whole_seq_seq;

-- A sequence of its own: a table that has parts cannot have an identity before PostgreSQL 17.
create sequence events_seq_seq as bigint;
create table events (
    brand_id uuid not null,
    id uuid not null,
    source_id uuid not null,
    shard smallint not null,
    recorded_xid bigint not null default (pg_current_xact_id()::text::bigint),
    seq bigint not null default nextval('events_seq_seq'),
    event_type text,
    state text not null,
    code text,
    reason text,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    payload jsonb,
    raw_sealed bytea,
    attempt_count smallint not null default 0,
    replay_count smallint not null default 0,
    discarded_at timestamptz,
    is_import boolean not null default false,
    constraint events_pkey primary key (brand_id, id, recorded_at),
    constraint events_state_check check (state in ('ACCEPTED', 'QUARANTINED', 'DEAD')),
    constraint events_code_check check ((state = 'ACCEPTED') = (code is null)),
    constraint events_payload_check check (payload is not null or raw_sealed is not null),
    constraint events_discarded_at_check check (discarded_at is null or state <> 'ACCEPTED')
) partition by range (recorded_at);
alter sequence events_seq_seq owned by events.seq;
create index events_place_idx on events (shard, recorded_xid, seq) where state = 'ACCEPTED';
create index events_refused_idx on events (brand_id, recorded_at, id) where state <> 'ACCEPTED';
create index events_recorded_at_idx on events (brand_id, recorded_at, id);

do $$
declare
    day date;
begin
    for day in select distinct (recorded_at at time zone 'UTC')::date from events_whole loop
        execute format(
            'create table events_%s partition of events for values from (%L) to (%L)', to_char(day, 'YYYYMMDD'),
            day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC'
        );
    end loop;
end $$;

insert into events (
    brand_id, id, source_id, shard, recorded_xid, seq, event_type, state, code, reason, occurred_at, recorded_at, payload, raw_sealed,
    attempt_count, replay_count, discarded_at, is_import
)
select
    brand_id, id, source_id, shard, recorded_xid, seq, event_type, state, code, reason, occurred_at, recorded_at, payload, raw_sealed,
    attempt_count, replay_count, discarded_at, is_import
from events_whole;
select setval('events_seq_seq', (select last_value from events_whole_seq_seq), (select is_called from events_whole_seq_seq));
drop table events_whole;

-- No event that was recorded before this moment waits for the reader: it need not look into the days before.
alter table positions add column since timestamptz not null default '1970-01-01 00:00:00Z';
alter table positions alter column since drop default;

-- The days that are no longer kept: what followed from their events stands, and their events are gone. The log has no holes: it
-- begins on the day after the last of these.
create table dropped_days (
    day date not null,
    dropped_at timestamptz not null,
    constraint dropped_days_pkey primary key (day)
);

-- Keys are pruned by age. They come in the order of time, so that the index grows at its end only. A summary by blocks would not
-- do: the room of pruned keys is used again, and then every block holds keys of all ages.
create index event_keys_recorded_at_idx on event_keys (recorded_at);
