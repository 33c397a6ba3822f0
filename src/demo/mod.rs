//! The demo brand: a referral loop of ninety days that looks like one, told through the real door and the real worker.
//! It never writes a derived row by itself, and never touches a brand that is already there.
//! Start with [`load`]; `cast.rs` makes who takes part, `story.rs` what happens.

mod cast;
mod dice;
mod scenes;
mod store;
mod story;

use serde::Serialize;

use crate::access::{Brand, NewBrand, brand_by_slug, create_brand};
use crate::app::App;
use crate::base::limits::EVENTS_PER_REQUEST_MAX;
use crate::base::sheet::Progress;
use crate::base::{Error, Result};
use crate::ingest::Origin;
use crate::platforms::{Scheme, parse};
use crate::worker;

use story::Scene;

const SLUG: &str = "demo";
const NAME: &str = "Demo brand";
const CURRENCY: &str = "USD";
/// Events that are sent before the worker is asked to catch up.
const CHUNK_EVENTS: usize = 5 * EVENTS_PER_REQUEST_MAX;

/// How large the demo is, and which one of its kind.
#[derive(Clone, Copy, Debug)]
pub struct DemoOptions {
    pub members: u32,
    /// The same seed tells the same story.
    pub seed: u64,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self { members: 10_000, seed: 42 }
    }
}

/// What the demo brand holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DemoSummary {
    pub brand: String,
    /// An admin key, shown when the brand is made; `None` when it was there already.
    pub key: Option<String>,
    pub creators: i64,
    pub campaigns: i64,
    pub links: i64,
    pub members: i64,
    pub events: i64,
    pub touchpoints: i64,
    pub conversions: i64,
    pub rewards: i64,
    pub alerts: i64,
}

/// Makes the demo brand and tells its story. A brand that is there already is left as it is.
pub async fn load(app: &App, options: &DemoOptions, progress: &(dyn Fn(Progress) + Sync)) -> Result<DemoSummary> {
    let mut conn = app.db.conn().await?;
    if let Some(brand) = brand_by_slug(&mut conn, SLUG).await? {
        return store::summary(&mut conn, &brand.scope(), SLUG, None).await;
    }
    let currency = CURRENCY.parse().map_err(|error| Error::fault("reading the demo's currency", error))?;
    let new = NewBrand { slug: SLUG.to_owned(), name: NAME.to_owned(), currency };
    let brand = create_brand(&mut conn, &app.env, new).await?;
    drop(conn);
    let now = app.env.now();
    let cast = cast::make(app, &brand).await?;
    let scenes = story::write(&cast, options, now);
    tell(app, &brand, scenes, progress).await?;
    store::summary(&mut *app.db.conn().await?, &brand.scope(), SLUG, Some(cast.key)).await
}

/// Sends the events in the order in which they happened. While the worker takes one part in, the next is sent.
async fn tell(app: &App, brand: &Brand, mut scenes: Vec<Scene>, progress: &(dyn Fn(Progress) + Sync)) -> Result<()> {
    scenes.sort_by_key(|scene| scene.at);
    let origin = Origin::import(brand.scope());
    let total_count = scenes.len() as u64;
    let mut done_count = 0;
    progress(Progress { done_count, total_count });
    let mut chunks = scenes.chunks(CHUNK_EVENTS);
    send(app, &origin, chunks.next().unwrap_or_default()).await?;
    worker::drain(app).await?;
    store::analyze(&mut *app.db.conn().await?).await?;
    for chunk in chunks {
        done_count += CHUNK_EVENTS as u64;
        progress(Progress { done_count, total_count });
        tokio::try_join!(send(app, &origin, chunk), worker::drain(app))?;
    }
    worker::drain(app).await?;
    progress(Progress { done_count: total_count, total_count });
    Ok(())
}

async fn send(app: &App, origin: &Origin, scenes: &[Scene]) -> Result<()> {
    for part in scenes.chunks(EVENTS_PER_REQUEST_MAX) {
        let items = part.iter().flat_map(|scene| parse(Scheme::Generic, &to_bytes(scene)).items).collect();
        app.door.accept(origin, items).await?;
    }
    Ok(())
}

/// The event as a sender would post it.
fn to_bytes(scene: &Scene) -> Vec<u8> {
    let mut fields = scene.fields.clone();
    fields.insert("timestamp".to_owned(), scene.at.to_rfc3339().into());
    serde_json::Value::Object(fields).to_string().into_bytes()
}
