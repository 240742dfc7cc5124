//! MySQL (5.6 and later) and MariaDB (10.2 and later) as a source.
//!
//! Pure, without I/O and clock:
//! - [`wire`]: events from the bytes of the binary log, rows as places in them;
//! - [`value`]: the canonical text of a column from its bytes, and [`types`]: what a column holds;
//! - [`catalog`]: what the log does not say of a table, filled in by whoever asks the server;
//! - [`decode`]: events to [`passerelle_change::Event`]s, group by group;
//! - [`gtid`] and [`position`]: places in the log, as the servers print them.
//!
//! What speaks with a server:
//! - [`options`] and [`sql`]: connections for queries, [`error`]: what goes wrong and who can mend it;
//! - [`history`]: whether the log is the one we know, and what of it is left; [`preflight`]: what stands in the way;
//! - [`replication`]: becoming a replica, over a connection that keeps the log's bytes as they came;
//! - [`stream`]: the log as batches of changes; [`snapshot`]: tables as they were at one moment.
//!
//! Invariants that live here:
//! - a cell is the same text from either server and from PostgreSQL, where the datum is the same ([`value`]);
//! - what cannot be decoded is neither dropped nor null: its cell is refused by whoever reads it ([`value`]), and a table
//!   whose rows cannot be told apart or whose columns do not fit is said to be suspect, no other with it ([`decode`]);
//! - a position is the end of a group; what the log takes back is taken back ([`decode`]);
//! - no byte from a server makes any of it panic, or allocate by a number that the server made up ([`wire`]);
//! - no cell value is in an [`Error`].

pub mod catalog;
mod connection;
pub mod decode;
pub mod error;
pub mod gtid;
pub mod history;
pub mod options;
pub mod position;
pub mod preflight;
pub mod replication;
pub mod snapshot;
pub mod sql;
pub mod stream;
pub mod types;
pub mod value;
pub mod wire;

pub use error::{Error, ServerError};
pub use options::{Flavor, Options};
pub use passerelle_net::TlsMode;
pub use position::{Gtids, LogPosition};
