drop table refunds;
drop table conversions;
drop table touchpoints;
