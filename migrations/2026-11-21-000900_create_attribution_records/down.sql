drop table attribution_records;
