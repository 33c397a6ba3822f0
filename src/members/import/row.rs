//! One row of the file of members: its fields become values, or a reason why not. Pure.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, SubsecRound, Utc};
use uuid::Uuid;

use super::roster::Roster;
use crate::base::Kind;
use crate::base::limits::EVENT_TEXT_BYTES_MAX;
use crate::base::sheet::{Remark, Sheet};
use crate::members::MemberStatus;

/// What the names in the file stand for.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub creators: HashMap<String, Uuid>,
    pub campaigns: HashMap<String, Uuid>,
}

/// A row that can be read. Members are numbers of the [`Roster`]: a million rows are held at once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Index of the row in the sheet.
    pub index: usize,
    pub member: usize,
    pub referrer: Option<usize>,
    pub joined_at: DateTime<Utc>,
    pub creator_id: Option<Uuid>,
    pub campaign_id: Option<Uuid>,
    pub status: MemberStatus,
}

type Doubt = (&'static str, Cow<'static, str>);

/// The readable rows in the order of the file, with everybody they name, and the others.
pub(super) fn read_all<'a>(sheet: &'a Sheet, names: &Names, now: DateTime<Utc>) -> (Vec<Row>, Roster<'a>, Vec<Remark>) {
    let (mut rows, mut roster, mut remarks) = (Vec::new(), Roster::default(), Vec::new());
    for index in 0..sheet.row_count() {
        let read = sheet.fields(index).map_err(|reason| ("BAD_ROW", reason.into()));
        match read.and_then(|fields| to_row(index, &fields, names, &mut roster, now)) {
            Ok(row) => rows.push(row),
            Err((code, reason)) => remarks.push(Remark { row: index, code, reason, is_in: false }),
        }
    }
    (rows, roster, remarks)
}

/// The distinct names of creators and of campaigns in a file.
pub(super) fn names_of(sheet: &Sheet) -> (Vec<String>, Vec<String>) {
    let (mut creators, mut campaigns) = (BTreeSet::new(), BTreeSet::new());
    for fields in (0..sheet.row_count()).filter_map(|row| sheet.fields(row).ok()) {
        if let [_, _, _, creator, campaign, _] = fields.as_slice() {
            creators.extend(creator.filter(|name| is_text(name)).map(str::to_lowercase));
            campaigns.extend(campaign.filter(|name| is_text(name)).map(str::to_lowercase));
        }
    }
    (creators.into_iter().collect(), campaigns.into_iter().collect())
}

fn to_row<'a>(
    index: usize,
    fields: &[Option<&'a str>],
    names: &Names,
    roster: &mut Roster<'a>,
    now: DateTime<Utc>,
) -> Result<Row, Doubt> {
    let [external_id, referrer, joined_at, creator, campaign, status] = fields else {
        return Err(("BAD_ROW", "The row has not the fields of the header.".into()));
    };
    let external_id = external_id.filter(|id| is_text(id)).ok_or_else(|| bad_id("external_id"))?;
    if !referrer.is_none_or(is_text) {
        return Err(bad_id("referrer_external_id"));
    }
    if *referrer == Some(external_id) {
        return Err(("SELF_REFERRAL", "A member cannot refer itself.".into()));
    }
    let joined_at = date(*joined_at, now)?;
    let creator_id = find(*creator, &names.creators, Kind::Creator, "UNKNOWN_CREATOR")?;
    let campaign_id = find(*campaign, &names.campaigns, Kind::Campaign, "UNKNOWN_CAMPAIGN")?;
    let status = self::status(*status)?;
    let (member, referrer) = (roster.number(external_id), referrer.map(|id| roster.number(id)));
    Ok(Row { index, member, referrer, joined_at, creator_id, campaign_id, status })
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= EVENT_TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

fn bad_id(column: &str) -> Doubt {
    let expected = format!("{column} must be 1 to {EVENT_TEXT_BYTES_MAX} bytes without control characters.");
    ("BAD_EXTERNAL_ID", expected.into())
}

/// RFC 3339, or a plain date, which is its midnight in UTC. Nobody joined in the future. Cut to microseconds as PostgreSQL holds them,
/// so that the file and the database agree on who came first.
fn date(text: Option<&str>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Doubt> {
    let text = text.unwrap_or_default();
    let moment = DateTime::parse_from_rfc3339(text).map(|time| time.with_timezone(&Utc));
    let midnight =
        || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let time = moment.ok().or_else(midnight).map(|time| time.trunc_subsecs(6));
    time.filter(|time| (1970..=9999).contains(&time.year()) && *time <= now).ok_or_else(|| {
        ("BAD_DATE", "joined_at must be RFC 3339 or YYYY-MM-DD, from 1970 on and not in the future.".into())
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
    found.map(Some).ok_or_else(|| (code, format!("There is no such {}: create it first.", kind.prefix()).into()))
}

fn status(text: Option<&str>) -> Result<MemberStatus, Doubt> {
    let Some(text) = text else { return Ok(MemberStatus::SignedUp) };
    let status = MemberStatus::parse(&text.to_uppercase()).filter(|status| *status != MemberStatus::Erased);
    status.ok_or_else(|| ("BAD_STATUS", "status must be INVITED, SIGNED_UP, ACTIVATED or CHURNED.".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: [&str; 6], expected: &str) {
        let now = "2026-06-01T00:00:00Z".parse().unwrap_or_default();
        let names = Names { creators: [("ann".to_owned(), Uuid::nil())].into(), ..Names::default() };
        let given = fields.map(|field| Some(field).filter(|field| !field.is_empty()));
        let found = to_row(0, &given, &names, &mut Roster::default(), now)
            .map_or_else(|(code, _)| code, |row| row.status.as_str());
        assert_eq!(found, expected, "{fields:?}");
    }

    #[test]
    fn a_row_is_read_or_refused_by_code() {
        check(["a", "", "2026-05-01", "", "", ""], MemberStatus::SignedUp.as_str());
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
