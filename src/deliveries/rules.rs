//! When a delivery is tried again, what an answer means, and which kinds can be asked for. Pure.

use chrono::{DateTime, TimeDelta, Utc};

use super::DeliveryState;
use crate::base::limits::{DELIVERY_RETRY_AFTER_SECONDS_MAX, WEBHOOK_KINDS_MAX};
use crate::base::{Error, Result};
use crate::outbox::Topic;

/// Seconds between tries, as Standard Webhooks 1.0 advises: ten tries over 75 hours.
const PAUSES_SECONDS: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// What nobody can ask for: those who want it subscribe.
const NOT_SENT: &str = "attribution";

/// What came of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Any status from 200 to 299.
    Taken { status: u16 },
    /// 410: nobody is there any more, and nothing shall come again.
    Gone,
    /// Anything else.
    Failed { status: Option<u16>, error: String, retry_after: Option<TimeDelta> },
}

impl Answer {
    /// What a status means. Redirects are not followed: who answers with one could lead us anywhere.
    pub(super) fn of_status(status: u16, retry_after: Option<&str>) -> Self {
        let error = match status {
            200..=299 => return Self::Taken { status },
            410 => return Self::Gone,
            300..=399 => format!("It answered {status}: redirects are not followed, enter the final address."),
            _ => format!("It answered {status}."),
        };
        Self::Failed { status: Some(status), error, retry_after: retry_after.and_then(seconds) }
    }

    /// What the log of deliveries says of it.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Taken { status } => Some(*status),
            Self::Gone => Some(410),
            Self::Failed { status, .. } => *status,
        }
    }

    /// Why it was not taken.
    pub(super) fn error(&self) -> Option<&str> {
        match self {
            Self::Taken { .. } => None,
            Self::Gone => Some("It answered 410: it wants nothing more."),
            Self::Failed { error, .. } => Some(error),
        }
    }
}

/// `Retry-After` as seconds. As a date it is not read: the schedule holds.
fn seconds(text: &str) -> Option<TimeDelta> {
    let seconds: i64 = text.trim().parse().ok().filter(|seconds| *seconds >= 0)?;
    Some(TimeDelta::seconds(seconds.min(DELIVERY_RETRY_AFTER_SECONDS_MAX)))
}

/// Where a delivery stands after a try, and when it is tried next. `attempt_count` counts this one.
pub(super) fn after(
    answer: &Answer,
    attempt_count: i16,
    now: DateTime<Utc>,
    chance: u8,
) -> (DeliveryState, Option<DateTime<Utc>>) {
    match answer {
        Answer::Taken { .. } => (DeliveryState::Delivered, None),
        Answer::Gone => (DeliveryState::Failed, None),
        Answer::Failed { retry_after, .. } => match pause(attempt_count, chance) {
            Some(pause) => (DeliveryState::Pending, Some(now + retry_after.map_or(pause, |asked| asked.max(pause)))),
            None => (DeliveryState::Failed, None),
        },
    }
}

/// How long to wait after so many tries, plus up to a fifth by chance, so that those who failed together do not come together again.
/// `None`: that was the last one.
fn pause(attempt_count: i16, chance: u8) -> Option<TimeDelta> {
    let index = usize::try_from(attempt_count).ok()?.checked_sub(1)?;
    let whole = PAUSES_SECONDS.get(index)? * 1_000;
    Some(TimeDelta::milliseconds(whole + whole * i64::from(chance) / (5 * 255)))
}

/// What can be asked for: every topic that is sent, and all of a noun's as `noun.*`.
#[must_use]
pub fn kinds_on_offer() -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for topic in Topic::ALL {
        let noun = noun(*topic);
        if noun == NOT_SENT {
            continue;
        }
        let all = format!("{noun}.*");
        if !kinds.contains(&all) {
            kinds.push(all);
        }
        kinds.push(topic.as_str().to_owned());
    }
    kinds
}

/// What a topic is about.
pub(super) fn noun(topic: Topic) -> &'static str {
    topic.as_str().split('.').next().unwrap_or_default()
}

/// Whether one who asks for these kinds wants to hear of a topic.
pub(super) fn is_wanted(kinds: &[String], topic: Topic) -> bool {
    let is_meant = |kind: &String| kind == topic.as_str() || kind.strip_suffix(".*") == Some(noun(topic));
    noun(topic) != NOT_SENT && kinds.iter().any(is_meant)
}

