drop index rewards_held_idx;
alter table links reset (fillfactor);
alter table conversions reset (fillfactor);
alter table members reset (fillfactor);
