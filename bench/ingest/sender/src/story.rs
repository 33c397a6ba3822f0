//! What happens: people click twice, sign up at the invitation of somebody who came before them, act, buy, and look around; one in
//! a hundred events is a bot's. A person's steps lie apart, as the steps of people do.

use std::fmt::Write;

use chrono::Utc;

/// Steps of a person's story.
const STEPS: u64 = 8;
const BOT_EVERY: u64 = 100;
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const BOT: &str = "python-requests/2.31.0";

/// The events of one run, by their number.
#[derive(Clone)]
pub struct Story {
    /// Makes people and events of this run its own.
    pub run: String,
    pub campaign: String,
    pub creators: Vec<String>,
    /// People who begin between two steps of one person.
    pub people_apart: u64,
    /// Clicks alone, as when a post goes round.
    pub is_clicks: bool,
}

impl Story {
    /// Writes event `number` as JSON.
    pub fn write(&self, number: u64, out: &mut String) {
        let (step, person) = (number % STEPS, number / STEPS);
        // The steps of those who began before the run did are clicks of people who do nothing else.
        let started = person.checked_sub(step * self.people_apart).filter(|_| !self.is_clicks);
        let (step, person) = started.map_or((0, number + 1_000_000_000), |person| (step, person));
        let run = &self.run;
        let now = Utc::now().timestamp_millis();
        let _ = write!(out, r#"{{"event_id":"{run}-{number}","timestamp":{now},"#);
        let _ = match step {
            0 | 1 => self.click(number, person, out),
            2 => self.signup(person, out),
            3 => write!(out, r#""event_type":"activation","user_id":"{run}-{person}""#),
            4 => write!(
                out,
                r#""event_type":"conversion","user_id":"{run}-{person}","order_id":"{run}-{person}","conversion_value":"{}.{:02}","currency":"USD""#,
                10 + person % 90, person % 100
            ),
            5 => write!(out, r#""event_type":"open","user_id":"{run}-{person}","anonymous_id":"{run}-a{person}""#),
            _ => self.touch("view", person, person * 7 + step, BROWSER, out),
        };
        out.push('}');
    }

    /// Sixty-four people make a tree in which each invites two.
    fn signup(&self, person: u64, out: &mut String) -> std::fmt::Result {
        let (run, place) = (&self.run, person % 64);
        write!(out, r#""event_type":"signup","user_id":"{run}-{person}","anonymous_id":"{run}-a{person}","campaign":"{}""#, self.campaign)?;
        match place.checked_sub(1) {
            Some(before) => write!(out, r#","referrer_user_id":"{run}-{}""#, person - place + before / 2),
            None => Ok(()),
        }
    }

    fn click(&self, number: u64, person: u64, out: &mut String) -> std::fmt::Result {
        let agent = if number.is_multiple_of(BOT_EVERY) { BOT } else { BROWSER };
        self.touch("click", person, person * 3 + number, agent, out)
    }

    fn touch(&self, kind: &str, person: u64, seed: u64, agent: &str, out: &mut String) -> std::fmt::Result {
        // Few creators have most of the clicks.
        let draw = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % (self.creators.len() * self.creators.len());
        let creator = &self.creators[self.creators.len() - 1 - draw.isqrt()];
        write!(
            out,
            r#""event_type":"{kind}","anonymous_id":"{}-a{person}","creator_id":"{creator}","campaign":"{}","sub_id":"post-{}","ip":"{}.{}.{}.{}","user_agent":"{agent}""#,
            self.run, self.campaign, seed % 50, 11 + person % 150, person / 150 % 250, person / 37_500 % 250, person % 250
        )
    }
}
