//! What can go wrong with a PostgreSQL source, and who can do something about it.
//!
//! No variant carries a cell's value or a secret: of the server's own errors the detail is dropped, since it may quote
//! rows.

use std::io;
use std::time::Duration;

use passerelle_change::{Class, TableName};
use passerelle_net::{UnusableFile, WrongSettings};

use crate::wire::Malformed;
use crate::{Lsn, OLDEST_VERSION};

/// An error as the server reported it, without its detail.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{message} (SQLSTATE {code})")]
pub struct ServerError {
    /// SQLSTATE, five characters.
    pub code: String,
    /// The primary message.
    pub message: String,
    /// The server's hint, where it gives one.
    pub hint: Option<String>,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing answers at the address.
    #[error("cannot reach {address}")]
    Connect {
        /// Where.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// An established connection broke.
    #[error("the connection broke")]
    Broken(#[from] io::Error),
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
    /// The stream is silent although the server was asked for a sign of life.
    #[error("nothing was heard from the server for {} s", .0.as_secs())]
    Silent(Duration),
    /// TLS was asked for and the server has none.
    #[error("the server at {address} does not offer TLS")]
    NoTls {
        /// Where.
        address: String,
    },
    /// The TLS handshake failed.
    #[error("the TLS handshake with {address} failed")]
    TlsHandshake {
        /// Where.
        address: String,
        /// The reason.
        source: io::Error,
    },
    /// A file of certificates or a key cannot be used.
    #[error(transparent)]
    TlsFile(UnusableFile),
    /// The TLS settings contradict each other or the host cannot be verified.
    #[error(transparent)]
    TlsSettings(WrongSettings),
    /// The server asks for a password and none is configured.
    #[error("the server asks for a password and none is configured")]
    NoPassword,
    /// The server asks for the password in clear text on a connection without TLS.
    #[error("the server asks for the password in clear text and the connection is not protected")]
    CleartextRefused,
    /// The server asks for a way to authenticate that is not supported.
    #[error("the server asks for {0}, which is not supported")]
    Authentication(String),
    /// The server's proof in SCRAM is wrong: it does not know the password.
    #[error("the server could not prove that it knows the password")]
    ServerProof,
    /// The other side does not speak the replication protocol: a connection pooler.
    #[error("{address} does not speak the replication protocol")]
    NotAServer {
        /// Where.
        address: String,
    },
    /// An error of the server that has no variant of its own.
    #[error("{0}")]
    Server(ServerError),
    /// The slot is in use (PG-12).
    #[error("replication slot \"{slot}\" is in use by the server process {pid}")]
    SlotActive {
        /// The slot.
        slot: String,
        /// The backend that holds it.
        pid: i32,
    },
    /// There is no such slot.
    #[error("replication slot \"{slot}\" does not exist")]
    SlotMissing {
        /// The slot.
        slot: String,
    },
    /// A slot of that name is there already.
    #[error("replication slot \"{slot}\" exists already")]
    SlotExists {
        /// The slot.
        slot: String,
    },
    /// The server has thrown away log that the slot needs, or has invalidated it (PG-09).
    #[error("replication slot \"{slot}\" is lost: {text}")]
    SlotLost {
        /// The slot.
        slot: String,
        /// The server's words.
        text: String,
    },
    /// The slot could not be made while a transaction was open (PG-10).
    #[error("replication slot \"{slot}\" could not be created within {} s: a transaction that began before is still open", .after.as_secs())]
    SlotBlocked {
        /// The slot.
        slot: String,
        /// How long was waited.
        after: Duration,
    },
    /// The publication is not there, or was made after the slot (PG-13).
    #[error("publication \"{publication}\" does not exist where the slot stands in the log")]
    PublicationMissing {
        /// The publication.
        publication: String,
    },
    /// A table changed while the publication was made right: it is to be looked at again.
    #[error("a table changed while publication \"{publication}\" was made to fit")]
    Overtaken {
        /// The publication.
        publication: String,
    },
    /// The checkpoint is beyond the server's log (PG-06).
    #[error(
        "the checkpoint {checkpoint} is beyond the end of the server's log {head}: this is not the history we know"
    )]
    AheadOfServer {
        /// Our checkpoint.
        checkpoint: Lsn,
        /// The server's end of log.
        head: Lsn,
    },
    /// Bytes that are not the protocol.
    #[error("the server sent what is not the protocol: {0}")]
    Malformed(#[from] Malformed),
    /// A row that is loaded came without a value for its key.
    #[error("a row of {table} came without a value for its key")]
    RowWithoutKey {
        /// The table.
        table: TableName,
    },
    /// Our user may not do what has to be done once; someone who may is to run these statements.
    #[error("the source's user may not {what}")]
    MissingRights {
        /// What.
        what: String,
        /// The exact statements, in order.
        statements: Vec<String>,
    },
    /// The server is older than [`OLDEST_VERSION`].
    #[error("PostgreSQL {}.{} is too old: version {} is the oldest that is supported", .version / 10_000, .version % 100, OLDEST_VERSION / 10_000)]
    TooOld {
        /// `server_version_num`.
        version: u32,
    },
    /// A mapped table is not there.
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
    /// Rows of the table cannot be told apart in the log (PG-18).
    #[error("rows of {table} cannot be followed: {why}")]
    NoRowKey {
        /// The table.
        table: TableName,
        /// Why.
        why: &'static str,
        /// The statement that mends it.
        remedy: String,
    },
    /// A server of this version cannot publish the table, or only so that the application can no longer write.
    #[error("{table} cannot be published: {why}")]
    NotPublishable {
        /// The table.
        table: TableName,
        /// Why.
        why: &'static str,
        /// What mends it.
        remedy: String,
    },
    /// What `COPY` sent is not its text format, or not of the columns asked for.
    #[error("the server sent what is not a row of {table}")]
    MalformedCopy {
        /// The table.
        table: TableName,
    },
    /// The exported snapshot ended: the connection that exported it did something else, or broke (PG-11).
    #[error("the snapshot for the first load is gone")]
    SnapshotGone,
    /// It was told to stop.
    #[error("stopped")]
    Cancelled,
    /// A query failed on our side of `tokio-postgres`.
    #[error("the query could not be carried out")]
    Query(#[source] tokio_postgres::Error),
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
            | Self::SlotBlocked { .. }
            | Self::Overtaken { .. }
            | Self::Query(_)
            | Self::SnapshotGone
            | Self::Cancelled => Class::Transient,
            Self::Malformed(_) | Self::MalformedCopy { .. } => Class::Fatal,
            Self::MissingRights { statements, .. } => {
                operator(&format!("let a superuser or the tables' owner run: {};", statements.join("; ")))
            }
            Self::TooOld { .. } => operator("upgrade the server"),
            Self::TableMissing { .. } | Self::ColumnMissing { .. } => {
                operator("correct the name in the mapping; `passerelle check --online` shows what is there")
            }
            Self::NoRowKey { remedy, .. } | Self::NotPublishable { remedy, .. } => operator(remedy),
            Self::NoTls { .. } => operator("switch on ssl in postgresql.conf, or set `tls` of the source to `disable`"),
            Self::TlsHandshake { .. } => operator(
                "set `tls_ca` to the authority that signed the server's certificate, and `host` to a name in it",
            ),
            Self::TlsFile(_) => operator(UnusableFile::HINT),
            Self::TlsSettings(_) => operator(WrongSettings::HINT),
            Self::NoPassword => operator("set `password` of the source"),
            Self::CleartextRefused => {
                operator("use scram-sha-256 in pg_hba.conf, or set `tls` of the source to `verify-full`")
            }
            Self::Authentication(_) => operator("use scram-sha-256 in pg_hba.conf for this user"),
            Self::ServerProof => {
                operator("make sure that `host` is the right server: it does not know this user's password")
            }
            Self::NotAServer { .. } => {
                operator("connect to the server itself: poolers such as PgBouncer do not pass on replication")
            }
            Self::Server(error) => sqlstate_class(error),
            Self::SlotActive { slot, .. } => operator(&format!(
                "stop the other reader of slot {slot}, or give this source a `slot` of its own: SELECT * FROM pg_replication_slots"
            )),
            Self::SlotMissing { .. } => {
                operator("run `passerelle recover SOURCE`: changes since the checkpoint may be missing")
            }
            Self::SlotExists { slot } => operator(&format!(
                "if nothing else uses it: SELECT pg_drop_replication_slot('{}')",
                slot.replace('\'', "''")
            )),
            Self::SlotLost { .. } => operator("run `passerelle recover SOURCE`, and raise max_slot_wal_keep_size"),
            Self::PublicationMissing { .. } => {
                operator("create the publication first and then the slot: run `passerelle recover SOURCE`")
            }
            Self::AheadOfServer { .. } => {
                operator("the server was restored from a backup or is another one: run `passerelle recover SOURCE`")
            }
            Self::RowWithoutKey { .. } => operator("make the columns of the key NOT NULL"),
        }
    }

