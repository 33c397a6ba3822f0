//! Whole stories, from the door to the books.

mod kill;
mod pipeline;
mod referral_loop;
mod redis_lost;
