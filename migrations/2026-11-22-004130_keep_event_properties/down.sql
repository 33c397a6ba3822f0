drop table event_properties;
