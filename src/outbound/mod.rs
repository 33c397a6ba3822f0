//! What goes out to platforms: creators' channels that a hub is asked to tell us of. It never sends anything about a person.

mod store;
mod watches;

pub use watches::grant;
