-- How often a reader of the log has tried what stands next, written before the work and apart from it: so that a try which ends
-- the process counts too. It stands beside the positions, not in them: their rows are locked while the work goes on.
create table attempts (
    consumer text not null,
    shard smallint not null,
    -- Which try wrote this: only the same one may take it back.
    token uuid not null,
    attempt_count smallint not null,
    -- How many events the next try takes.
    events_max integer not null,
    -- Where the batch ends that failed: what is to blame stands at or before this place. Null where nothing failed.
    until_xid bigint,
    until_seq bigint,
    -- What went wrong last. Null after a try that never came back.
    fault text,
    begun_at timestamptz not null,
    constraint attempts_pkey primary key (consumer, shard),
    constraint attempts_until_check check ((until_xid is null) = (until_seq is null))
);
