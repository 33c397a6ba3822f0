//! One WebSocket's life under the `graphql-transport-ws` protocol: acknowledged once a key was shown in time, a capped number of
//! operations at once, pinged when silent, and closed when its key dies or the process stops.
//! <https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md>

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::StreamExt;
use futures_util::future::AbortHandle;
use futures_util::stream::{BoxStream, SelectAll, abortable, once};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::auth::{authenticate, bearer_of};
use super::graphql::call_of_fields;
use super::house::{House, Place};
use super::sse::every;
use super::strict_json;
use crate::access::Scope;
use crate::base::limits::{SOCKET_MESSAGE_BYTES_MAX, SOCKET_SUBSCRIPTIONS_MAX};
use crate::graphql::RequestContext;
use crate::graphql::context::spend;
use crate::graphql::run::{Problem, prepare, stream};
use crate::kv::Limit;

/// A peer that takes nothing for this long is gone.
const SEND_TIME: Duration = Duration::from_secs(10);

type Close = (u16, &'static str);
type Flow = Result<(), Close>;

const BAD_MESSAGE: Close = (4400, "Invalid message");
const UNAUTHORIZED: Close = (4401, "Unauthorized");
const FORBIDDEN: Close = (4403, "Forbidden");
const INIT_TIMEOUT: Close = (4408, "Connection initialisation timeout");
const TOO_MANY_INITS: Close = (4429, "Too many initialisation requests");
const TOO_MANY_SUBSCRIPTIONS: Close = (4429, "Too many subscriptions on this socket");
const TOO_MANY_SOCKETS: Close = (4429, "Too many sockets for this key");
const TOO_BIG: Close = (1009, "Message too big");
const GOING_AWAY: Close = (1001, "Going away");
const SILENT: Close = (4408, "No answer to our pings");
const FAILED: Close = (4500, "Internal server error");
/// The peer has closed, or cannot be written to: nothing is left to say.
const GONE: Close = (1000, "");

/// What an operation gives, in order.
enum Output {
    Next(String, String),
    Complete(String),
}

/// Who speaks, once the key was shown.
struct Speaker {
    key: String,
    scope: Scope,
    _place: Place,
}

pub(super) struct Session {
    house: House,
    request_id: String,
    /// The key of the upgrade's own header, for clients that can send one.
    header_key: Option<String>,
    speaker: Option<Speaker>,
    outputs: SelectAll<BoxStream<'static, Output>>,
    running: HashMap<String, AbortHandle>,
}

impl Session {
    pub(super) fn new(house: House, request_id: String, header_key: Option<String>) -> Self {
        let (outputs, running) = (SelectAll::new(), HashMap::new());
        Self { house, request_id, header_key, speaker: None, outputs, running }
    }

    /// Talks until one side ends it.
    pub(super) async fn serve(mut self, mut socket: WebSocket) {
        let Err((code, reason)) = self.talk(&mut socket).await else { return };
        if code != GONE.0 {
            let frame = CloseFrame { code, reason: reason.into() };
            let close = async {
                // The peer may already be gone, and answers our close or not: either way it is over.
                if socket.send(Message::Close(Some(frame))).await.is_ok() {
                    while let Some(Ok(_)) = socket.recv().await {}
                }
            };
            let _ = tokio::time::timeout(Duration::from_secs(1), close).await;
        }
    }

    async fn talk(&mut self, socket: &mut WebSocket) -> Flow {
        let init_deadline = Instant::now() + self.house.options.socket_init;
        let mut ping = every(self.house.options.socket_ping);
        let mut key_check = every(self.house.options.key_check);
        let mut unanswered = 0;
        let stop = self.house.stop.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Err(GOING_AWAY),
                () = tokio::time::sleep_until(init_deadline), if self.speaker.is_none() => return Err(INIT_TIMEOUT),
                _ = key_check.tick() => self.check_key().await?,
                _ = ping.tick() => {
                    if unanswered >= 2 {
                        return Err(SILENT);
                    }
                    unanswered += 1;
                    send(socket, Message::Ping(bytes::Bytes::new())).await?;
                }
                Some(output) = self.outputs.next(), if !self.outputs.is_empty() => self.put(socket, output).await?,
                message = socket.recv() => {
                    unanswered = 0;
                    self.take(socket, message).await?;
                }
            }
        }
    }

    async fn put(&mut self, socket: &mut WebSocket, output: Output) -> Flow {
        let text = match output {
            // The payload is JSON already: it is put in as it is.
            Output::Next(id, body) => format!(r#"{{"id":{},"type":"next","payload":{body}}}"#, Value::String(id)),
            Output::Complete(id) => {
                self.running.remove(&id);
                json!({ "id": id, "type": "complete" }).to_string()
            }
        };
        send(socket, Message::Text(text.into())).await
    }

    async fn take(&mut self, socket: &mut WebSocket, message: Option<Result<Message, axum::Error>>) -> Flow {
        let text = match message {
            None | Some(Ok(Message::Close(_))) => return Err(GONE),
            Some(Err(error)) if error.to_string().contains("Space limit exceeded") => return Err(TOO_BIG),
            Some(Err(_)) => return Err(GONE),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Binary(_))) => return Err(BAD_MESSAGE),
            Some(Ok(Message::Text(text))) => text,
        };
        if text.len() > SOCKET_MESSAGE_BYTES_MAX {
            return Err(TOO_BIG);
        }
        let Ok(Value::Object(mut fields)) = strict_json::parse(text.as_bytes()) else { return Err(BAD_MESSAGE) };
        let Some(Value::String(kind)) = fields.remove("type") else { return Err(BAD_MESSAGE) };
        match kind.as_str() {
            "connection_init" => self.init(socket, fields).await,
            "ping" => send(socket, Message::Text(pong(fields).into())).await,
            "pong" => Ok(()),
            "subscribe" => self.subscribe(fields).await,
            "complete" => {
                if let Some(handle) = id_of(&mut fields).and_then(|id| self.running.remove(&id)) {
                    handle.abort();
                }
                Ok(())
            }
            _ => Err(BAD_MESSAGE),
        }
    }

    async fn init(&mut self, socket: &mut WebSocket, mut fields: Map<String, Value>) -> Flow {
        if self.speaker.is_some() {
            return Err(TOO_MANY_INITS);
        }
        let shown = match fields.remove("payload") {
            None | Some(Value::Null) => None,
            Some(Value::Object(payload)) => authorization(&payload)?,
            Some(_) => return Err(BAD_MESSAGE),
        };
        let key = shown.or_else(|| self.header_key.take()).ok_or(UNAUTHORIZED)?;
        let scope = match authenticate(&self.house.app, &key).await {
            Ok(Some(scope)) => scope,
            Ok(None) => return Err(FORBIDDEN),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a key could not be checked");
                return Err(FAILED);
            }
        };
        let place = self.house.long_lived.enter(scope.key_id).ok_or(TOO_MANY_SOCKETS)?;
        self.speaker = Some(Speaker { key, scope, _place: place });
        send(socket, Message::Text(r#"{"type":"connection_ack"}"#.into())).await
    }

    async fn subscribe(&mut self, mut fields: Map<String, Value>) -> Flow {
        let Some(speaker) = &self.speaker else { return Err(UNAUTHORIZED) };
        let id = id_of(&mut fields).ok_or(BAD_MESSAGE)?;
        let Some(Value::Object(payload)) = fields.remove("payload") else { return Err(BAD_MESSAGE) };
        let call = call_of_fields(payload).map_err(|_refusal| BAD_MESSAGE)?;
        if self.running.contains_key(&id) {
            return Err((4409, "Subscriber already exists"));
        }
        if self.running.len() >= SOCKET_SUBSCRIPTIONS_MAX {
            return Err(TOO_MANY_SUBSCRIPTIONS);
        }
        let spent = spend(&self.house.app, &speaker.scope, Limit::KeyRequests, 1).await;
        let answers = match spent.map_err(Problem::limited).and_then(|()| prepare(call)) {
            Ok(prepared) => {
                let context = RequestContext::new(&self.house.app, speaker.scope.clone());
                stream(&self.house.schema, context, prepared, self.request_id.clone())
            }
            Err(problem) => refused(problem, &self.request_id),
        };
        let (next_id, end_id) = (id.clone(), id.clone());
        let nexts = answers.map(move |answer| Output::Next(next_id.clone(), answer.body()));
        let whole = nexts.chain(once(async move { Output::Complete(end_id) }));
        let (whole, handle) = abortable(whole.boxed());
        self.outputs.push(whole.boxed());
        self.running.insert(id, handle);
        Ok(())
    }

    /// A key that was revoked or has expired takes its sockets with it. A database that is away does not.
    async fn check_key(&mut self) -> Flow {
        let Some(speaker) = &self.speaker else { return Ok(()) };
        match authenticate(&self.house.app, &speaker.key).await {
            Ok(None) => Err(FORBIDDEN),
            Ok(Some(_)) | Err(_) => Ok(()),
        }
    }
}

fn refused(problem: Problem, request_id: &str) -> BoxStream<'static, crate::graphql::run::Answer> {
    let answer = problem.answer(request_id);
    once(async move { answer }).boxed()
}

/// The key in the payload of `connection_init`. One that is there but malformed is a bad key.
fn authorization(payload: &Map<String, Value>) -> Result<Option<String>, Close> {
    let found = payload.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    match found {
        None | Some((_, Value::Null)) => Ok(None),
        Some((_, Value::String(value))) => bearer_of(value).map(Some).ok_or(FORBIDDEN),
        Some(_) => Err(FORBIDDEN),
    }
}

fn id_of(fields: &mut Map<String, Value>) -> Option<String> {
    match fields.remove("id") {
        Some(Value::String(id)) if (1..=128).contains(&id.len()) => Some(id),
        _ => None,
    }
}

fn pong(mut fields: Map<String, Value>) -> String {
    match fields.remove("payload") {
        Some(payload) => json!({ "type": "pong", "payload": payload }).to_string(),
        None => r#"{"type":"pong"}"#.to_owned(),
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> Flow {
    match tokio::time::timeout(SEND_TIME, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(GONE),
    }
}
