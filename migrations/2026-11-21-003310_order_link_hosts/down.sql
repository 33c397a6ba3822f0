alter table brand_hosts drop column place;
