drop table reward_totals;
