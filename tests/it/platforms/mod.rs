//! Platforms: what they post is understood, what is not is kept, and what they are asked is asked with care.

mod asked;
mod changed;
mod fake;
mod golden;
mod signers;
mod sources;
mod vectors;
