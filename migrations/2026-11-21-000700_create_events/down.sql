drop table positions;
drop table event_keys;
drop table events;
drop table webhook_sources;
