//! The storm: many connections write to one brand at once, whatever comes to their minds, and at each pause every answer is compared with
//! the model. `GRAPEVINE_TEST_FOREST_SEED` chooses the storm, `GRAPEVINE_TEST_FOREST_ROUNDS` and `GRAPEVINE_TEST_FOREST_STEPS` how long it lasts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::answers::View;
use super::compare::compare;
use super::model::Told;
use super::planting::{Above, Seed, chain};
use super::replay::Replay;
use super::world::World;
use super::{Dice, setting, to_id};

/// Places of a chain at which segments end and begin.
const EDGES: [usize; 9] = [61, 62, 63, 64, 65, 125, 126, 127, 128];

/// What the writers know of the forest.
struct Storm {
    world: World,
    /// Everyone who is or may soon be a member.
    members: Mutex<Vec<Uuid>>,
    /// Members without a referrer when they came.
    roots: Mutex<Vec<Uuid>>,
    /// External identifiers of members.
    names: Mutex<Vec<String>>,
    /// Long chains as they were planted, from the top down.
    lines: Mutex<Vec<Vec<Uuid>>>,
}

impl Storm {
    async fn gather(dice: &Dice) -> Self {
        let world = World::start().await;
        let (members, roots, names, lines) = Default::default();
        let storm = Self { world, members, roots, names, lines };
        let mut above = chain(210);
        above.extend(EDGES.map(Some));
        above.extend([Some(100); 12]);
        above.extend(chain(70).into_iter().map(|one| one.map(|one| one + 231)));
        let seeds: Vec<Seed> =
            above.into_iter().map(|above| storm.seed(dice, above.map_or(Above::Nobody, Above::New))).collect();
        storm.plant(&seeds, 210).await;
        storm
    }

    /// A new member, somebody like everybody.
    fn seed(&self, dice: &Dice, above: Above) -> Seed {
        let joined_at = self.moment(dice);
        let has_signed_up = dice.is_lucky(90);
        let activated_at = dice.is_lucky(40).then(|| self.moment(dice).max(joined_at));
        let campaign_id = dice.is_lucky(30).then(|| *dice.pick(&self.world.campaign_ids));
        Seed { has_signed_up, activated_at, campaign_id, ..Seed::new(self.world.new_name("v"), above, joined_at) }
    }

    /// Some moment of the last two months; many are the same.
    fn moment(&self, dice: &Dice) -> DateTime<Utc> {
        let days = i64::try_from(dice.below(60)).unwrap();
        let hours = if dice.is_lucky(30) { 0 } else { i64::try_from(dice.below(24)).unwrap() };
        self.world.app.now() - TimeDelta::days(days) - TimeDelta::hours(hours)
    }

    /// Plants members; the first `line_length` of them are a chain.
    async fn plant(&self, seeds: &[Seed], line_length: usize) {
        let members = self.world.join(seeds).await;
        let ids: Vec<Uuid> = members.iter().map(|member| member.id).collect();
        self.names.lock().unwrap().extend(seeds.iter().map(|seed| seed.external_id.clone()));
        self.roots.lock().unwrap().extend(members.iter().filter(|one| one.referrer_id.is_none()).map(|one| one.id));
        if line_length > 0 {
            self.lines.lock().unwrap().push(ids[..line_length].to_vec());
        }
        self.members.lock().unwrap().extend(ids);
    }

    fn any_member(&self, dice: &Dice) -> Uuid {
        *dice.pick(&self.members.lock().unwrap())
    }

    fn any_name(&self, dice: &Dice) -> String {
        dice.pick(&self.names.lock().unwrap()).clone()
    }

    /// A member of a chain, often where a segment ends.
    fn of_a_line(&self, dice: &Dice) -> Uuid {
        let lines = self.lines.lock().unwrap();
        let line = dice.pick(&lines);
        let place = if dice.is_lucky(70) { *dice.pick(&EDGES) } else { dice.below(line.len()) };
        line[place.min(line.len() - 1)]
    }

    async fn write_by_hand(&self, dice: &Dice) {
        match dice.below(100) {
            0..50 => self.shift(dice).await,
            50..75 => self.join(dice).await,
            75..92 => self.attach(dice).await,
            _ => {
                let id = if dice.is_lucky(5) { Uuid::from_u128(1) } else { *dice.pick(&self.roots.lock().unwrap()) };
                self.world.forget(if dice.is_lucky(50) { self.of_a_line(dice) } else { id }).await;
            }
        }
    }

