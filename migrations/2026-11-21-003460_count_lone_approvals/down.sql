drop index payouts_approved_by_idx;
