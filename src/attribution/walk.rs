//! Conversions of a time with all that judges them, chunk by chunk, so that a year costs no more memory than a day. It decides nothing.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::considered_at;
use crate::access::Scope;
use crate::base::Result;
use crate::base::limits::REPORT_CHUNK_CONVERSIONS;
use crate::campaigns::PolicyBook;
use crate::db::Conn;
use crate::journeys::{
    Conversion, Touch, conversion_ids_between, conversions_by_id, previous_conversions, touches_up_to,
};

/// The place of a reader in the conversions of `[from, to)`, the oldest first.
pub(super) struct Walk {
    period: (DateTime<Utc>, DateTime<Utc>),
    place: (DateTime<Utc>, Uuid),
}

/// Some conversions, the touches of their people, and when they bought before.
pub(super) struct Chunk {
    /// With their canonical people, the oldest first.
    pub conversions: Vec<(Uuid, Conversion)>,
    touches: HashMap<Uuid, Vec<Touch>>,
    previous: HashMap<(Uuid, DateTime<Utc>), DateTime<Utc>>,
}

/// A conversion with when its person converted before, and the touches that it considers, oldest first.
pub(super) type Seen<'a> = (&'a Conversion, Option<DateTime<Utc>>, &'a [Touch]);

impl Walk {
    pub(super) fn over(from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        Self { period: (from, to), place: (from, Uuid::nil()) }
    }

    /// The next conversions; none at the end. `lookback_hours` says how far back touches are read; without it as far as the longest
    /// window of the policies that judge them. The book learns their versions.
    pub(super) async fn next(
        &mut self,
        conn: &mut Conn,
        scope: &Scope,
        book: &mut PolicyBook,
        lookback_hours: Option<i32>,
    ) -> Result<Option<Chunk>> {
        let ids = conversion_ids_between(conn, scope, self.period, self.place, REPORT_CHUNK_CONVERSIONS).await?;
        let conversions = conversions_by_id(conn, scope, &ids).await?;
        let Some((_, last)) = conversions.last() else { return Ok(None) };
        self.place = (last.occurred_at, last.id);
        let versions: Vec<(Uuid, i32)> =
            conversions.iter().filter_map(|(_, one)| one.campaign_id.zip(one.policy_version)).collect();
        book.add_versions(conn, scope, &versions).await?;
        let moments: Vec<(Uuid, DateTime<Utc>)> =
            conversions.iter().map(|(person, one)| (*person, one.occurred_at)).collect();
        let hours = lookback_hours.unwrap_or_else(|| book.lookback_hours_max());
        let mut touches: HashMap<Uuid, Vec<Touch>> = HashMap::new();
        for (person, touch) in touches_up_to(conn, scope, &moments, TimeDelta::hours(hours.into())).await? {
            touches.entry(person).or_default().push(touch);
        }
        let previous = previous_conversions(conn, scope, &moments).await?;
        Ok(Some(Chunk { conversions, touches, previous }))
    }
}

impl Chunk {
    /// Each conversion with what judges it.
    pub(super) fn iter(&self) -> impl Iterator<Item = Seen<'_>> {
        self.conversions.iter().map(|(person, conversion)| {
            let touches = self.touches.get(person).map_or(&[][..], Vec::as_slice);
            let previous_at = self.previous.get(&(*person, conversion.occurred_at)).copied();
            (conversion, previous_at, considered_at(touches, conversion.occurred_at))
        })
    }
}
