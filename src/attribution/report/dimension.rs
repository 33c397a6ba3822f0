//! What credit is grouped by, and what a group is called: in a statement, in a path and in the answer. Pure.

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::base::Kind;
use crate::journeys::Touch;
use crate::text_enum;

text_enum! {
    /// What credit is grouped by: something of the touch that is credited, or the day of the conversion.
    Dimension {
        Creator = "CREATOR",
        Campaign = "CAMPAIGN",
        Platform = "PLATFORM",
        SubId = "SUB_ID",
        Channel = "CHANNEL",
        Day = "DAY",
    }
}

/// A group, before it is written for anybody: a touch has one for each model, and to write it each time costs more than to judge it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The touch has none.
    None,
    Id(Uuid),
    Word(&'static str),
    Text(String),
    Day(NaiveDate),
}

impl Dimension {
    /// The group of a touch that is credited for a conversion at `at`.
    pub(super) fn key(self, at: DateTime<Utc>, touch: &Touch) -> Key {
        if self == Self::Day { Key::Day(at.date_naive()) } else { self.channel(touch) }
    }

    /// What a touch is in a path: its group, and its creator where groups are days.
    pub(super) fn channel(self, touch: &Touch) -> Key {
        match self {
            Self::Creator | Self::Day => touch.creator_id.map_or(Key::None, Key::Id),
            Self::Campaign => touch.campaign_id.map_or(Key::None, Key::Id),
            Self::Platform => Key::Word(touch.platform.as_str()),
            Self::SubId => touch.sub_id.clone().filter(|text| !text.is_empty()).map_or(Key::None, Key::Text),
            Self::Channel => touch.channel.map_or(Key::None, |channel| Key::Word(channel.as_str())),
        }
    }

    /// What identifiers of its groups and paths identify.
    fn kind(self) -> Kind {
        if self == Self::Campaign { Kind::Campaign } else { Kind::Creator }
    }

    /// A group as the answer has it; empty where the touch has none.
    pub(super) fn shown(self, key: &Key) -> String {
        match key {
            Key::Id(id) => self.kind().id(*id),
            other => other.column(),
        }
    }

    /// The same of what a statement wrote into a path.
    pub(super) fn channel_of_column(self, text: &str) -> String {
        match self {
            Self::Platform | Self::SubId | Self::Channel => text.to_owned(),
            Self::Creator | Self::Day | Self::Campaign => {
                Uuid::parse_str(text).map(|id| self.kind().id(id)).unwrap_or_default()
            }
        }
    }

    /// The same of what a statement grouped by.
    pub(super) fn key_of_column(self, column: Option<&str>) -> String {
        let Some(text) = column else { return String::new() };
        match self {
            Self::Platform | Self::SubId | Self::Channel | Self::Day => text.to_owned(),
            Self::Creator | Self::Campaign => Uuid::parse_str(text).map(|id| self.kind().id(id)).unwrap_or_default(),
        }
    }

    /// Whether it is known which group a reward was owed for.
    #[must_use]
    pub fn has_reward_costs(self) -> bool {
        matches!(self, Self::Creator | Self::Campaign | Self::Day)
    }
}

impl Key {
    /// A group as the database writes it; empty where the touch has none.
    pub(super) fn column(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Id(id) => id.to_string(),
            Self::Word(word) => (*word).to_owned(),
            Self::Text(text) => text.clone(),
            Self::Day(day) => day.to_string(),
        }
    }
}
