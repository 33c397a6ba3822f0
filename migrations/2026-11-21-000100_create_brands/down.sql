drop table api_keys;
drop table brand_counters;
drop table brands;
drop extension ltree;
