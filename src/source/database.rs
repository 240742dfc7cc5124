//! The boundary between what every source does and what its kind of database does: an enum for each thing that a kind has
//! of its own, and one `match` at each crossing. None stands on the path of a row.

use std::collections::BTreeSet;
use std::io;

use passerelle_change::{Batch, Class, ColumnIds, Micros, Position, TableId, TableName, TableSchema};
use passerelle_state::{Checkpoint, Load};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::load::LoadTask;
use super::mysql::{self, Mysql};
use super::postgres::{self, Postgres};
use super::setup::{Table, Tables};
use super::table::TableFacts;
use super::{Ended, Source};
use crate::capture::{Durable, Parts};
use crate::config::model::{self, SourceKind};
use crate::control::model::{MysqlOffsets, PostgresOffsets};

/// What went wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// With one of PostgreSQL.
    #[error(transparent)]
    Postgres(passerelle_postgres::Error),
    /// With one of MySQL or MariaDB.
    #[error(transparent)]
    Mysql(passerelle_mysql::Error),
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
    /// MySQL or MariaDB.
    Mysql(Mysql),
}

/// A stream that is ready to be read.
pub(super) enum Stream {
    Postgres(Box<postgres::Opened>),
    Mysql(Box<mysql::Opened>),
}

/// A transaction that sees one moment of the database.
pub(super) enum Reader {
    Postgres(postgres::Reader),
    Mysql(mysql::Reader),
}

/// A connection that looks at the catalogue again and again.
pub(super) enum Watch {
    Postgres(postgres::Watch),
    Mysql(mysql::Watch),
}

/// What one look at the catalogue has shown.
pub(super) struct Sight {
    /// The tables that are there.
    pub(super) tables: Vec<TableFacts>,
    /// What the log does not tell any more.
    pub(super) untold: Vec<Untold>,
}

