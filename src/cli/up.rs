//! `grapevine up`: everything for one machine. It brings the servers that are missing, the schema, a brand and a key, runs the API
//! and the worker, and takes its own servers down with itself.

use std::path::Path;

use clap::Args;
use scoped_futures::ScopedFutureExt;
use tokio::net::TcpListener;

use super::context::{Context, DEFAULT_BRAND, fault};
use super::demo;
use super::server::{Work, listen, run};
use super::stop::StopSignal;
use crate::access::{NewApiKey, NewBrand, Role, brand_by_slug, create_brand, create_key};
use crate::app::App;
use crate::base::{Currency, Error, Result};
use crate::config::make_secret;
use crate::demo::DemoOptions;
use crate::embedded::{self, Servers};
use crate::{db, events};

#[derive(Args)]
pub struct Up {
    /// Load the demo brand at the first start, and use it in what is printed
    #[arg(long)]
    demo: bool,
}

impl Up {
    pub async fn run(&self, context: &Context) -> Result<()> {
        let mut signal = StopSignal::listen()?;
        let draft = &context.draft;
        let (Some(database_url), Some(redis_url)) = (&draft.database_url, &draft.redis_url) else {
            let (database_url, redis_url) = (draft.database_url.clone(), draft.redis_url.clone());
            let mut servers = embedded::start_missing(&draft.data_dir, &context.env, database_url, redis_url).await?;
            let (database_url, redis_url) = (servers.database_url.clone(), servers.redis_url.clone());
            let outcome = self.live(context, database_url, redis_url, &mut signal, lost(&mut servers)).await;
            return outcome.and(servers.stop().await);
        };
        self.live(context, database_url.clone(), redis_url.clone(), &mut signal, std::future::pending()).await
    }

    /// The life between the start and the stop of the servers.
    async fn live(
        &self,
        context: &Context,
        database_url: String,
        redis_url: String,
        signal: &mut StopSignal,
        failure: impl Future<Output = Error>,
    ) -> Result<()> {
        tokio::pin!(failure);
        let (app, listener) = tokio::select! {
            prepared = self.prepare(context, database_url, redis_url) => prepared?,
            () = signal.wait() => return Ok(()),
            error = &mut failure => return Err(error),
        };
        run(&app, Some(listener), Work::Yes, signal, failure).await
    }

    /// The port, the secret, the schema, a brand, and what to tell about them.
    async fn prepare(&self, context: &Context, database_url: String, redis_url: String) -> Result<(App, TcpListener)> {
        let mut draft = context.draft.clone();
        let listener = listen(&draft).await?;
        draft.listen = listener.local_addr().map_err(|error| Error::fault("opening the port", error))?;
        let secret = match draft.secret {
            Some(secret) => secret,
            None => make_secret(&draft.data_dir, &*context.env.chance).map_err(fault)?,
        };
        let applied = db::migrate(&database_url).await?;
        tracing::info!(count = applied.len(), "the schema is up to date");
        let app = App::new(draft.settle(database_url, redis_url, secret), context.env.clone())?;
        events::keep(&app.db, app.env.now(), None).await?;
        println!("{}", self.welcome(&app).await?);
        Ok((app, listener))
    }

    /// What to tell about the address, the keys, and what to do next.
    async fn welcome(&self, app: &App) -> Result<String> {
        let data_dir = &app.settings.data_dir;
        let (mut lines, key) = if self.demo {
            let (summary, key) = demo::ensure(app, &DemoOptions::default()).await?;
            (vec![format!("Demo     {}", demo::describe(&summary)), demo_key_line(&key)], Some(key))
        } else {
            let key = make_default_brand(app).await?;
            (vec![default_key_line(key.as_deref())], key)
        };
        let kept = demo::kept_key(data_dir).filter(|_| !self.demo);
        lines.extend(kept.iter().map(|key| demo_key_line(key)));
        Ok(text(&app.settings.public_url, data_dir, &lines, key.or(kept).as_deref().unwrap_or("$KEY")))
    }
}

/// Ends when one of our servers has ended by itself.
async fn lost(servers: &mut Servers) -> Error {
    let name = servers.failure().await;
    Error::fault("running the private servers", format!("{name} ended by itself; its log is in the data folder"))
}

/// Makes the first brand with an admin key, and returns the key this once; `None` if the brand is there already.
async fn make_default_brand(app: &App) -> Result<Option<String>> {
    let usd: Currency = "USD".parse().map_err(|error| Error::fault("reading a currency", error))?;
    let work = app.db.transaction(|conn| {
        async move {
            if brand_by_slug(conn, DEFAULT_BRAND).await?.is_some() {
                return Ok(None);
            }
            let brand = NewBrand { slug: DEFAULT_BRAND.to_owned(), name: "Default brand".to_owned(), currency: usd };
            let brand = create_brand(conn, &app.env, brand).await?;
            let key = NewApiKey { name: "first key".to_owned(), role: Role::Admin, creator_id: None, expires_at: None };
            let (_, secret) = create_key(conn, &brand.scope(), &app.env, key).await?;
            Ok(Some(secret))
        }
        .scope_boxed()
    });
    work.await
}

fn default_key_line(key: Option<&str>) -> String {
    match key {
        Some(key) => format!("Key      {key}   (brand `{DEFAULT_BRAND}`, role admin; shown this once, so keep it)"),
        None => {
            "Key      was shown at the first start; make another with `grapevine key create --role admin --name NAME`"
                .to_owned()
        }
    }
}

fn demo_key_line(key: &str) -> String {
    format!("Key      {key}   (brand `{}`, role admin)", demo::BRAND)
}

fn text(url: &str, data_dir: &Path, lines: &[String], key: &str) -> String {
    format!(
        "\nGrapevine is up.\n\n  GraphQL  {url}/graphql   (a browser gets GraphiQL)\n  Health   {url}/healthz\n  Data     {}\n  \
         {}\n\nNext:\n  curl -s {url}/graphql -H 'Authorization: Bearer {key}' \\\n    -H 'Content-Type: application/json' -d \
         '{{\"query\": \"{{ viewer {{ brand {{ slug name }} }} }}\"}}'\n  grapevine verify     # checks every data invariant\n  \
         Ctrl-C stops everything; the data stays.\n",
        data_dir.display(),
        lines.join("\n  ")
    )
}
