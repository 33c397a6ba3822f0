//! What the GraphQL API reads and changes, each noun over a world that the pipeline made.

mod attribution;
mod events;
mod fraud;
mod report;
mod report_sums;
mod reward_simulation;
mod rewards;
mod simulation;
pub mod world;
