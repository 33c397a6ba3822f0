//! What a report adds up. Pure: conversions with their touches go in one by one, exact sums per group come out.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Question;
use super::upline::{Degree, Uplines};
use crate::attribution::paths::{Path, Summary};
use crate::attribution::rules::{Considered, Reason, attribute, doubt};
use crate::attribution::{WEIGHT_UNITS, journey, markov};
use crate::base::limits::{LOOKBACK_HOURS_MAX, REPORT_ROWS_MAX};
use crate::base::{Error, Kind, Result, is_plain, split_by_weight};
use crate::campaigns::{AttributionModel, AttributionPolicy, PolicyBook};
use crate::journeys::{Conversion, Touch};

/// What credit is grouped by: something of the touch that is credited, or the day of the conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    Creator,
    Campaign,
    Platform,
    SubId,
    Channel,
    Day,
}

impl Dimension {
    /// The group of a touch that is credited for a conversion; empty where the touch has none.
    fn key(self, conversion: &Conversion, touch: &Touch) -> String {
        if self == Self::Day { conversion.occurred_at.date_naive().to_string() } else { self.channel(touch) }
    }

    /// What a touch is in a path: its group, and its creator where groups are days.
    fn channel(self, touch: &Touch) -> String {
        match self {
            Self::Creator | Self::Day => touch.creator_id.map(|id| Kind::Creator.id(id)).unwrap_or_default(),
            Self::Campaign => touch.campaign_id.map(|id| Kind::Campaign.id(id)).unwrap_or_default(),
            Self::Platform => touch.platform.as_str().to_owned(),
            Self::SubId => touch.sub_id.clone().unwrap_or_default(),
            Self::Channel => touch.channel.map(|channel| channel.as_str().to_owned()).unwrap_or_default(),
        }
    }

    /// The same of what a statement wrote into a path.
    fn channel_of_column(self, text: &str) -> String {
        let kind = if self == Self::Campaign { Kind::Campaign } else { Kind::Creator };
        match self {
            Self::Platform | Self::SubId | Self::Channel => text.to_owned(),
            Self::Creator | Self::Day | Self::Campaign => {
                Uuid::parse_str(text).map(|id| kind.id(id)).unwrap_or_default()
            }
        }
    }

    /// The same of what a statement grouped by.
    fn key_of_column(self, column: Option<&str>) -> String {
        let Some(text) = column else { return String::new() };
        let kind = match self {
            Self::Creator => Kind::Creator,
            Self::Campaign => Kind::Campaign,
            Self::Platform | Self::SubId | Self::Channel | Self::Day => return text.to_owned(),
        };
        Uuid::parse_str(text).map(|id| kind.id(id)).unwrap_or_default()
    }

    /// Whether it is known which group a reward was owed for.
    #[must_use]
    pub fn has_reward_costs(self) -> bool {
        matches!(self, Self::Creator | Self::Campaign | Self::Day)
    }
}

/// The touches and clicks of a group. The key is as the database writes it.
pub(super) struct TouchCount {
    pub key: Option<String>,
    pub touch_count: i64,
    pub click_count: i64,
}

/// What a group has under one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Conversions in parts of [`WEIGHT_UNITS`].
    pub conversion_units: u128,
    pub value_minor: u128,
}

impl Total {
    pub(super) fn add(&mut self, weight_units: u64, value_minor: i64) {
        self.conversion_units += u128::from(weight_units);
        self.value_minor += u128::from(value_minor.unsigned_abs());
    }
}

/// What a group has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Touches of the period that somebody shared.
    pub touch_count: i64,
    /// The clicks among them that were not blocked.
    pub click_count: i64,
    /// What was spent on it in minor units; `None` where that is not known.
    pub spend_minor: Option<u128>,
    /// By model, in the order of the question.
    pub totals: Vec<Total>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// By key, the most valuable under the first model first.
    pub groups: Vec<(String, Group)>,
    /// Whether there are more groups than these.
    pub is_truncated: bool,
    pub conversion_count: u64,
    pub value_minor: u128,
    /// What no touch is credited for, by model: with the totals of all groups it makes the whole.
    pub unattributed: Vec<Total>,
    /// The credit of members above the buyers, by degree.
    pub upline: Vec<(i32, Degree)>,
    /// What no degree is credited with: with all degrees it makes the whole.
    pub upline_unassigned: Total,
}

/// What a question may ask.
pub(super) fn check(question: &Question) -> Result<()> {
    let distinct: BTreeSet<&str> = question.models.iter().map(|model| model.as_str()).collect();
    if distinct.is_empty() || distinct.len() < question.models.len() {
        return Err(Error::invalid(&["input", "models"], "Pass at least one model, and each once."));
    }
    if !is_plain(question.from) || !is_plain(question.to) || question.from >= question.to {
        return Err(Error::invalid(&["input", "to"], "Pass an end that is later than the start."));
    }
    if question.lookback_hours.is_some_and(|hours| !(1..=LOOKBACK_HOURS_MAX).contains(&hours)) {
        let message = format!("Pass a number from 1 to {LOOKBACK_HOURS_MAX}.");
        return Err(Error::invalid(&["input", "lookbackHours"], message));
    }
    let keys: BTreeSet<&str> = question.spend.iter().map(|(key, _)| key.as_str()).collect();
    if keys.len() < question.spend.len() || keys.len() > REPORT_ROWS_MAX {
        let message = format!("Pass each key once, and at most {REPORT_ROWS_MAX}.");
        return Err(Error::invalid(&["input", "spend"], message));
    }
    Ok(())
}

