//! Shapes that are known to hurt: each is moved across the ends of segments, and after each step every answer is compared.

use grapevine::members::NewMember;
use uuid::Uuid;

use super::Dice;
use super::answers::View;
use super::compare::{compare, compare_descendants};
use super::model::Told;
use super::planting::{Above, Seed, chain};
use super::replay::Replay;
use super::world::World;

struct Bed {
    world: World,
    replay: Replay,
    dice: Dice,
}

impl Bed {
    async fn new() -> Self {
        let world = World::start().await;
        let replay = Replay::of(&world);
        Self { world, replay, dice: Dice::of(1) }
    }

    /// Plants a shape below a member, or as trees of its own.
    async fn plant(&self, below: Option<Uuid>, above: &[Option<usize>]) -> Vec<Uuid> {
        let seed = |(index, above): (usize, &Option<usize>)| {
            let above = above.map_or(below.map_or(Above::Nobody, Above::There), Above::New);
            let joined_at = self.world.app.now() - chrono::TimeDelta::hours(i64::try_from(index).unwrap());
            let activated_at = index.is_multiple_of(4).then_some(joined_at);
            Seed { activated_at, ..Seed::new(self.world.new_name("m"), above, joined_at) }
        };
        let seeds: Vec<Seed> = above.iter().enumerate().map(seed).collect();
        self.world.join(&seeds).await.iter().map(|member: &NewMember| member.id).collect()
    }

    /// A sale of each of these members.
    async fn sell(&mut self, ids: &[Uuid]) {
        self.catch_up().await;
        let at = self.world.app.now();
        let campaign_id = self.world.campaign_ids[0];
        let sale = |id: &Uuid| {
            let user = self.replay.model.nodes[id].external_id.clone().unwrap();
            Told::Sale { user, order: self.world.new_name("order-"), minor: 1_001, campaign_id, at }
        };
        self.world.tell(ids.iter().map(sale).collect()).await;
        self.world.app.drain().await;
    }

    async fn catch_up(&mut self) {
        self.replay.go_on(&self.world).await;
    }

    async fn check(&mut self) {
        self.replay.go_on(&self.world).await;
        let app = &self.world.app;
        compare(app, &View::of(&self.replay.model, app.now()), &self.dice).await;
    }

    /// Checks one list only: pages of this size below this member.
    async fn check_descendants(&mut self, top: Uuid) {
        self.replay.go_on(&self.world).await;
        let app = &self.world.app;
        let view = View::of(&self.replay.model, app.now());
        for depth_max in [None, Some(1), Some(63)] {
            compare_descendants(app, &view, &self.dice, top, depth_max).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twigs_at_the_ends_of_segments_stand_where_they_should() {
    let mut bed = Bed::new().await;
    let line = bed.plant(None, &chain(130)).await;
    for depth in [61, 62, 63, 64, 125, 126, 127, 129] {
        bed.plant(Some(line[depth]), &[None, None, Some(1), Some(2)]).await;
    }
    bed.sell(&[line[0], line[62], line[63], line[64], line[126], line[129]]).await;
    bed.check().await;
    // The anchor itself, the one above it and the one below it, to a tree of their own and back.
    for depth in [62, 63, 64, 126] {
        bed.world.shift(line[depth], None).await;
        bed.check_descendants(line[depth]).await;
        bed.world.shift(line[depth], Some(line[depth - 1])).await;
    }
    bed.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subtree_moves_from_depth_10_to_depth_60_and_back() {
    let mut bed = Bed::new().await;
    let line = bed.plant(None, &chain(62)).await;
    let mut bush = chain(8);
    bush.extend((0..8).flat_map(|index| [Some(index); 2]));
    let bush = bed.plant(Some(line[9]), &bush).await;
    bed.sell(&[bush[0], bush[3], bush[7], bush[20]]).await;
    bed.check().await;
    bed.world.shift(bush[0], Some(line[59])).await;
    bed.check().await;
    bed.sell(&[bush[2], bush[7], bush[12]]).await;
    bed.world.shift(bush[0], Some(line[9])).await;
    bed.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_below_depth_62_63_or_64_crosses_the_anchor() {
    let mut bed = Bed::new().await;
    let line = bed.plant(None, &chain(67)).await;
    let leaf = bed.plant(None, &[None]).await[0];
    let pair = bed.plant(None, &chain(2)).await[0];
    let long = bed.plant(None, &chain(66)).await;
    bed.sell(&[leaf, pair, long[0], long[62], long[65]]).await;
    for depth in [61, 62, 63, 64, 66] {
        for id in [leaf, pair, long[0]] {
            bed.world.shift(id, Some(line[depth])).await;
        }
        if depth.is_multiple_of(2) {
            bed.check().await;
        } else {
            bed.check_descendants(line[depth]).await;
        }
    }
    // The end of the chain, which is an anchor only while somebody stands below it.
    bed.world.shift(line[64], None).await;
    bed.check_descendants(line[64]).await;
    bed.world.shift(line[64], Some(line[63])).await;
    bed.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_star_below_a_deep_member_moves_with_its_centre() {
    let mut bed = Bed::new().await;
    let line = bed.plant(None, &chain(64)).await;
    let star = bed.plant(Some(line[63]), &[None; 40]).await;
    let twigs = bed.plant(Some(star[7]), &[None, Some(0), Some(0)]).await;
    bed.sell(&[star[0], star[39], twigs[2]]).await;
    bed.check_descendants(line[0]).await;
    for (id, below) in
        [(line[63], Some(line[10])), (line[63], None), (star[7], Some(line[62])), (line[63], Some(line[62]))]
    {
        bed.world.shift(id, below).await;
        bed.check_descendants(id).await;
    }
    bed.check().await;
}
