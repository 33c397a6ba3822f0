//! Makes the model of a world from what was done to it, in the order in which it took effect.

use diesel::QueryableByName;
use diesel::sql_types::{Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use grapevine::db::sql;
use grapevine::events::Place;
use uuid::Uuid;

use super::model::{Deed, Model};
use super::world::World;

/// A model, and how much of the world it has seen.
pub struct Replay {
    pub model: Model,
    pub event_count: usize,
    pub deed_count: usize,
    pub refused_count: usize,
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct LoggedRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(embed)]
    place: Place,
    #[diesel(sql_type = Text)]
    state: String,
}

impl Replay {
    pub fn of(world: &World) -> Self {
        Self { model: Model::of(world.app.scope.brand_id), event_count: 0, deed_count: 0, refused_count: 0 }
    }

    /// Takes what was done since the last call. Nobody may write meanwhile.
    pub async fn go_on(&mut self, world: &World) {
        let mut conn = world.app.db.conn().await.unwrap();
        let log: Vec<LoggedRow> = sql("select id, recorded_xid, seq, state from events order by recorded_xid, seq")
            .load(&mut conn)
            .await
            .unwrap();
        assert!(log.iter().all(|row| row.state == "ACCEPTED"), "an event was refused or buried");
        let mut entries = std::mem::take(&mut *world.deeds.lock().unwrap());
        entries.sort_by_key(|entry| entry.turn.ticket);
        let told = world.told.lock().unwrap();
        let mut events = log.iter().skip(self.event_count).peekable();
        for entry in &entries {
            while let Some(row) = events.next_if(|row| row.place <= entry.turn.seen) {
                self.model.tell(row.id, &told[&row.id]);
            }
            self.model.take(&entry.deed);
            self.deed_count += 1;
            self.refused_count += usize::from(matches!(&entry.deed, Deed::Move { refused: Some(_), .. }));
        }
        events.for_each(|row| self.model.tell(row.id, &told[&row.id]));
        self.event_count = log.len();
    }
}
