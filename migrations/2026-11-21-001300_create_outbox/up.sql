-- What the world is told, in a dense sequence per brand, written in the transaction that made it true.
create table outbox (
    brand_id uuid not null,
    seq bigint not null,
    topic text not null,
    subject_id uuid not null,
    recorded_at timestamptz not null,
    constraint outbox_pkey primary key (brand_id, seq),
    constraint outbox_topic_check check (topic in ('fraud_alert.raised', 'fraud_alert.reviewed', 'reward.changed', 'attribution.changed'))
);

-- A mutation's first result, kept so that a replay of its key returns it.
create table idempotency_keys (
    brand_id uuid not null,
    operation text not null,
    key text not null,
    request_hash bytea not null,
    result jsonb not null,
    recorded_at timestamptz not null,
    constraint idempotency_keys_pkey primary key (brand_id, operation, key)
);
