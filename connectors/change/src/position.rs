//! Positions in a source's log, and the core's own order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The end of a source transaction, printed as the database's own tools print it (`16/B374D848`, a GTID set, …).
///
/// Opaque to everyone but the connector that made it: only that connector compares two of them. The core orders by
/// [`Seq`].
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position(Box<str>);

impl Position {
    /// Wraps what the connector prints. Callers other than a connector pass on positions, they do not make them.
    pub fn new(printed: impl Into<Box<str>>) -> Self {
        Self(printed.into())
    }

    /// The position as the database prints it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The core's order of changes within one source. Given out by capture, one a change, never reused.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u64);

impl Seq {
    /// Before every change: what a first load carries.
    pub const ZERO: Self = Self(0);

    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Microseconds since 1970-01-01 00:00:00 UTC, by the clock of whoever says it (the source's for a commit).
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Micros(pub i64);

impl fmt::Display for Micros {
    /// RFC 3339 in UTC; a number out of jiff's range is printed as it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => write!(f, "{t}"),
            Err(_) => write!(f, "{}µs", self.0),
        }
    }
}
