//! rewards

pub mod reads;
