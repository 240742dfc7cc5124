//! Real servers for the tests, the benches and the demo: private, in temporary folders, on free ports, never a system
//! service.
//!
//! A server lives as long as its value; when the process that started it is killed its servers end with it. Where the database is
//! not installed, starting one fails and says what to install: tests fail then, they do not skip.
//!
//! - [`postgres`]: PostgreSQL 11 and later;
//! - [`mariadb`]: MariaDB, the one that is installed;
//! - [`daemon`]: passerelle itself;
//! - [`tls`]: a throw-away certificate authority.
//!
//! # Which PostgreSQL
//!
//! The newest one installed. `PASSERELLE_PG_BIN=/usr/lib/postgresql/17/bin` names another one: every test, bench and the
//! demo then start their servers from that folder, which must hold `postgres` and `initdb`; `psql` may be that of another
//! version. What differs between versions the tests know: each asserts what the version at hand is to do.

pub mod daemon;
pub mod mariadb;
pub mod postgres;
mod spawn;
pub mod tls;
mod wait;

pub use mariadb::MariadbServer;
pub use postgres::{Builder, PgServer, StopMode};
