drop table platform_calls;
drop index platform_accounts_checked_at_idx;
alter table platform_accounts drop column checked_at;
