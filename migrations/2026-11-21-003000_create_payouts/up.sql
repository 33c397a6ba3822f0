-- What is paid to whom. A payout is drafted with a sheet of lines, approved by somebody else, and then paid or failed as the provider says.
create table payouts (
    brand_id uuid not null,
    id uuid not null,
    beneficiary_creator_id uuid,
    beneficiary_member_id uuid,
    currency text not null,
    -- The sum of the payable lines; what of it settles what the beneficiary owes; what is sent.
    gross_minor bigint not null,
    netted_minor bigint not null,
    amount_minor bigint not null,
    line_count integer not null,
    payable_count integer not null,
    state text not null,
    earned_before timestamptz,
    -- Keys are revoked and never deleted. Null: the process itself.
    created_by uuid,
    approved_by uuid,
    provider_reference text,
    -- Why it was approved although open alerts weighed on it.
    override_reason text,
    -- Why it was canceled or has failed.
    reason text,
    created_at timestamptz not null,
    approved_at timestamptz,
    closed_at timestamptz,
    constraint payouts_pkey primary key (brand_id, id),
    constraint payouts_beneficiary_creator_id_fkey foreign key (brand_id, beneficiary_creator_id)
    references creators (brand_id, id) on delete restrict,
    constraint payouts_beneficiary_member_id_fkey foreign key (brand_id, beneficiary_member_id)
    references members (brand_id, id) on delete restrict,
    constraint payouts_beneficiary_check check (num_nonnulls(beneficiary_creator_id, beneficiary_member_id) = 1),
    constraint payouts_currency_check check (currency ~ '^[A-Z]{3}$'),
    constraint payouts_amount_minor_check check (
        amount_minor >= 0 and netted_minor >= 0 and gross_minor = amount_minor + netted_minor
    ),
    constraint payouts_payable_count_check check (payable_count between 0 and line_count),
    constraint payouts_state_check check (state in ('DRAFT', 'APPROVED', 'PAID', 'FAILED', 'CANCELED')),
    -- Nothing is approved without a line that it pays.
    constraint payouts_gross_minor_check check (state not in ('APPROVED', 'PAID', 'FAILED') or gross_minor > 0),
    constraint payouts_approved_at_check check ((state in ('APPROVED', 'PAID', 'FAILED')) = (approved_at is not null)),
    constraint payouts_closed_at_check check ((state in ('PAID', 'FAILED', 'CANCELED')) = (closed_at is not null)),
    -- A payout that settles a debt alone sends nothing, so that no provider has a name for it.
    constraint payouts_provider_reference_check check (
        state <> 'PAID' or provider_reference is not null or amount_minor = 0
    ),
    constraint payouts_reason_check check (state not in ('FAILED', 'CANCELED') or reason is not null)
);
create index payouts_created_at_idx on payouts (brand_id, created_at, id);
create index payouts_beneficiary_creator_id_idx on payouts (brand_id, beneficiary_creator_id, created_at, id);
create index payouts_beneficiary_member_id_idx on payouts (brand_id, beneficiary_member_id, created_at, id);

-- The payout sheet: every reward that was looked at, whether it is paid with this payout, and why not.
create table payout_lines (
    brand_id uuid not null,
    payout_id uuid not null,
    number integer not null,
    reward_id uuid not null,
    -- What was granted, and what of it was not taken back when the line was last looked at.
    granted_minor bigint not null,
    amount_minor bigint not null,
    is_payable boolean not null,
    reason text,
    -- Whether the reward can be in no other payout: a payable line of one that is neither canceled nor failed.
    is_live boolean not null,
    constraint payout_lines_pkey primary key (brand_id, payout_id, number),
    constraint payout_lines_payout_id_reward_id_key unique (brand_id, payout_id, reward_id),
    constraint payout_lines_payout_id_fkey foreign key (brand_id, payout_id)
    references payouts (brand_id, id) on delete restrict,
    constraint payout_lines_reward_id_fkey foreign key (brand_id, reward_id)
    references rewards (brand_id, id) on delete restrict,
    constraint payout_lines_number_check check (number > 0),
    constraint payout_lines_amount_minor_check check (
        amount_minor between 0 and granted_minor and (amount_minor > 0 or not is_payable)
    ),
    constraint payout_lines_is_live_check check (is_payable or not is_live),
    constraint payout_lines_is_payable_check check (is_payable = (reason is null)),
    constraint payout_lines_reason_check check (
        reason in (
            'IN_ESCROW', 'HELD', 'OPEN_ALERT', 'FRAUD_CONFIRMED', 'IN_ANOTHER_PAYOUT', 'TAKEN_BACK', 'BENEFICIARY_BANNED', 'BELOW_MINIMUM'
        )
    )
);
create index payout_lines_reward_id_idx on payout_lines (brand_id, reward_id);
-- Two payouts can never hold the same reward, whoever races whom.
create unique index payout_lines_live_idx on payout_lines (brand_id, reward_id) where is_live;

-- Money that moves with a payout names it. Like `reward_id` it has no foreign key: few transfers have one, and all would pay for its index.
alter table ledger_transfers
    add column payout_id uuid,
    drop constraint ledger_transfers_kind_check,
    add constraint ledger_transfers_kind_check check (
        kind in ('FUND', 'GRANT', 'RELEASE', 'VOID', 'CLAWBACK', 'PAYOUT', 'NET', 'RETURN', 'UNNET')
    ),
    drop constraint ledger_transfers_reverses_id_check,
    add constraint ledger_transfers_reverses_id_check check (
        (kind in ('VOID', 'CLAWBACK', 'RETURN', 'UNNET')) = (reverses_id is not null)
    ),
    add constraint ledger_transfers_payout_id_check check (
        (kind in ('PAYOUT', 'NET', 'RETURN', 'UNNET')) = (payout_id is not null)
    );
create index ledger_transfers_payout_id_idx on ledger_transfers (brand_id, payout_id) where payout_id is not null;

-- What the last look at a brand's books found. While they are broken nothing is paid out.
create table ledger_audits (
    brand_id uuid not null,
    audited_at timestamptz not null,
    breach_count bigint not null,
    -- The first invariant that does not hold.
    invariant text,
    constraint ledger_audits_pkey primary key (brand_id),
    constraint ledger_audits_brand_id_fkey foreign key (brand_id) references brands (id) on delete cascade,
    constraint ledger_audits_breach_count_check check (breach_count >= 0),
    constraint ledger_audits_invariant_check check ((breach_count > 0) = (invariant is not null))
);

-- Up to which amount, in the brand's own currency, one key may both make a payout and approve it. Nothing, unless the brand says so.
alter table brand_settings
    add column four_eyes_above_minor bigint not null default 0,
    add constraint brand_settings_four_eyes_above_minor_check check (four_eyes_above_minor >= 0);

alter table outbox
    drop constraint outbox_topic_check,
    add constraint outbox_topic_check check (
        topic in (
            'fraud_alert.raised', 'fraud_alert.reviewed', 'reward.changed', 'attribution.changed',
            'payout.created', 'payout.approved', 'payout.paid', 'payout.failed', 'payout.canceled'
        )
    );
