-- Double entry. A transfer is one row with a debit and a credit account: zero-sum by its shape. Totals move with it in the same transaction.
create table ledger_accounts (
    brand_id uuid not null,
    id uuid not null,
    bucket text not null,
    owner_kind text not null,
    owner_id uuid not null,
    currency text not null,
    debit_minor bigint not null default 0,
    credit_minor bigint not null default 0,
    is_guarded boolean not null,
    created_at timestamptz not null,
    constraint ledger_accounts_pkey primary key (brand_id, id),
    constraint ledger_accounts_brand_id_fkey foreign key (brand_id) references brands (id) on delete restrict,
    constraint ledger_accounts_owner_key unique (brand_id, bucket, owner_kind, owner_id, currency),
    constraint ledger_accounts_bucket_check check (
        bucket in ('funding', 'budget', 'escrow', 'payable', 'paid_out', 'receivable')
    ),
    constraint ledger_accounts_owner_kind_check check (owner_kind in ('brand', 'campaign', 'creator', 'member')),
    constraint ledger_accounts_currency_check check (currency ~ '^[A-Z]{3}$'),
    constraint ledger_accounts_totals_check check (debit_minor >= 0 and credit_minor >= 0),
    constraint ledger_accounts_guard_check check (not is_guarded or credit_minor >= debit_minor)
)
with (fillfactor = 50);
create index ledger_accounts_owner_idx on ledger_accounts (brand_id, owner_kind, owner_id);

create table ledger_transfers (
    brand_id uuid not null,
    id uuid not null,
    debit_account_id uuid not null,
    credit_account_id uuid not null,
    amount_minor bigint not null,
    currency text not null,
    kind text not null,
    reward_id uuid,
    campaign_id uuid,
    reverses_id uuid,
    posted_at timestamptz not null,
    constraint ledger_transfers_pkey primary key (brand_id, id),
    constraint ledger_transfers_debit_account_id_fkey foreign key (brand_id, debit_account_id)
    references ledger_accounts (brand_id, id) on delete restrict,
    constraint ledger_transfers_credit_account_id_fkey foreign key (brand_id, credit_account_id)
    references ledger_accounts (brand_id, id) on delete restrict,
    constraint ledger_transfers_reverses_id_fkey foreign key (brand_id, reverses_id)
    references ledger_transfers (brand_id, id) on delete restrict,
    constraint ledger_transfers_accounts_check check (debit_account_id <> credit_account_id),
    constraint ledger_transfers_amount_minor_check check (amount_minor > 0),
    constraint ledger_transfers_kind_check check (
        kind in ('FUND', 'GRANT', 'RELEASE', 'VOID', 'CLAWBACK')
    ),
    constraint ledger_transfers_reverses_id_check check ((kind in ('VOID', 'CLAWBACK')) = (reverses_id is not null))
);
create index ledger_transfers_debit_account_id_idx on ledger_transfers (brand_id, debit_account_id);
create index ledger_transfers_credit_account_id_idx on ledger_transfers (brand_id, credit_account_id);
create index ledger_transfers_reverses_id_idx on ledger_transfers (brand_id, reverses_id);
create index ledger_transfers_reward_id_idx on ledger_transfers (brand_id, reward_id);

create view ledger_entries as
select
    brand_id,
    id as transfer_id,
    debit_account_id as account_id,
    -amount_minor as amount_minor,
    currency,
    reward_id,
    posted_at
from ledger_transfers
union all
select
    brand_id,
    id as transfer_id,
    credit_account_id as account_id,
    amount_minor,
    currency,
    reward_id,
    posted_at
from ledger_transfers;
