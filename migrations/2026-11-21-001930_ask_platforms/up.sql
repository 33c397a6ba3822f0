-- When a platform last said something of an account: those that were not asked about for longest are asked about next.
alter table platform_accounts add column checked_at timestamptz;
create index platform_accounts_checked_at_idx on platform_accounts (brand_id, checked_at, id);

-- How calls to each platform went, for those who look from another process than the one that calls. It belongs to the installation,
-- whose credentials they are made with, and to no brand.
create table platform_calls (
    platform text not null,
    state text not null,
    last_success_at timestamptz,
    last_failure_at timestamptz,
    -- Why the last one failed, in words of ours.
    last_failure text,
    constraint platform_calls_pkey primary key (platform),
    constraint platform_calls_state_check check (state in ('CLOSED', 'OPEN', 'HALF_OPEN'))
);
