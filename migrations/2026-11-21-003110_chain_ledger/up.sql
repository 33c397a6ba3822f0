-- Each transfer carries a hash over itself and the one before it, so that nobody can change, leave out or add one unseen. The row of a
-- brand is where its chain ends: it is locked to the commit by who posts, so that the chain has no gap and no fork.
create table ledger_chains (
    brand_id uuid not null,
    seq bigint not null,
    hash bytea not null,
    constraint ledger_chains_pkey primary key (brand_id),
    constraint ledger_chains_brand_id_fkey foreign key (brand_id) references brands (id) on delete restrict,
    constraint ledger_chains_seq_check check (seq >= 0),
    constraint ledger_chains_hash_check check (octet_length(hash) = 32)
)
with (fillfactor = 50);

-- Null until the brand's chain has begun: it takes in what is there with the first transfer after this.
alter table ledger_transfers
add column chain_seq bigint,
add column chain_hash bytea,
add constraint ledger_transfers_chain_seq_key unique (brand_id, chain_seq),
add constraint ledger_transfers_chain_check check ((chain_seq is null) = (chain_hash is null));
