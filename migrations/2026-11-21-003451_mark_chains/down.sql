drop table ledger_chain_marks;
