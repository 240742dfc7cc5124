//! Real servers for the tests, the benches and the demo: private, in temporary folders, on free ports, never a system
//! service.
//!
//! A server lives as long as its value; when the process that started it is killed its servers end with it. Where the database is
//! not installed, starting one fails and says what to install: tests fail then, they do not skip.
//!
//! - [`postgres`]: PostgreSQL 11 and later, the newest one found;
//! - [`daemon`]: passerelle itself;
//! - [`tls`]: a throw-away certificate authority.

pub mod daemon;
pub mod postgres;
mod spawn;
pub mod tls;

pub use postgres::{Builder, PgServer, StopMode};
