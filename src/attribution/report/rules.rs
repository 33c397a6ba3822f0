//! What a report adds up. Pure: conversions with their touches go in one by one, exact sums per group come out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::Question;
use super::dimension::Key;
use super::judged::Judged;
use super::upline::{Degree, Uplines};
use crate::attribution::paths::{Path, Summary};
use crate::attribution::{WEIGHT_UNITS, markov};
use crate::base::limits::{LOOKBACK_HOURS_MAX, REPORT_ROWS_MAX};
use crate::base::{Error, Result, is_plain, split_by_weight};
use crate::campaigns::AttributionModel;
use crate::journeys::Conversion;

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

    /// What is left of it without a part of it.
    pub(super) fn less(self, part: Self) -> Self {
        Self {
            conversion_units: self.conversion_units.saturating_sub(part.conversion_units),
            value_minor: self.value_minor.saturating_sub(part.value_minor),
        }
    }

    pub(super) fn add_total(&mut self, other: Self) {
        self.conversion_units += other.conversion_units;
        self.value_minor += other.value_minor;
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
    /// By the key of the answer.
    groups: BTreeMap<String, Group>,
    /// What conversions that were judged here give, by model, and the place of each group in it.
    credited: Vec<Vec<Total>>,
    places: HashMap<Key, usize>,
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
            credited: Vec::new(),
            places: HashMap::new(),
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

    fn place(&mut self, key: Key) -> usize {
        let (models, credited) = (self.question.models.len(), &mut self.credited);
        *self.places.entry(key).or_insert_with(|| {
            credited.push(vec![Total::default(); models]);
            credited.len() - 1
        })
    }

    /// Adds a conversion; `line` are the members above the buyer, the nearest first.
    pub(super) fn add(&mut self, judged: &Judged<'_>, line: &[Uuid]) {
        let question = self.question;
        if question.campaign_id.is_some_and(|id| judged.campaign_id != Some(id)) {
            return;
        }
        let (is_counted, value_minor) = self.counted(judged.conversion);
        self.conversion_count += 1;
        self.value_minor += u128::from(value_minor.unsigned_abs());
        self.uplines.add(value_minor, judged.upline_ppm(), line);
        let mut places = Vec::with_capacity(judged.counted.len());
        for touch in &judged.counted {
            places.push(self.place(question.dimension.key(judged.at(), touch)));
        }
        for (index, model) in question.models.iter().enumerate() {
            if places.is_empty() {
                self.unattributed[index].add(WEIGHT_UNITS, value_minor);
            } else if is_data_driven(*model) {
                self.wait(judged, value_minor);
            } else {
                let (weights, amounts) = judged.shares(*model);
                for ((place, weight_units), minor) in places.iter().zip(weights).zip(amounts) {
                    if weight_units > 0 {
                        self.credited[*place][index].add(weight_units, if is_counted { minor } else { 0 });
                    }
                }
            }
        }
    }

    /// The members above the buyers who are counted already, with the places of their degrees.
    pub(super) fn upline_members(&self) -> Vec<(usize, Uuid)> {
        self.uplines.members().collect()
    }

    /// Whether a conversion's value is in the report's currency, and what of it counts.
    fn counted(&self, conversion: &Conversion) -> (bool, i64) {
        let is_counted = conversion.value.currency == self.question.currency;
        (is_counted, if is_counted { conversion.value.minor } else { 0 })
    }

    /// Keeps what will be divided when all paths are known.
    fn wait(&mut self, judged: &Judged<'_>, value_minor: i64) {
        let dimension = self.question.dimension;
        let shown = |key: Key| dimension.shown(&key);
        let counted = judged.counted.iter();
        let (path, keys): (Path, Vec<String>) =
            counted.map(|touch| (shown(dimension.channel(touch)), shown(dimension.key(judged.at(), touch)))).unzip();
        self.paths.add_conversion(path.clone(), value_minor.unsigned_abs());
        self.waiting.push(Waiting { path, keys, value_minor });
    }

    /// Counts the path of people who did not convert.
    pub(super) fn add_other_path(&mut self, path: &[String], person_count: i64) {
        let dimension = self.question.dimension;
        let path = path.iter().map(|text| dimension.channel_of_column(text)).collect();
        self.paths.add_non_conversions(path, person_count.unsigned_abs());
    }

    /// Adds what the conversions that were judged here give to the groups of the answer.
    fn name_groups(&mut self) {
        let (places, credited) = (std::mem::take(&mut self.places), std::mem::take(&mut self.credited));
        for (key, place) in places {
            if credited[place].iter().any(|total| total.conversion_units > 0) {
                let group = self.group(self.question.dimension.shown(&key));
                for (total, more) in group.totals.iter_mut().zip(&credited[place]) {
                    total.add_total(*more);
                }
            }
        }
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

    /// Adds what is kept of a group, unless it has nothing of what is asked for.
    pub(super) fn add_kept(&mut self, kept: &KeptGroup) {
        let question = self.question;
        let totals: Vec<Total> = question.models.iter().map(|model| kept.credit.under(*model)).collect();
        let is_credited = totals.iter().any(|total| total.conversion_units > 0);
        if !is_credited && kept.touch_count == 0 && kept.reward_count == 0 {
            return;
        }
        let group = self.group(question.dimension.key_of_column(Some(&kept.key)));
        group.touch_count += kept.touch_count;
        group.click_count += kept.click_count;
        if kept.reward_count > 0 {
            group.spend_minor = Some(group.spend_minor.unwrap_or(0) + kept.cost_minor);
        }
        for (total, more) in group.totals.iter_mut().zip(totals) {
            total.add_total(more);
        }
    }

    /// Adds what is kept of all conversions, credited or not.
    pub(super) fn add_whole(&mut self, whole: &KeptWhole) {
        self.conversion_count += whole.conversion_count;
        self.value_minor += whole.value_minor;
        let all = Total {
            conversion_units: u128::from(whole.conversion_count) * u128::from(WEIGHT_UNITS),
            value_minor: whole.value_minor,
        };
        for (model, left) in self.question.models.iter().zip(&mut self.unattributed) {
            left.add_total(all.less(whole.credit.under(*model)));
        }
        self.uplines.add_whole(all, &whole.degrees);
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
        self.name_groups();
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

/// What each model credits that can be kept, in the order of [`KEPT_MODELS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Credit(pub [Total; KEPT_MODELS.len()]);

/// The models whose sums of days add up: DATA_DRIVEN divides by the paths of all the time that is asked for.
pub(super) const KEPT_MODELS: [AttributionModel; 6] = [
    AttributionModel::FirstTouch,
    AttributionModel::LastTouch,
    AttributionModel::Linear,
    AttributionModel::TimeDecay,
    AttributionModel::PositionBased,
    AttributionModel::WeightedLastTouch,
];

impl Credit {
    pub(super) fn add(&mut self, other: &Self) {
        for (total, more) in self.0.iter_mut().zip(other.0) {
            total.add_total(more);
        }
    }

    fn under(&self, model: AttributionModel) -> Total {
        let kept = KEPT_MODELS.iter().position(|kept| *kept == model);
        kept.and_then(|place| self.0.get(place)).copied().unwrap_or_default()
    }
}

/// What is kept of a group over some time. Its key is as the database writes it.
#[derive(Clone, Debug)]
pub(super) struct KeptGroup {
    pub key: String,
    pub touch_count: i64,
    pub click_count: i64,
    pub reward_count: i64,
    pub cost_minor: u128,
    pub credit: Credit,
}

/// What is kept of all conversions over some time.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptWhole {
    pub conversion_count: u64,
    pub value_minor: u128,
    pub credit: Credit,
    /// The credit of each degree above the buyers, the nearest first, with the members who have no part in what was judged anew.
    pub degrees: Vec<Degree>,
}

pub(super) fn is_data_driven(model: AttributionModel) -> bool {
    model == AttributionModel::DataDriven
}