    /// SQLSTATE, where the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Server(error) => Some(&error.code),
            Self::Query(error) => error.code().map(tokio_postgres::error::SqlState::code),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    /// Keeps the server's code, message and hint; drops its detail.
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db) => Self::Server(ServerError {
                code: db.code().code().to_owned(),
                message: db.message().to_owned(),
                hint: db.hint().map(str::to_owned),
            }),
            None if error.is_closed() => Self::Closed,
            None => Self::Query(error),
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

/// Classes of SQLSTATE, by the manual's appendix "PostgreSQL Error Codes". What is not listed needs a person: a source
/// that is retried for ever in silence helps nobody.
fn sqlstate_class(error: &ServerError) -> Class {
    let (class, _) = error.code.split_at_checked(2).unwrap_or((&error.code, ""));
    match (class, error.code.as_str()) {
        // 53400: slots are used up (PG-48). The other insufficient resources pass.
        (_, "53400") => {
            operator("raise max_replication_slots, or drop a slot that nobody uses: SELECT * FROM pg_replication_slots")
        }
        // 57P01 to 57P05: shutting down, crashed, starting up, terminated by an administrator (PG-41).
        (_, "57014" | "55P03" | "25006" | "57P01" | "57P02" | "57P03" | "57P05") | ("08" | "40" | "53" | "58", _) => {
            Class::Transient
        }
        ("28", _) => {
            operator("check `user` and `password` of the source, and pg_hba.conf (database and replication lines)")
        }
        (_, "3D000") => operator("check `database` of the source"),
        (_, "42501") => operator("grant the right that the server names to the source's user (REPLICATION, SELECT)"),
        _ => operator(error.hint.as_deref().unwrap_or("see the server's message")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(code: &str) -> Class {
        Error::Server(ServerError { code: code.into(), message: "m".into(), hint: None }).class()
    }

    #[test]
    fn pg_41_shutdowns_are_transient() {
        for code in ["57P01", "57P02", "57P03", "08006", "53300", "40001"] {
            assert_eq!(class(code), Class::Transient, "{code}");
        }
    }

    #[test]
    fn pg_48_wrong_rights_and_used_up_slots_need_a_person() {
        for code in ["28P01", "28000", "42501", "53400", "3D000", "55000", "", "é"] {
            assert!(matches!(class(code), Class::Operator { .. }), "{code}");
        }
    }
}
