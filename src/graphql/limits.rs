//! What a GraphQL document may ask for, counted on its text and on its tree before the engine walks it: the engine has no caps
//! for aliases, root fields or tokens, and its own walks spread fragments out without remembering what they saw.
//! It never looks at the schema: cost by page size is the engine's, from the `complexity` of each field.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextExecute, NextParseQuery, NextValidation,
};
use async_graphql::parser::parse_query;
use async_graphql::parser::types::{Directive, ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Response, ServerError, ServerResult, ValidationResult, Variables, async_trait};

use super::RequestContext;
use super::run::{Problem, Progress};
use super::scan::scan;
use crate::base::limits::{
    GRAPHQL_ALIASES_MAX, GRAPHQL_COST_MAX, GRAPHQL_DEPTH_MAX, GRAPHQL_DIRECTIVES_MAX, GRAPHQL_FIELDS_MAX,
    GRAPHQL_INTROSPECTION_LISTS_MAX, GRAPHQL_INTROSPECTIONS_MAX, GRAPHQL_OPERATIONS_MAX, GRAPHQL_ROOT_FIELDS_MAX,
};

/// The lists of an introspection that lead from a type to other types.
const INTROSPECTION_LISTS: [&str; 4] = ["fields", "inputFields", "interfaces", "possibleTypes"];

/// Reads a document within every limit that needs no schema.
pub fn parse_within_limits(query: &str) -> Result<ExecutableDocument, Problem> {
    scan(query)?;
    let document = parse_query(query).map_err(|error| Problem::syntax(&error))?;
    check_document(&document)?;
    Ok(document)
}

/// What a selection set asks for once its fragments are spread out.
#[derive(Clone, Copy, Default)]
struct Tally {
    fields: usize,
    root_fields: usize,
    aliases: usize,
    depth: usize,
    introspections: usize,
    /// Fields inside each other that would be lists of types, were this inside an introspection.
    type_lists: usize,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.fields = self.fields.saturating_add(other.fields);
        self.root_fields = self.root_fields.saturating_add(other.root_fields);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.depth = self.depth.max(other.depth);
        self.introspections = self.introspections.saturating_add(other.introspections);
        self.type_lists = self.type_lists.max(other.type_lists);
    }
}

/// Counts each fragment once, however often it is spread: `None` while it is being counted, which makes a cycle visible.
struct Counter<'a> {
    document: &'a ExecutableDocument,
    fragments: HashMap<&'a Name, Option<Tally>>,
}

fn check_document(document: &ExecutableDocument) -> Result<(), Problem> {
    if document.operations.iter().count() > GRAPHQL_OPERATIONS_MAX {
        return Err(over("TOO_MANY_OPERATIONS", "operations in one document", GRAPHQL_OPERATIONS_MAX));
    }
    let mut counter = Counter { document, fragments: HashMap::new() };
    for name in document.fragments.keys() {
        counter.count_fragment(name)?;
    }
    for (_, operation) in document.operations.iter() {
        check_directives(&operation.node.directives)?;
        let tally = counter.count_set(&operation.node.selection_set.node)?;
        let checks = [
            (tally.depth, GRAPHQL_DEPTH_MAX, "QUERY_TOO_DEEP", "levels"),
            (tally.aliases, GRAPHQL_ALIASES_MAX, "TOO_MANY_ALIASES", "aliases"),
            (tally.introspections, GRAPHQL_INTROSPECTIONS_MAX, "QUERY_TOO_COSTLY", "introspections"),
            (tally.root_fields, GRAPHQL_ROOT_FIELDS_MAX, "TOO_MANY_ROOT_FIELDS", "fields at the root"),
            (tally.fields, GRAPHQL_FIELDS_MAX, "QUERY_TOO_COSTLY", "fields with its fragments spread out"),
        ];
        if let Some((_, max, code, what)) = checks.into_iter().find(|(count, max, ..)| count > max) {
            return Err(over(code, what, max));
        }
    }
    Ok(())
}

pub(super) fn over(code: &'static str, what: &str, max: usize) -> Problem {
    Problem::new(code, format!("A query may have at most {max} {what}: ask for less, or in several requests."))
}

fn check_directives(directives: &[Positioned<Directive>]) -> Result<(), Problem> {
    if directives.len() > GRAPHQL_DIRECTIVES_MAX {
        return Err(over("TOO_MANY_DIRECTIVES", "directives in one place", GRAPHQL_DIRECTIVES_MAX));
    }
    Ok(())
}

