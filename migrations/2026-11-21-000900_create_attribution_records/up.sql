-- Who gets the credit. Weights are millionths of a millionth (they sum to 10^12), values are minor units (they sum to the
-- conversion's). A generation is superseded as a whole: history stays.
create table attribution_records (
    brand_id uuid not null,
    id uuid not null,
    conversion_id uuid not null,
    touchpoint_id uuid not null,
    creator_id uuid,
    referrer_id uuid,
    campaign_id uuid not null,
    model text not null,
    policy_version integer not null,
    generation integer not null,
    degree smallint not null,
    weight_units bigint not null,
    amount_minor bigint not null,
    currency text not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    superseded_at timestamptz,
    constraint attribution_records_pkey primary key (brand_id, id),
    constraint attribution_records_cause_key unique (brand_id, conversion_id, model, generation, touchpoint_id, degree),
    constraint attribution_records_touchpoint_id_fkey foreign key (brand_id, touchpoint_id)
    references touchpoints (brand_id, id) on delete restrict,
    constraint attribution_records_conversion_id_fkey foreign key (brand_id, conversion_id)
    references conversions (brand_id, id) on delete restrict,
    constraint attribution_records_campaign_id_fkey foreign key (brand_id, campaign_id)
    references campaigns (brand_id, id) on delete restrict,
    constraint attribution_records_model_check check (
        model in (
            'FIRST_TOUCH', 'LAST_TOUCH', 'LINEAR', 'TIME_DECAY', 'POSITION_BASED', 'WEIGHTED_LAST_TOUCH', 'DATA_DRIVEN'
        )
    ),
    constraint attribution_records_weight_units_check check (weight_units between 0 and 1000000000000),
    constraint attribution_records_amount_minor_check check (amount_minor >= 0)
);
create index attribution_records_touchpoint_id_idx on attribution_records (brand_id, touchpoint_id);
create index attribution_records_occurred_at_idx on attribution_records (brand_id, occurred_at, id);
create index attribution_records_creator_id_idx on attribution_records (brand_id, creator_id, occurred_at, id);
create index attribution_records_referrer_id_idx on attribution_records (brand_id, referrer_id, occurred_at, id);
create index attribution_records_campaign_id_idx on attribution_records (brand_id, campaign_id, occurred_at, id);
