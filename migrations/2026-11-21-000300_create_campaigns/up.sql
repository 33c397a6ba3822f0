-- A campaign and its versioned policies: every judgement names the version that made it.
create table campaigns (
    brand_id uuid not null,
    id uuid not null,
    slug text not null,
    name text not null,
    objective text not null,
    status text not null,
    starts_at timestamptz,
    ends_at timestamptz,
    budget_minor bigint,
    currency text not null,
    destination_url text,
    policy_version integer not null,
    created_at timestamptz not null,
    constraint campaigns_pkey primary key (brand_id, id),
    constraint campaigns_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade,
    constraint campaigns_slug_key unique (brand_id, slug),
    constraint campaigns_slug_check check (slug ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    constraint campaigns_objective_check check (objective in ('AWARENESS', 'CONSIDERATION', 'CONVERSION')),
    constraint campaigns_status_check check (status in ('DRAFT', 'ACTIVE', 'PAUSED', 'ENDED')),
    constraint campaigns_ends_at_check check (ends_at > starts_at),
    constraint campaigns_budget_minor_check check (budget_minor >= 0),
    constraint campaigns_currency_check check (currency ~ '^[A-Z]{3}$')
);
create index campaigns_created_at_idx on campaigns (brand_id, created_at, id);

-- The three policies are one document each, read and validated by the campaigns module (`AttributionPolicy`, `RewardPolicy`, `FraudPolicy`).
create table campaign_policies (
    brand_id uuid not null,
    campaign_id uuid not null,
    version integer not null,
    attribution jsonb not null,
    reward jsonb not null,
    fraud jsonb not null,
    created_at timestamptz not null,
    constraint campaign_policies_pkey primary key (brand_id, campaign_id, version),
    constraint campaign_policies_campaign_id_fkey foreign key (brand_id, campaign_id)
    references campaigns (brand_id, id) on delete cascade,
    constraint campaign_policies_version_check check (version > 0)
);
