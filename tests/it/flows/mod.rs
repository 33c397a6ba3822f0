//! Whole stories, from the door to the books.

mod hostile;
mod kill;
mod pipeline;
mod poison;
mod referral_loop;
mod redis_lost;
