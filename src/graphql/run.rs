//! Runs one GraphQL call for a door: reads the document within its limits, tells what kind of operation it is, executes it, and
//! writes the answer as text with a code and the request's id in every error. It never speaks HTTP, and never repeats a query
//! in an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationType};
use async_graphql::{Pos, Request, Response, ServerError, Value, Variables};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde::Serialize;

use super::limits::parse_within_limits;
use super::{RequestContext, Schema};
use crate::kv::Wait;

/// Errors of one answer at most; validation may find thousands.
const ERRORS_MAX: usize = 20;
const LOCATIONS_MAX: usize = 4;
const MESSAGE_BYTES_MAX: usize = 400;
const RETRY_AFTER: &str = "retryAfter";

/// A call as the transport read it.
#[derive(Debug, Default)]
pub struct Call {
    pub query: String,
    pub operation_name: Option<String>,
    pub variables: serde_json::Map<String, serde_json::Value>,
}

/// What the chosen operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    Query,
    Mutation,
    Subscription,
}

/// A call that may be executed.
pub struct Prepared {
    request: Request,
    pub kind: OperationKind,
}

/// Why a call was refused before it was executed.
#[derive(Clone, Debug)]
pub struct Problem {
    pub code: &'static str,
    pub message: String,
    position: Option<Pos>,
    retry_after_seconds: Option<u64>,
}

/// One result.
#[derive(Debug)]
pub struct Answer {
    response: Response,
    /// Nothing was executed: the answer has no `data`.
    pub is_request_error: bool,
}

impl Answer {
    /// How long to wait, where nothing was executed because of a rate limit.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let errors = self.response.errors.iter().filter(|_| self.is_request_error);
        let seconds = errors.filter_map(|error| error.extensions.as_ref()?.get(RETRY_AFTER)).next()?;
        if let Value::Number(seconds) = seconds { seconds.as_u64() } else { None }
    }

    /// The result as JSON text.
    #[must_use]
    pub fn body(&self) -> String {
        let data = (!self.is_request_error).then_some(&self.response.data);
        serde_json::to_string(&Body { data, errors: &self.response.errors }).unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "an answer could not be written as JSON");
            r#"{"errors":[{"message":"Something failed on our side.","extensions":{"code":"INTERNAL"}}]}"#.to_owned()
        })
    }

    /// The engine's own form of the result, for its integrations.
    #[must_use]
    pub fn into_response(self) -> Response {
        self.response
    }
}

/// Whether execution began: set by the extension, read when the answer is written.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicBool>);

impl Progress {
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Problem {
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), position: None, retry_after_seconds: None }
    }

    /// Over a rate limit.
    #[must_use]
    pub fn limited(wait: Wait) -> Self {
        let message = format!("This key has asked for too much: ask again in {} s.", wait.seconds);
        Self { retry_after_seconds: Some(wait.seconds), ..Self::new("RATE_LIMITED", message) }
    }

    /// A parser's error by its place only: its own text shows the line, which may be the whole query.
    pub(super) fn syntax(error: &async_graphql::parser::Error) -> Self {
        let position = error.positions().next();
        Self { position, ..Self::new("GRAPHQL_PARSE_FAILED", "The document is not valid GraphQL.") }
    }

    /// The answer that says so.
    #[must_use]
    pub fn answer(self, request_id: &str) -> Answer {
        write(Response::from_errors(vec![self.into()]), false, request_id)
    }
}

impl From<Problem> for ServerError {
    fn from(problem: Problem) -> Self {
        let mut error = Self::new(problem.message, problem.position);
        let extensions = error.extensions.get_or_insert_default();
        extensions.set("code", problem.code);
        if let Some(seconds) = problem.retry_after_seconds {
            extensions.set(RETRY_AFTER, seconds);
        }
        error
    }
}

/// Reads the document and finds the operation to run.
pub fn prepare(call: Call) -> Result<Prepared, Problem> {
    let document = parse_within_limits(&call.query)?;
    let kind = kind_of(&document, call.operation_name.as_deref())?;
    let mut request =
        Request::new(call.query).variables(Variables::from_json(serde_json::Value::Object(call.variables)));
    request.operation_name = call.operation_name;
    request.set_parsed_query(document);
    Ok(Prepared { request, kind })
}

fn kind_of(document: &ExecutableDocument, name: Option<&str>) -> Result<OperationKind, Problem> {
    let operation = match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Some(operation),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name),
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => operations.values().next(),
        (DocumentOperations::Multiple(_), None) => None,
    };
    let operation = operation.ok_or_else(|| {
        Problem::new("OPERATION_NOT_FOUND", "Pass the name of one of the document's operations as operationName.")
    })?;
    Ok(match operation.node.ty {
        OperationType::Query => OperationKind::Query,
        OperationType::Mutation => OperationKind::Mutation,
        OperationType::Subscription => OperationKind::Subscription,
    })
}

/// Executes a query or a mutation.
pub async fn execute(schema: &Schema, context: RequestContext, prepared: Prepared, request_id: &str) -> Answer {
    let progress = Progress::default();
    let request = prepared.request.data(context).data(progress.clone());
    let response = schema.execute(request).await;
    write(response, progress.has_begun(), request_id)
}

/// Executes any operation as a stream of results; a query or a mutation gives one.
pub fn stream(
    schema: &Schema,
    context: RequestContext,
    prepared: Prepared,
    request_id: String,
) -> BoxStream<'static, Answer> {
    let progress = Progress::default();
    // The engine calls `execute` per event of a subscription, so that the first answer of a stream already has begun.
    let request = prepared.request.data(context).data(progress.clone());
    let responses = schema.execute_stream(request);
    responses.map(move |response| write(response, progress.has_begun(), &request_id)).boxed()
}

/// The page of GraphiQL for an endpoint.
#[must_use]
pub fn graphiql_page(endpoint: &str) -> String {
    async_graphql::http::GraphiQLSource::build()
        .endpoint(endpoint)
        .subscription_endpoint(endpoint)
        .title("Grapevine")
        .finish()
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ServerError],
}

fn write(mut response: Response, has_begun: bool, request_id: &str) -> Answer {
    let is_request_error = !has_begun && !response.errors.is_empty() && response.data == Value::Null;
    let errors = response.errors.into_iter().take(ERRORS_MAX);
    response.errors = errors.map(|error| finish(error, has_begun, request_id)).collect();
    Answer { response, is_request_error }
}

/// Gives an error its code and the request's id, and cuts what a hostile query could make long.
fn finish(mut error: ServerError, has_begun: bool, request_id: &str) -> ServerError {
    error.locations.truncate(LOCATIONS_MAX);
    if error.message.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX).rev().find(|end| error.message.is_char_boundary(*end)).unwrap_or(0);
        error.message.truncate(end);
        error.message.push('…');
    }
    let extensions = error.extensions.get_or_insert_default();
    if extensions.get("code").is_none() {
        extensions.set("code", code_of(&error.message, has_begun));
    }
    extensions.set("requestId", request_id);
    error
}

/// The engine's own errors carry no code.
fn code_of(message: &str, has_begun: bool) -> &'static str {
    match message {
        "Query is too complex." => "QUERY_TOO_COSTLY",
        "Query is nested too deep." => "QUERY_TOO_DEEP",
        _ if message.starts_with("The recursion depth of the query") => "QUERY_TOO_DEEP",
        _ if has_begun => "INVALID",
        _ => "GRAPHQL_VALIDATION_FAILED",
    }
}
