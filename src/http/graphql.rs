//! GraphQL over HTTP, by the draft specification: POST with JSON, GET for queries, and the two media types with their status
//! codes. It never lets the engine see a body that is too large, ambiguous, or could come from another site's form.

use async_graphql_axum::GraphQLResponse;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::auth::{authenticate, bearer};
use super::body::{self, Unread};
use super::house::House;
use super::negotiate::{Media, choose, is_json_body};
use super::router::RequestId;
use super::{answer, socket, sse, strict_json};
use crate::access::Scope;
use crate::base::Error;
use crate::base::limits::BODY_BYTES_MAX;
use crate::graphql::RequestContext;
use crate::graphql::context::spend;
use crate::graphql::run::{Answer, Call, OperationKind, Prepared, Problem, execute, graphiql_page, prepare};
use crate::kv::Limit;

const OFFERS: [Media; 3] = [Media::Json, Media::GraphqlResponse, Media::EventStream];
const BROWSER_OFFERS: [Media; 4] = [Media::Json, Media::GraphqlResponse, Media::EventStream, Media::Html];

/// Who asks, and how the answer is to look.
pub(super) struct Asker {
    pub(super) key: String,
    pub(super) scope: Scope,
    pub(super) media: Media,
    pub(super) request_id: String,
}

pub(super) async fn graphql(State(house): State<House>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if socket::is_upgrade(&parts.headers) {
        return socket::upgrade(house, parts).await;
    }
    let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let is_get = parts.method == Method::GET;
    if !is_get && parts.method != Method::POST {
        let mut response =
            refuse(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Use GET or POST.", &request_id);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
        return response;
    }
    let offers = if is_get { BROWSER_OFFERS.as_slice() } else { OFFERS.as_slice() };
    let media = choose(&parts.headers, offers);
    if is_get && media == Some(Media::Html) {
        return ([(CONTENT_TYPE, Media::Html.content_type())], graphiql_page("/graphql")).into_response();
    }
    let (key, scope) = match who(&house, &parts, &request_id).await {
        Ok(who) => who,
        Err(response) => return response,
    };
    if let Err(wait) = spend(&house.app, &scope, Limit::KeyRequests, 1).await {
        return respond(media.unwrap_or(Media::Json), Problem::limited(wait).answer(&request_id));
    }
    let Some(media) = media else {
        let message = "Accept application/graphql-response+json, application/json or text/event-stream.";
        return refuse(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", message, &request_id);
    };
    let asker = Asker { key, scope, media, request_id };
    let call = if is_get { call_of_query(&parts) } else { call_of_body(&house, &parts, body).await };
    match call {
        Ok(call) => run(&house, asker, call, is_get).await,
        Err((status, code, message)) => refuse(status, code, message, &asker.request_id),
    }
}

async fn who(house: &House, parts: &Parts, request_id: &str) -> Result<(String, Scope), Response> {
    let message = "Send an API key: `Authorization: Bearer gv_…`.";
    let unauthenticated = || {
        let mut response = refuse(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message, request_id);
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"grapevine\""));
        response
    };
    let key = bearer(&parts.headers).ok_or_else(unauthenticated)?;
    match authenticate(&house.app, &key).await {
        Ok(Some(scope)) => Ok((key, scope)),
        Ok(None) => Err(unauthenticated()),
        Err(error) => Err(fault(&error, request_id)),
    }
}

type BadCall = (StatusCode, &'static str, &'static str);

fn bad(message: &'static str) -> BadCall {
    (StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}

async fn call_of_body(house: &House, parts: &Parts, body: axum::body::Body) -> Result<Call, BadCall> {
    if !is_json_body(&parts.headers) {
        let message = "Send the body as application/json in UTF-8, not compressed.";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message));
    }
    let read = body::read(&parts.headers, body, BODY_BYTES_MAX, house.options.body_read).await;
    let bytes = read.map_err(Unread::describe)?;
    let value = strict_json::parse(&bytes)
        .map_err(|_error| bad("The body must be one JSON object in which no key stands twice."))?;
    match value {
        Value::Object(fields) => call_of_fields(fields),
        Value::Array(_) => Err(bad("Batches are not taken: send each operation in a request of its own.")),
        _ => Err(bad("The body must be a JSON object.")),
    }
}

