//! One row of the file of members: its fields become values, or a reason why not. Pure.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc};
use uuid::Uuid;

use crate::base::Kind;
use crate::base::limits::EVENT_TEXT_BYTES_MAX;
use crate::base::sheet::{Reject, Sheet};
use crate::members::MemberStatus;

/// What the names in the file stand for.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub creators: HashMap<String, Uuid>,
    pub campaigns: HashMap<String, Uuid>,
}

/// A row that can be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Index of the row in the sheet.
    pub index: usize,
    pub external_id: String,
    pub referrer: Option<String>,
    pub joined_at: DateTime<Utc>,
    pub creator_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    pub status: MemberStatus,
}

type Doubt = (&'static str, String);

/// The readable rows in the order of the file, and the others.
pub(super) fn read_all(sheet: &Sheet, names: &Names, now: DateTime<Utc>) -> (Vec<Row>, Vec<Reject>) {
    let (mut rows, mut rejects) = (Vec::new(), Vec::new());
    for (index, row) in sheet.rows.iter().enumerate() {
        let read = sheet.fields(row).map_err(|reason| ("BAD_ROW", reason));
        match read.and_then(|fields| to_row(index, &fields, names, now)) {
            Ok(row) => rows.push(row),
            Err((code, reason)) => rejects.push(Reject { row: index, code, reason }),
        }
    }
    (rows, rejects)
}

/// The distinct names of creators and of campaigns in a file.
pub(super) fn names_of(sheet: &Sheet) -> (Vec<String>, Vec<String>) {
    let (mut creators, mut campaigns) = (BTreeSet::new(), BTreeSet::new());
    for fields in sheet.rows.iter().filter_map(|row| sheet.fields(row).ok()) {
        if let [_, _, _, creator, campaign, _] = fields.as_slice() {
            creators.extend(creator.filter(|name| is_text(name)).map(str::to_lowercase));
            campaigns.extend(campaign.filter(|name| is_text(name)).map(str::to_lowercase));
        }
    }
    (creators.into_iter().collect(), campaigns.into_iter().collect())
}

fn to_row(index: usize, fields: &[Option<&str>], names: &Names, now: DateTime<Utc>) -> Result<Row, Doubt> {
    let [external_id, referrer, joined_at, creator, campaign, status] = fields else {
        return Err(("BAD_ROW", "The row has not the fields of the header.".to_owned()));
    };
    let external_id = external_id.filter(|id| is_text(id)).ok_or_else(|| bad_id("external_id"))?;
    if !referrer.is_none_or(is_text) {
        return Err(bad_id("referrer_external_id"));
    }
    if *referrer == Some(external_id) {
        return Err(("SELF_REFERRAL", "A member cannot refer itself.".to_owned()));
    }
    Ok(Row {
        index,
        external_id: external_id.to_owned(),
        referrer: referrer.map(str::to_owned),
        joined_at: date(*joined_at, now)?,
        creator_id: find(*creator, &names.creators, Kind::Creator, "UNKNOWN_CREATOR")?,
        campaign_id: find(*campaign, &names.campaigns, Kind::Campaign, "UNKNOWN_CAMPAIGN")?,
        status: self::status(*status)?,
    })
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= EVENT_TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

fn bad_id(column: &str) -> Doubt {
    let expected = format!("{column} must be 1 to {EVENT_TEXT_BYTES_MAX} bytes without control characters.");
    ("BAD_EXTERNAL_ID", expected)
}

/// RFC 3339, or a plain date, which is its midnight in UTC. Nobody joined in the future.
fn date(text: Option<&str>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Doubt> {
    let text = text.unwrap_or_default();
    let moment = DateTime::parse_from_rfc3339(text).map(|time| time.with_timezone(&Utc));
    let midnight =
        || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let time = moment.ok().or_else(midnight);
    time.filter(|time| (1970..=9999).contains(&time.year()) && *time <= now).ok_or_else(|| {
        ("BAD_DATE", "joined_at must be RFC 3339 or YYYY-MM-DD, from 1970 on and not in the future.".to_owned())
    })
}

fn find(
    name: Option<&str>,
    names: &HashMap<String, Uuid>,
    kind: Kind,
    code: &'static str,
) -> Result<Option<Uuid>, Doubt> {
    let Some(name) = name else { return Ok(None) };
    let found = names.get(&name.to_lowercase()).copied();
    found.map(Some).ok_or_else(|| (code, format!("There is no such {}: create it first.", kind.prefix())))
}

fn status(text: Option<&str>) -> Result<MemberStatus, Doubt> {
    let Some(text) = text else { return Ok(MemberStatus::SignedUp) };
    let status = MemberStatus::parse(&text.to_uppercase()).filter(|status| *status != MemberStatus::Erased);
    status.ok_or_else(|| ("BAD_STATUS", "status must be INVITED, SIGNED_UP, ACTIVATED or CHURNED.".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: [&str; 6], expected: &str) {
        let now = "2026-06-01T00:00:00Z".parse().unwrap_or_default();
        let names = Names { creators: [("ann".to_owned(), Uuid::nil())].into(), ..Names::default() };
        let given = fields.map(|field| Some(field).filter(|field| !field.is_empty()));
        let found = to_row(0, &given, &names, now).map_or_else(|(code, _)| code, |row| row.status.as_str());
        assert_eq!(found, expected, "{fields:?}");
    }

    #[test]
    fn a_row_is_read_or_refused_by_code() {
        check(["a", "", "2026-05-01", "", "", ""], "SIGNED_UP");
        check(["a", "b", "2026-05-01T10:00:00+02:00", "Ann", "", "activated"], "ACTIVATED");
        check(["", "b", "2026-05-01", "", "", ""], "BAD_EXTERNAL_ID");
        check(["a\0", "b", "2026-05-01", "", "", ""], "BAD_EXTERNAL_ID");
        check([&"a".repeat(513), "b", "2026-05-01", "", "", ""], "BAD_EXTERNAL_ID");
        check(["a", "b\0", "2026-05-01", "", "", ""], "BAD_EXTERNAL_ID");
        check(["a", "a", "2026-05-01", "", "", ""], "SELF_REFERRAL");
        for wrong in ["", "yesterday", "2026-02-30", "01.05.2026", "2026-06-01T00:00:01Z", "1969-12-31", "+12026-01-01"]
        {
            check(["a", "b", wrong, "", "", ""], "BAD_DATE");
        }
        check(["a", "b", "2026-05-01", "bob", "", ""], "UNKNOWN_CREATOR");
        check(["a", "b", "2026-05-01", "", "spring", ""], "UNKNOWN_CAMPAIGN");
        check(["a", "b", "2026-05-01", "", "", "ERASED"], "BAD_STATUS");
        check(["a", "b", "2026-05-01", "", "", "gone"], "BAD_STATUS");
    }
}
