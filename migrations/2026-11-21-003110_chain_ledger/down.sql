alter table ledger_transfers
drop constraint ledger_transfers_chain_check,
drop constraint ledger_transfers_chain_seq_key,
drop column chain_hash,
drop column chain_seq;
drop table ledger_chains;
