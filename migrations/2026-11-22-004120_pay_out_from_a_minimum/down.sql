update payout_lines set reason = 'BELOW_MINIMUM' where reason = 'BELOW_CAMPAIGN_MINIMUM';
alter table payout_lines
    drop constraint payout_lines_reason_check,
    add constraint payout_lines_reason_check check (
        reason in (
            'IN_ESCROW', 'HELD', 'OPEN_ALERT', 'FRAUD_CONFIRMED', 'IN_ANOTHER_PAYOUT', 'TAKEN_BACK', 'BENEFICIARY_BANNED', 'BELOW_MINIMUM'
        )
    );
