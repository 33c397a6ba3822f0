-- How they were counted before is not kept: nothing is taken back.
select 1;
