//! The ground that everything stands on: identifiers, exact money, time and chance as arguments, keyset pages, caps, errors.
//! It never touches the network, a database, the system clock (outside `SystemClock`) or random numbers (outside `SystemChance`).
//! Start with `error.rs` (what can go wrong) and `money.rs` (how an amount is held and split).

mod chance;
mod clock;
mod error;
mod ids;
pub mod limits;
mod money;
mod page;
pub mod sheet;
mod text_enum;

use std::sync::Arc;

pub use chance::{Chance, SeededChance, SystemChance, random_bytes};
pub use clock::{Clock, FixedClock, SystemClock, is_plain};
pub use error::{Code, Error, Refusal, Result};
pub use ids::{Kind, TypeId, TypeIdError, derived_id, time_of_id, time_ordered_id};
pub use money::{Currency, Money, MoneyError, decimal, split_by_weight};
pub use page::{Cursor, ListKey, Page, Slice};

/// Time and chance, handed to every verb that needs either, so that each rule can be tried at any hour and replayed.
#[derive(Clone)]
pub struct Env {
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
}

impl Env {
    /// The machine's own clock and randomness.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), chance: Arc::new(SystemChance) }
    }

    /// The moment that counts as now, cut to the microsecond that PostgreSQL keeps.
    #[must_use]
    pub fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.clock.now()
    }

    /// A fresh time-ordered identifier.
    #[must_use]
    pub fn new_id(&self) -> uuid::Uuid {
        time_ordered_id(self.clock.now(), &*self.chance)
    }
}
