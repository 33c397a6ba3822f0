//! A conversion with the policy that judges it and the touches that count under it: worked out once, however many models divide it. Pure.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::attribution::journey;
use crate::attribution::rules::doubt;
use crate::attribution::walk::{Overrides, Seen};
use crate::attribution::weights::weights_under;
use crate::base::split_by_weight;
use crate::campaigns::{AttributionModel, AttributionPolicy, PolicyBook};
use crate::journeys::{Conversion, Touch};

pub(super) struct Judged<'a> {
    pub conversion: &'a Conversion,
    /// The campaign that judges it, if one does.
    pub campaign_id: Option<Uuid>,
    policy: Option<Cow<'a, AttributionPolicy>>,
    /// The touches that count, oldest first: the same under every model.
    pub counted: Vec<&'a Touch>,
    ages: Vec<TimeDelta>,
}

impl<'a> Judged<'a> {
    /// Judges a conversion under its policy with the overrides in place of what that says; one that names no campaign, under that of the latest
    /// touch that could count.
    pub(super) fn new(
        book: &'a PolicyBook,
        overrides: Overrides,
        (conversion, previous_at, touches): Seen<'a>,
    ) -> Self {
        let found = judging_policy(book, overrides, conversion, touches);
        let (campaign_id, policy) = found.map_or((None, None), |(id, policy)| (Some(id), Some(policy)));
        let journey = journey(conversion, previous_at);
        let counts = |touch: &&Touch| policy.as_ref().is_some_and(|policy| doubt(policy, &journey, touch).is_none());
        let counted: Vec<&Touch> = touches.iter().filter(counts).collect();
        let ages = counted.iter().map(|touch| conversion.occurred_at - touch.occurred_at).collect();
        Self { conversion, campaign_id, policy, counted, ages }
    }

    /// What a model gives to each touch that counts: its weight, and its part of the value.
    pub(super) fn shares(&self, model: AttributionModel) -> (Vec<u64>, Vec<i64>) {
        let weights = self.policy.as_ref().map_or_else(Vec::new, |policy| weights_under(model, policy, &self.ages));
        let amounts = split_by_weight(self.conversion.value.minor, &weights);
        (weights, amounts)
    }

    /// What the policy shares with the members above the buyer, the nearest first: of a conversion that any touch is credited for.
    pub(super) fn upline_ppm(&self) -> &[i32] {
        match &self.policy {
            Some(policy) if !self.counted.is_empty() => &policy.upline_ppm,
            _ => &[],
        }
    }

    /// When it was bought.
    pub(super) fn at(&self) -> DateTime<Utc> {
        self.conversion.occurred_at
    }
}

fn judging_policy<'a>(
    book: &'a PolicyBook,
    overrides: Overrides,
    conversion: &Conversion,
    touches: &[Touch],
) -> Option<(Uuid, Cow<'a, AttributionPolicy>)> {
    if let Some(id) = conversion.campaign_id {
        let policies = conversion.policy_version.and_then(|version| book.version(id, version))?;
        return Some((id, asked(&policies.attribution, overrides)));
    }
    let journey = journey(conversion, None);
    touches.iter().rev().find_map(|touch| {
        let id = touch.campaign_id?;
        let policy = asked(&book.current(id)?.attribution, overrides);
        doubt(&policy, &journey, touch).is_none().then_some((id, policy))
    })
}

/// A policy as the question wants it.
fn asked(policy: &AttributionPolicy, overrides: Overrides) -> Cow<'_, AttributionPolicy> {
    if overrides == Overrides::default() {
        return Cow::Borrowed(policy);
    }
    Cow::Owned(AttributionPolicy {
        lookback_hours: overrides.lookback_hours.unwrap_or(policy.lookback_hours),
        is_split_at_previous_conversion: overrides
            .is_split_at_previous_conversion
            .unwrap_or(policy.is_split_at_previous_conversion),
        ..policy.clone()
    })
}
