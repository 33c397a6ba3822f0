//! What a creator's fields may hold. Pure.

use crate::base::{Code, Error, Refusal, Result};

const TEXT_BYTES_MAX: usize = 200;
const HANDLE_BYTES_MAX: usize = 64;

/// What a new creator needs.
#[derive(Clone, Debug)]
pub struct NewCreator {
    pub handle: String,
    /// The handle where it is left out.
    pub display_name: Option<String>,
    pub tier: Option<String>,
}

/// What changes of a creator; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct CreatorChange {
    pub display_name: Option<String>,
    pub status: Option<super::CreatorStatus>,
    /// `Some(None)` takes the tier away.
    pub tier: Option<Option<String>>,
}

/// An account to record, not verified.
#[derive(Clone, Debug)]
pub struct NewPlatformAccount {
    pub creator_id: uuid::Uuid,
    pub platform: super::Platform,
    pub external_id: String,
    pub username: Option<String>,
    pub follower_count: Option<i32>,
}

pub(super) fn check_new(input: &NewCreator) -> Result<()> {
    let mut refusals = Vec::new();
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
    let handle = input.handle.as_bytes();
    let starts_well = handle.first().is_some_and(|first| is_inner(*first) && !b".-".contains(first));
    if !starts_well || handle.len() > HANDLE_BYTES_MAX || !handle.iter().all(|byte| is_inner(*byte)) {
        refusals.push(Refusal::new(
            Code::Invalid,
            &["handle"],
            "Pass 1 to 64 lower-case letters, digits, underscores, points and hyphens, not starting with a point or hyphen.",
        ));
    }
    check_text(&mut refusals, "displayName", input.display_name.as_deref());
    check_text(&mut refusals, "tier", input.tier.as_deref());
    refuse(refusals)
}

pub(super) fn check_change(change: &CreatorChange) -> Result<()> {
    let mut refusals = Vec::new();
    check_text(&mut refusals, "displayName", change.display_name.as_deref());
    check_text(&mut refusals, "tier", change.tier.as_ref().and_then(|tier| tier.as_deref()));
    refuse(refusals)
}

pub(super) fn check_account(input: &NewPlatformAccount) -> Result<()> {
    let mut refusals = Vec::new();
    check_text(&mut refusals, "externalId", Some(&input.external_id));
    check_text(&mut refusals, "username", input.username.as_deref());
    if input.follower_count.is_some_and(|count| count < 0) {
        refusals.push(Refusal::new(Code::Invalid, &["followers"], "Pass a count of followers that is not negative."));
    }
    refuse(refusals)
}

fn check_text(refusals: &mut Vec<Refusal>, field: &str, text: Option<&str>) {
    let is_wrong =
        |text: &str| text.trim().is_empty() || text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control);
    if text.is_some_and(is_wrong) {
        let message = format!("Pass 1 to {TEXT_BYTES_MAX} bytes without control characters.");
        refusals.push(Refusal::new(Code::Invalid, &[field], message));
    }
}

fn refuse(refusals: Vec<Refusal>) -> Result<()> {
    if refusals.is_empty() { Ok(()) } else { Err(Error::Refused(refusals)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_plain() {
        let check =
            |handle: &str| check_new(&NewCreator { handle: handle.into(), display_name: None, tier: None }).is_ok();
        for good in ["cr_test1", "a", "_x", "a.b-c", &"a".repeat(64)] {
            assert!(check(good), "{good}");
        }
        for bad in ["", "A", ".a", "-a", "a b", "ä", "a\n", &"a".repeat(65)] {
            assert!(!check(bad), "{bad:?}");
        }
    }
}
