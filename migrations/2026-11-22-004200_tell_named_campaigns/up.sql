-- Whether a conversion's event named the campaign that judges it. Where it did not, a touch that comes late may make it another's. Of those
-- that were judged before it is not known: they stay with their campaigns.
alter table conversions add column is_campaign_named boolean not null default false;
update conversions set is_campaign_named = true where campaign_id is not null;
