//! Checks every data invariant on a live database. It never mends what it finds.
//! Start with `store.rs`: each invariant is one statement that counts the rows which break it.

mod store;

use chrono::{DateTime, TimeDelta, Utc};

use crate::access::Brand;
use crate::base::Result;
use crate::base::limits::ACTIVITY_DAYS_KEPT;
use crate::db::Conn;

/// One invariant and how many rows break it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Finding {
    pub brand: String,
    pub invariant: &'static str,
    pub breach_count: i64,
}

/// Every invariant with its count, breached or not, as one snapshot sees them.
pub async fn check(conn: &mut Conn, brand: &Brand, now: DateTime<Utc>) -> Result<Vec<Finding>> {
    let mut findings = Vec::with_capacity(store::INVARIANTS.len());
    store::begin(conn).await?;
    let counted = count_all(conn, brand, now, &mut findings).await;
    store::end(conn).await?;
    counted.map(|()| findings)
}

async fn count_all(conn: &mut Conn, brand: &Brand, now: DateTime<Utc>, findings: &mut Vec<Finding>) -> Result<()> {
    for (invariant, statement) in store::INVARIANTS {
        let breach_count = store::count(conn, &brand.scope(), statement).await?;
        findings.push(Finding { brand: brand.slug.clone(), invariant, breach_count });
    }
    let day = (now - TimeDelta::days(ACTIVITY_DAYS_KEPT / 2)).date_naive();
    for (invariant, statement) in store::INVARIANTS_OF_THE_DAY {
        let breach_count = store::count_of_the_day(conn, &brand.scope(), statement, day).await?;
        findings.push(Finding { brand: brand.slug.clone(), invariant, breach_count });
    }
    Ok(())
}