/// The sums so far.
pub(super) struct Tally<'a> {
    question: &'a Question,
    groups: BTreeMap<String, Group>,
    conversion_count: u64,
    value_minor: u128,
    unattributed: Vec<Total>,
    /// The paths of all, and the conversions that wait for them: what DATA_DRIVEN divides in the end.
    paths: Summary,
    waiting: Vec<Waiting>,
    uplines: Uplines,
}

/// A conversion whose credit follows from the paths of all.
struct Waiting {
    path: Path,
    /// The group of each touch of the path.
    keys: Vec<String>,
    value_minor: i64,
}

impl<'a> Tally<'a> {
    pub(super) fn new(question: &'a Question) -> Self {
        let mut tally = Self {
            question,
            groups: BTreeMap::new(),
            conversion_count: 0,
            value_minor: 0,
            unattributed: vec![Total::default(); question.models.len()],
            paths: Summary::default(),
            waiting: Vec::new(),
            uplines: Uplines::default(),
        };
        for (key, minor) in &question.spend {
            tally.group(key.clone()).spend_minor = Some(u128::from(minor.unsigned_abs()));
        }
        tally
    }

    fn group(&mut self, key: String) -> &mut Group {
        let models = self.question.models.len();
        self.groups.entry(key).or_insert_with(|| Group { totals: vec![Total::default(); models], ..Group::default() })
    }

    /// Adds a conversion with the touches that it considers, oldest first.
    pub(super) fn add(
        &mut self,
        book: &PolicyBook,
        conversion: &Conversion,
        previous_at: Option<DateTime<Utc>>,
        touches: &[Touch],
    ) {
        let judged = self.judging_policy(book, conversion, touches);
        if !self.is_asked_about(judged.as_ref()) {
            return;
        }
        let (is_counted, value_minor) = self.counted(conversion);
        self.conversion_count += 1;
        self.value_minor += u128::from(value_minor.unsigned_abs());
        let journey = journey(conversion, previous_at);
        let question = self.question;
        for (index, model) in question.models.iter().enumerate() {
            let verdicts = judged.as_ref().map_or_else(Vec::new, |(_, policy)| {
                // Which touches count is the same under every model; of one that credits them all they are known.
                let model = if is_data_driven(*model) { AttributionModel::Linear } else { *model };
                attribute(&AttributionPolicy { model, ..policy.clone() }, &journey, touches)
            });
            let has_credit = if is_data_driven(*model) {
                self.wait(conversion, touches, &verdicts, value_minor)
            } else {
                self.credit(index, conversion, touches, &verdicts, is_counted)
            };
            if !has_credit {
                self.unattributed[index].add(WEIGHT_UNITS, value_minor);
            }
        }
    }

    /// Adds the credit of the members above the buyer, the nearest first: of a conversion that is credited to anybody, as its policy shares it.
    pub(super) fn add_upline(
        &mut self,
        book: &PolicyBook,
        conversion: &Conversion,
        previous_at: Option<DateTime<Utc>>,
        touches: &[Touch],
        line: &[Uuid],
    ) {
        let judged = self.judging_policy(book, conversion, touches);
        if !self.is_asked_about(judged.as_ref()) {
            return;
        }
        let journey = journey(conversion, previous_at);
        let is_credited = |policy: &AttributionPolicy| touches.iter().any(|one| doubt(policy, &journey, one).is_none());
        let policy =
            judged.map(|(_, policy)| policy).filter(|policy| !policy.upline_ppm.is_empty() && is_credited(policy));
        let shares_ppm = policy.as_ref().map_or(&[][..], |policy| policy.upline_ppm.as_slice());
        let (_, value_minor) = self.counted(conversion);
        self.uplines.add(value_minor, shares_ppm, line);
    }

    /// Whether the question is about conversions that this campaign judges.
    fn is_asked_about(&self, judged: Option<&(Uuid, AttributionPolicy)>) -> bool {
        self.question.campaign_id.is_none_or(|id| judged.is_some_and(|(judge, _)| *judge == id))
    }

    /// Whether a conversion's value is in the report's currency, and what of it counts.
    fn counted(&self, conversion: &Conversion) -> (bool, i64) {
        let is_counted = conversion.value.currency == self.question.currency;
        (is_counted, if is_counted { conversion.value.minor } else { 0 })
    }

