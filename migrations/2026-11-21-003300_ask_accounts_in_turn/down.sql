drop index platform_accounts_asked_at_idx;
create index platform_accounts_checked_at_idx on platform_accounts (brand_id, checked_at, id);
alter table platform_accounts drop column asked_at;
