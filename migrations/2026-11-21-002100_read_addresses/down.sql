alter table touchpoints drop constraint touchpoints_channel_check, drop column ad_clicks, drop column channel;
drop table brand_settings;
