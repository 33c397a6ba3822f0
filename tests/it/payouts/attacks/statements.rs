//! Attacks in SQL, sent as the owner of all tables, and the constraint or guard that refuses each. Statements that PostgreSQL judges row by
//! row find a row to be judged by in `world.rs`.

use super::{Attack, How};

const fn sql(name: &'static str, expected: &'static str, statement: &'static str) -> Attack {
    Attack { name, how: How::Sql(statement), expected }
}

/// A transfer like one that is there, under a name of its own behind the end of the chain.
macro_rules! forged {
    ($debit:literal, $amount:literal, $kind:literal) => {
        concat!(
            "insert into ledger_transfers (brand_id, id, debit_account_id, credit_account_id, amount_minor, currency, kind, posted_at, \
             chain_seq, chain_hash) select brand_id, gen_random_uuid(), ",
            $debit,
            ", credit_account_id, ",
            $amount,
            ", currency, '",
            $kind,
            "', posted_at, chain_seq + 1000000, chain_hash from ledger_transfers where kind = 'GRANT' limit 1"
        )
    };
}

pub const ATTACKS: &[Attack] = &[
    sql("an account overdrawn", "ledger_accounts_guard_check", "update ledger_accounts set debit_minor = credit_minor + 1 where bucket = 'payable'"),
    sql("a total below zero", "ledger_accounts_totals_guard", "update ledger_accounts set credit_minor = -1 where bucket = 'budget'"),
    sql("a total that shrinks", "ledger_accounts_totals_guard", "update ledger_accounts set debit_minor = debit_minor - 1 where bucket = 'funding'"),
    sql("money out of nothing", "ledger_accounts_balance_guard", "update ledger_accounts set credit_minor = credit_minor + 5 where bucket = 'payable'"),
    sql("an account that begins with money", "ledger_accounts_insert_guard",
        "insert into ledger_accounts (brand_id, id, bucket, owner_kind, owner_id, currency, is_guarded, created_at, credit_minor)
         select brand_id, gen_random_uuid(), bucket, owner_kind, gen_random_uuid(), currency, is_guarded, created_at, 100 from ledger_accounts limit 1"),
    sql("an account in another currency", "ledger_accounts_key_guard", "update ledger_accounts set currency = 'EUR' where bucket = 'payable'"),
    sql("an account that becomes another brand's", "ledger_accounts_key_guard",
        "update ledger_accounts set brand_id = (select id from brands where slug = 'globex') where bucket = 'paid_out'"),
    sql("an account that becomes another creator's", "ledger_accounts_key_guard", "update ledger_accounts set owner_id = gen_random_uuid()"),
    sql("an account that may be overdrawn from now on", "ledger_accounts_key_guard", "update ledger_accounts set is_guarded = false where is_guarded"),
    sql("an account that is gone", "ledger_accounts_delete_guard", "delete from ledger_accounts where bucket = 'funding'"),
    sql("a transfer of another amount", "ledger_transfers_update_guard", "update ledger_transfers set amount_minor = amount_minor + 1"),
    sql("a transfer that goes the other way", "ledger_transfers_update_guard",
        "update ledger_transfers set debit_account_id = credit_account_id, credit_account_id = debit_account_id"),
    sql("a transfer of another kind", "ledger_transfers_update_guard", "update ledger_transfers set kind = 'RETURN' where kind = 'PAYOUT'"),
    sql("a transfer to another day", "ledger_transfers_update_guard", "update ledger_transfers set posted_at = posted_at - interval '1 day'"),
    sql("a transfer that is gone", "ledger_transfers_delete_guard", "delete from ledger_transfers where kind = 'PAYOUT'"),
    sql("all transfers gone at once", "ledger_transfers_delete_guard", "truncate ledger_transfers"),
    sql("a transfer under a name that is taken", "ledger_transfers_pkey", "insert into ledger_transfers select * from ledger_transfers"),
    sql("a transfer of nothing", "ledger_transfers_amount_minor_check", forged!("debit_account_id", "0", "GRANT")),
    sql("a transfer of less than nothing", "ledger_transfers_amount_minor_check", forged!("debit_account_id", "-5", "GRANT")),
    sql("a transfer to where it comes from", "ledger_transfers_accounts_check", forged!("credit_account_id", "5", "GRANT")),
    sql("a transfer out of no account", "ledger_transfers_debit_account_id_fkey", forged!("gen_random_uuid()", "5", "GRANT")),
    sql("a transfer of no known kind", "ledger_transfers_kind_check", forged!("debit_account_id", "5", "GIFT")),
    sql("a reversal of no transfer", "ledger_transfers_reverses_id_check", forged!("debit_account_id", "5", "VOID")),
    sql("a payment of no payout", "ledger_transfers_payout_id_check", forged!("debit_account_id", "5", "PAYOUT")),
    sql("a transfer outside of the chain", "ledger_transfers_chain_guard",
        "insert into ledger_transfers (brand_id, id, debit_account_id, credit_account_id, amount_minor, currency, kind, posted_at)
         select brand_id, gen_random_uuid(), debit_account_id, credit_account_id, 5, currency, kind, posted_at from ledger_transfers
         where kind = 'GRANT' limit 1"),
    sql("a hash of the chain rewritten", "ledger_transfers_update_guard", "update ledger_transfers set chain_hash = sha256('x') where chain_seq = 2"),
    sql("a place in the chain given up", "ledger_transfers_update_guard", "update ledger_transfers set chain_seq = null, chain_hash = null"),
    sql("the end of the chain rewritten", "ledger_chains_update_guard", "update ledger_chains set hash = sha256('x')"),
    sql("the chain cut back", "ledger_chains_update_guard", "update ledger_chains set seq = seq - 1"),
    sql("the chain forgotten", "ledger_chains_delete_guard", "delete from ledger_chains"),
    sql("a reward paid out of escrow", "rewards_state_guard", "update rewards set state = 'PAID' where state = 'ESCROWED'"),
    sql("a reward that comes back", "rewards_state_guard", "update rewards set state = 'AVAILABLE' where state = 'REVERSED'"),
    sql("a reward that goes back into escrow", "rewards_state_guard", "update rewards set state = 'ESCROWED' where state = 'AVAILABLE'"),
    sql("a reward denied after it was granted", "rewards_state_guard", "update rewards set state = 'REJECTED', reason = 'x' where state = 'PAID'"),
    sql("a reward of more", "rewards_amount_guard", "update rewards set amount_minor = amount_minor + 1"),
    sql("a reward in another currency", "rewards_amount_guard", "update rewards set currency = 'KWD' where state = 'AVAILABLE'"),
    sql("a reward that becomes another's", "rewards_amount_guard",
        "update rewards set beneficiary_creator_id = '00000000-0000-0000-0000-0000000000c6' where state = 'AVAILABLE'"),
    sql("a reversal undone", "rewards_amount_guard", "update rewards set reversed_minor = 0 where state = 'REVERSED'"),
    sql("more taken back than was given", "rewards_reversed_minor_check", "update rewards set reversed_minor = amount_minor + 1"),
    sql("a reward twice", "rewards_pkey", "insert into rewards select * from rewards"),
    sql("a reward that is gone", "rewards_delete_guard", "delete from rewards where state = 'PAID'"),
    sql("all rewards gone at once", "rewards_delete_guard", "truncate rewards cascade"),
    sql("a payout of more than its lines", "payouts_amount_minor_check", "update payouts set amount_minor = amount_minor + 1 where state = 'DRAFT'"),
    sql("a debt below zero withheld", "payouts_amount_minor_check",
        "update payouts set netted_minor = -1, amount_minor = gross_minor + 1 where state = 'DRAFT'"),
    sql("an approved payout of more", "payouts_amount_guard",
        "update payouts set amount_minor = amount_minor + 1, gross_minor = gross_minor + 1 where state = 'APPROVED'"),
    sql("an approved payout to somebody else", "payouts_amount_guard",
        "update payouts set beneficiary_creator_id = '00000000-0000-0000-0000-0000000000c6' where state = 'APPROVED'"),
    sql("an approval in another's name", "payouts_amount_guard", "update payouts set approved_by = gen_random_uuid() where state = 'APPROVED'"),
    sql("a draft paid without an approval", "payouts_state_guard", "update payouts set state = 'PAID' where state = 'DRAFT'"),
    sql("an approval withdrawn", "payouts_state_guard", "update payouts set state = 'DRAFT' where state = 'APPROVED'"),
    sql("a canceled payout approved", "payouts_state_guard",
        "update payouts set state = 'APPROVED', approved_at = created_at, closed_at = null where state = 'CANCELED'"),
    sql("a failed payout paid", "payouts_state_guard", "update payouts set state = 'PAID', provider_reference = 'x' where state = 'FAILED'"),
    sql("an approval without its moment", "payouts_approved_at_check", "update payouts set state = 'APPROVED' where state = 'DRAFT'"),
    sql("a payment that no provider knows", "payouts_provider_reference_check",
        "update payouts set state = 'PAID', closed_at = approved_at where state = 'APPROVED'"),
    sql("a failure without a reason", "payouts_reason_check", "update payouts set state = 'FAILED', closed_at = approved_at where state = 'APPROVED'"),
    sql("a payout to two at once in the table", "payouts_beneficiary_check",
        "update payouts set beneficiary_member_id = beneficiary_creator_id where state = 'DRAFT'"),
    sql("a payout that is gone", "payouts_delete_guard", "delete from payouts where state = 'APPROVED'"),
    sql("a line of more than was granted", "payout_lines_amount_minor_check", "update payout_lines set amount_minor = granted_minor + 1"),
    sql("a line that pays nothing", "payout_lines_amount_minor_check", "update payout_lines set amount_minor = 0"),
    sql("a payable line with a reason against it", "payout_lines_is_payable_check", "update payout_lines set reason = 'HELD' where not is_live"),
    sql("a reward in two payouts", "payout_lines_live_idx",
        "insert into payout_lines (brand_id, payout_id, number, reward_id, granted_minor, amount_minor, is_payable, is_live)
         select l.brand_id, p.id, 99, l.reward_id, l.granted_minor, l.amount_minor, true, true
         from payout_lines l join payouts p on p.brand_id = l.brand_id and p.id <> l.payout_id where l.is_live limit 1"),
    sql("a line that is gone", "payout_lines_delete_guard", "delete from payout_lines"),
];
