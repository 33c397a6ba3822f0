-- What the code never does to money, the database refuses whoever asks, the owner of the tables too: a mistake of ours, or a statement that
-- somebody slipped in, ends with the name of the guard. Guards only refuse; none of them changes a row. To go round them takes a deed that
-- nobody does by mistake: `alter table ... disable trigger`, which a role that does not own the tables cannot do (docs/ledger.md).
create function books_refuse() returns trigger language plpgsql as $$
begin
    raise exception using
        errcode = 'restrict_violation',
        message = format('%s refuses to %s "%s"', tg_name, lower(tg_op), tg_table_name),
        constraint = tg_name,
        table = tg_table_name;
end
$$;

-- A statement moves totals on both sides by the same amount in each currency, as every transfer does.
create function books_refuse_imbalance() returns trigger language plpgsql as $$
begin
    if exists (
        select 1
        from (
            select brand_id, currency, credit_minor - debit_minor as minor from accounts_after
            union all
            select brand_id, currency, debit_minor - credit_minor from accounts_before
        ) as moved
        group by brand_id, currency
        having sum(minor) <> 0
    ) then
        raise exception using
            errcode = 'restrict_violation',
            message = format('%s refuses totals that do not balance', tg_name),
            constraint = tg_name,
            table = tg_table_name;
    end if;
    return null;
end
$$;

-- Transfers are never changed, only reversed by another. The one change there is gives a place in the chain to those of before it.
create trigger ledger_transfers_update_guard before update on ledger_transfers for each row
when (
    old.chain_seq is not null
    or (
        old.brand_id, old.id, old.debit_account_id, old.credit_account_id, old.amount_minor, old.currency, old.kind,
        old.reward_id, old.campaign_id, old.reverses_id, old.payout_id, old.posted_at
    ) is distinct from (
        new.brand_id, new.id, new.debit_account_id, new.credit_account_id, new.amount_minor, new.currency, new.kind,
        new.reward_id, new.campaign_id, new.reverses_id, new.payout_id, new.posted_at
    )
)
execute function books_refuse();
-- A chain that has begun has all of them.
create trigger ledger_transfers_chain_guard before insert on ledger_transfers for each row
when (new.chain_seq is null)
execute function books_refuse();
create trigger ledger_transfers_delete_guard before delete or truncate on ledger_transfers for each statement
execute function books_refuse();

-- A chain only grows.
create trigger ledger_chains_update_guard before update on ledger_chains for each row
when (new.brand_id <> old.brand_id or new.seq <= old.seq)
execute function books_refuse();
create trigger ledger_chains_delete_guard before delete or truncate on ledger_chains for each statement
execute function books_refuse();

-- An account begins empty, stays what it is, and its totals only grow.
create trigger ledger_accounts_insert_guard before insert on ledger_accounts for each row
when (new.debit_minor <> 0 or new.credit_minor <> 0)
execute function books_refuse();
create trigger ledger_accounts_key_guard before update on ledger_accounts for each row
when (
    (old.brand_id, old.id, old.bucket, old.owner_kind, old.owner_id, old.currency, old.is_guarded)
    is distinct from (new.brand_id, new.id, new.bucket, new.owner_kind, new.owner_id, new.currency, new.is_guarded)
)
execute function books_refuse();
create trigger ledger_accounts_totals_guard before update on ledger_accounts for each row
when (new.debit_minor < old.debit_minor or new.credit_minor < old.credit_minor)
execute function books_refuse();
create trigger ledger_accounts_balance_guard after update on ledger_accounts
referencing old table as accounts_before new table as accounts_after for each statement
execute function books_refuse_imbalance();
create trigger ledger_accounts_delete_guard before delete or truncate on ledger_accounts for each statement
execute function books_refuse();

-- Rewards: the moves that the code knows, and what was granted stays what it was.
create trigger rewards_state_guard before update on rewards for each row
when (
    old.state <> new.state and (old.state, new.state) not in (
        ('PENDING', 'ESCROWED'), ('PENDING', 'HELD'), ('PENDING', 'AVAILABLE'), ('PENDING', 'REVERSED'), ('PENDING', 'REJECTED'),
        ('ESCROWED', 'HELD'), ('ESCROWED', 'AVAILABLE'), ('ESCROWED', 'REVERSED'),
        ('HELD', 'ESCROWED'), ('HELD', 'AVAILABLE'), ('HELD', 'REVERSED'),
        ('AVAILABLE', 'PAID'), ('AVAILABLE', 'REVERSED'),
        ('PAID', 'AVAILABLE'), ('PAID', 'REVERSED')
    )
)
execute function books_refuse();
create trigger rewards_amount_guard before update on rewards for each row
when (
    new.reversed_minor < old.reversed_minor
    or (
        old.brand_id, old.id, old.idempotency_key, old.campaign_id, old.beneficiary_creator_id, old.beneficiary_member_id,
        old.amount_minor, old.currency, old.kind
    ) is distinct from (
        new.brand_id, new.id, new.idempotency_key, new.campaign_id, new.beneficiary_creator_id, new.beneficiary_member_id,
        new.amount_minor, new.currency, new.kind
    )
)
execute function books_refuse();
create trigger rewards_delete_guard before delete or truncate on rewards for each statement
execute function books_refuse();

-- Payouts: likewise. What was approved is not another amount, nor another's, from then on.
create trigger payouts_state_guard before update on payouts for each row
when (
    old.state <> new.state and (old.state, new.state) not in (
        ('DRAFT', 'APPROVED'), ('DRAFT', 'CANCELED'), ('APPROVED', 'PAID'), ('APPROVED', 'FAILED')
    )
)
execute function books_refuse();
create trigger payouts_amount_guard before update on payouts for each row
when (
    old.state <> 'DRAFT'
    and (
        old.brand_id, old.id, old.beneficiary_creator_id, old.beneficiary_member_id, old.currency, old.gross_minor,
        old.netted_minor, old.amount_minor, old.created_by, old.approved_by
    ) is distinct from (
        new.brand_id, new.id, new.beneficiary_creator_id, new.beneficiary_member_id, new.currency, new.gross_minor,
        new.netted_minor, new.amount_minor, new.created_by, new.approved_by
    )
)
execute function books_refuse();
create trigger payouts_delete_guard before delete or truncate on payouts for each statement
execute function books_refuse();
create trigger payout_lines_delete_guard before delete or truncate on payout_lines for each statement
execute function books_refuse();
