-- Where money was paid out this fails: the books cannot be told without it.
delete from outbox where topic like 'payout.%';
alter table outbox
    drop constraint outbox_topic_check,
    add constraint outbox_topic_check check (topic in ('fraud_alert.raised', 'fraud_alert.reviewed', 'reward.changed', 'attribution.changed'));
alter table brand_settings
    drop constraint brand_settings_four_eyes_above_minor_check,
    drop column four_eyes_above_minor;
drop table ledger_audits;
drop index ledger_transfers_payout_id_idx;
alter table ledger_transfers
    drop constraint ledger_transfers_payout_id_check,
    drop constraint ledger_transfers_reverses_id_check,
    add constraint ledger_transfers_reverses_id_check check ((kind in ('VOID', 'CLAWBACK')) = (reverses_id is not null)),
    drop constraint ledger_transfers_kind_check,
    add constraint ledger_transfers_kind_check check (
        kind in ('FUND', 'GRANT', 'RELEASE', 'VOID', 'CLAWBACK')
    ),
    drop column payout_id;
drop table payout_lines;
drop table payouts;
