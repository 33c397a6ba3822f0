//! Writes `schema.rs` from the migrated database, so that the Rust tables never differ from the real ones.

use std::fmt::Write;

use diesel::QueryableByName;
use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;

use super::pool::Conn;
use super::statement::sql;
use crate::base::Result;

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    type_name: String,
    #[diesel(sql_type = Bool)]
    is_nullable: bool,
    #[diesel(sql_type = Text)]
    primary_key: String,
}

const COLUMNS: &str = "
    select c.relname::text as table_name, a.attname::text as column_name, t.typname::text as type_name,
           not a.attnotnull as is_nullable,
           coalesce((select string_agg(k.attname::text, ', ' order by array_position(i.indkey::int2[], k.attnum))
                     from pg_index i join pg_attribute k on k.attrelid = c.oid and k.attnum = any (i.indkey)
                     where i.indrelid = c.oid and i.indisprimary), '') as primary_key
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace and n.nspname = current_schema()
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    where c.relkind in ('r', 'p') and not c.relispartition and c.relname <> '__diesel_schema_migrations'
    order by c.relname, a.attnum";

/// The text of `src/db/schema.rs` for the database behind `conn`.
pub async fn schema_text(conn: &mut Conn) -> Result<String> {
    let columns: Vec<Column> = sql(COLUMNS).load(conn).await?;
    let mut text = String::from(
        "//! The tables as Diesel sees them. Written by `./dev generate` from the migrated database: do not edit.\n",
    );
    for table in columns.chunk_by(|a, b| a.table_name == b.table_name) {
        let (name, key) = (&table[0].table_name, &table[0].primary_key);
        let _ = write!(text, "\ndiesel::table! {{\n    {name} ({key}) {{\n");
        for column in table {
            let sql_type = sql_type(&column.type_name);
            let sql_type = if column.is_nullable { format!("Nullable<{sql_type}>") } else { sql_type };
            let _ = writeln!(text, "        {} -> {sql_type},", column.column_name);
        }
        text.push_str("    }\n}\n");
    }
    Ok(text)
}

/// Diesel's name for a PostgreSQL type. `ltree` travels as text: `path::text` out, `$1::ltree` in.
fn sql_type(name: &str) -> String {
    if let Some(element) = name.strip_prefix('_') {
        return format!("Array<Nullable<{}>>", sql_type(element));
    }
    match name {
        "ltree" => "Text".to_owned(),
        "timestamptz" => "Timestamptz".to_owned(),
        name => {
            let mut letters = name.chars();
            letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
        }
    }
}
