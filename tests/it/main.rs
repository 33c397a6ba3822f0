//! All tests in one binary: it links once, and its tests run side by side.

mod support;

mod database;
mod demo;
mod flows;
mod http;
mod import;
mod kit;
mod schema;
mod tidy;
mod typeid;
mod user_agents;
