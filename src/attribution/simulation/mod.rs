//! What a drafted policy would have credited: conversions of a time judged again under it, next to what stands. It writes nothing.
//! Start with `rules.rs`.

pub mod rules;
mod store;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::walk::{Chunk, Walk};
use super::{Weighings, journey, judging_campaign};
use crate::access::Scope;
use crate::base::{Code, Currency, Error, Result, is_plain};
use crate::campaigns::{AttributionPolicy, PolicyBook};
use crate::db::{Conn, take_snapshot};
use crate::journeys::{Conversion, Touch};

pub use rules::{Moved, Simulation};
use rules::{Part, Tally};

/// A policy that might be, and the conversions that it is tried on.
#[derive(Clone, Debug)]
pub struct Trial {
    pub campaign_id: Uuid,
    pub policy: AttributionPolicy,
    /// The conversions from this moment on.
    pub from: DateTime<Utc>,
    /// The conversions before this moment.
    pub to: DateTime<Utc>,
    /// The currency of values: what was paid in others counts as a conversion, and not in sums of money.
    pub currency: Currency,
    /// More conversions in the time than this are refused.
    pub conversions_max: u64,
}

/// How far a simulation has come, in conversions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub done_count: u64,
    pub total_count: u64,
}

/// Judges the conversions again that the campaign judges, and those that it would judge under the draft where no campaign does. One snapshot
/// sees both sides. Call it first in a transaction; `tell` hears how far it has come.
pub async fn simulate(
    conn: &mut Conn,
    scope: &Scope,
    trial: &Trial,
    tell: &(impl Fn(Progress) + Sync),
) -> Result<Simulation> {
    if !is_plain(trial.from) || !is_plain(trial.to) || trial.from >= trial.to {
        return Err(Error::invalid(&["input", "to"], "Pass an end that is later than the start."));
    }
    take_snapshot(conn).await?;
    let total_count = store::conversion_count(conn, scope, (trial.from, trial.to)).await?;
    if total_count > trial.conversions_max {
        let message = format!(
            "These are more than {} conversions: ask for a shorter time, or subscribe to `attributionSimulation`.",
            trial.conversions_max
        );
        return Err(Error::refused(Code::LimitReached, &["input", "to"], message));
    }
    let book = &mut PolicyBook::load(conn, scope).await?;
    let weighings = &mut Weighings::in_force(conn, scope, book, &trial.policy).await?;
    let stood = Stood::replace(book, trial);
    let mut tally = Tally::new(trial.currency);
    let mut walk = Walk::over([(trial.from, trial.to)]);
    let mut done_count = 0;
    tell(Progress { done_count, total_count });
    while let Some(chunk) = walk.next(conn, scope, book).await? {
        judge(conn, scope, &Bench { trial, book, stood: &stood }, weighings, &chunk, &mut tally).await?;
        done_count += chunk.conversions.len() as u64;
        tell(Progress { done_count, total_count });
    }
    Ok(tally.finish())
}

/// The policy that the draft takes the place of, with its version.
struct Stood(Option<(i32, AttributionPolicy)>);

impl Stood {
    /// Puts the draft where the campaign's policy in force stood.
    fn replace(book: &mut PolicyBook, trial: &Trial) -> Self {
        Self(book.replace_attribution(trial.campaign_id, trial.policy.clone()))
    }
}

/// What the conversions of a chunk are judged with.
struct Bench<'a> {
    trial: &'a Trial,
    book: &'a PolicyBook,
    stood: &'a Stood,
}

impl Bench<'_> {
    /// Whether the campaign judges the conversion, or would.
    fn is_judged(&self, conversion: &Conversion, touches: &[Touch]) -> bool {
        let judge = conversion.campaign_id.or_else(|| judging_campaign(self.book, conversion, touches));
        judge == Some(self.trial.campaign_id)
    }

    /// The version of what channels are worth under the draft: that which the conversion names, where its own policy asks for the same.
    fn model_version(&self, weighings: &Weighings, conversion: &Conversion) -> Option<i32> {
        let newest = weighings.version_for(&self.trial.policy)?;
        let own = match (conversion.policy_version, &self.stood.0) {
            (Some(version), Some((stood, policy))) if version == *stood => Some(policy),
            (Some(version), _) => {
                self.book.version(self.trial.campaign_id, version).map(|policies| &policies.attribution)
            }
            (None, _) => None,
        };
        let is_same = own.is_some_and(|own| own.data_driven.series() == self.trial.policy.data_driven.series());
        Some(conversion.model_version.filter(|_| is_same).unwrap_or(newest))
    }
}

async fn judge(
    conn: &mut Conn,
    scope: &Scope,
    bench: &Bench<'_>,
    weighings: &mut Weighings,
    chunk: &Chunk,
    tally: &mut Tally,
) -> Result<()> {
    let policy = &bench.trial.policy;
    let judged: Vec<_> = chunk.iter().filter(|(one, _, touches)| bench.is_judged(one, touches)).collect();
    let ids: Vec<Uuid> = judged.iter().map(|(one, ..)| one.id).collect();
    let mut standing: HashMap<Uuid, Vec<Part>> = store::standing_parts(conn, scope, &ids).await?;
    let versions: Vec<Option<i32>> = judged.iter().map(|(one, ..)| bench.model_version(weighings, one)).collect();
    weighings.learn(conn, scope, versions.iter().map(|version| (policy, *version))).await?;
    for ((conversion, previous_at, touches), version) in judged.into_iter().zip(versions) {
        let verdicts = weighings.attribute(policy, version, &journey(conversion, previous_at), touches);
        let credited = touches.iter().zip(verdicts).filter(|(_, one)| one.weight_units > 0);
        let after = credited.map(|(touch, one)| Part {
            creator_id: touch.creator_id,
            weight_units: one.weight_units,
            amount_minor: one.amount_minor.unsigned_abs(),
        });
        let before = standing.remove(&conversion.id).unwrap_or_default();
        tally.add(conversion.value, &before, &after.collect::<Vec<_>>());
    }
    Ok(())
}
