//! What happens in the demo: a forest that grows by preferential attachment (who has invited, invites again), visitors who only look,
//! purchases, returns, and a few frauds. Pure: the same cast, seed and moment give the same events.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::DemoOptions;
use super::cast::{Cast, CastLink};
use super::dice::Dice;
use super::scenes::{Person, Teller};

/// How far back the story begins.
pub(super) const DAYS: i64 = 90;
/// Members of a hundred who come through a creator and not through another member.
const THROUGH_CREATOR_PERCENT: u64 = 22;
/// Visitors who click and do not join, per member.
const VISITORS_PER_MEMBER: u64 = 2;

/// One event: when it happened, and its fields.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub at: DateTime<Utc>,
    pub fields: Map<String, Value>,
}

/// The whole story, in no particular order.
pub(super) fn write(cast: &Cast, options: &DemoOptions, now: DateTime<Utc>) -> Vec<Scene> {
    let dice = Dice::new(options.seed);
    let mut teller = Teller::new(now);
    grow(&mut teller, cast, &dice, options.members);
    for visitor in 0..u64::from(options.members) * VISITORS_PER_MEMBER {
        look_around(&mut teller, cast, &dice, visitor);
    }
    cheat(&mut teller, cast, &dice);
    teller.scenes
}

/// A member of the forest as it grows: when it joined, and in which campaign.
struct Joined {
    at: DateTime<Utc>,
    campaign: usize,
}

fn grow(teller: &mut Teller, cast: &Cast, dice: &Dice, count: u32) {
    let mut joined: Vec<Joined> = Vec::new();
    // Each member stands here once, and once more for each referee: a draw prefers those who have invited before.
    let mut draws: Vec<usize> = Vec::new();
    for index in 0..count as usize {
        let at = teller.start + growth(index, count) + TimeDelta::seconds(dice.within(0, 3_600));
        let person = Person::member(index, dice);
        let referrer = dice.pick(&draws).copied().filter(|_| !dice.percent(THROUGH_CREATOR_PERCENT));
        let referrer = referrer.filter(|index| joined[*index].at < at);
        let campaign = if let Some(referrer) = referrer {
            let campaign = joined[referrer].campaign;
            let name = Person::member_name(referrer);
            teller.signup(&person, at, &[("referrer_user_id", &name), ("campaign", &cast.campaigns[campaign])]);
            draws.push(referrer);
            campaign
        } else {
            let Some(link) = popular_link(cast, dice) else { return };
            teller.click(&person, at - TimeDelta::minutes(dice.within(2, 600)), link);
            teller.signup(&person, at, &[]);
            link.campaign
        };
        draws.push(index);
        joined.push(Joined { at, campaign });
        live_on(teller, cast, dice, &person, at, index);
    }
}

/// The time from the start to a member's arrival: arrivals grow with the square of time.
fn growth(index: usize, count: u32) -> TimeDelta {
    let share_ppm = (index as u64 * 1_000_000_000_000 / u64::from(count.max(1))).isqrt();
    TimeDelta::seconds(DAYS * 86_400 * i64::try_from(share_ppm).unwrap_or(0) / 1_000_000)
}

/// A link of a creator; the first creators of the cast are the best known.
fn popular_link<'a>(cast: &'a Cast, dice: &Dice) -> Option<&'a CastLink> {
    let count = cast.links.len() as u64;
    let creator = dice.below(count).min(dice.below(count));
    dice.pick(cast.links.get(usize::try_from(creator).unwrap_or(0))?)
}

/// What a member does after joining: most become active, many buy, some return what they bought.
fn live_on(teller: &mut Teller, cast: &Cast, dice: &Dice, person: &Person, joined_at: DateTime<Utc>, index: usize) {
    if !dice.percent(62) {
        return;
    }
    let active_at = joined_at + TimeDelta::minutes(dice.within(30, 4_320));
    teller.activation(person, active_at);
    let purchase_count = [0, 0, 0, 1, 1, 2, 3][usize::try_from(dice.below(7)).unwrap_or(0)];
    let mut at = active_at;
    for number in 0..purchase_count {
        at += TimeDelta::minutes(dice.within(60, 20_000));
        if dice.percent(45)
            && let Some(link) = popular_link(cast, dice)
        {
            teller.click(person, at - TimeDelta::minutes(dice.within(1, 2_000)), link);
        }
        let (order_id, minor) = (format!("order-{index}-{number}"), dice.within(900, 24_000));
        teller.conversion(person, at, &order_id, minor);
        if dice.percent(4) {
            let returned = dice.within(100, minor);
            teller.refund(at + TimeDelta::minutes(dice.within(1_440, 14_400)), &order_id, returned);
        }
    }
}

/// A visitor who clicks once or twice; one in twenty-five buys without joining.
fn look_around(teller: &mut Teller, cast: &Cast, dice: &Dice, visitor: u64) {
    let person = Person::visitor(visitor, dice);
    let mut at = teller.start + TimeDelta::seconds(dice.within(0, DAYS * 86_400));
    for _ in 0..dice.within(1, 2) {
        let Some(link) = popular_link(cast, dice) else { return };
        teller.click(&person, at, link);
        at += TimeDelta::minutes(dice.within(5, 3_000));
    }
    if dice.percent(4) {
        teller.conversion(&person, at, &format!("guest-{visitor}"), dice.within(900, 9_000));
    }
}

/// The frauds: a script that clicks, people who invite themselves or their second account, and thirty accounts on one sofa.
fn cheat(teller: &mut Teller, cast: &Cast, dice: &Dice) {
    let now = teller.now;
    if let Some(link) = cast.links.get(6).and_then(|links| links.first()) {
        for (started_at, count) in [(now - TimeDelta::days(20), 240), (now - TimeDelta::hours(3), 160)] {
            for index in 0..count {
                let person = Person::script(index);
                teller.click(&person, started_at + TimeDelta::seconds(index * 4), link);
            }
        }
    }
    for index in 0..8 {
        let person = Person::member(index * 3, dice);
        let second = person.second_account();
        let campaign = &cast.campaigns[0];
        let at = now - TimeDelta::days(2 + i64::try_from(index).unwrap_or(0));
        teller.signup(&second, at, &[("referrer_user_id", &person.user_id), ("campaign", campaign)]);
        teller.activation(&second, at + TimeDelta::hours(1));
    }
    for index in 0..4 {
        let person = Person::narcissus(index, dice);
        let at = now - TimeDelta::days(1 + index * 4);
        teller.signup(&person, at, &[("referrer_user_id", &person.user_id), ("campaign", &cast.campaigns[0])]);
    }
    let started_at = now - TimeDelta::days(5);
    for index in 0..30 {
        let person = Person::of_farm(index);
        let at = started_at + TimeDelta::minutes(index * 5);
        let referrer = Person::member_name(1);
        teller.signup(&person, at, &[("referrer_user_id", &referrer), ("campaign", &cast.campaigns[0])]);
        teller.activation(&person, at + TimeDelta::minutes(2));
    }
}
