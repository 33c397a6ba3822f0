//! The HTTP door on a real port, spoken to by real clients and by hostile ones.

mod alerts;
mod browser;
mod front;
mod graphql_over_http;
mod health;
mod hostile;
mod invitations;
mod links;
mod peers;
mod rate_limits;
mod redirects;
mod rotation;
mod sockets;
mod standard_webhooks;
mod webhooks;
