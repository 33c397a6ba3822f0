-- The lines above the owners of touches as they were when a conversion was first shared out: a refund or a late touch settles it anew,
-- and takes back from those who were paid and not from those who stand there after a move. Conversions of before have no row, and keep
-- the line of their next settlement.
create table conversion_uplines (
    brand_id uuid not null,
    conversion_id uuid not null,
    member_id uuid not null,
    -- The nearest first, as far as the policy paid. Members are never deleted, so a key for each would guard nothing.
    ancestor_ids uuid [] not null,
    -- Whose tree it is, where the line reached the root.
    creator_id uuid,
    constraint conversion_uplines_pkey primary key (brand_id, conversion_id, member_id),
    constraint conversion_uplines_conversion_id_fkey foreign key (brand_id, conversion_id)
    references conversions (brand_id, id) on delete restrict,
    constraint conversion_uplines_member_id_fkey foreign key (brand_id, member_id)
    references members (brand_id, id) on delete restrict,
    constraint conversion_uplines_creator_id_fkey foreign key (brand_id, creator_id)
    references creators (brand_id, id) on delete restrict
);
create index conversion_uplines_member_id_idx on conversion_uplines (brand_id, member_id);
create index conversion_uplines_creator_id_idx on conversion_uplines (brand_id, creator_id);

-- What was paid for a referee's activation is looked up whenever it acts again: a buyer's thousand commissions are not read for it.
drop index rewards_referee_id_idx;
create index rewards_referee_id_conversion_id_idx on rewards (brand_id, referee_id, conversion_id);
