//! Platforms: what they post is understood, what is not is kept, and what they are asked is asked with care.

mod golden;
mod sources;
mod vectors;