/// A table of which the log does not tell everything.
pub(super) struct Untold {
    pub(super) table: TableName,
    /// Of these columns; of `None`, whole changes.
    pub(super) columns: Option<BTreeSet<String>>,
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
    /// Of MySQL and MariaDB: the number by which the server knows us among its replicas.
    pub(super) server_id: Option<u32>,
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
            Self::Mysql(error) => error.class(),
            Self::Thread(_) | Self::Cancelled => Class::Transient,
        }
    }

    /// The server's own code, where it gave one.
    pub fn code(&self) -> Option<String> {
        match self {
            Self::Postgres(error) => error.sqlstate().map(str::to_owned),
            Self::Mysql(error) => error.code(),
            Self::Thread(_) | Self::Cancelled => None,
        }
    }

    /// Somebody else follows the log in our name: perhaps a connection of our own that was left behind.
    pub(super) fn is_taken(&self) -> bool {
        match self {
            Self::Postgres(error) => matches!(error, passerelle_postgres::Error::SlotActive { .. }),
            Self::Mysql(_) | Self::Thread(_) | Self::Cancelled => false,
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

impl From<passerelle_mysql::Error> for Error {
    fn from(error: passerelle_mysql::Error) -> Self {
        match error {
            passerelle_mysql::Error::Cancelled => Self::Cancelled,
            error => Self::Mysql(error),
        }
    }
}

impl Database {
    /// Asks the server for its catalogue of these tables, and before that, where its log ends: what changes after this
    /// look is told behind that place. `None` where the server does not say; its log tells why when it is to be read.
    pub(crate) async fn read(config: &model::Source, tables: &[TableName]) -> Result<(Self, Option<Position>), Error> {
        match &config.kind {
            SourceKind::Postgres(settings) => {
                let (postgres, looked_at) = Postgres::read(config, settings, tables).await?;
                Ok((Self::Postgres(postgres), looked_at))
            }
            SourceKind::Mysql(settings) => {
                let (mysql, looked_at) = Mysql::read(config, settings, tables).await?;
                Ok((Self::Mysql(mysql), looked_at))
            }
        }
    }

    /// By a catalogue as [`Database::catalog`] printed it; `None` where it is not one of this kind of database.
    pub(super) fn remembered(config: &model::Source, catalog: &str) -> Option<Self> {
        match &config.kind {
            SourceKind::Postgres(settings) => Postgres::remembered(config, settings, catalog).map(Self::Postgres),
            SourceKind::Mysql(settings) => Mysql::remembered(config, settings, catalog).map(Self::Mysql),
        }
    }

    /// The catalogue, to be kept.
    pub(super) fn catalog(&self) -> String {
        match self {
            Self::Postgres(postgres) => postgres.catalog(),
            Self::Mysql(mysql) => mysql.catalog(),
        }
    }

    /// What looks at the catalogue from now on.
    pub(super) fn watch(&self) -> Watch {
        match self {
            Self::Postgres(postgres) => Watch::Postgres(postgres.watch()),
            Self::Mysql(mysql) => Watch::Mysql(mysql.watch()),
        }
    }

    /// Columns that statements in the log have renamed since this was asked last, by table, in its order: names before and
    /// after. PostgreSQL's log has none; there a column's number tells.
    pub(super) fn renamed_columns(&self) -> Vec<(TableName, Vec<(String, String)>)> {
        match self {
            Self::Postgres(_) => Vec::new(),
            Self::Mysql(mysql) => mysql.renamed_columns(),
        }
    }

    /// What tables are called now that were known by these numbers ([`TableFacts::object`]); those that were dropped are
    /// left out.
    pub(super) async fn called_now(&self, objects: &[u32]) -> Result<Vec<(u32, TableName)>, Error> {
        match self {
            Self::Postgres(postgres) => postgres.called_now(objects).await,
            Self::Mysql(_) => Ok(Vec::new()),
        }
    }

    /// The tables of the catalogue.
    pub(crate) fn tables(&self) -> Vec<TableFacts> {
        match self {
            Self::Postgres(postgres) => postgres.tables(),
            Self::Mysql(mysql) => mysql.tables(),
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
            Self::Mysql(mysql) => mysql.schema(name, table, mapped, ids),
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
                Ok((Stream::Postgres(Box::new(stream)), load))
            }
            Self::Mysql(mysql) => {
                let (stream, load) = mysql.open(source, resume).await?;
                Ok((Stream::Mysql(Box::new(stream)), load))
            }
        }
    }

    /// Opens the reading of tables beside a stream that runs.
    pub(super) async fn load(&self, source: &Source, wanted: Vec<(&Table, Load)>) -> Result<LoadTask, Error> {
        match self {
            Self::Postgres(postgres) => postgres.load(source, wanted).await,
            Self::Mysql(mysql) => mysql.load(source, wanted).await,
        }
    }

    /// A transaction that sees what is there now.
    pub(super) async fn reader(&self) -> Result<Reader, Error> {
        match self {
            Self::Postgres(postgres) => postgres.reader(None).await.map(Reader::Postgres),
            Self::Mysql(mysql) => mysql.reader().await.map(Reader::Mysql),
        }
    }

    /// How far the stream is.
    pub(super) fn figures(&self, durable: &Durable) -> Figures {
        match self {
            Self::Postgres(postgres) => postgres.figures(durable),
            Self::Mysql(mysql) => mysql.figures(durable),
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
            Self::Mysql(stream) => stream.run(out, durable, cancel).await,
        }
    }
}

impl Watch {
    /// Looks once. An error is that of this look alone.
    pub(super) async fn look(&mut self, tables: &Tables) -> Result<Sight, Error> {
        match self {
            Self::Postgres(watch) => watch.look(tables).await,
            Self::Mysql(watch) => watch.look(tables).await,
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
            Self::Mysql(reader) => reader.copy(table, rows, out, cancel).await,
        }
    }

    /// A position of the log by which everything that was seen here has been told. To be called after reading.
    pub(super) async fn seen_up_to(&mut self) -> Result<Position, Error> {
        match self {
            Self::Postgres(reader) => reader.seen_up_to().await,
            Self::Mysql(reader) => reader.seen_up_to().await,
        }
    }
}

/// Asks a server about itself and its log, of which all up to `durable` is ours.
pub(super) async fn ask(config: &model::Source, durable: Option<&Checkpoint>) -> Result<Asked, Error> {
    match &config.kind {
        SourceKind::Postgres(settings) => postgres::ask(config, settings).await,
        SourceKind::Mysql(settings) => mysql::ask(config, settings, durable).await,
    }
}

/// Where a source's server is, for people.
pub fn address(config: &model::Source) -> String {
    match &config.kind {
        SourceKind::Postgres(_) => postgres::options(config, "").address(),
        SourceKind::Mysql(settings) => mysql::options(config, settings, "").address(),
    }
}

/// What a source's log says of a transaction before its end.
pub fn parts(config: &model::Source) -> Parts {
    match &config.kind {
        SourceKind::Postgres(_) => Parts::Final,
        SourceKind::Mysql(_) => Parts::Tentative,
    }
}

/// Whether one position of a source's log is at or past another: by the database's own order.
pub fn has_passed(config: &model::Source) -> fn(&Position, &Position) -> bool {
    match &config.kind {
        SourceKind::Postgres(_) => postgres::has_passed,
        SourceKind::Mysql(_) => mysql::has_passed,
    }
}
