//! The demo brand at the command line: loaded once, with an admin key that is kept in the data folder, because a demo's key is shown
//! at every start.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use clap::Args;

use super::context::Context;
use super::import::progress_bar;
use crate::access::{NewApiKey, Role, brand_by_slug, create_key};
use crate::app::App;
use crate::base::sheet::Progress;
use crate::base::{Error, Result};
use crate::demo::{DemoOptions, DemoSummary, load};

/// The demo's brand.
pub const BRAND: &str = "demo";
const KEY_FILE: &str = "demo-key";
/// There while the demo is being loaded, and still there after a load that was cut off.
const LOADING_FILE: &str = "demo-loading";

#[derive(Args)]
pub struct Demo {
    /// Members of the demo brand
    #[arg(long, default_value_t = DemoOptions::default().members)]
    members: u32,
    /// The same seed tells the same story
    #[arg(long, default_value_t = DemoOptions::default().seed)]
    seed: u64,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub async fn run(self, context: &Context) -> Result<()> {
        let app = context.app().await?;
        let options = DemoOptions { members: self.members, seed: self.seed };
        let (summary, key) = ensure(&app, &options).await?;
        if self.json {
            let text = serde_json::to_string_pretty(&DemoSummary { key: Some(key), ..summary });
            println!("{}", text.map_err(|error| Error::fault("writing the summary", error))?);
        } else {
            println!("{}\nkey {key}", describe(&summary));
        }
        Ok(())
    }
}

/// What the demo brand holds, in one line.
pub fn describe(summary: &DemoSummary) -> String {
    let DemoSummary { brand, creators, campaigns, members, events, conversions, rewards, alerts, .. } = summary;
    format!(
        "brand `{brand}`: {creators} creators, {campaigns} campaigns, {members} members, {events} events, {conversions} conversions, \
         {rewards} rewards, {alerts} alerts"
    )
}

/// Loads the demo brand unless it is there, and returns an admin key for it: the kept one, else a new one that is kept from now on.
pub async fn ensure(app: &App, options: &DemoOptions) -> Result<(DemoSummary, String)> {
    let bar = progress_bar();
    let progress = |progress: Progress| {
        bar.set_length(progress.total_count);
        bar.set_position(progress.done_count);
    };
    let data_dir = &app.settings.data_dir;
    let was_cut_off = kept(data_dir, LOADING_FILE).is_some();
    keep(data_dir, LOADING_FILE, "the demo brand is being loaded")?;
    let mut summary = load(app, options, &progress).await?;
    bar.finish_and_clear();
    if was_cut_off && summary.key.is_none() {
        let folder = data_dir.display();
        tracing::warn!(
            "the demo brand was cut off while it was loaded and is incomplete: remove {folder} to load it anew"
        );
    } else {
        let removed = fs::remove_file(data_dir.join(LOADING_FILE));
        removed.map_err(|error| Error::fault("finishing the demo", error))?;
    }
    let key = match (summary.key.take(), kept_key(data_dir)) {
        (None, Some(key)) => return Ok((summary, key)),
        (Some(key), _) => key,
        (None, None) => make_key(app).await?,
    };
    keep(data_dir, KEY_FILE, &key)?;
    Ok((summary, key))
}

/// The key that an earlier start kept.
pub fn kept_key(data_dir: &Path) -> Option<String> {
    kept(data_dir, KEY_FILE)
}

fn kept(data_dir: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(data_dir.join(name)).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Writes a file of the data folder that only its owner may read.
fn keep(data_dir: &Path, name: &str, text: &str) -> Result<()> {
    let write = || {
        fs::create_dir_all(data_dir)?;
        let mut options = OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(data_dir.join(name))?;
        writeln!(file, "{text}")
    };
    write().map_err(|error| Error::fault("writing to the data folder", error))
}

async fn make_key(app: &App) -> Result<String> {
    let conn = &mut *app.db.conn().await?;
    let brand = brand_by_slug(conn, BRAND).await?;
    let brand = brand.ok_or_else(|| Error::not_found(&["brand"], "There is no demo brand."))?;
    let key = NewApiKey { name: "demo key".to_owned(), role: Role::Admin, creator_id: None, expires_at: None };
    Ok(create_key(conn, &brand.scope(), &app.env, key).await?.1)
}
