-- What is owed, and why. Exactly one row per cause, beneficiary, degree and policy version; a denial leaves a row with its reason too.
create table rewards (
    brand_id uuid not null,
    id uuid not null,
    idempotency_key text not null,
    campaign_id uuid not null,
    policy_version integer not null,
    kind text not null,
    beneficiary_creator_id uuid,
    beneficiary_member_id uuid,
    referee_id uuid,
    conversion_id uuid,
    cause_event_id uuid,
    degree smallint not null,
    amount_minor bigint not null,
    reversed_minor bigint not null default 0,
    currency text not null,
    state text not null,
    reason text,
    triggered_at timestamptz not null,
    releases_at timestamptz,
    settled_at timestamptz,
    constraint rewards_pkey primary key (brand_id, id),
    constraint rewards_idempotency_key_key unique (brand_id, idempotency_key),
    constraint rewards_campaign_id_fkey foreign key (brand_id, campaign_id)
    references campaigns (brand_id, id) on delete restrict,
    constraint rewards_beneficiary_creator_id_fkey foreign key (brand_id, beneficiary_creator_id)
    references creators (brand_id, id) on delete restrict,
    constraint rewards_beneficiary_member_id_fkey foreign key (brand_id, beneficiary_member_id)
    references members (brand_id, id) on delete restrict,
    constraint rewards_referee_id_fkey foreign key (brand_id, referee_id)
    references members (brand_id, id) on delete restrict,
    constraint rewards_conversion_id_fkey foreign key (brand_id, conversion_id)
    references conversions (brand_id, id) on delete restrict,
    constraint rewards_beneficiary_check check (num_nonnulls(beneficiary_creator_id, beneficiary_member_id) = 1),
    -- A guest's purchase has no referee, a creator is no member: only a member who is the referee is refused.
    constraint rewards_self_check check (degree = 0 or referee_id <> beneficiary_member_id),
    constraint rewards_kind_check check (kind in ('CREDIT', 'DISCOUNT', 'FEATURE_UNLOCK', 'COMMISSION')),
    constraint rewards_state_check check (
        state in ('PENDING', 'ESCROWED', 'HELD', 'AVAILABLE', 'PAID', 'REVERSED', 'REJECTED')
    ),
    constraint rewards_amount_minor_check check (amount_minor >= 0),
    constraint rewards_reversed_minor_check check (reversed_minor between 0 and amount_minor),
    constraint rewards_reason_check check (state <> 'REJECTED' or reason is not null),
    constraint rewards_currency_check check (currency ~ '^[A-Z]{3}$')
);
create index rewards_triggered_at_idx on rewards (brand_id, triggered_at, id);
create index rewards_campaign_id_idx on rewards (brand_id, campaign_id, triggered_at, id);
create index rewards_beneficiary_creator_id_idx on rewards (brand_id, beneficiary_creator_id, triggered_at, id);
create index rewards_beneficiary_member_id_idx on rewards (brand_id, beneficiary_member_id, triggered_at, id);
create index rewards_referee_id_idx on rewards (brand_id, referee_id);
create index rewards_conversion_id_idx on rewards (brand_id, conversion_id);
create index rewards_releases_at_idx on rewards (brand_id, releases_at) where state = 'ESCROWED';

create table reward_caps (
    brand_id uuid not null,
    campaign_id uuid not null,
    beneficiary_id uuid not null,
    day date not null,
    granted_count integer not null,
    constraint reward_caps_pkey primary key (brand_id, campaign_id, beneficiary_id, day),
    constraint reward_caps_campaign_id_fkey foreign key (brand_id, campaign_id)
    references campaigns (brand_id, id) on delete cascade,
    constraint reward_caps_granted_count_check check (granted_count >= 0)
);