    /// Keeps what will be divided when all paths are known; whether there is somebody to divide it over.
    fn wait(&mut self, conversion: &Conversion, touches: &[Touch], verdicts: &[Considered], value_minor: i64) -> bool {
        let dimension = self.question.dimension;
        let counted = touches.iter().zip(verdicts).filter(|(_, one)| one.reason == Reason::Credited);
        let (path, keys): (Path, Vec<String>) =
            counted.map(|(touch, _)| (dimension.channel(touch), dimension.key(conversion, touch))).unzip();
        if path.is_empty() {
            return false;
        }
        self.paths.add_conversion(path.clone(), value_minor.unsigned_abs());
        self.waiting.push(Waiting { path, keys, value_minor });
        true
    }

    /// Counts the path of people who did not convert.
    pub(super) fn add_other_path(&mut self, path: &[String], person_count: i64) {
        let dimension = self.question.dimension;
        let path = path.iter().map(|text| dimension.channel_of_column(text)).collect();
        self.paths.add_non_conversions(path, person_count.unsigned_abs());
    }

    /// Divides what waited, now that all paths are known.
    fn divide_by_paths(&mut self) -> Result<()> {
        let Some(index) = self.question.models.iter().position(|model| is_data_driven(*model)) else { return Ok(()) };
        let effects = markov::removal_effects(&self.paths)?;
        for Waiting { path, keys, value_minor } in std::mem::take(&mut self.waiting) {
            let weights = markov::weights(&effects, &path);
            let amounts = split_by_weight(value_minor, &weights);
            for ((key, weight), amount) in keys.into_iter().zip(weights).zip(amounts) {
                self.group(key).totals[index].add(weight, amount);
            }
        }
        Ok(())
    }

    /// Adds what one model gives to each touch; whether it gave anything.
    fn credit(
        &mut self,
        index: usize,
        conversion: &Conversion,
        touches: &[Touch],
        verdicts: &[Considered],
        is_counted: bool,
    ) -> bool {
        let mut has_credit = false;
        for (touch, verdict) in touches.iter().zip(verdicts).filter(|(_, one)| one.reason == Reason::Credited) {
            has_credit = true;
            let key = self.question.dimension.key(conversion, touch);
            let value_minor = if is_counted { verdict.amount_minor } else { 0 };
            self.group(key).totals[index].add(verdict.weight_units, value_minor);
        }
        has_credit
    }

    /// The campaign that judges a conversion, and its policy as the question wants it.
    fn judging_policy(
        &self,
        book: &PolicyBook,
        conversion: &Conversion,
        touches: &[Touch],
    ) -> Option<(Uuid, AttributionPolicy)> {
        if let Some(id) = conversion.campaign_id {
            let policies = conversion.policy_version.and_then(|version| book.version(id, version))?;
            return Some((id, self.asked(&policies.attribution)));
        }
        let journey = journey(conversion, None);
        touches.iter().rev().find_map(|touch| {
            let id = touch.campaign_id?;
            let policy = self.asked(&book.current(id)?.attribution);
            doubt(&policy, &journey, touch).is_none().then_some((id, policy))
        })
    }

    fn asked(&self, policy: &AttributionPolicy) -> AttributionPolicy {
        let question = self.question;
        AttributionPolicy {
            lookback_hours: question.lookback_hours.unwrap_or(policy.lookback_hours),
            is_split_at_previous_conversion: question
                .is_split_at_previous_conversion
                .unwrap_or(policy.is_split_at_previous_conversion),
            ..policy.clone()
        }
    }

    pub(super) fn count_touches(&mut self, counted: TouchCount) {
        let group = self.group(self.question.dimension.key_of_column(counted.key.as_deref()));
        group.touch_count += counted.touch_count;
        group.click_count += counted.click_count;
    }

    /// Adds what the rewards of a group cost.
    pub(super) fn add_cost(&mut self, key: Option<&str>, cost_minor: i64) {
        let group = self.group(self.question.dimension.key_of_column(key));
        group.spend_minor = Some(group.spend_minor.unwrap_or(0) + u128::from(cost_minor.unsigned_abs()));
    }

    pub(super) fn finish(mut self) -> Result<Report> {
        self.divide_by_paths()?;
        let has_costs = self.question.dimension.has_reward_costs();
        let mut groups: Vec<(String, Group)> = self.groups.into_iter().collect();
        for (_, group) in groups.iter_mut().filter(|_| has_costs) {
            group.spend_minor = group.spend_minor.or(Some(0));
        }
        let worth = |group: &Group| (group.totals.first().map_or(0, |total| total.value_minor), group.touch_count);
        groups.sort_by(|(a_key, a), (b_key, b)| worth(b).cmp(&worth(a)).then_with(|| a_key.cmp(b_key)));
        let is_truncated = groups.len() > REPORT_ROWS_MAX;
        groups.truncate(REPORT_ROWS_MAX);
        let (upline, upline_unassigned) = self.uplines.finish();
        Ok(Report {
            upline,
            upline_unassigned,
            groups,
            is_truncated,
            conversion_count: self.conversion_count,
            value_minor: self.value_minor,
            unattributed: self.unattributed,
        })
    }
}

pub(super) fn is_data_driven(model: AttributionModel) -> bool {
    model == AttributionModel::DataDriven
}
