-- A line can wait for the least that its campaign's policy pays out, which is not the least that whoever made the payout asked for.
alter table payout_lines
    drop constraint payout_lines_reason_check,
    add constraint payout_lines_reason_check check (
        reason in (
            'IN_ESCROW', 'HELD', 'OPEN_ALERT', 'FRAUD_CONFIRMED', 'IN_ANOTHER_PAYOUT', 'TAKEN_BACK', 'BENEFICIARY_BANNED', 'BELOW_MINIMUM',
            'BELOW_CAMPAIGN_MINIMUM'
        )
    );
