-- What a key has approved of its own payouts lately counts against the limit up to which it may: few among many.
create index payouts_approved_by_idx on payouts (brand_id, approved_by, approved_at) where created_by = approved_by;
