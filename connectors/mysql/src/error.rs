//! What can go wrong with a MySQL or MariaDB source, and who can do something about it.
//!
//! No variant carries a cell's value or a secret: what the server says of values that it refuses is dropped, since it quotes
//! them.

mod dump;
mod server;

use std::time::Duration;

use passerelle_change::{Class, TableName};
use passerelle_net::{UnusableFile, WrongSettings};

use crate::Flavor;
use crate::wire::Malformed;

pub use dump::DumpFault;
pub use server::ServerError;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing answers at the address.
    #[error("cannot reach {address}: {why}")]
    Connect {
        /// Where.
        address: String,
        /// The system's reason.
        why: String,
    },
    /// An established connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The server ended the connection without a word.
    #[error("the server closed the connection")]
    Closed,
    /// A step of the dialogue took too long.
    #[error("{step} took longer than {} s", .after.as_secs())]
    Timeout {
        /// Which step.
        step: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The stream is silent although the server was asked for signs of life.
    #[error("nothing was heard from the server for {} s", .0.as_secs())]
    Silent(Duration),
    /// TLS was asked for and the server has none.
    #[error("the server at {address} does not offer TLS")]
    NoTls {
        /// Where.
        address: String,
    },
    /// The TLS handshake failed.
    #[error("the TLS handshake with {address} failed: {why}")]
    TlsHandshake {
        /// Where.
        address: String,
        /// The reason.
        why: String,
    },
    /// A file of certificates or a key cannot be used.
    #[error(transparent)]
    TlsFile(UnusableFile),
    /// The TLS settings contradict each other or the host cannot be verified.
    #[error(transparent)]
    TlsSettings(WrongSettings),
    /// The server asks for the password in clear text on a connection that is not protected.
    #[error("the server asks for the password in clear text and the connection is not protected")]
    CleartextRefused,
    /// The server asks for a way to authenticate that is not supported.
    #[error("the server asks for {0}, which is not supported")]
    Authentication(String),
    /// The other side does not speak the protocol, or breaks it.
    #[error("{0}")]
    Protocol(&'static str),
    /// The server is of the other kind.
    #[error("the server is {found} ({version}), and the source is configured as {configured}")]
    OtherFlavor {
        /// As configured.
        configured: Flavor,
        /// As found.
        found: Flavor,
        /// What it says of itself.
        version: String,
    },
    /// The server is older than [`Flavor::oldest_version`].
    #[error("{flavor} {version} is too old")]
    ServerTooOld {
        /// Its kind.
        flavor: Flavor,
        /// What it says of itself.
        version: String,
    },
    /// An error of the server that has no variant of its own.
    #[error("{0}")]
    Server(ServerError),
    /// The server does not send its log, or ended sending it (MY-09).
    #[error("the server does not send its log: {message}")]
    Dump {
        /// Which of its many reasons.
        fault: DumpFault,
        /// Its words.
        message: String,
    },
    /// The binary log is off.
    #[error("the server writes no binary log")]
    NoLog,
    /// Another replica has our `server_id`, and the server ends the one connection for the other (MY-08).
    #[error("another replica of the server has server_id {0}")]
    ServerIdClash(u32),
    /// The place to start from is behind 4 GiB of its file, and has no GTID by which it could be told (MY-11).
    #[error("the stream cannot start at {0}: without GTIDs only places in the first 4 GiB of a file can be told")]
    OffsetTooLarge(u64),
    /// A row came without a value for its key.
    #[error("a row of {table} came without a value for its key")]
    RowWithoutKey {
        /// The table.
        table: TableName,
    },
    /// Our user may not do what has to be done.
    #[error("the source's user may not {what}")]
    MissingRights {
        /// What.
        what: String,
        /// The exact statements, in order.
        statements: Vec<String>,
    },
    /// A mapped table is not there, or the source's user has no right on it at all.
    #[error("there is no table {table}")]
    TableMissing {
        /// The table.
        table: TableName,
    },
    /// A mapped column is not there.
    #[error("{table} has no column \"{column}\"")]
    ColumnMissing {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
    },
    /// Rows of the table cannot be told apart in the log.
    #[error("rows of {table} cannot be followed: {why}")]
    NoRowKey {
        /// The table.
        table: TableName,
        /// Why.
        why: &'static str,
        /// The statement that mends it.
        remedy: String,
    },
    /// The catalogue cannot be read as what it should be.
    #[error("the catalogue of the server is not as it should be: {0}")]
    Catalog(&'static str),
    /// Bytes that are not the binary log.
    #[error("the server sent what is not its binary log: {0}")]
    Malformed(#[from] Malformed),
    /// An event that is neither known nor may be skipped (MY-47).
    #[error("the log has {name} (type {kind}), which is not known here and may not be skipped")]
    UnknownEvent {
        /// Its type.
        kind: u8,
        /// Its name, where it has one.
        name: &'static str,
    },
    /// Changes in a form that servers wrote before MySQL 5.1 (MY-53).
    #[error("the log has {name}, which only servers before MySQL 5.1 write")]
    TooOld {
        /// The event's name.
        name: &'static str,
    },
    /// It was told to stop.
    #[error("stopped")]
    Cancelled,
}

impl Error {
    /// Who can do something about it, and what.
    pub fn class(&self) -> Class {
        match self {
            Self::Connect { .. }
            | Self::Broken(_)
            | Self::Closed
            | Self::Timeout { .. }
            | Self::Silent(_)
            | Self::Cancelled => Class::Transient,
            Self::Malformed(_) | Self::Catalog(_) | Self::RowWithoutKey { .. } => Class::Fatal,
            Self::Server(error) => error.class(),
            Self::Dump { fault, .. } => fault.class(),
            Self::NoTls { .. } => operator(
                "give the server a certificate (`ssl_cert` and `ssl_key` in its configuration), or set `tls` of the source to `disable`",
            ),
            Self::TlsHandshake { .. } => operator(
                "set `tls_ca` to the authority that signed the server's certificate, and `host` to a name in it; \
                 of a certificate that the server made itself, `ca.pem` in its data folder, with `tls = \"verify-ca\"`",
            ),
            Self::TlsFile(_) => operator(UnusableFile::HINT),
            Self::TlsSettings(_) => operator(WrongSettings::HINT),
            Self::CleartextRefused => operator("set `tls` of the source to `verify-full`"),
            Self::Authentication(_) => operator(
                "let the user authenticate by caching_sha2_password, mysql_native_password or ed25519: ALTER USER … IDENTIFIED VIA …",
            ),
            Self::Protocol(_) => operator("connect to the server itself, on the port of its own protocol"),
            Self::OtherFlavor { found, .. } => {
                operator(&format!("set kind = \"{}\" in the source's configuration", found.kind()))
            }
            Self::ServerTooOld { .. } => operator("upgrade the server: MySQL 5.6 or MariaDB 10.2 at the least"),
            Self::OffsetTooLarge(_) => operator(
                "turn GTIDs on (gtid_mode = ON, in the steps that the server asks for), and run `passerelle recover SOURCE`",
            ),
            Self::NoLog => operator("set log_bin = binlog and server_id = 1 in [mysqld] of the server, and restart it"),
            Self::ServerIdClash(_) => operator(
                "set `server_id` of the source to a number that no other replica of the server has: SHOW REPLICA HOSTS",
            ),
            Self::MissingRights { statements, .. } => {
                operator(&format!("let an administrator run: {};", statements.join("; ")))
            }
            Self::TableMissing { .. } | Self::ColumnMissing { .. } => operator(
                "correct the name in the mapping, or GRANT SELECT on the table; `passerelle check --online` shows what is there",
            ),
            Self::NoRowKey { remedy, .. } => operator(remedy),
            Self::UnknownEvent { .. } => operator(
                "the server is newer than this program, or a feature of its log is on that it does not read: \
                 look for a newer version, or switch the feature off and run `passerelle recover SOURCE`",
            ),
            Self::TooOld { .. } => {
                operator("upgrade the server that wrote the log, and run `passerelle recover SOURCE`")
            }
        }
    }

    /// The server's own number of the error, where it gave one.
    pub fn code(&self) -> Option<String> {
        match self {
            Self::Server(error) => Some(error.code.to_string()),
            Self::Dump { .. } => Some(dump::NUMBER.to_string()),
            Self::NoLog
            | Self::Connect { .. }
            | Self::Broken(_)
            | Self::Closed
            | Self::Timeout { .. }
            | Self::Silent(_)
            | Self::NoTls { .. }
            | Self::TlsHandshake { .. }
            | Self::TlsFile(_)
            | Self::TlsSettings(_)
            | Self::CleartextRefused
            | Self::Authentication(_)
            | Self::Protocol(_)
            | Self::OtherFlavor { .. }
            | Self::ServerTooOld { .. }
            | Self::ServerIdClash(_)
            | Self::OffsetTooLarge(_)
            | Self::RowWithoutKey { .. }
            | Self::MissingRights { .. }
            | Self::TableMissing { .. }
            | Self::ColumnMissing { .. }
            | Self::NoRowKey { .. }
            | Self::Catalog(_)
            | Self::Malformed(_)
            | Self::UnknownEvent { .. }
            | Self::TooOld { .. }
            | Self::Cancelled => None,
        }
    }
}

impl From<passerelle_net::Error> for Error {
    fn from(error: passerelle_net::Error) -> Self {
        match error {
            passerelle_net::Error::File(file) => Self::TlsFile(file),
            passerelle_net::Error::Settings(settings) => Self::TlsSettings(settings),
        }
    }
}

fn operator(hint: &str) -> Class {
    Class::Operator { hint: hint.to_owned() }
}
