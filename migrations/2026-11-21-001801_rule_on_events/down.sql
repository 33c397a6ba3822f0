drop table event_rulings;
alter table events drop constraint events_discarded_at_check, drop column is_import, drop column discarded_at, drop column replay_count;
