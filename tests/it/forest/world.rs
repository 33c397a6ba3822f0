//! One brand under test, and everything that was done to it in the order in which it took effect. Whoever writes members holds the
//! forest, so a ticket that is drawn while holding it, and how far the pipeline had come at that moment, say where a deed stands
//! among all others.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use diesel_async::RunQueryDsl;
use grapevine::base::{Error, Kind, Result};
use grapevine::db::{Conn, sql};
use grapevine::events::Place;
use grapevine::ingest::Origin;
use grapevine::members::{NewMember, NewPlace, attach, forget_identity, lock_forest, move_member};
use grapevine::platforms::{Scheme, parse};
use scoped_futures::ScopedFutureExt;
use serde_json::{Value, json};
use uuid::Uuid;

use super::model::{Deed, Told};
use super::planting::{Seed, sow};
use crate::support::TestApp;

/// A deed and its place in the order of all.
pub struct Entry {
    pub turn: Turn,
    pub deed: Deed,
}

/// When the forest was held: the how-manieth holder, and the last event of the log that had its effect before.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    pub ticket: u64,
    pub seen: Place,
}

/// The app with what was done to it.
pub struct World {
    pub app: TestApp,
    /// Two campaigns.
    pub campaign_ids: [Uuid; 2],
    tickets: AtomicU64,
    names: AtomicU64,
    pub deeds: Mutex<Vec<Entry>>,
    /// By the identifier of the event.
    pub told: Mutex<HashMap<Uuid, Told>>,
}

const CAMPAIGNS: [&str; 2] = ["launch", "other"];

impl World {
    pub async fn start() -> Self {
        let app = TestApp::start().await;
        let make =
            "mutation($slug: String!) { createCampaign(input: {slug: $slug, name: \"A\", objective: CONVERSION}) {
            campaign { id } userErrors { message } } }";
        let mut campaign_ids = [Uuid::nil(); 2];
        for (id, slug) in campaign_ids.iter_mut().zip(CAMPAIGNS) {
            let made = app.data(make, json!({ "slug": slug })).await;
            *id = Kind::Campaign.parse(made["createCampaign"]["campaign"]["id"].as_str().unwrap()).unwrap();
        }
        let (tickets, names) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { app, campaign_ids, tickets, names, deeds: Mutex::default(), told: Mutex::default() }
    }

    /// A name that nobody has.
    pub fn new_name(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.names.fetch_add(1, Ordering::SeqCst))
    }

    pub async fn join(&self, seeds: &[Seed]) -> Vec<NewMember> {
        let work = self.app.db.transaction(|conn| {
            async move {
                let turn = self.turn(conn).await?;
                Ok((turn, sow(conn, &self.app.scope, &self.app.env, seeds).await?))
            }
            .scope_boxed()
        });
        let (turn, members) = good(work.await);
        self.keep(turn, Deed::Join(members.clone()));
        members
    }

    pub async fn shift(&self, member_id: Uuid, to_id: Option<Uuid>) {
        let (held, reason) = (&Mutex::new(None), self.new_name("because "));
        let place = &NewPlace { member_id, referrer_id: to_id, reason: reason.clone() };
        let work = self.app.db.transaction(|conn| {
            async move {
                let turn = self.turn(conn).await?;
                *held.lock().unwrap() = Some(turn);
                move_member(conn, &self.app.scope, &self.app.env, place).await
            }
            .scope_boxed()
        });
        let refused = match work.await {
            Err(Error::Refused(all)) => Some((all[0].code, all[0].path.join("."))),
            other => {
                good(other);
                None
            }
        };
        let turn = held.lock().unwrap().take().unwrap();
        self.keep(turn, Deed::Move { member_id, to_id, reason, refused });
    }

    pub async fn attach(&self, pairs: &[(Uuid, Uuid)]) {
        let work = self.app.db.transaction(|conn| {
            async move {
                let turn = self.turn(conn).await?;
                Ok((turn, attach(conn, &self.app.scope, pairs, self.app.now()).await?))
            }
            .scope_boxed()
        });
        let (turn, attached) = good(work.await);
        self.keep(turn, Deed::Attach { pairs: pairs.to_vec(), attached });
    }

    pub async fn forget(&self, member_id: Uuid) {
        let work = self.app.db.transaction(|conn| {
            async move {
                let turn = self.turn(conn).await?;
                Ok((turn, forget_identity(conn, &self.app.scope, member_id, self.app.now()).await?))
            }
            .scope_boxed()
        });
        let (turn, was_there) = good(work.await);
        self.keep(turn, Deed::Forget { member_id, was_there });
    }

    /// Sends events through the door, and returns their identifiers. What follows is the workers'.
    pub async fn tell(&self, all: Vec<Told>) -> Vec<Uuid> {
        let events: Vec<Value> = all.iter().map(|told| self.event(told)).collect();
        let items = parse(Scheme::Generic, Value::Array(events).to_string().as_bytes()).items;
        let receipts = good(self.app.door.accept(&Origin::first_party(self.app.scope.clone()), items).await);
        assert!(receipts.iter().all(|receipt| receipt.code.is_none()), "{receipts:?}");
        let ids: Vec<Uuid> = receipts.iter().map(|receipt| receipt.event_id).collect();
        self.told.lock().unwrap().extend(ids.iter().copied().zip(all));
        ids
    }

    fn event(&self, told: &Told) -> Value {
        let slug = |id: &Uuid| CAMPAIGNS[usize::from(*id == self.campaign_ids[1])];
        let mut event = match told {
            Told::SignUp { user, referrer, campaign_id, at } => json!({ "event_type": "signup", "user_id": user,
                "referrer_user_id": referrer, "campaign": campaign_id.as_ref().map(slug), "timestamp": at }),
            Told::Activation { user, at } => json!({ "event_type": "activation", "user_id": user, "timestamp": at }),
            Told::Sale { user, order, minor, campaign_id, at } => json!({ "event_type": "conversion", "user_id": user,
                "order_id": order, "conversion_value": super::amount(*minor), "campaign": slug(campaign_id), "timestamp": at }),
            Told::Refund { order, minor } => json!({ "event_type": "refund", "order_id": order,
                "conversion_value": super::amount(*minor) }),
        };
        event["event_id"] = json!(self.new_name("event-"));
        event
    }

    /// Takes hold of the forest, to the end of the transaction.
    async fn turn(&self, conn: &mut Conn) -> Result<Turn> {
        lock_forest(conn, &self.app.scope).await?;
        let found: Vec<Place> =
            sql("select recorded_xid, seq from positions where consumer = 'pipeline' and shard = $1")
                .bind::<diesel::sql_types::SmallInt, _>(self.app.scope.shard)
                .load(conn)
                .await?;
        let seen = found.into_iter().next().unwrap_or(Place { recorded_xid: 0, seq: 0 });
        Ok(Turn { ticket: self.tickets.fetch_add(1, Ordering::SeqCst), seen })
    }

    fn keep(&self, turn: Turn, deed: Deed) {
        self.deeds.lock().unwrap().push(Entry { turn, deed });
    }
}

/// What was not refused and did not fail. A deadlock that reaches the caller fails the test here.
fn good<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error}: {:?}", error.source().map(ToString::to_string)))
}
