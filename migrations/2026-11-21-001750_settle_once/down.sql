drop index rewards_referee_id_conversion_id_idx;
create index rewards_referee_id_idx on rewards (brand_id, referee_id);
drop table conversion_uplines;