    async fn shift(&self, dice: &Dice) {
        let id = self.any_member(dice);
        let (id, to_id) = match dice.below(12) {
            0 => (id, None),
            1 => (id, Some(id)),
            2 => (id, Some(Uuid::from_u128(1))),
            3 => (Uuid::from_u128(1), Some(id)),
            4..7 => (self.of_a_line(dice), Some(self.of_a_line(dice))),
            7 | 8 => (id, Some(self.of_a_line(dice))),
            9 => (self.of_a_line(dice), Some(id)),
            _ => (id, Some(self.any_member(dice))),
        };
        self.world.shift(id, to_id).await;
    }

    async fn join(&self, dice: &Dice) {
        let there = Above::There(if dice.is_lucky(50) { self.any_member(dice) } else { self.of_a_line(dice) });
        let (seeds, line_length): (Vec<Seed>, usize) = match dice.below(10) {
            0..3 => (vec![self.seed(dice, there)], 0),
            3..5 => {
                let length = 2 + dice.below(69);
                let above = |index: usize| index.checked_sub(1).map_or(there, Above::New);
                ((0..length).map(|index| self.seed(dice, above(index))).collect(), length)
            }
            5..8 => ((0..2 + dice.below(14)).map(|_| self.seed(dice, there)).collect(), 0),
            _ => ((0..1 + dice.below(3)).map(|_| self.seed(dice, Above::Nobody)).collect(), 0),
        };
        self.plant(&seeds, line_length).await;
    }

    /// Roots get referrers, some of which get referrers too, and some of which stand below.
    async fn attach(&self, dice: &Dice) {
        let mut ids: Vec<Uuid> = (0..1 + dice.below(4))
            .map(|_| if dice.is_lucky(85) { *dice.pick(&self.roots.lock().unwrap()) } else { self.of_a_line(dice) })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let referrer = || match dice.below(4) {
            0 => *dice.pick(&ids),
            1 => self.of_a_line(dice),
            _ => *dice.pick(&self.roots.lock().unwrap()),
        };
        let pairs: Vec<(Uuid, Uuid)> = ids.iter().map(|id| (*id, referrer())).collect();
        self.world.attach(&pairs).await;
    }
}

/// Somebody who sends events, and what it has to send later.
#[derive(Default)]
struct Teller {
    /// Referrers that were named and are not there yet.
    awaited: Vec<String>,
    /// Members that were activated before they signed up.
    invited: Vec<String>,
    /// Orders with what is left of them.
    orders: Vec<(String, i64)>,
}

impl Teller {
    async fn tell(&mut self, storm: &Storm, dice: &Dice) {
        let all: Vec<Told> = (0..1 + dice.below(8)).map(|_| self.event(storm, dice)).collect();
        let named: Vec<Option<String>> = all.iter().map(signed_up).collect();
        let brand_id = storm.world.app.scope.brand_id;
        for (event_id, name) in storm.world.tell(all).await.into_iter().zip(named) {
            let Some(name) = name else { continue };
            storm.names.lock().unwrap().push(name);
            storm.members.lock().unwrap().push(super::model::id_of(brand_id, event_id));
        }
    }

    fn event(&mut self, storm: &Storm, dice: &Dice) -> Told {
        let (world, at) = (&storm.world, storm.moment(dice));
        match dice.below(100) {
            0..30 => {
                let campaign_id = dice.is_lucky(30).then(|| *dice.pick(&world.campaign_ids));
                Told::SignUp { user: world.new_name("s"), referrer: self.referrer(storm, dice), campaign_id, at }
            }
            30..45 if !self.awaited.is_empty() => {
                let user = self.awaited.swap_remove(dice.below(self.awaited.len()));
                let referrer = dice.is_lucky(20).then(|| self.somebody_new(storm));
                Told::SignUp { user, referrer, campaign_id: None, at }
            }
            45..52 => {
                let user = world.new_name("i");
                self.invited.push(user.clone());
                Told::Activation { user, at }
            }
            52..60 if !self.invited.is_empty() => {
                let user = self.invited.swap_remove(dice.below(self.invited.len()));
                Told::SignUp { user, referrer: self.referrer(storm, dice), campaign_id: None, at }
            }
            60..75 => Told::Activation { user: storm.any_name(dice), at },
            75..85 if self.orders.iter().any(|(_, left_minor)| *left_minor > 0) => {
                let open: Vec<usize> = (0..self.orders.len()).filter(|index| self.orders[*index].1 > 0).collect();
                let (order, left_minor) = &mut self.orders[*dice.pick(&open)];
                let minor = 1 + i64::try_from(dice.below(usize::try_from(*left_minor).unwrap())).unwrap();
                *left_minor -= minor;
                Told::Refund { order: order.clone(), minor }
            }
            _ => {
                let (order, minor) = (world.new_name("order-"), i64::try_from(dice.below(20_000)).unwrap());
                self.orders.push((order.clone(), minor));
                Told::Sale {
                    user: storm.any_name(dice),
                    order,
                    minor,
                    campaign_id: *dice.pick(&world.campaign_ids),
                    at,
                }
            }
        }
    }

