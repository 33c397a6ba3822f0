drop table member_segments;
drop table members;
