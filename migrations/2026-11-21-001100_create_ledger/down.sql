drop view ledger_entries;
drop table ledger_transfers;
drop table ledger_accounts;
