//! MySQL (5.6 and later) and MariaDB (10.2 and later) as a source: the pure half. No I/O, no clock.
//!
//! - [`wire`]: events from the bytes of the binary log, rows as places in them;
//! - [`value`]: the canonical text of a column from its bytes.

pub mod value;
pub mod wire;
