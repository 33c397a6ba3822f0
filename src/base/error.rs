//! What can go wrong. A refusal is the caller's to mend and is told in full; a fault is ours, is logged once, and is never shown.

use std::error::Error as StdError;
use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The closed list of what a caller can get wrong. GraphQL shows it as `ErrorCode`; `docs/errors.md` explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    Invalid,
    NotFound,
    Conflict,
    Cycle,
    IdempotencyKeyReused,
    Forbidden,
    LimitReached,
    Expired,
    FraudBlocked,
    InsufficientBudget,
    LedgerBroken,
}

impl Code {
    /// The code as it is written on every surface.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID",
            Self::NotFound => "NOT_FOUND",
            Self::Conflict => "CONFLICT",
            Self::Cycle => "CYCLE",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::Forbidden => "FORBIDDEN",
            Self::LimitReached => "LIMIT_REACHED",
            Self::Expired => "EXPIRED",
            Self::FraudBlocked => "FRAUD_BLOCKED",
            Self::InsufficientBudget => "INSUFFICIENT_BUDGET",
            Self::LedgerBroken => "LEDGER_BROKEN",
        }
    }
}

/// Why a request was refused: which field, and what was expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    /// The path to the field in the caller's own spelling (camelCase), outermost first. Empty where no field is to blame.
    pub path: Vec<String>,
    /// One sentence that says what to do.
    pub message: String,
}

impl Refusal {
    #[must_use]
    pub fn new(code: Code, path: &[&str], message: impl Into<String>) -> Self {
        Self { code, path: path.iter().map(ToString::to_string).collect(), message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

/// Every verb's error: refused with all the reasons at once, or failed.
#[derive(Debug)]
pub enum Error {
    Refused(Vec<Refusal>),
    Fault {
        /// What was being done, for the log.
        doing: &'static str,
        source: Box<dyn StdError + Send + Sync>,
        /// Whether the same call may succeed if it is made again.
        is_transient: bool,
    },
}

impl Error {
    #[must_use]
    pub fn refused(code: Code, path: &[&str], message: impl Into<String>) -> Self {
        Self::Refused(vec![Refusal::new(code, path, message)])
    }

    #[must_use]
    pub fn invalid(path: &[&str], message: impl Into<String>) -> Self {
        Self::refused(Code::Invalid, path, message)
    }

    #[must_use]
    pub fn not_found(path: &[&str], message: impl Into<String>) -> Self {
        Self::refused(Code::NotFound, path, message)
    }

    /// A fault that a second attempt will not mend.
    pub fn fault(doing: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Fault { doing, source: source.into(), is_transient: false }
    }

    /// A fault of the moment: a lost connection, a deadlock, a server that restarts.
    pub fn transient(doing: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Fault { doing, source: source.into(), is_transient: true }
    }

    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Fault { is_transient: true, .. })
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(vec![refusal])
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusals) => {
                let lines: Vec<String> = refusals.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("; "))
            }
            Self::Fault { doing, .. } => write!(f, "failed: {doing}"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Refused(_) => None,
            Self::Fault { source, .. } => Some(&**source),
        }
    }
}
