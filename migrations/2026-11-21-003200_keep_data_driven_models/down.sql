delete from brand_counters where name = 'conversions';
alter table brand_counters drop constraint brand_counters_name_check;
alter table brand_counters add constraint brand_counters_name_check check (
    name in ('members', 'outbox', 'outbox_published')
);
alter table attribution_records drop constraint attribution_records_model_version_check;
alter table attribution_records drop column model_version;
alter table conversions drop constraint conversions_model_version_check;
alter table conversions drop column model_version;
update attribution_records set degree = 1 where degree = 0;
drop table data_driven_weights;
drop table data_driven_models;
