//! How the connectors reach a database server: over a Unix socket, TCP, or TLS over TCP.
//!
//! - [`Socket`]: the stream, connected with the settings that a connection of days needs;
//! - [`TlsMode`] and [`TlsSettings`]: how it is protected, in libpq's words, and from which files;
//! - [`Error`]: what is wrong with those before a server is spoken with.
//!
//! It knows no protocol of a database: when TLS begins is agreed in the connector's own words, and what a failed connection is
//! called is told by the connector's own errors.
//!
//! Invariants that live here:
//! - the signature of a handshake is checked in every mode, also where the certificate is not;
//! - `verify-ca` and `verify-full` trust the given authorities alone, or, where none are given, the system's;
//! - files are read for each connection, so that rotated certificates are taken up;
//! - there is one TLS provider, whatever the process has set as its own.

mod error;
mod socket;
mod tls;

pub use error::{Error, UnusableFile, WrongSettings};
pub use socket::Socket;
pub use tls::{Identity, TlsMode, TlsSettings, server_name};
