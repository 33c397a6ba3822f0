-- Which of a brand's hosts comes first, which the brand may change; who named a host first stays in created_at.
alter table brand_hosts add column place smallint not null default 0;