impl<'a> Counter<'a> {
    fn count_set(&mut self, set: &'a SelectionSet) -> Result<Tally, Problem> {
        let mut tally = Tally::default();
        for item in &set.items {
            check_directives(item.node.directives())?;
            tally.add(match &item.node {
                Selection::Field(field) => self.count_field(&field.node)?,
                Selection::InlineFragment(fragment) => self.count_set(&fragment.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.count_fragment(&spread.node.fragment_name.node)?,
            });
        }
        Ok(tally)
    }

    fn count_field(&mut self, field: &'a Field) -> Result<Tally, Problem> {
        let inner = self.count_set(&field.selection_set.node)?;
        let name = field.name.node.as_str();
        let is_introspection = name == "__schema" || name == "__type";
        if is_introspection && inner.type_lists > GRAPHQL_INTROSPECTION_LISTS_MAX {
            return Err(over("QUERY_TOO_COSTLY", "lists of types inside each other", GRAPHQL_INTROSPECTION_LISTS_MAX));
        }
        Ok(Tally {
            introspections: inner.introspections.saturating_add(usize::from(is_introspection)),
            type_lists: inner.type_lists + usize::from(INTROSPECTION_LISTS.contains(&name)),
            fields: inner.fields.saturating_add(1),
            root_fields: 1,
            aliases: inner.aliases.saturating_add(usize::from(field.alias.is_some())),
            depth: inner.depth + 1,
        })
    }

    fn count_fragment(&mut self, name: &'a Name) -> Result<Tally, Problem> {
        match self.fragments.get(name) {
            Some(Some(tally)) => return Ok(*tally),
            Some(None) => return Err(Problem::new("FRAGMENT_CYCLE", "A fragment must not spread itself.")),
            None => {}
        }
        // A spread of a fragment that does not exist is the validator's to tell.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Tally::default()) };
        self.fragments.insert(name, None);
        check_directives(&fragment.node.directives)?;
        let tally = self.count_set(&fragment.node.selection_set.node)?;
        self.fragments.insert(name, Some(tally));
        Ok(tally)
    }
}

/// The engine's extension: holds the limits for every caller of the schema, charges each document's cost to its bearer, and notes when execution begins, which is how the
/// door tells a refused request (no `data`) from a failed field.
pub struct Limits;

impl ExtensionFactory for Limits {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for Limits {
    async fn parse_query(
        &self,
        ctx: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        // The door has already read the document within its limits; others have not.
        if ctx.data_opt::<Progress>().is_none() {
            parse_within_limits(query).map_err(ServerError::from)?;
        }
        next.run(ctx, query, variables).await
    }

    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let valid = next.run(ctx).await?;
        // What costs more than any document may is refused by the engine, and costs the bearer nothing.
        if valid.complexity <= GRAPHQL_COST_MAX
            && let Some(request) = ctx.data_opt::<RequestContext>()
        {
            let spent = request.spend_cost(valid.complexity).await;
            spent.map_err(|wait| vec![Problem::limited(wait).into()])?;
        }
        Ok(valid)
    }

    async fn execute(&self, ctx: &ExtensionContext<'_>, name: Option<&str>, next: NextExecute<'_>) -> Response {
        if let Some(progress) = ctx.data_opt::<Progress>() {
            progress.begin();
        }
        next.run(ctx, name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: &str) {
        let code = parse_within_limits(query).err().map_or("", |problem| problem.code);
        assert_eq!(code, expected, "{}", &query[..query.len().min(80)]);
    }

    fn nested(levels: usize) -> String {
        format!("{}{}", "{a".repeat(levels), "}".repeat(levels))
    }

    #[test]
    fn each_limit_refuses_with_its_own_code() {
        check("{ a b c }", "");
        check("{ a", "GRAPHQL_PARSE_FAILED");
        check("", "GRAPHQL_PARSE_FAILED");
        check(&nested(GRAPHQL_DEPTH_MAX), "");
        check(&nested(GRAPHQL_DEPTH_MAX + 1), "QUERY_TOO_DEEP");
        check(&"{".repeat(20_000), "QUERY_TOO_DEEP");
        check(&format!("{{ {} }}", "a:b ".repeat(31)), "TOO_MANY_ALIASES");
        check(&format!("{{ {} }}", "b ".repeat(31)), "TOO_MANY_ROOT_FIELDS");
        check(&format!("{{ a {} }}", "@include(if: true) ".repeat(6)), "TOO_MANY_DIRECTIVES");
        check(&(0..11).map(|n| format!("query q{n} {{ a }} ")).collect::<String>(), "TOO_MANY_OPERATIONS");
        check(&format!("{{ a {} }}", " b".repeat(5_000)), "TOO_MANY_TOKENS");
        check(&format!("{{ a }} #{}", "x".repeat(40_000)), "DOCUMENT_TOO_LARGE");
    }

    #[test]
    fn fragments_are_spread_out_without_walking_them_twice() {
        check("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }", "FRAGMENT_CYCLE");
        check("{ x } fragment a on Query { ...a ...a }", "FRAGMENT_CYCLE");
        let mut bomb = String::from("{ ...f0 }");
        for n in 0..60 {
            bomb += &format!(" fragment f{n} on Query {{ a {{ ...f{m} }} ...f{m} ...f{m} }}", m = n + 1);
        }
        bomb += " fragment f60 on Query { x }";
        check(&bomb, "QUERY_TOO_DEEP");
        let mut wide = String::from("{ a { ...f0 } }");
        for n in 0..60 {
            wide += &format!(" fragment f{n} on Query {{ ...f{m} ...f{m} }}", m = n + 1);
        }
        wide += " fragment f60 on Query { x }";
        check(&wide, "QUERY_TOO_COSTLY");
    }

    #[test]
    fn an_introspection_must_not_multiply_the_schema_by_itself() {
        check("{ __schema { types { fields { type { fields { name } } } } } }", "");
        let deep = "{ __schema { types { fields { type { ...t } } } } } fragment t on __Type { fields { type { fields { name } } } }";
        check(deep, "QUERY_TOO_COSTLY");
        check(
            &format!("{{ {} }}", (0..6).map(|n| format!("a{n}: __schema {{ types {{ name }} }} ")).collect::<String>()),
            "QUERY_TOO_COSTLY",
        );
        check("{ form { fields { type { fields { fields { fields { name } } } } } } }", "");
    }
}
