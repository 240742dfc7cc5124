//! The boundary between what every source does and what its kind of database does: an enum for each thing that a kind has
//! of its own, and one `match` at each crossing. None stands on the path of a row.

use std::io;

use passerelle_change::{Batch, Class, ColumnIds, Micros, Position, TableId, TableName, TableSchema};
use passerelle_state::Load;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::load::LoadTask;
use super::postgres::{self, Postgres};
use super::setup::Table;
use super::table::TableFacts;
use super::{Ended, Source};
use crate::capture::Durable;
use crate::config::model::{self, SourceKind};
use crate::control::model::{MysqlOffsets, PostgresOffsets};

/// What went wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// With one of PostgreSQL.
    #[error(transparent)]
    Postgres(passerelle_postgres::Error),
    /// A thread for it could not be started.
    #[error("a thread for the source could not be started")]
    Thread(#[source] io::Error),
    /// It was told to stop.
    #[error("stopped")]
    Cancelled,
}

/// A database as its kind has it: how it is reached, what its catalogue says, how far its stream is.
#[derive(Clone, Debug)]
pub enum Database {
    /// PostgreSQL.
    Postgres(Postgres),
}

/// A stream that is ready to be read.
pub(super) enum Stream {
    Postgres(postgres::Opened),
}

/// A transaction that sees one moment of the database.
pub(super) enum Reader {
    Postgres(postgres::Reader),
}

/// Which rows of a table are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rows<'a> {
    All,
    /// Those of these row keys.
    Of(&'a [Vec<u8>]),
}

/// Why the server's history is not the one that our checkpoint belongs to.
#[derive(Debug)]
pub(super) struct Refusal {
    /// In a sentence.
    pub(super) text: String,
    /// A word that never changes.
    pub(super) code: &'static str,
    /// The next safe command.
    pub(super) next: String,
    /// It may pass by itself, soon.
    pub(super) may_pass: bool,
}

/// How far a stream is, told without asking anybody.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// The head of the server's log.
    pub(super) server: Option<String>,
    /// What was received of it.
    pub(super) received: Option<String>,
    /// What the server was told to be durable.
    pub(super) acknowledged: Option<String>,
    /// Bytes from `received` to `server`.
    pub(super) not_received_bytes: Option<u64>,
    /// Bytes from what is durable to `server`.
    pub(super) not_durable_bytes: Option<u64>,
    /// When the server was heard last.
    pub(super) last_contact: Option<Micros>,
    /// The transaction that is being received: its number, and what has arrived of it in bytes.
    pub(super) open_transaction: Option<(String, u64)>,
}

/// What the server says about itself and its log when it is asked.
#[derive(Debug)]
pub(super) struct Asked {
    /// The head of its log.
    pub(super) server: String,
    /// Facts of PostgreSQL.
    pub(super) postgres: Option<PostgresOffsets>,
    /// Facts of MySQL and MariaDB.
    pub(super) mysql: Option<MysqlOffsets>,
}

impl Error {
    /// Who can do something about it, and what.
    pub fn class(&self) -> Class {
        match self {
            Self::Postgres(error) => error.class(),
            Self::Thread(_) | Self::Cancelled => Class::Transient,
        }
    }

    /// The server's own code, where it gave one.
    pub fn code(&self) -> Option<String> {
        match self {
            Self::Postgres(error) => error.sqlstate().map(str::to_owned),
            Self::Thread(_) | Self::Cancelled => None,
        }
    }

    /// Somebody else follows the log in our name: perhaps a connection of our own that was left behind.
    pub(super) fn is_taken(&self) -> bool {
        match self {
            Self::Postgres(error) => matches!(error, passerelle_postgres::Error::SlotActive { .. }),
            Self::Thread(_) | Self::Cancelled => false,
        }
    }
}

impl From<passerelle_postgres::Error> for Error {
    fn from(error: passerelle_postgres::Error) -> Self {
        match error {
            passerelle_postgres::Error::Cancelled => Self::Cancelled,
            error => Self::Postgres(error),
        }
    }
}

impl Database {
    /// Asks the server for its catalogue of these tables.
    pub(super) async fn read(config: &model::Source, tables: &[TableName]) -> Result<Self, Error> {
        match &config.kind {
            SourceKind::Postgres(settings) => Postgres::read(config, settings, tables).await.map(Self::Postgres),
        }
    }

