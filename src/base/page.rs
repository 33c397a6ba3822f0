//! Keyset pages: a cursor is the sort key of a row, so a page costs what it returns, and rows that arrive meanwhile move nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::error::{Error, Result};
use super::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};

/// A place in a sorted list: the sort key (microseconds, a sequence number, ...) and the identifier that breaks ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    pub key: i64,
    pub id: Uuid,
}

impl Cursor {
    #[must_use]
    pub fn new(key: i64, id: Uuid) -> Self {
        Self { key, id }
    }

    /// A cursor over a moment, at the precision that PostgreSQL keeps.
    #[must_use]
    pub fn at(time: chrono::DateTime<chrono::Utc>, id: Uuid) -> Self {
        Self::new(time.timestamp_micros(), id)
    }

    /// The moment of a cursor made by [`Cursor::at`].
    #[must_use]
    pub fn time(&self) -> chrono::DateTime<chrono::Utc> {
        chrono::DateTime::from_timestamp_micros(self.key).unwrap_or_default()
    }

    /// The opaque string that clients hold.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.key.to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads an opaque string; `field` names the argument in the refusal.
    pub fn decode(text: &str, field: &str) -> Result<Self> {
        let wrong =
            || Error::invalid(&[field], "This is not a cursor of this list: pass one that a previous page gave.");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_error: base64::DecodeError| wrong())?;
        let (key, id) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
        let id = Uuid::from_slice(id).map_err(|_error: uuid::Error| wrong())?;
        Ok(Self::new(i64::from_be_bytes(*key), id))
    }
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Page {
    /// Rows at most; never above `PAGE_SIZE_MAX`.
    pub limit: i64,
    pub after: Option<Cursor>,
    pub before: Option<Cursor>,
    /// True for `last`/`before`: the rows nearest the end of the list, still returned in the list's order.
    pub is_backward: bool,
}

impl Page {
    /// Reads the four Relay arguments and refuses what they do not allow.
    pub fn from_args(first: Option<i32>, after: Option<&str>, last: Option<i32>, before: Option<&str>) -> Result<Self> {
        if first.is_some() && last.is_some() {
            return Err(Error::invalid(&["last"], "Pass either first or last, not both."));
        }
        let (field, size) = if last.is_some() { ("last", last) } else { ("first", first) };
        let limit = i64::from(size.unwrap_or(PAGE_SIZE_DEFAULT));
        if !(0..=i64::from(PAGE_SIZE_MAX)).contains(&limit) {
            return Err(Error::invalid(&[field], format!("Pass a page size from 0 to {PAGE_SIZE_MAX}.")));
        }
        Ok(Self {
            limit,
            after: after.map(|text| Cursor::decode(text, "after")).transpose()?,
            before: before.map(|text| Cursor::decode(text, "before")).transpose()?,
            is_backward: last.is_some(),
        })
    }

    /// The first `limit` rows of a list.
    #[must_use]
    pub fn first(limit: i64) -> Self {
        Self { limit, after: None, before: None, is_backward: false }
    }

    /// The open interval in which the rows of a list sorted by (moment, identifier) must lie.
    #[must_use]
    pub fn time_bounds(&self) -> [(chrono::DateTime<chrono::Utc>, Uuid); 2] {
        let low = self
            .after
            .map_or((chrono::DateTime::from_timestamp_nanos(i64::MIN), Uuid::nil()), |after| (after.time(), after.id));
        let high = self.before.map_or((far_future(), Uuid::max()), |before| (before.time(), before.id));
        [low, high]
    }

    /// How many rows to ask the database for: one more than wanted tells whether there are more.
    #[must_use]
    pub fn fetch_limit(&self) -> i64 {
        self.limit + 1
    }

    /// Turns rows as fetched (`fetch_limit` of them, nearest the wanted end first) into a slice in the list's order.
    #[must_use]
    pub fn slice<T>(&self, mut rows: Vec<T>) -> Slice<T> {
        let limit = usize::try_from(self.limit).unwrap_or(0);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        if self.is_backward {
            rows.reverse();
        }
        Slice {
            has_next: if self.is_backward { self.before.is_some() } else { has_more },
            has_previous: if self.is_backward { has_more } else { self.after.is_some() },
            items: rows,
        }
    }
}

/// The first rows of one parent's list, as one of many that a single statement reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListKey {
    pub parent_id: Uuid,
    /// Rows to fetch.
    pub limit: i64,
    pub after: Option<Cursor>,
}

impl ListKey {
    /// The list of a parent at a forward page.
    #[must_use]
    pub fn new(parent_id: Uuid, page: &Page) -> Self {
        Self { parent_id, limit: page.fetch_limit(), after: page.after }
    }

    /// The place after which the rows of a list sorted by (moment, identifier) are wanted.
    #[must_use]
    pub fn after_time(&self) -> (chrono::DateTime<chrono::Utc>, Uuid) {
        let page = Page { limit: self.limit, after: self.after, before: None, is_backward: false };
        page.time_bounds()[0]
    }
}

/// The end of the year 9999.
fn far_future() -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(253_402_300_799, 0).unwrap_or_default()
}

/// One page of a list, in the list's order.
#[derive(Clone, Debug)]
pub struct Slice<T> {
    pub items: Vec<T>,
    pub has_next: bool,
    pub has_previous: bool,
}

impl<T> Slice<T> {
    /// A page of a list that has nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self { items: Vec::new(), has_next: false, has_previous: false }
    }
}
