//! Invariants of the ledger, of rewards on it, and of payouts: each statement takes the brand and counts the rows that break the rule.
//! While one of them is broken, nothing is paid out.

/// The name of each invariant, and the statement that counts its breaches.
pub(in crate::verify) const BOOK_INVARIANTS: &[(&str, &str)] = &[
    (
        "account totals equal their entries",
        "select count(*) as value from ledger_accounts a
         left join (select account_id, sum(greatest(-amount_minor, 0)) as debit, sum(greatest(amount_minor, 0)) as credit
                    from ledger_entries where brand_id = $1 group by account_id) e on e.account_id = a.id
         where a.brand_id = $1 and (a.debit_minor <> coalesce(e.debit, 0) or a.credit_minor <> coalesce(e.credit, 0))",
    ),
    (
        "the trial balance is zero in every currency",
        "select count(*) as value from (
             select currency from ledger_accounts where brand_id = $1 group by currency
             having sum(credit_minor) <> sum(debit_minor)) broken",
    ),
    (
        "transfers stay within one currency",
        "select count(*) as value from ledger_transfers t
         join ledger_accounts d on d.brand_id = t.brand_id and d.id = t.debit_account_id
         join ledger_accounts c on c.brand_id = t.brand_id and c.id = t.credit_account_id
         where t.brand_id = $1 and (t.currency <> d.currency or t.currency <> c.currency)",
    ),
    (
        "no guarded account is overdrawn",
        "select count(*) as value from ledger_accounts where brand_id = $1 and is_guarded and credit_minor < debit_minor",
    ),
    (
        "escrow holds what is in escrow or held",
        "select count(*) as value from (
             select owner_id, currency, sum(minor) as minor from (
                 select owner_id, currency, credit_minor - debit_minor as minor from ledger_accounts where brand_id = $1 and bucket = 'escrow'
                 union all
                 select coalesce(beneficiary_creator_id, beneficiary_member_id), currency, -(amount_minor - reversed_minor) from rewards
                 where brand_id = $1 and state in ('ESCROWED', 'HELD') and kind in ('CREDIT', 'COMMISSION')) lines
             group by owner_id, currency having sum(minor) <> 0) broken",
    ),
    (
        "payable holds what is available",
        "select count(*) as value from (
             select owner_id, currency, sum(minor) as minor from (
                 select owner_id, currency, credit_minor - debit_minor as minor from ledger_accounts where brand_id = $1 and bucket = 'payable'
                 union all
                 select coalesce(beneficiary_creator_id, beneficiary_member_id), currency, -(amount_minor - reversed_minor) from rewards
                 where brand_id = $1 and state = 'AVAILABLE' and kind in ('CREDIT', 'COMMISSION')) lines
             group by owner_id, currency having sum(minor) <> 0) broken",
    ),
    (
        "a payout is the sum of its payable lines, and what is sent is that less what is owed",
        "select count(*) as value from payouts p
         left join (select payout_id, count(*) as line_count, count(*) filter (where is_payable) as payable_count,
                           coalesce(sum(amount_minor) filter (where is_payable), 0) as minor
                    from payout_lines where brand_id = $1 group by payout_id) l on l.payout_id = p.id
         where p.brand_id = $1 and (p.line_count <> coalesce(l.line_count, 0) or p.payable_count <> coalesce(l.payable_count, 0)
                                    or p.gross_minor <> coalesce(l.minor, 0) or p.gross_minor <> p.netted_minor + p.amount_minor)",
    ),
    (
        "a line keeps its reward from other payouts as long as its payout may pay it",
        "select count(*) as value from payout_lines l join payouts p on p.brand_id = l.brand_id and p.id = l.payout_id
         where l.brand_id = $1 and l.is_live <> (l.is_payable and p.state in ('DRAFT', 'APPROVED', 'PAID'))",
    ),
    (
        "a paid reward stands in exactly one approved or paid payout",
        "select count(*) as value from rewards r
         left join (select l.reward_id, count(*) as count from payout_lines l
                    join payouts p on p.brand_id = l.brand_id and p.id = l.payout_id
                    where l.brand_id = $1 and l.is_live and p.state in ('APPROVED', 'PAID') group by l.reward_id) l on l.reward_id = r.id
         where r.brand_id = $1 and r.state = 'PAID' and l.count is distinct from 1",
    ),
    (
        "what a payout pays is the beneficiary's own, in its currency, and was paid",
        "select count(*) as value from payout_lines l
         join payouts p on p.brand_id = l.brand_id and p.id = l.payout_id
         join rewards r on r.brand_id = l.brand_id and r.id = l.reward_id
         where l.brand_id = $1 and (
             (p.beneficiary_creator_id, p.beneficiary_member_id, p.currency)
                 is distinct from (r.beneficiary_creator_id, r.beneficiary_member_id, r.currency)
             or l.granted_minor <> r.amount_minor
             or (l.is_live and p.state in ('APPROVED', 'PAID') and r.state not in ('PAID', 'REVERSED')))",
    ),
    (
        "each line of a payout that was approved has its transfer",
        "select count(*) as value from (
             select l.payout_id, l.reward_id, l.amount_minor from payout_lines l
             join payouts p on p.brand_id = l.brand_id and p.id = l.payout_id
             where l.brand_id = $1 and l.is_payable and p.approved_at is not null) l
         full join (select payout_id, reward_id, amount_minor from ledger_transfers where brand_id = $1 and kind = 'PAYOUT') t
             on t.payout_id = l.payout_id and t.reward_id = l.reward_id
         where l.amount_minor is distinct from t.amount_minor",
    ),
    (
        "a payout moved what it sends, and a failed one nothing in the end",
        "select count(*) as value from (
             select payout_id, sum(case when kind in ('PAYOUT', 'UNNET') then amount_minor else -amount_minor end) as minor
             from ledger_transfers where brand_id = $1 and payout_id is not null group by payout_id) t
         full join (select id, case when state in ('APPROVED', 'PAID') then amount_minor else 0 end as minor
                    from payouts where brand_id = $1) p on p.id = t.payout_id
         where coalesce(t.minor, 0) <> coalesce(p.minor, 0) or p.id is null",
    ),
    (
        "paid out is what approved payouts send",
        "select count(*) as value from (
             select owner_id, currency, sum(minor) as minor from (
                 select owner_id, currency, credit_minor - debit_minor as minor from ledger_accounts where brand_id = $1 and bucket = 'paid_out'
                 union all
                 select coalesce(beneficiary_creator_id, beneficiary_member_id), currency, -amount_minor from payouts
                 where brand_id = $1 and state in ('APPROVED', 'PAID')) lines
             group by owner_id, currency having sum(minor) <> 0) broken",
    ),
    (
        "receivable is what was taken back after it was paid, less what payouts have withheld",
        "select count(*) as value from (
             select owner_id, currency, sum(minor) as minor from (
                 select owner_id, currency, credit_minor - debit_minor as minor from ledger_accounts
                 where brand_id = $1 and bucket = 'receivable'
                 union all
                 select coalesce(p.beneficiary_creator_id, p.beneficiary_member_id), p.currency,
                        l.amount_minor - (r.amount_minor - r.reversed_minor)
                 from payout_lines l
                 join payouts p on p.brand_id = l.brand_id and p.id = l.payout_id
                 join rewards r on r.brand_id = l.brand_id and r.id = l.reward_id
                 where l.brand_id = $1 and l.is_live and p.state in ('APPROVED', 'PAID')
                 union all
                 select coalesce(beneficiary_creator_id, beneficiary_member_id), currency, -netted_minor from payouts
                 where brand_id = $1 and state in ('APPROVED', 'PAID')) lines
             group by owner_id, currency having sum(minor) <> 0) broken",
    ),
    (
        "nobody owes less than nothing",
        "select count(*) as value from ledger_accounts where brand_id = $1 and bucket = 'receivable' and credit_minor > debit_minor",
    ),
];