fn call_of_query(parts: &Parts) -> Result<Call, BadCall> {
    let mut fields = Map::new();
    for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        let value = match &*name {
            "query" | "operationName" => Value::String(value.into_owned()),
            "variables" | "extensions" if value.is_empty() => Value::Null,
            "variables" | "extensions" => strict_json::parse(value.as_bytes())
                .map_err(|_error| bad("The parameters variables and extensions must be JSON objects."))?,
            _ => continue,
        };
        if fields.insert(name.into_owned(), value).is_some() {
            return Err(bad("A parameter stands twice."));
        }
    }
    call_of_fields(fields)
}

/// The call of a request's fields. Also what a WebSocket's `subscribe` carries.
pub(super) fn call_of_fields(mut fields: Map<String, Value>) -> Result<Call, BadCall> {
    let Some(Value::String(query)) = fields.remove("query") else {
        return Err(bad("Pass the document as the string query."));
    };
    let operation_name = match fields.remove("operationName") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name).filter(|name| !name.is_empty()),
        Some(_) => return Err(bad("Pass operationName as a string.")),
    };
    let variables = match fields.remove("variables") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(variables)) => variables,
        Some(_) => return Err(bad("Pass variables as an object.")),
    };
    match fields.remove("extensions") {
        None | Some(Value::Null | Value::Object(_)) => Ok(Call { query, operation_name, variables }),
        Some(_) => Err(bad("Pass extensions as an object.")),
    }
}

async fn run(house: &House, asker: Asker, call: Call, is_get: bool) -> Response {
    let prepared = match prepare(call) {
        Ok(prepared) => prepared,
        Err(problem) => return respond(asker.media, problem.answer(&asker.request_id)),
    };
    if is_get && prepared.kind == OperationKind::Mutation {
        let message = "Send a mutation with POST.";
        let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message, &asker.request_id);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    if asker.media == Media::EventStream {
        return sse::respond(house, asker, prepared);
    }
    if prepared.kind == OperationKind::Subscription {
        let message = "Subscribe over a WebSocket (graphql-transport-ws) or with `Accept: text/event-stream`.";
        return respond(asker.media, Problem::new("SUBSCRIPTION_NEEDS_STREAM", message).answer(&asker.request_id));
    }
    execute_once(house, asker, prepared).await
}

async fn execute_once(house: &House, asker: Asker, prepared: Prepared) -> Response {
    let context = RequestContext::new(&house.app, asker.scope);
    respond(asker.media, execute(&house.schema, context, prepared, &asker.request_id).await)
}

/// An answer in its media type: `application/json` says 200 whatever the document was, the newer type says 400.
fn respond(media: Media, answer: Answer) -> Response {
    let retry_after_seconds = answer.retry_after_seconds();
    let status = match (answer.is_request_error, media) {
        // A rate limit is HTTP's own affair: it says so whatever the media type is.
        (true, _) if retry_after_seconds.is_some() => StatusCode::TOO_MANY_REQUESTS,
        (true, Media::GraphqlResponse | Media::EventStream) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let media = if answer.is_request_error && media == Media::EventStream { Media::Json } else { media };
    if answer.is_request_error {
        let mut response = (status, [(CONTENT_TYPE, media.content_type())], answer.body()).into_response();
        if let Some(seconds) = retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        return response;
    }
    let mut response = GraphQLResponse::from(answer.into_response()).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media.content_type()));
    response
}

/// A request that is not GraphQL over HTTP at all.
pub(super) fn refuse(status: StatusCode, code: &'static str, message: &str, request_id: &str) -> Response {
    let answer = Problem::new(code, message).answer(request_id);
    (status, [(CONTENT_TYPE, Media::Json.content_type())], answer.body()).into_response()
}

/// Something failed on our side before anything was executed.
pub(super) fn internal(request_id: &str) -> Response {
    refuse(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Something failed on our side.", request_id)
}

fn fault(error: &Error, request_id: &str) -> Response {
    if !error.is_transient() {
        tracing::error!(error = error as &dyn std::error::Error, "a key could not be checked");
        return internal(request_id);
    }
    tracing::warn!(error = error as &dyn std::error::Error, "a key could not be checked now");
    let message = "Not possible now: send it again.";
    let mut response = refuse(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message, request_id);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(answer::RETRY_AFTER_SECONDS));
    response
}