    fn referrer(&mut self, storm: &Storm, dice: &Dice) -> Option<String> {
        match dice.below(10) {
            0 => None,
            1 => Some(storm.world.new_name("never-")),
            2 | 3 => Some(self.somebody_new(storm)),
            _ => Some(storm.any_name(dice)),
        }
    }

    /// Who will sign up later.
    fn somebody_new(&mut self, storm: &Storm) -> String {
        let name = storm.world.new_name("w");
        self.awaited.push(name.clone());
        name
    }
}

fn signed_up(told: &Told) -> Option<String> {
    if let Told::SignUp { user, .. } = told { Some(user.clone()) } else { None }
}

/// Workers that take turns until all is calm.
async fn work(storm: Arc<Storm>, calm: CancellationToken) {
    while !calm.is_cancelled() {
        storm.world.app.drain().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Somebody who looks while others write: no answer fails.
async fn look(storm: Arc<Storm>, calm: CancellationToken, dice: Dice) {
    let query = "query($id: ID!, $other: ID!) { member(id: $id) { depth path root { id } ancestors { id } referees { totalCount nodes { depth } }
        descendants(first: 100) { totalCount nodes { depth } } downline { size activeLast30Days byDegree { degree value { amount } } } moves { reason } }
        referralTree(rootId: $other) { nodes { downlineSize } } referralPath(fromId: $id, toId: $other) { hops }
        topReferrers(by: MULTI_HOP_REFERRALS) { rank } }";
    while !calm.is_cancelled() {
        let other = storm.lines.lock().unwrap()[0][dice.below(200)];
        storm.world.app.data(query, json!({ "id": to_id(storm.of_a_line(&dice)), "other": to_id(other) })).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn rage(storm: &Arc<Storm>, seed: u64, steps: u64) {
    let calm = CancellationToken::new();
    let mut others: Vec<_> = (0..2).map(|_| tokio::spawn(work(Arc::clone(storm), calm.clone()))).collect();
    others.push(tokio::spawn(look(Arc::clone(storm), calm.clone(), Dice::of(seed))));
    let hands = (1..4).map(|number| {
        let (storm, dice) = (Arc::clone(storm), Dice::of(seed + number));
        tokio::spawn(async move {
            for _ in 0..steps {
                storm.write_by_hand(&dice).await;
            }
        })
    });
    let tellers = (4..6).map(|number| {
        let (storm, dice) = (Arc::clone(storm), Dice::of(seed + number));
        tokio::spawn(async move {
            let mut teller = Teller::default();
            for _ in 0..steps {
                teller.tell(&storm, &dice).await;
            }
        })
    });
    for writer in hands.chain(tellers).collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    calm.cancel();
    for other in others {
        other.await.unwrap();
    }
    storm.world.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_many_writers_do_at_once_the_forest_is_the_one_of_a_plain_model() {
    let seed = setting("GRAPEVINE_TEST_FOREST_SEED", 20_260_815);
    let (rounds, steps) = (setting("GRAPEVINE_TEST_FOREST_ROUNDS", 2), setting("GRAPEVINE_TEST_FOREST_STEPS", 15));
    eprintln!("GRAPEVINE_TEST_FOREST_SEED={seed}");
    let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).try_init();
    let dice = Dice::of(seed);
    let storm = Arc::new(Storm::gather(&dice).await);
    let mut replay = Replay::of(&storm.world);
    for round in 0..rounds {
        rage(&storm, seed.wrapping_mul(1_000).wrapping_add(round * 10), steps).await;
        replay.go_on(&storm.world).await;
        let app = &storm.world.app;
        compare(app, &View::of(&replay.model, app.now()), &dice).await;
        app.advance(TimeDelta::hours(7));
    }
    let (members, refused) = (replay.model.nodes.len(), replay.refused_count);
    eprintln!("{members} members, {} events, {} deeds, {refused} moves refused", replay.event_count, replay.deed_count);
    assert!(refused > 0 && replay.event_count > 0, "a storm that refuses nothing has not blown");
}
