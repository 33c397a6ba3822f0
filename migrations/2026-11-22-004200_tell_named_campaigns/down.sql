alter table conversions drop column is_campaign_named;
