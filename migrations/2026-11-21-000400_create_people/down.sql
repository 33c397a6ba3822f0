drop table identity_merges;
drop table identities;
drop table people;
