-- When we last asked about an account, whether or not there was an answer: one that is never answered about does not keep the others
-- from their turn, and two workers do not ask about the same one.
alter table platform_accounts add column asked_at timestamptz;
drop index platform_accounts_checked_at_idx;
create index platform_accounts_asked_at_idx on platform_accounts (brand_id, asked_at nulls first, id);
