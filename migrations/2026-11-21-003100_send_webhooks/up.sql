-- Where a brand hears of what changed: an address, what it asks for, and how far in the outbox it was served.
create table webhook_endpoints (
    brand_id uuid not null,
    id uuid not null,
    url text not null,
    -- Whole topics, or all of a noun's, such as `reward.*`.
    kinds text[] not null,
    secret_sealed bytea not null,
    -- The secret before the last rotation signs too until then, so that the receiver can change over in peace.
    previous_secret_sealed bytea,
    previous_expires_at timestamptz,
    -- The number in the outbox up to which deliveries were made.
    taken_seq bigint not null,
    created_at timestamptz not null,
    -- Since when every try has failed. Null where the last one did not.
    failing_since timestamptz,
    disabled_at timestamptz,
    disabled_reason text,
    constraint webhook_endpoints_pkey primary key (brand_id, id),
    constraint webhook_endpoints_brand_id_fkey foreign key (brand_id) references brands (id) on delete restrict,
    constraint webhook_endpoints_kinds_check check (cardinality(kinds) > 0),
    constraint webhook_endpoints_taken_seq_check check (taken_seq >= 0),
    constraint webhook_endpoints_previous_check check (
        (previous_secret_sealed is null) = (previous_expires_at is null)
    ),
    constraint webhook_endpoints_disabled_check check ((disabled_at is null) = (disabled_reason is null))
);

-- What was told or is to be told to an endpoint: one row per entry of the outbox that it asked for.
create table webhook_deliveries (
    brand_id uuid not null,
    endpoint_id uuid not null,
    seq bigint not null,
    message_id uuid not null,
    kind text not null,
    -- The body, byte for byte: every try sends and signs the same.
    payload text not null,
    state text not null,
    attempt_count smallint not null,
    -- When it is tried next. While a try is out this is when it counts as lost.
    next_attempt_at timestamptz,
    last_attempt_at timestamptz,
    last_status smallint,
    last_error text,
    delivered_at timestamptz,
    created_at timestamptz not null,
    constraint webhook_deliveries_pkey primary key (brand_id, endpoint_id, seq),
    constraint webhook_deliveries_endpoint_id_fkey foreign key (brand_id, endpoint_id)
    references webhook_endpoints (brand_id, id) on delete cascade,
    constraint webhook_deliveries_state_check check (state in ('PENDING', 'DELIVERED', 'FAILED')),
    constraint webhook_deliveries_attempt_count_check check (attempt_count >= 0),
    constraint webhook_deliveries_next_attempt_at_check check ((state = 'PENDING') = (next_attempt_at is not null)),
    constraint webhook_deliveries_delivered_at_check check ((state = 'DELIVERED') = (delivered_at is not null))
);
-- Those that wait, which are few: each look for work reads this and nothing of what was delivered.
create index webhook_deliveries_pending_idx on webhook_deliveries (brand_id, endpoint_id, seq) include (next_attempt_at)
where state = 'PENDING';
create index webhook_deliveries_created_at_idx on webhook_deliveries (brand_id, created_at);
