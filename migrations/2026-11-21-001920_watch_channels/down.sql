drop table channel_watches;
