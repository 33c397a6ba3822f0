//! What a failed statement means: whether it may be tried again, and which named constraint refused it.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::base::Error;

/// Turns a database error into a fault, marked transient where the same work may succeed if it is tried again, or into a refusal
/// where a value is one that PostgreSQL cannot hold: such a value came from the caller, since we make none.
pub fn fault(doing: &'static str) -> impl FnOnce(DieselError) -> Error {
    move |error| match unstorable(&error) {
        Some(expected) => Error::invalid(&[], expected),
        None if is_transient(&error) => Error::transient(doing, error),
        None => Error::fault(doing, error),
    }
}

/// What to pass instead of a value that is in no row and can be in none.
fn unstorable(error: &DieselError) -> Option<&'static str> {
    let DieselError::DatabaseError(_, info) = error else { return None };
    match info.message() {
        "timestamp out of range" => Some("Pass moments of the years 1 to 9999, and cursors as a page gave them."),
        "invalid byte sequence for encoding \"UTF8\": 0x00" | "unsupported Unicode escape sequence" => {
            Some("Pass texts without the character U+0000.")
        }
        _ => None,
    }
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        fault("talking to PostgreSQL")(error)
    }
}

/// The name of the constraint that refused a write, if that is what happened.
#[must_use]
pub fn constraint_of(error: &DieselError) -> Option<&str> {
    match error {
        DieselError::DatabaseError(_, info) => info.constraint_name(),
        _ => None,
    }
}

/// Whether a statement ran into its deadline: the same work takes as long the next time, unless it is less.
#[must_use]
pub fn is_timeout(error: &Error) -> bool {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    error.is_transient() && cause.is_some_and(|cause| cause.contains("due to statement timeout"))
}

/// Whether the connection itself was lost: by a restart of the server, or because the statement ended its process there.
#[must_use]
pub fn is_lost(error: &Error) -> bool {
    let marks = ["terminating connection", "connection closed", "communicating with the server"];
    let cause = std::error::Error::source(error).map(ToString::to_string);
    error.is_transient() && cause.is_some_and(|cause| marks.iter().any(|mark| cause.contains(mark)))
}

/// Deadlock, serialisation, a lost connection, a server that is shutting down, starting, out of connections or of disk, or whose disk is
/// failing.
fn is_transient(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(
            DatabaseErrorKind::SerializationFailure | DatabaseErrorKind::ClosedConnection,
            _,
        )
        | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(_, info) => {
            let message = info.message();
            let marks = ["deadlock detected", "terminating connection", "the database system is", "connection closed"];
            let more = [
                "too many clients",
                "No space left",
                "could not extend",
                "Input/output error",
                "Read-only file system",
                "canceling statement",
                "communicating with the server",
            ];
            marks.iter().chain(&more).any(|mark| message.contains(mark))
        }
        _ => false,
    }
}
