-- What a beneficiary was granted by a campaign in all, for campaigns whose policy caps that. The row is the lock under which callers count.
create table reward_totals (
    brand_id uuid not null,
    campaign_id uuid not null,
    beneficiary_id uuid not null,
    granted_count integer not null,
    -- The policy version that counted last. Under another one it is counted anew, since a version between may have had no cap.
    policy_version integer not null,
    constraint reward_totals_pkey primary key (brand_id, campaign_id, beneficiary_id),
    constraint reward_totals_campaign_id_fkey foreign key (brand_id, campaign_id)
    references campaigns (brand_id, id) on delete cascade,
    constraint reward_totals_granted_count_check check (granted_count >= 0)
);
