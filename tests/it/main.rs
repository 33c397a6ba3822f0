//! All tests in one binary: it links once, and its tests run side by side.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

mod access;
mod api;
mod attribution_peers;
mod codes;
mod cohorts;
mod database;
mod deliveries;
mod demo;
mod export;
mod faults;
mod flows;
mod forest;
mod fractribution;
mod graphql;
mod http;
mod import;
mod kit;
mod ledger_chain;
mod payouts;
mod platforms;
mod schema;
mod tidy;
mod typeid;
mod urls;
mod user_agents;
