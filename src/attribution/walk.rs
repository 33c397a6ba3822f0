//! Conversions of a time with all that judges them, chunk by chunk, so that a year costs no more memory than a day. It decides nothing.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::considered_at;
use crate::access::Scope;
use crate::base::Result;
use crate::base::limits::{REPORT_CHUNK_CONVERSIONS, REPORT_CHUNK_STRETCHES};
use crate::campaigns::PolicyBook;
use crate::db::Conn;
use crate::journeys::{
    Conversion, Touch, conversion_ids_between, conversions_by_id, previous_conversions, touches_up_to,
};

/// A stretch of time: its first moment, and the one after its last.
pub(super) type Stretch = (DateTime<Utc>, DateTime<Utc>);

/// What a question has in place of what each policy says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Overrides {
    /// How far back touches count, and are read.
    pub lookback_hours: Option<i32>,
    /// Whether journeys are split.
    pub is_split_at_previous_conversion: Option<bool>,
}

/// The place of a reader in the conversions of stretches that do not overlap, the oldest first.
pub(super) struct Walk {
    /// Those that are not read to their ends.
    stretches: VecDeque<Stretch>,
    place: (DateTime<Utc>, Uuid),
    overrides: Overrides,
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
    pub(super) fn over(stretches: impl IntoIterator<Item = Stretch>) -> Self {
        let stretches: VecDeque<Stretch> = stretches.into_iter().collect();
        let from = stretches.front().map_or(DateTime::UNIX_EPOCH, |(from, _)| *from);
        Self { stretches, place: (from, Uuid::nil()), overrides: Overrides::default() }
    }

    /// The same under other windows or with other journeys than the policies say.
    pub(super) fn under(self, overrides: Overrides) -> Self {
        Self { overrides, ..self }
    }

    /// The next conversions; none at the end. Touches are read as far back as the longest window of the policies that judge them, or as the
    /// override says. The book learns their versions.
    pub(super) async fn next(
        &mut self,
        conn: &mut Conn,
        scope: &Scope,
        book: &mut PolicyBook,
    ) -> Result<Option<Chunk>> {
        let ids = self.next_ids(conn, scope).await?;
        let conversions = conversions_by_id(conn, scope, &ids).await?;
        let Some((_, last)) = conversions.last() else { return Ok(None) };
        self.place = (last.occurred_at, last.id);
        let versions: Vec<(Uuid, i32)> =
            conversions.iter().filter_map(|(_, one)| one.campaign_id.zip(one.policy_version)).collect();
        book.add_versions(conn, scope, &versions).await?;
        let moments: Vec<(Uuid, DateTime<Utc>)> =
            conversions.iter().map(|(person, one)| (*person, one.occurred_at)).collect();
        let hours = self.overrides.lookback_hours.unwrap_or_else(|| book.lookback_hours_max());
        let mut touches: HashMap<Uuid, Vec<Touch>> = HashMap::new();
        for (person, touch) in touches_up_to(conn, scope, &moments, TimeDelta::hours(hours.into())).await? {
            touches.entry(person).or_default().push(touch);
        }
        // When somebody bought before matters only where that ends a journey.
        let is_split = self.overrides.is_split_at_previous_conversion.unwrap_or_else(|| book.splits_journeys());
        let before = if is_split { moments.as_slice() } else { &[] };
        let previous = previous_conversions(conn, scope, before).await?;
        Ok(Some(Chunk { conversions, touches, previous }))
    }

    async fn next_ids(&mut self, conn: &mut Conn, scope: &Scope) -> Result<Vec<Uuid>> {
        while !self.stretches.is_empty() {
            let some: Vec<Stretch> = self.stretches.iter().take(REPORT_CHUNK_STRETCHES).copied().collect();
            let ids = conversion_ids_between(conn, scope, &some, self.place, REPORT_CHUNK_CONVERSIONS).await?;
            if i64::try_from(ids.len()).is_ok_and(|count| count < REPORT_CHUNK_CONVERSIONS) {
                self.stretches.drain(..some.len());
            }
            if !ids.is_empty() {
                return Ok(ids);
            }
        }
        Ok(Vec::new())
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