    /// By a catalogue as [`Database::catalog`] printed it; `None` where it is not one of this kind of database.
    pub(super) fn remembered(config: &model::Source, catalog: &str) -> Option<Self> {
        match &config.kind {
            SourceKind::Postgres(settings) => Postgres::remembered(config, settings, catalog).map(Self::Postgres),
        }
    }

    /// The catalogue, to be kept.
    pub(super) fn catalog(&self) -> String {
        match self {
            Self::Postgres(postgres) => postgres.catalog(),
        }
    }

    /// The tables of the catalogue.
    pub(super) fn tables(&self) -> Vec<TableFacts> {
        match self {
            Self::Postgres(postgres) => postgres.tables(),
        }
    }

    /// The mapped columns of a table and those of its key, for the core; new columns get an id.
    pub(super) fn schema(
        &self,
        name: &TableName,
        table: TableId,
        mapped: &[String],
        ids: &mut ColumnIds,
    ) -> Result<TableSchema, Error> {
        match self {
            Self::Postgres(postgres) => postgres.schema(name, table, mapped, ids),
        }
    }

    /// Checks the history, makes what is missing, and starts the stream where the log goes on; with it comes what is to be
    /// loaded.
    pub(super) async fn open(
        &self,
        source: &Source,
        resume: Option<Position>,
    ) -> Result<(Stream, Option<LoadTask>), Ended> {
        match self {
            Self::Postgres(postgres) => {
                let (stream, load) = postgres.open(source, resume).await?;
                Ok((Stream::Postgres(stream), load))
            }
        }
    }

    /// Opens the reading of tables beside a stream that runs.
    pub(super) async fn load(&self, source: &Source, wanted: Vec<(&Table, Load)>) -> Result<LoadTask, Error> {
        match self {
            Self::Postgres(postgres) => postgres.load(source, wanted).await,
        }
    }

    /// A transaction that sees what is there now.
    pub(super) async fn reader(&self) -> Result<Reader, Error> {
        match self {
            Self::Postgres(postgres) => postgres.reader(None).await.map(Reader::Postgres),
        }
    }

    /// How far the stream is.
    pub(super) fn figures(&self, durable: &Durable) -> Figures {
        match self {
            Self::Postgres(postgres) => postgres.figures(durable),
        }
    }
}

impl Stream {
    /// Reads until `cancel`, an error, or the end of the receiver of `out`; tells the server what is durable.
    ///
    /// On `cancel` nothing more is read, and what is in flight has a few seconds to become durable. To be called on a
    /// thread of its own with a runtime of one thread.
    pub(super) async fn run(
        self,
        out: mpsc::Sender<Batch>,
        durable: watch::Receiver<Durable>,
        cancel: CancellationToken,
    ) -> Result<(), Error> {
        match self {
            Self::Postgres(stream) => stream.run(out, durable, cancel).await,
        }
    }
}

impl Reader {
    /// Sends rows of a table as full rows, and answers how many there were.
    pub(super) async fn copy(
        &mut self,
        table: &Table,
        rows: Rows<'_>,
        out: &mpsc::Sender<Batch>,
        cancel: &CancellationToken,
    ) -> Result<u64, Error> {
        match self {
            Self::Postgres(reader) => reader.copy(table, rows, out, cancel).await,
        }
    }

    /// A position of the log by which everything that was seen here has been told. To be called after reading.
    pub(super) async fn seen_up_to(&self) -> Result<Position, Error> {
        match self {
            Self::Postgres(reader) => reader.seen_up_to().await,
        }
    }
}

/// Asks a server about itself and its log.
pub(super) async fn ask(config: &model::Source) -> Result<Asked, Error> {
    match &config.kind {
        SourceKind::Postgres(settings) => postgres::ask(config, settings).await,
    }
}

/// Where a source's server is, for people.
pub fn address(config: &model::Source) -> String {
    match &config.kind {
        SourceKind::Postgres(_) => postgres::options(config, "").address(),
    }
}

/// Whether one position of a source's log is at or past another: by the database's own order.
pub fn has_passed(config: &model::Source) -> fn(&Position, &Position) -> bool {
    match &config.kind {
        SourceKind::Postgres(_) => postgres::has_passed,
    }
}
