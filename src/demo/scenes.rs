//! The single events of the story, and the people whom they are told of. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::cast::CastLink;
use super::dice::Dice;
use super::story::{DAYS, Scene};

const AGENTS: [&str; 5] = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
];
const SCRIPT: &str = "python-requests/2.31.0";

/// Someone of the story.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// Empty for a visitor.
    pub user_id: String,
    anonymous_id: String,
    device_id: String,
    ip: String,
    agent: &'static str,
}

impl Person {
    /// How the brand calls a member.
    pub fn member_name(index: usize) -> String {
        format!("member-{:05}", index + 1)
    }

    pub fn member(index: usize, dice: &Dice) -> Self {
        let (name, agent) = (Self::member_name(index), dice.pick(&AGENTS).copied().unwrap_or(AGENTS[0]));
        Self::new(&name, &format!("browser-{name}"), &address(dice), agent)
    }

    pub fn visitor(index: u64, dice: &Dice) -> Self {
        let agent = dice.pick(&AGENTS).copied().unwrap_or(AGENTS[0]);
        Self::new("", &format!("visitor-{index:06}"), &address(dice), agent)
    }

    /// One of many names of the same program, on one address.
    pub fn script(index: i64) -> Self {
        Self::new("", &format!("script-{index}"), "203.0.113.9", SCRIPT)
    }

    /// One of many accounts on one sofa.
    pub fn of_farm(index: i64) -> Self {
        let name = format!("farm-{index:02}");
        Self {
            device_id: "farm-phone".to_owned(),
            ..Self::new(&name, &format!("browser-{name}"), "198.51.100.7", AGENTS[1])
        }
    }

    /// The same phone under another name.
    pub fn second_account(&self) -> Self {
        let name = format!("{}-again", self.user_id);
        Self { device_id: self.device_id.clone(), ..Self::new(&name, &format!("browser-{name}"), &self.ip, self.agent) }
    }

    /// One who claims to have invited itself.
    pub fn narcissus(index: i64, dice: &Dice) -> Self {
        let name = format!("narcissus-{index}");
        Self::new(&name, &format!("browser-{name}"), &address(dice), AGENTS[2])
    }

    fn new(user_id: &str, anonymous_id: &str, ip: &str, agent: &'static str) -> Self {
        Self {
            user_id: user_id.to_owned(),
            anonymous_id: anonymous_id.to_owned(),
            device_id: format!("device-{anonymous_id}"),
            ip: ip.to_owned(),
            agent,
        }
    }
}

/// An address of the range that nobody owns (RFC 6598).
fn address(dice: &Dice) -> String {
    format!("100.{}.{}.{}", 64 + dice.below(64), dice.below(256), dice.below(256))
}

/// Writes events down, and leaves out what would happen after now.
pub(super) struct Teller {
    pub start: DateTime<Utc>,
    pub now: DateTime<Utc>,
    pub scenes: Vec<Scene>,
}

impl Teller {
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { start: now - TimeDelta::days(DAYS), now, scenes: Vec::new() }
    }

    pub fn click(&mut self, person: &Person, at: DateTime<Utc>, link: &CastLink) {
        let platform = link.platform.as_str();
        let fields = [("link_token", link.token.as_str()), ("platform", platform)];
        self.tell("click", at, Some(person), &fields);
    }

    pub fn signup(&mut self, person: &Person, at: DateTime<Utc>, fields: &[(&str, &str)]) {
        self.tell("signup", at, Some(person), fields);
    }

    pub fn activation(&mut self, person: &Person, at: DateTime<Utc>) {
        self.tell("activation", at, Some(person), &[]);
    }

    pub fn conversion(&mut self, person: &Person, at: DateTime<Utc>, order_id: &str, minor: i64) {
        self.tell("conversion", at, Some(person), &[("order_id", order_id), ("conversion_value", &amount(minor))]);
    }

    pub fn refund(&mut self, at: DateTime<Utc>, order_id: &str, minor: i64) {
        self.tell("refund", at, None, &[("order_id", order_id), ("conversion_value", &amount(minor))]);
    }

    fn tell(&mut self, event_type: &str, at: DateTime<Utc>, person: Option<&Person>, more: &[(&str, &str)]) {
        if at > self.now {
            return;
        }
        let mut fields = Map::new();
        let mut set = |name: &str, value: &str| {
            if !value.is_empty() {
                fields.insert(name.to_owned(), Value::from(value));
            }
        };
        set("event_type", event_type);
        set("event_id", &format!("demo-{:07}", self.scenes.len()));
        if let Some(person) = person {
            set("user_id", &person.user_id);
            set("anonymous_id", &person.anonymous_id);
            set("device_id", &person.device_id);
            set("ip", &person.ip);
            set("user_agent", person.agent);
        }
        for (name, value) in more {
            set(name, value);
        }
        self.scenes.push(Scene { at, fields });
    }
}

fn amount(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}
