//! Grapevine measures word of mouth: who invited whom, who gets the credit, what is owed, and what is fraud.
//!
//! This file is the map. Modules stand in dependency order: **a module imports only from modules above it**, and
//! `tests/it/tidy.rs` rejects everything else. Start at `worker/pipeline.rs` for the life of an event.

// Ground: ids, money, time, chance, pages, limits, the one error type; addresses and what they carry.
pub mod base;
pub mod urls;

// Plumbing.
pub mod config;
pub mod telemetry;
pub mod db;
pub mod kv;

// Instruments.
pub mod access;
pub mod ledger;
pub mod outbox;
pub mod marks;

// Nouns.
pub mod brands;
pub mod creators;
pub mod campaigns;
pub mod members;
pub mod links;

// Facts.
pub mod events;
pub mod platforms;
pub mod identity;
pub mod journeys;
pub mod referrals;
pub mod ingest;
pub mod outbound;

// Judgements.
pub mod attribution;
pub mod fraud;
pub mod rewards;
pub mod payouts;
pub mod cohorts;

// Wide readers.
pub mod deliveries;
pub mod verify;

// Doors.
pub mod app;
pub mod worker;
pub mod graphql;
pub mod http;
pub mod embedded;
pub mod demo;
pub mod cli;
