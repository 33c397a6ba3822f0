-- What a brand sets for itself. A brand without a row has the defaults: its links may lead to any host.
create table brand_settings (
    brand_id uuid not null,
    allowed_hosts text[] not null default '{}',
    changed_at timestamptz not null,
    constraint brand_settings_pkey primary key (brand_id),
    constraint brand_settings_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade
);

-- What the address of a touch says: the channel group of its source, and the names that advertising platforms gave the click. Null where
-- it says nothing.
alter table touchpoints
    add column channel text,
    add column ad_clicks jsonb,
    add constraint touchpoints_channel_check check (
        channel in (
            'DIRECT', 'CROSS_NETWORK', 'PAID_SHOPPING', 'PAID_SEARCH', 'PAID_SOCIAL', 'PAID_VIDEO', 'DISPLAY', 'PAID_OTHER',
            'ORGANIC_SHOPPING', 'ORGANIC_SOCIAL', 'ORGANIC_VIDEO', 'ORGANIC_SEARCH', 'REFERRAL', 'EMAIL', 'AFFILIATES', 'AUDIO',
            'SMS', 'MOBILE_PUSH', 'UNASSIGNED'
        )
    );
