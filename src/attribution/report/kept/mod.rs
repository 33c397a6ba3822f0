//! The sums of hours and days that a report adds up instead of judging their conversions again. They say what judging would say, or are not
//! asked: whatever changes what a report says of an hour marks it in the same transaction (`crate::marks`), and a marked hour is judged anew until
//! the worker has kept its sums again. Start with [`keep`] for how sums come to be, with [`answer`] for how they are used.
//!
//! What it comes to at 10 million records of a year, 100 creators who are each credited every day (ten touches for each of a million conversions,
//! 114 conversions an hour): by creator an hour has at most 100 rows, a year of hours 876,000, and to add those up takes about a second. A day has
//! 100 rows too, a year 36,500: those are added in some 50 ms. So both are kept. A report reads whole days, hours of the two days that it begins
//! and ends in, and of days in which something is marked, and judges what is left: at most two parts of an hour and what is marked. Rows are by
//! dimension and not by everything that a touch has, since of creator, campaign, platform, sub id and channel together an hour has nearly as many
//! as records.

mod reads;
mod rules;
mod store;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::rules::{Tally, is_data_driven};
use super::{Dimension, Question, lines};
use crate::access::Scope;
use crate::attribution::walk::{Overrides, Walk};
use crate::base::Result;
use crate::campaigns::PolicyBook;
use crate::db::Conn;
use crate::marks::day_of;

pub(super) use rules::Plan;
pub use rules::Span;
use rules::{Keeper, Sums};

/// How a question is answered. What is kept is what policies say, under models that divide each conversion for itself.
pub(super) async fn plan(conn: &mut Conn, scope: &Scope, book: &PolicyBook, question: &Question) -> Result<Plan> {
    let time = (question.from, question.to);
    let is_kept =
        question.overrides() == Overrides::default() && !question.models.iter().any(|model| is_data_driven(*model));
    let spans =
        if is_kept { reads::spans_within(conn, scope, book.lookback_hours_max(), time).await? } else { Vec::new() };
    Ok(Plan::new(time, spans))
}

/// Adds what is kept of the plan's spans. The conversions of the gaps must have been added before: who is above several buyers counts once.
pub(super) async fn answer(
    conn: &mut Conn,
    scope: &Scope,
    question: &Question,
    plan: &Plan,
    tally: &mut Tally<'_>,
) -> Result<()> {
    if plan.spans.is_empty() {
        return Ok(());
    }
    let days = reads::groups(conn, scope, question, Dimension::Day, &plan.spans).await?;
    let mut whole = reads::whole(conn, scope, question, &plan.spans, &days).await?;
    if question.has_upline {
        let counted = tally.upline_members();
        whole.degrees = reads::degrees(conn, scope, question, &plan.spans, &counted).await?;
    }
    tally.add_whole(&whole);
    let groups = match question.dimension {
        Dimension::Day => days,
        dimension => reads::groups(conn, scope, question, dimension, &plan.spans).await?,
    };
    groups.iter().for_each(|group| tally.add_kept(group));
    Ok(())
}

/// Keeps the sums of the hours that are due of the oldest day that has any, and of the day where nothing of it is marked any more. An hour is due
/// when nothing has marked it since `quiet_since`, or when the policies that judged it are no longer in force. Returns how many hours those were.
///
/// Call it first in a transaction of its own. It sees one snapshot, and takes off the marks that this snapshot sees: of what commits meanwhile it
/// sees neither the effect nor the mark, so that the hour stays marked.
pub async fn keep(conn: &mut Conn, scope: &Scope, quiet_since: DateTime<Utc>) -> Result<usize> {
    if !store::take_turn(conn, scope).await? {
        return Ok(0);
    }
    let book = &mut PolicyBook::load(conn, scope).await?;
    let lookback_hours = book.lookback_hours_max();
    let hours = store::due_hours(conn, scope, quiet_since, lookback_hours).await?;
    let Some(day) = hours.first().map(|hour| day_of(*hour)) else {
        store::thin_marks(conn, scope).await?;
        return Ok(0);
    };
    // Nothing is written before all is counted: a transaction that has written holds up who reads the log below it.
    let sums = count(conn, scope, book, &hours).await?;
    store::thin_marks(conn, scope).await?;
    store::clear(conn, scope, day, &hours).await?;
    store::insert(conn, scope, &hours, lookback_hours, &sums).await?;
    store::roll_up(conn, scope, day).await?;
    Ok(hours.len())
}

/// What there is to keep of these hours, judged anew.
async fn count(conn: &mut Conn, scope: &Scope, book: &mut PolicyBook, hours: &[DateTime<Utc>]) -> Result<Sums> {
    let mut keeper = Keeper::default();
    let mut walk = Walk::over(hours.iter().map(|hour| (*hour, *hour + Span::Hour.length())));
    while let Some(chunk) = walk.next(conn, scope, book).await? {
        let lines = lines(conn, scope, book, &chunk).await?;
        for seen in chunk.iter() {
            let line = seen.0.member_id.and_then(|id| lines.get(&id)).map_or(&[][..], Vec::as_slice);
            keeper.add(book, seen, line);
        }
    }
    let mut sums = keeper.finish();
    // By hour, so that no statement takes longer the more happens in a day.
    for hour in hours {
        store::add_touches(conn, scope, *hour, &mut sums).await?;
        store::add_costs(conn, scope, *hour, &mut sums).await?;
    }
    Ok(sums)
}

/// How many hours that reports would read from kept sums are not what judging them anew comes to, and how many days are not what their hours make.
/// It judges all that is kept, day by day. Call it in a transaction that sees one snapshot.
pub async fn broken_sums(conn: &mut Conn, scope: &Scope) -> Result<i64> {
    let book = &mut PolicyBook::load(conn, scope).await?;
    let spans: BTreeSet<(Span, DateTime<Utc>)> =
        reads::spans(conn, scope, book.lookback_hours_max()).await?.into_iter().collect();
    let days: BTreeSet<DateTime<Utc>> = spans.iter().map(|(_, starts_at)| day_of(*starts_at)).collect();
    let mut broken_count = reads::broken_days(conn, scope, book.lookback_hours_max()).await?;
    for day in days {
        // Of a day that stands every hour does, those without sums too: they have nothing.
        let is_whole = spans.contains(&(Span::Day, day));
        let hours = (0..24).map(|hour| day + TimeDelta::hours(hour));
        let hours: Vec<DateTime<Utc>> = hours.filter(|hour| is_whole || spans.contains(&(Span::Hour, *hour))).collect();
        let kept = reads::sums(conn, scope, &hours).await?;
        let counted = count(conn, scope, book, &hours).await?;
        broken_count += i64::try_from(counted.differing(&kept).len()).unwrap_or(i64::MAX);
    }
    Ok(broken_count)
}
