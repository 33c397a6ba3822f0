//! Relay connections over keyset pages: `Connection<Node>` is called `<Node>Connection` in the schema.

use std::borrow::Cow;

use async_graphql::{Context, Object, OutputType, SimpleObject, TypeName};
use futures_util::future::BoxFuture;

use super::{RequestContext, RequestExt};
use crate::base::limits::PAGE_SIZE_DEFAULT;
use crate::base::{self, Cursor, Page, Slice};

type Count = Box<dyn for<'a> Fn(&'a RequestContext) -> BoxFuture<'a, base::Result<i64>> + Send + Sync>;

/// Where a page stands in its list.
#[derive(SimpleObject, Clone, Debug)]
pub struct PageInfo {
    /// Whether rows stand before this page.
    pub has_previous_page: bool,
    /// Whether rows stand after this page.
    pub has_next_page: bool,
    /// The cursor of the first row of this page.
    pub start_cursor: Option<String>,
    /// The cursor of the last row of this page.
    pub end_cursor: Option<String>,
}

/// One page of a list.
pub struct Connection<N> {
    edges: Vec<Edge<N>>,
    has_next: bool,
    has_previous: bool,
    count: Count,
}

/// One row of a list, with its place in it.
pub struct Edge<N> {
    pub cursor: String,
    pub node: N,
}

impl<N> Connection<N> {
    /// A page of rows. `place` tells a row's cursor; `count` counts the whole list, and runs only where `totalCount` is selected.
    pub fn new<R: Into<N>>(
        slice: Slice<R>,
        place: impl Fn(&R) -> Cursor,
        count: impl for<'a> Fn(&'a RequestContext) -> BoxFuture<'a, base::Result<i64>> + Send + Sync + 'static,
    ) -> Self {
        let edges = slice.items.into_iter().map(|row| Edge { cursor: place(&row).encode(), node: row.into() });
        Self {
            edges: edges.collect(),
            has_next: slice.has_next,
            has_previous: slice.has_previous,
            count: Box::new(count),
        }
    }
}

impl<N: OutputType> TypeName for Connection<N> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", N::type_name()).into()
    }
}

impl<N: OutputType> TypeName for Edge<N> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", N::type_name()).into()
    }
}

/// One page of a list.
#[Object(name_type)]
impl<N: OutputType> Connection<N> {
    /// The rows with their cursors.
    async fn edges(&self) -> &[Edge<N>] {
        &self.edges
    }

    /// The rows alone.
    async fn nodes(&self) -> Vec<&N> {
        self.edges.iter().map(|edge| &edge.node).collect()
    }

    /// Where the page stands in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo {
            has_previous_page: self.has_previous,
            has_next_page: self.has_next,
            start_cursor: self.edges.first().map(|edge| edge.cursor.clone()),
            end_cursor: self.edges.last().map(|edge| edge.cursor.clone()),
        }
    }

    /// How many rows the whole list has. It is counted only when it is selected.
    async fn total_count(&self, ctx: &Context<'_>) -> async_graphql::Result<i32> {
        let count = (self.count)(ctx.request()?).await?;
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }
}

/// One row of a list, with its place in it.
#[Object(name_type)]
impl<N: OutputType> Edge<N> {
    /// The row's place in the list: pass it as `after` or `before`.
    async fn cursor(&self) -> &str {
        &self.cursor
    }

    /// The row.
    async fn node(&self) -> &N {
        &self.node
    }
}

/// Reads `first` and `after` of a list that only goes forward.
pub fn forward(first: Option<i32>, after: Option<&str>) -> base::Result<Page> {
    Page::from_args(first, after, None, None)
}

/// The cost of a list field: one, and its selection once per row of the page.
#[must_use]
pub fn page_cost(first: Option<i32>, last: Option<i32>, child_cost: usize) -> usize {
    let rows = usize::try_from(last.or(first).unwrap_or(PAGE_SIZE_DEFAULT)).unwrap_or(0);
    rows.saturating_mul(child_cost).saturating_add(1)
}
