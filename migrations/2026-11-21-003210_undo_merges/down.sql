drop index identity_merges_undone_idx;
drop table merge_rulings;
