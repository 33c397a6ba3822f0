drop table platform_accounts;
alter table api_keys drop constraint api_keys_creator_id_fkey;
drop index api_keys_creator_id_idx;
drop table creators;
