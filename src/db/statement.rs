//! A raw statement with typed binds that PostgreSQL prepares once per connection (`diesel::sql_query` prepares it on every call).

use std::marker::PhantomData;

use diesel::backend::DieselReserveSpecialization;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, Untyped};

/// SQL text with `$1`, `$2`, ... The text is a constant, so that it can be cached and never holds a value.
#[derive(Clone, Copy, Debug)]
pub struct Sql(&'static str);

/// A statement and one more bound value.
#[derive(Clone, Copy, Debug)]
pub struct Bound<Inner, Type, Value> {
    inner: Inner,
    value: Value,
    sql_type: PhantomData<Type>,
}

/// A raw statement. Bind its values in the order of their numbers.
///
/// PostgreSQL plans a prepared statement anew on each call as long as it hopes to gain by seeing the values, and for an array or a limit
/// it always hopes. For a look-up of a few rows that costs more than the look-up: `(select $2)` hides such a value, so that the statement
/// is planned once. Leave values in the open where the best plan depends on them.
#[must_use]
pub fn sql(text: &'static str) -> Sql {
    Sql(text)
}

impl Sql {
    pub fn bind<Type, Value>(self, value: Value) -> Bound<Self, Type, Value> {
        Bound { inner: self, value, sql_type: PhantomData }
    }
}

impl<Inner, T, V> Bound<Inner, T, V> {
    pub fn bind<Type, Value>(self, value: Value) -> Bound<Self, Type, Value> {
        Bound { inner: self, value, sql_type: PhantomData }
    }
}

impl QueryFragment<Pg> for Sql {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(self.0);
        Ok(())
    }
}

impl<Inner, Type, Value> QueryFragment<Pg> for Bound<Inner, Type, Value>
where
    Pg: HasSqlType<Type> + DieselReserveSpecialization,
    Inner: QueryFragment<Pg>,
    Value: ToSql<Type, Pg>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.inner.walk_ast(out.reborrow())?;
        out.push_bind_param_value_only(&self.value)
    }
}

// The text itself is the cache's key, so that there is no static query id.
impl QueryId for Sql {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Inner, Type, Value> QueryId for Bound<Inner, Type, Value> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Sql {
    type SqlType = Untyped;
}

impl<Inner, Type, Value> Query for Bound<Inner, Type, Value> {
    type SqlType = Untyped;
}

impl<Conn> diesel::query_dsl::RunQueryDsl<Conn> for Sql {}
impl<Conn, Inner, Type, Value> diesel::query_dsl::RunQueryDsl<Conn> for Bound<Inner, Type, Value> {}
