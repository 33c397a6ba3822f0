drop table reward_caps;
drop table rewards;
