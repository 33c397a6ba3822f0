//! Statistics that keep up with tables that grow fast. PostgreSQL looks at a table anew once a minute at most; until then it plans as
//! if a table that was empty still were, and reads all of it for each name that is looked up. A new brand whose first post goes round
//! must not pay for that.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::{Db, sql};
use crate::base::Result;

/// Rows that a table may gain before anyone minds how it is read.
const CHANGES_MIN: i64 = 1_000;

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Lets PostgreSQL look at each table that has doubled since it last did. Returns how many those were. A look costs the same however
/// big the table is, and the tables that are big double seldom.
pub async fn analyze_grown(db: &Db) -> Result<usize> {
    let mut conn = db.conn().await?;
    let grown: Vec<Named> = sql("select format('%I.%I', s.schemaname, s.relname) as name
         from pg_stat_user_tables s join pg_class c on c.oid = s.relid
         where s.schemaname = current_schema() and s.n_mod_since_analyze > greatest(c.reltuples::int8, $1)")
    .bind::<BigInt, _>(CHANGES_MIN)
    .load(&mut *conn)
    .await?;
    if !grown.is_empty() {
        let names: Vec<&str> = grown.iter().map(|table| table.name.as_str()).collect();
        conn.batch_execute(&format!("analyze {}", names.join(", "))).await?;
    }
    Ok(grown.len())
}