/// The kinds that were asked for, sorted, each once.
pub(super) fn read_kinds(kinds: &[String]) -> Result<Vec<String>> {
    let offered = kinds_on_offer();
    if kinds.is_empty() || kinds.len() > WEBHOOK_KINDS_MAX || !kinds.iter().all(|kind| offered.contains(kind)) {
        let message = format!("Pass 1 to {WEBHOOK_KINDS_MAX} of these kinds: {}.", offered.join(", "));
        return Err(Error::invalid(&["kinds"], message));
    }
    let mut kinds = kinds.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_ten_times_over_three_days() {
        let now = DateTime::from_timestamp(0, 0).unwrap();
        let failed = Answer::of_status(500, None);
        let seconds = |count: i16, chance: u8| {
            let (state, next) = after(&failed, count, now, chance);
            assert_eq!(state == DeliveryState::Pending, next.is_some(), "{count}");
            next.map(|next| next.timestamp())
        };
        let pauses: Vec<i64> = (1..=10).map_while(|count| seconds(count, 0)).collect();
        assert_eq!(pauses, PAUSES_SECONDS);
        assert!(pauses.iter().sum::<i64>() > 72 * 3_600);
        assert_eq!([seconds(1, 255), seconds(4, 255)], [Some(6), Some(8_640)]);
        assert_eq!([seconds(10, 0), seconds(11, 0), seconds(0, 0)], [None; 3]);
    }

    #[test]
    fn an_answer_means_what_the_specification_says() {
        let now = DateTime::from_timestamp(0, 0).unwrap();
        let check = |status: u16, retry_after: Option<&str>, expected: (DeliveryState, Option<i64>)| {
            let (state, next) = after(&Answer::of_status(status, retry_after), 1, now, 0);
            assert_eq!((state, next.map(|next| next.timestamp())), expected, "{status} {retry_after:?}");
        };
        for status in [200, 202, 204, 299] {
            check(status, Some("60"), (DeliveryState::Delivered, None));
        }
        check(410, None, (DeliveryState::Failed, None));
        for status in [100, 301, 302, 400, 401, 404, 429, 500, 503] {
            check(status, None, (DeliveryState::Pending, Some(5)));
        }
        check(429, Some("120"), (DeliveryState::Pending, Some(120)));
        check(503, Some("1"), (DeliveryState::Pending, Some(5)));
        check(503, Some("99999999999"), (DeliveryState::Pending, Some(86_400)));
        for text in ["-5", "soon", "", "Fri, 31 Dec 2027 23:59:59 GMT", "1e9"] {
            check(503, Some(text), (DeliveryState::Pending, Some(5)));
        }
    }

    #[test]
    fn kinds_are_topics_and_all_of_a_noun() {
        let kinds = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let check = |asked: &[&str], topic: Topic, expected: bool| {
            assert_eq!(is_wanted(&kinds(asked), topic), expected, "{asked:?} {topic:?}");
        };
        check(&["reward.*"], Topic::RewardChanged, true);
        check(&["reward.changed"], Topic::RewardChanged, true);
        check(&["fraud_alert.raised", "reward.*"], Topic::AlertRaised, true);
        check(&["fraud_alert.raised"], Topic::AlertReviewed, false);
        check(&["reward", "rew.*", "*", ".*", "reward.changed.*"], Topic::RewardChanged, false);
        check(&["attribution.*", "attribution.changed"], Topic::AttributionChanged, false);
        let offered = kinds_on_offer();
        assert!(
            ["reward.*", "reward.changed", "fraud_alert.*"].iter().all(|kind| offered.iter().any(|one| one == kind))
        );
        assert_eq!(
            read_kinds(&kinds(&["reward.changed", "reward.*", "reward.*"])).unwrap(),
            ["reward.*", "reward.changed"]
        );
        for wrong in
            [&[][..], &["reward"], &["attribution.*"], &["reward.*", "x.y"], &["reward.*"; WEBHOOK_KINDS_MAX + 1]]
        {
            assert!(read_kinds(&kinds(wrong)).is_err(), "{wrong:?}");
        }
    }
}
