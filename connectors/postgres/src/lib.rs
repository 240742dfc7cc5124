//! PostgreSQL (11 and later) as a source.
//!
//! Two halves that share [`Options`], [`Error`], [`Lsn`] and [`types`]:
//! - *replication*: [`replication`] connects and starts, [`stream`] reads and acknowledges (the thin async shell),
//!   [`wire`] and [`decode`] turn bytes into [`passerelle_change::Event`]s (pure, no I/O, no clock);
//! - *SQL*: [`catalog`], [`preflight`], [`publication`], [`snapshot`] and [`history`] ask over `tokio-postgres`.
//!
//! Invariants that live here:
//! - what is reported to the server as flushed is what the caller acknowledged, never what was received, and never goes
//!   backward ([`stream`]);
//! - a full channel never keeps the server waiting for a status ([`stream`]);
//! - the text of a value is the same from the stream and from a snapshot: every connection pins [`options::SESSION`];
//! - a column has one id in both halves: both name types by [`types::describe`];
//! - no cell value and no secret is in an [`Error`] or a log line.

pub mod catalog;
pub mod connection;
pub mod decode;
pub mod error;
pub mod history;
pub mod lsn;
pub mod options;
pub mod preflight;
pub mod publication;
pub mod replication;
pub mod snapshot;
pub mod sql;
pub mod stream;
pub mod tls;
pub mod types;
pub mod wire;

/// The oldest server that can be followed, as `server_version_num`. Publications came with 10; `TRUNCATE` in them, and
/// what we ask the catalogue, with 11.
pub const OLDEST_VERSION: u32 = 110_000;

pub use error::{Error, ServerError};
pub use lsn::Lsn;
pub use options::Options;
pub use passerelle_net::TlsMode;
