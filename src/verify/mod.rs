//! Checks every data invariant on a live database. It never mends what it finds.
//! Start with `store.rs`: each invariant is one statement that counts the rows which break it. The ledger's chain is `ledger`'s to check.

mod store;

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use crate::access::Brand;
use crate::attribution::report::kept;
use crate::base::Result;
use crate::base::limits::{ACTIVITY_DAYS_KEPT, EVENT_KEY_DAYS};
use crate::db::Conn;
use crate::kv::Kv;
use crate::ledger;
use crate::ledger::reads::{Extent, Look, look};
use crate::payouts::{Audit, is_broken, record_audit};

/// Entries of a stream that are compared at once.
const STREAM_BATCH: usize = 1_000;

/// The invariant of the ledger's hashes, which are taken again one by one.
const CHAIN: &str = "the ledger's chain of hashes is whole";

/// The invariant of the sums that reports are answered from, which are worked out again one by one.
const SUMS: &str = "kept sums of reports equal the live computation";

/// One invariant and how many rows break it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Finding {
    pub brand: String,
    pub invariant: &'static str,
    pub breach_count: i64,
}

/// Every invariant with its count, breached or not, as one snapshot sees them.
pub async fn check(conn: &mut Conn, brand: &Brand, now: DateTime<Utc>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    store::begin(conn).await?;
    let counted = count_all(conn, brand, now, &mut findings).await;
    store::end(conn).await?;
    counted.map(|()| findings)
}

/// Checks the books of a brand alone, the chain as far as `extent` says, and keeps what it found: while they are broken, no payout is
/// approved. Returns how many rows are in breach. What was broken at the last look is whole only when a look at all of it says so.
pub async fn audit(conn: &mut Conn, brand: &Brand, now: DateTime<Utc>, extent: Extent) -> Result<i64> {
    let extent = if is_broken(conn, &brand.scope()).await? { Extent::Whole } else { extent };
    let mut findings = Vec::new();
    store::begin(conn).await?;
    let counted = count_books(conn, brand, extent, &mut findings).await;
    store::end(conn).await?;
    let chain = counted?;
    let breach_count: i64 = findings.iter().map(|finding| finding.breach_count).sum();
    let broken = findings.iter().find(|finding| finding.breach_count > 0);
    if let Some(Finding { invariant, .. }) = broken {
        tracing::error!(
            brand.slug,
            breach_count,
            invariant,
            "the books do not add up: nothing is paid out until they do"
        );
    }
    let is_whole = extent == Extent::Whole;
    let audit = Audit { breach_count, invariant: broken.map(|finding| finding.invariant), is_whole };
    record_audit(conn, &brand.scope(), now, &audit).await?;
    if chain.breach_count == 0 {
        ledger::mark_chain(conn, &brand.scope(), now, chain.end).await?;
    }
    Ok(breach_count)
}

async fn count_each(
    conn: &mut Conn,
    brand: &Brand,
    invariants: &'static [(&'static str, &'static str)],
    findings: &mut Vec<Finding>,
) -> Result<()> {
    for &(invariant, statement) in invariants {
        let breach_count = store::count(conn, &brand.scope(), statement).await?;
        findings.push(Finding { brand: brand.slug.clone(), invariant, breach_count });
    }
    Ok(())
}

/// What the ledger promises: its sums, and that no transfer was changed.
async fn count_books(conn: &mut Conn, brand: &Brand, extent: Extent, findings: &mut Vec<Finding>) -> Result<Look> {
    count_each(conn, brand, store::BOOK_INVARIANTS, findings).await?;
    let chain = look(conn, &brand.scope(), extent).await?;
    findings.push(Finding { brand: brand.slug.clone(), invariant: CHAIN, breach_count: chain.breach_count });
    Ok(chain)
}

async fn count_all(conn: &mut Conn, brand: &Brand, now: DateTime<Utc>, findings: &mut Vec<Finding>) -> Result<()> {
    for invariants in [store::LOG_INVARIANTS, store::INVARIANTS] {
        count_each(conn, brand, invariants, findings).await?;
    }
    count_books(conn, brand, Extent::Whole, findings).await?;
    let breach_count = kept::broken_sums(conn, &brand.scope()).await?;
    findings.push(Finding { brand: brand.slug.clone(), invariant: SUMS, breach_count });
    let day = |days: i64| (now - TimeDelta::days(days)).date_naive();
    let since =
        [(store::KEY_INVARIANTS, day(EVENT_KEY_DAYS - 1)), (store::INVARIANTS_OF_THE_DAY, day(ACTIVITY_DAYS_KEPT / 2))];
    for (invariants, day) in since {
        for (invariant, statement) in invariants {
            let breach_count = store::count_of_the_day(conn, &brand.scope(), statement, day).await?;
            findings.push(Finding { brand: brand.slug.clone(), invariant, breach_count });
        }
    }
    Ok(())
}

/// Whether all that the brand's stream in Redis tells stands in the outbox. A stream may lack what a flush took: it is a call to wake
/// up, and readers read the outbox.
pub async fn check_stream(conn: &mut Conn, kv: &Kv, brand: &Brand) -> Result<Finding> {
    let mut finding = Finding {
        brand: brand.slug.clone(),
        invariant: "everything in the stream stands in the outbox",
        breach_count: 0,
    };
    let mut place = 0;
    loop {
        // Redis first: what is published was committed before.
        let entries = kv.read_stream(brand.id, place, STREAM_BATCH).await?;
        let (Some((first, ..)), Some((last, ..))) = (entries.first(), entries.last()) else { return Ok(finding) };
        place = *last;
        let told = store::outbox(conn, &brand.scope(), first.cast_signed(), last.cast_signed()).await?;
        let told: HashSet<(u64, String, String)> = told
            .into_iter()
            .map(|(seq, topic, subject_id)| (seq.cast_unsigned(), topic, subject_id.to_string()))
            .collect();
        finding.breach_count +=
            i64::try_from(entries.iter().filter(|entry| !told.contains(entry)).count()).unwrap_or(0);
    }
}
