//! What is paid to whom: drafted with a sheet of lines, approved by somebody else, and then paid or failed as the payment provider says.
//! Money leaves what is payable when a payout is approved. It never sends money itself, and never decides what is owed: `rewards` does.
//! Start with `draft.rs` (the sheet) and `approve.rs` (what an approval checks and moves).

mod approve;
mod audit;
mod draft;
mod outcome;
pub mod reads;
pub mod rules;
mod store;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::access::Scope;
use crate::base::limits::PAYOUT_REASON_BYTES_MAX;
use crate::base::{Code, Currency, Error, Money, Result, derived_id};
use crate::db::Conn;
use crate::ledger::{AccountKey, Bucket};
use crate::rewards::Beneficiary;
use crate::text_enum;

pub use approve::approve;
pub use audit::{Audit, broken_count, is_broken, record_audit};
pub use draft::{cancel, create};
pub use outcome::{mark_failed, mark_paid};

text_enum! {
    /// Where a payout stands. DRAFT becomes APPROVED or CANCELED, APPROVED becomes PAID or FAILED, and the last three are final.
    PayoutState {
        Draft = "DRAFT",
        Approved = "APPROVED",
        Paid = "PAID",
        Failed = "FAILED",
        Canceled = "CANCELED",
    }
}

text_enum! {
    /// Why a line of the sheet is not paid with its payout.
    LineReason {
        /// Its escrow has not ended.
        InEscrow = "IN_ESCROW",
        /// A fraud decision keeps it back.
        Held = "HELD",
        /// An open alert weighs on its referee.
        OpenAlert = "OPEN_ALERT",
        /// An alert on its referee was confirmed.
        FraudConfirmed = "FRAUD_CONFIRMED",
        /// Another payout holds it.
        InAnotherPayout = "IN_ANOTHER_PAYOUT",
        /// It was taken back, or is not available any more, since the sheet was made.
        TakenBack = "TAKEN_BACK",
        /// The creator is banned.
        BeneficiaryBanned = "BENEFICIARY_BANNED",
        /// All lines together come to less than the least that was to be paid.
        BelowMinimum = "BELOW_MINIMUM",
        /// What would be sent is less than its campaign's policy asks for.
        BelowCampaignMinimum = "BELOW_CAMPAIGN_MINIMUM",
    }
}

/// What a new payout needs.
#[derive(Clone, Debug)]
pub struct NewPayout {
    pub beneficiary: Beneficiary,
    pub currency: Currency,
    /// Only rewards that were earned before this moment.
    pub earned_before: Option<DateTime<Utc>>,
    /// The least that is worth being sent.
    pub minimum: Option<Money>,
}

/// A payout's row, locked.
#[derive(Clone, Debug)]
struct Held {
    id: Uuid,
    beneficiary: Beneficiary,
    currency: Currency,
    gross_minor: i64,
    netted_minor: i64,
    state: PayoutState,
    created_by: Option<Uuid>,
}

impl Held {
    fn account(&self, bucket: Bucket) -> AccountKey {
        self.beneficiary.account(bucket, self.currency)
    }

    /// The transfer that moves a line's money.
    fn transfer_id(&self, reward_id: Uuid) -> Uuid {
        derived_id(&[b"payout", self.id.as_bytes(), reward_id.as_bytes()])
    }

    /// The transfer that withholds what the beneficiary owes.
    fn net_id(&self) -> Uuid {
        derived_id(&[b"net", self.id.as_bytes()])
    }

    /// Refuses with CONFLICT unless the payout stands where `verb` finds it.
    fn expect(&self, state: PayoutState, verb: &str) -> Result<()> {
        if self.state == state {
            return Ok(());
        }
        let message = format!("A payout in state {} cannot be {verb}.", self.state.as_str());
        Err(Error::refused(Code::Conflict, &["payoutId"], message))
    }
}

/// What a payout may withhold where the beneficiary's receivable has this balance: what is owed, but for what was taken back of payouts that
/// may yet fail. If they do, it was never sent and nothing is owed for it; what another payout had withheld for it would be lost.
async fn nettable_minor(
    conn: &mut Conn,
    scope: &Scope,
    beneficiary: Beneficiary,
    currency: Currency,
    receivable_minor: i64,
) -> Result<i64> {
    let unsettled_minor = store::unsettled_minor(conn, scope, beneficiary, currency).await?;
    Ok(receivable_minor.saturating_neg().saturating_sub(unsettled_minor))
}

/// A reason as it is kept; `field` names the argument in the refusal.
fn check_reason(reason: &str, field: &str) -> Result<()> {
    if reason.trim().is_empty() || reason.len() > PAYOUT_REASON_BYTES_MAX || reason.contains('\0') {
        let message = format!("Pass a reason of 1 to {PAYOUT_REASON_BYTES_MAX} bytes without the character U+0000.");
        return Err(Error::invalid(&[field], message));
    }
    Ok(())
}
