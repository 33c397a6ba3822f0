-- Up to where a brand's chain was found whole: the look at the books each minute takes the hashes from there on, and not of years again.
-- A row of its own, since the row of the chain is locked by whoever posts.
create table ledger_chain_marks (
    brand_id uuid not null,
    seq bigint not null,
    hash bytea not null,
    marked_at timestamptz not null,
    constraint ledger_chain_marks_pkey primary key (brand_id),
    constraint ledger_chain_marks_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade,
    constraint ledger_chain_marks_seq_check check (seq > 0),
    constraint ledger_chain_marks_hash_check check (octet_length(hash) = 32)
)
with (fillfactor = 50);
