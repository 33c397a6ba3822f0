//! The HTTP door on a real port, spoken to by real clients and by hostile ones.

mod alerts;
mod front;
mod graphql_over_http;
mod health;
mod hostile;
mod peers;
mod redirects;
mod sockets;
mod webhooks;
