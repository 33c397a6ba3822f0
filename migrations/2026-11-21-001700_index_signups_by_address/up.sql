-- Fraud rules count the people who signed up from one address: on a busy one they would have to read past its clicks.
create index touchpoints_signup_ip_hash_idx on touchpoints (brand_id, ip_hash, occurred_at)
where kind = 'SIGNUP' and ip_hash is not null;
