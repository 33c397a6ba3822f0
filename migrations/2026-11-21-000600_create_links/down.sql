drop table link_claims;
drop table links;
