//! Whole stories, from the door to the books.

mod hostile;
mod kill;
pub mod pipeline;
mod referral_loop;
mod redis_lost;
