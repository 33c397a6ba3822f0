-- On what a touch and a conversion happened, so that a policy can keep devices apart. What was recorded before names none and counts.
alter table touchpoints add column anonymous_hash bytea;
alter table conversions add column device_hash bytea;
alter table conversions add column anonymous_hash bytea;
