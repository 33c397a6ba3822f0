-- Facts derived from events. A touchpoint, a conversion or a refund carries the id of its event, so a second run of the same event is the same row.
create table touchpoints (
    brand_id uuid not null,
    id uuid not null,
    person_id uuid not null,
    kind text not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    creator_id uuid,
    referrer_id uuid,
    link_id uuid,
    campaign_id uuid,
    platform text not null,
    sub_id text,
    ip_hash bytea,
    device_hash bytea,
    agent_class text not null,
    has_consent boolean not null,
    decision text not null,
    constraint touchpoints_pkey primary key (brand_id, id),
    constraint touchpoints_person_id_fkey foreign key (brand_id, person_id)
    references people (brand_id, id) on delete restrict,
    constraint touchpoints_kind_check check (kind in ('CLICK', 'VIEW', 'INSTALL', 'OPEN', 'SIGNUP', 'ACTIVATION')),
    constraint touchpoints_agent_class_check check (agent_class in ('BROWSER', 'BOT', 'PREVIEW', 'UNKNOWN')),
    constraint touchpoints_decision_check check (decision in ('ALLOW', 'REVIEW', 'BLOCK'))
);
create index touchpoints_person_id_idx on touchpoints (brand_id, person_id, occurred_at, id);
create index touchpoints_creator_id_idx on touchpoints (brand_id, creator_id, occurred_at);
create index touchpoints_referrer_id_idx on touchpoints (brand_id, referrer_id, occurred_at)
where referrer_id is not null;
create index touchpoints_campaign_id_idx on touchpoints (brand_id, campaign_id, occurred_at);
create index touchpoints_ip_hash_idx on touchpoints (brand_id, ip_hash, occurred_at) where ip_hash is not null;

create table conversions (
    brand_id uuid not null,
    id uuid not null,
    person_id uuid not null,
    member_id uuid,
    campaign_id uuid,
    policy_version integer,
    generation integer not null,
    order_id text,
    amount_minor bigint not null,
    refunded_minor bigint not null default 0,
    currency text not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    constraint conversions_pkey primary key (brand_id, id),
    constraint conversions_person_id_fkey foreign key (brand_id, person_id)
    references people (brand_id, id) on delete restrict,
    constraint conversions_member_id_fkey foreign key (brand_id, member_id)
    references members (brand_id, id) on delete restrict,
    constraint conversions_campaign_id_fkey foreign key (brand_id, campaign_id)
    references campaigns (brand_id, id) on delete restrict,
    constraint conversions_order_id_key unique (brand_id, order_id),
    constraint conversions_amount_minor_check check (amount_minor >= 0),
    constraint conversions_refunded_minor_check check (refunded_minor between 0 and amount_minor),
    constraint conversions_currency_check check (currency ~ '^[A-Z]{3}$')
);
create index conversions_person_id_idx on conversions (brand_id, person_id, occurred_at);
create index conversions_member_id_idx on conversions (brand_id, member_id, occurred_at, id);
create index conversions_campaign_id_idx on conversions (brand_id, campaign_id, occurred_at);
create index conversions_occurred_at_idx on conversions (brand_id, occurred_at, id);

create table refunds (
    brand_id uuid not null,
    id uuid not null,
    order_id text not null,
    conversion_id uuid,
    amount_minor bigint not null,
    currency text not null,
    occurred_at timestamptz not null,
    constraint refunds_pkey primary key (brand_id, id),
    constraint refunds_conversion_id_fkey foreign key (brand_id, conversion_id)
    references conversions (brand_id, id) on delete restrict,
    constraint refunds_amount_minor_check check (amount_minor > 0)
);
create index refunds_conversion_id_idx on refunds (brand_id, conversion_id);
-- A refund that arrives before its order waits here for it.
create index refunds_waiting_idx on refunds (brand_id, order_id) where conversion_id is null;
