//! The HTTP door: GraphQL (over HTTP, WebSocket and server-sent events), webhooks, share links, health and metrics on one port.
//! It never judges and never writes to the database itself: it authenticates, reads within limits, calls, and answers.
//! Start with `router.rs` (which path is whose) and `serve.rs` (connections and their deadlines).

mod answer;
mod auth;
mod body;
mod graphql;
mod health;
mod house;
mod links;
mod metrics;
mod negotiate;
mod router;
mod serve;
mod socket;
mod socket_session;
mod sources;
mod sse;
mod strict_json;
mod webhooks;

pub use serve::{Options, in_process, serve, serve_with};
