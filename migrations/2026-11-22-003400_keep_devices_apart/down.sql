alter table conversions drop column anonymous_hash;
alter table conversions drop column device_hash;
alter table touchpoints drop column anonymous_hash;
