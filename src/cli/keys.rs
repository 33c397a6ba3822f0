//! `grapevine key`: API keys. A key's secret goes to the standard output alone, so that a script can catch it.

use clap::Subcommand;
use clap::builder::PossibleValuesParser;

use super::context::{Context, choose_brand};
use crate::access::{NewApiKey, Role, Scope, create_key};
use crate::base::{Error, Kind, Result};
use crate::creators;
use crate::db::{Conn, Db};

#[derive(Subcommand)]
pub enum KeyCommand {
    /// Make a key and print its secret, this once
    Create {
        /// What the key may be used for
        #[arg(long, value_parser = PossibleValuesParser::new(Role::ALL.map(Role::as_str)))]
        role: String,
        /// Who uses the key
        #[arg(long)]
        name: String,
        /// Slug of the brand [default: `default`, else the only one]
        #[arg(long, value_name = "SLUG")]
        brand: Option<String>,
        /// Identifier or handle of the creator, with the role creator
        #[arg(long, value_name = "CREATOR")]
        creator: Option<String>,
    },
}

impl KeyCommand {
    pub async fn run(self, context: &Context) -> Result<()> {
        let Self::Create { role, name, brand, creator } = self;
        let role = Role::parse(&role).ok_or_else(|| Error::invalid(&["role"], "There is no such role."))?;
        let db = Db::connect(&context.database_url().await?, 1)?;
        let conn = &mut *db.conn().await?;
        let brand = choose_brand(conn, brand.as_deref()).await?;
        let creator_id = match creator {
            Some(creator) => Some(find_creator(conn, &brand.scope(), &creator).await?),
            None => None,
        };
        let input = NewApiKey { name, role, creator_id, expires_at: None };
        let (key, secret) = create_key(conn, &brand.scope(), &context.env, input).await?;
        eprintln!(
            "{} of role {} in brand `{}`; its secret is shown this once:",
            Kind::Key.id(key.id),
            role.as_str(),
            brand.slug
        );
        println!("{secret}");
        Ok(())
    }
}

async fn find_creator(conn: &mut Conn, scope: &Scope, text: &str) -> Result<uuid::Uuid> {
    if let Some(id) = Kind::Creator.parse(text) {
        return Ok(id);
    }
    let creator = creators::by_handle(conn, scope, text).await?;
    creator.map(|creator| creator.id).ok_or_else(|| Error::not_found(&["creator"], "There is no such creator."))
}
