-- Rows that change after they are made find room on their own page, so that no index has to be told.
alter table members set (fillfactor = 85);
alter table conversions set (fillfactor = 85);
alter table links set (fillfactor = 70);

-- Held rewards are looked at every second: few among many.
create index rewards_held_idx on rewards (brand_id, id) where state = 'HELD';
