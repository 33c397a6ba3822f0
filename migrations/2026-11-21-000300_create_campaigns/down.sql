drop table campaign_policies;
drop table campaigns;
