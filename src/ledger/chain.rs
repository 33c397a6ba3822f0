//! The chain of a brand's transfers: each hash is taken over a text of the transfer and the hash before it. Pure; `docs/ledger.md` says
//! the text exactly, so that anyone can take the hashes again.

use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::account::{AccountKey, account_name};
use super::books::Transfer;
use crate::base::{Currency, Kind, TypeId};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The first words of a chain: a later form of the text would have other ones.
const FORM: &str = "grapevine ledger 1";

/// Where a chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many transfers the chain has.
    pub seq: i64,
    pub hash: Hash,
}

impl Head {
    /// The beginning of a brand's chain.
    pub(super) fn start(brand_id: Uuid) -> Self {
        Self { seq: 0, hash: Sha256::digest(format!("{FORM}|{}", Kind::Brand.id(brand_id))).into() }
    }

    /// The chain with one more transfer.
    pub(super) fn with(self, line: &Line) -> Self {
        let seq = self.seq + 1;
        Self { seq, hash: Sha256::digest(line.text(seq, &self.hash)).into() }
    }
}

/// A transfer as the chain holds it. Every part is from a closed alphabet without `|`, so that no two transfers have one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub id: Uuid,
    pub posted_at: DateTime<Utc>,
    pub kind: String,
    pub amount_minor: i64,
    pub currency: Currency,
    /// The account's bucket, whose it is, and their identifier, joined by colons.
    pub debit: String,
    pub credit: String,
    pub reward_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    pub reverses_id: Option<Uuid>,
    pub payout_id: Option<Uuid>,
}

impl Line {
    /// A transfer that is posted now.
    pub(super) fn of(now: DateTime<Utc>, transfer: &Transfer) -> Self {
        let name =
            |account: &AccountKey| account_name(account.bucket.as_str(), account.owner.as_str(), account.owner_id);
        Self {
            id: transfer.id,
            posted_at: now,
            kind: transfer.kind.as_str().to_owned(),
            amount_minor: transfer.amount_minor,
            currency: transfer.debit.currency,
            debit: name(&transfer.debit),
            credit: name(&transfer.credit),
            reward_id: transfer.reward_id,
            campaign_id: transfer.campaign_id,
            reverses_id: transfer.kind.reverses_id(),
            payout_id: transfer.kind.payout_id(),
        }
    }

    /// The identifier of the transfer, as it is written.
    #[must_use]
    pub fn name(&self) -> String {
        transfer_name(self.id)
    }

    /// The transfer that this one takes back, as it is written.
    #[must_use]
    pub fn reverses_name(&self) -> Option<String> {
        self.reverses_id.map(transfer_name)
    }

    /// When it was posted, as it is written: to the microsecond, which is what the database keeps.
    #[must_use]
    pub fn posted_at_text(&self) -> String {
        self.posted_at.to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    /// What the hash is taken over.
    fn text(&self, seq: i64, previous: &Hash) -> String {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            hex::encode(previous),
            seq.to_string(),
            self.name(),
            self.posted_at_text(),
            self.kind.clone(),
            self.amount_minor.to_string(),
            self.currency.to_string(),
            self.debit.clone(),
            self.credit.clone(),
            or_none(self.reward_id.map(|id| Kind::Reward.id(id))),
            or_none(self.campaign_id.map(|id| Kind::Campaign.id(id))),
            or_none(self.reverses_name()),
            or_none(self.payout_id.map(|id| Kind::Payout.id(id))),
        ]
        .join("|")
    }
}

fn transfer_name(id: Uuid) -> String {
    TypeId::new("transfer", id).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line {
            id: Uuid::from_u128(1),
            posted_at: DateTime::from_timestamp(1_787_000_000, 5_000).unwrap(),
            kind: "GRANT".to_owned(),
            amount_minor: 1_250,
            currency: "USD".parse().unwrap(),
            debit: account_name("budget", "campaign", Uuid::from_u128(2)),
            credit: account_name("escrow", "creator", Uuid::from_u128(3)),
            reward_id: Some(Uuid::from_u128(4)),
            campaign_id: None,
            reverses_id: None,
            payout_id: None,
        }
    }

    #[test]
    fn the_text_is_as_it_is_written_down() {
        let start = Head::start(Uuid::from_u128(9));
        let id = |number: u128| format!("{number:0>26}");
        let expected = format!(
            "{}|1|transfer_{}|2026-08-17T20:53:20.000005Z|GRANT|1250|USD|budget:campaign:campaign_{}|escrow:creator:creator_{}|reward_{}|-|-|-",
            hex::encode(start.hash),
            id(1),
            id(2),
            id(3),
            id(4)
        );
        assert_eq!(line().text(1, &start.hash), expected);
        assert_eq!(start.hash, Hash::from(Sha256::digest(format!("grapevine ledger 1|brand_{}", id(9)))));
    }

    #[test]
    fn every_part_of_a_transfer_and_its_place_change_the_hash() {
        let start = Head::start(Uuid::from_u128(9));
        let changes: [fn(&mut Line); 10] = [
            |line| line.id = Uuid::from_u128(7),
            |line| line.posted_at += chrono::TimeDelta::microseconds(1),
            |line| line.kind = "VOID".to_owned(),
            |line| line.amount_minor += 1,
            |line| line.currency = "EUR".parse().unwrap(),
            |line| std::mem::swap(&mut line.debit, &mut line.credit),
            |line| line.reward_id = None,
            |line| line.campaign_id = line.reward_id,
            |line| line.reverses_id = line.reward_id,
            |line| line.payout_id = line.reward_id,
        ];
        let mut hashes = vec![start.with(&line()).hash, start.with(&line()).with(&line()).hash];
        hashes.push(Head::start(Uuid::from_u128(8)).with(&line()).hash);
        hashes.push(Head { seq: 1, ..start }.with(&line()).hash);
        for change in changes {
            let mut changed = line();
            change(&mut changed);
            hashes.push(start.with(&changed).hash);
        }
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }
}
