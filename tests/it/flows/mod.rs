//! Whole stories, from the door to the books.

mod data_driven;
mod days;
mod hostile;
mod journeys;
mod models;
pub mod pipeline;
mod poison;
mod policies;
mod replay;
mod referral_loop;
mod rebuild;
mod redis_lost;
mod unmerge;
