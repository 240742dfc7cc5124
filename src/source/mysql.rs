//! A source of MySQL or MariaDB: its binary log from a position on, and its snapshots.
//!
//! The server keeps nothing for us: no slot, no publication. The first start opens a reader, whose position is the first
//! checkpoint; the tables are read through it while the log is followed from there. Tables that are mapped later are read
//! through a reader of their own, beside the stream.

mod offsets;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use passerelle_change::{Batch, ColumnIds, Position, TableId, TableName, TableSchema};
use passerelle_mysql::catalog::{self, Catalog, Readings};
use passerelle_mysql::decode::{self, Decoder};
use passerelle_mysql::history::{self, History, HistoryRefusal, Kept, Start};
use passerelle_mysql::replication::Replication;
use passerelle_mysql::stream::{self, Progress};
use passerelle_mysql::value::ZeroDates;
use passerelle_mysql::{Error, Flavor, LogPosition, Options, snapshot, sql};
use passerelle_state::{Load, SourceId, Store};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::database::{self, Refusal, Rows, Sight};
use super::load::LoadTask;
use super::setup::{Table, Tables};
use super::table::{ColumnFacts, Generated, TableFacts};
use super::{Ended, Source, chain};
use crate::capture::Durable;
use crate::config::model;
use crate::control::model::SourceState;

pub(super) use offsets::ask;

/// A server of MySQL or MariaDB.
#[derive(Clone, Debug)]
pub struct Mysql {
    options: Options,
    readings: Readings,
    catalog: Arc<Catalog>,
    progress: Arc<Progress>,
    /// The number by which the server knows the stream; 0 before the first.
    server_id: Arc<AtomicU32>,
}

/// A stream, and what it is read with.
pub(super) struct Opened {
    stream: stream::Stream,
    decoder: Decoder,
    progress: Arc<Progress>,
    adoption: Option<Adoption>,
}

/// The log goes on, by its GTIDs, on another server than the checkpoint was written of. Its name is kept once a checkpoint
/// lies on it: until then the file and the offset that are kept are the old one's.
struct Adoption {
    store: Arc<Store>,
    source: SourceId,
    history: String,
    resumed: Option<Position>,
}

/// A transaction that sees one moment.
pub(super) struct Reader {
    reader: snapshot::Reader,
    catalog: Arc<Catalog>,
}

/// What looks at the catalogue.
pub(super) struct Watch(catalog::Watch);

/// How a source is reached; `application_name` is what its connections are called there.
pub(crate) fn options(config: &model::Source, settings: &model::Mysql, application_name: &str) -> Options {
    Options {
        flavor: match settings.flavor {
            model::Flavor::Mysql => Flavor::Mysql,
            model::Flavor::Mariadb => Flavor::Mariadb,
        },
        host: config.host.clone(),
        port: config.port,
        database: config.database.clone(),
        user: config.user.clone(),
        password: config.password.clone(),
        tls: config.tls,
        tls_ca: config.tls_ca.clone(),
        tls_cert: config.tls_cert.clone(),
        tls_key: config.tls_key.clone(),
        server_id: settings.server_id,
        application_name: application_name.to_owned(),
    }
}

/// What decides the types of columns.
pub(crate) fn readings(settings: &model::Mysql) -> Readings {
    Readings {
        zero_dates: match settings.zero_dates {
            model::ZeroDates::Null => ZeroDates::Null,
            model::ZeroDates::Text => ZeroDates::Text,
            model::ZeroDates::DeadLetter => ZeroDates::DeadLetter,
        },
        tinyint1: match settings.tinyint1 {
            model::Tinyint1::Bool => catalog::Tinyint1::Bool,
            model::Tinyint1::Int => catalog::Tinyint1::Int,
        },
    }
}

/// A catalogue in the words that all kinds share.
pub(crate) fn facts(catalog: &Catalog) -> Vec<TableFacts> {
    let column = |column: &catalog::ColumnFacts| ColumnFacts {
        name: column.name.clone(),
        ty: column.ty.clone(),
        type_name: column.type_name.clone(),
        nullable: column.nullable,
        generated: match column.generated {
            catalog::Generated::No => Generated::No,
            catalog::Generated::Stored => Generated::Stored,
            catalog::Generated::Virtual => Generated::Virtual,
        },
        readable: column.readable,
        number: column.number,
        default: column.default.clone(),
        charset: column.charset.clone(),
        collation: column.collation.clone(),
        definition: None,
        label_ids: Vec::new(),
    };
    let table = |table: &catalog::TableFacts| TableFacts {
        name: table.name.clone(),
        columns: table.columns.iter().map(column).collect(),
        row_key: table.row_key().map(<[String]>::to_vec).map_err(|error| error.to_string()),
        estimated_rows: table.estimated_rows,
        object: None,
        storage: None,
        replica_identity: None,
        partitions: table.partitions.clone(),
    };
    catalog.tables.iter().map(table).collect()
}

/// By the GTIDs where both positions have them, else by the log's files.
pub(super) fn has_passed(at: &Position, mark: &Position) -> bool {
    matches!((LogPosition::try_from(at), LogPosition::try_from(mark)), (Ok(at), Ok(mark)) if at.has_reached(&mark))
}

impl Mysql {
    pub(super) async fn read(
        config: &model::Source,
        settings: &model::Mysql,
        tables: &[TableName],
    ) -> Result<(Self, Option<Position>), database::Error> {
        let readings = readings(settings);
        let mut connection = sql::connect(&our_options(config, settings)).await?;
        let looked_at = history::end_of_log(&mut connection).await.ok().map(|at| at.position());
        let catalog = catalog::read(&mut connection, tables, &readings).await?;
        connection.close().await;
        Ok((Self::new(config, settings, catalog), looked_at))
    }

    pub(super) fn remembered(config: &model::Source, settings: &model::Mysql, catalog: &str) -> Option<Self> {
        serde_json::from_str(catalog).ok().map(|catalog| Self::new(config, settings, catalog))
    }

    fn new(config: &model::Source, settings: &model::Mysql, catalog: Catalog) -> Self {
        Self {
            options: our_options(config, settings),
            readings: readings(settings),
            catalog: Arc::new(catalog),
            progress: Arc::default(),
            server_id: Arc::default(),
        }
    }

    pub(super) fn catalog(&self) -> String {
        serde_json::to_string(&*self.catalog).unwrap_or_default()
    }

    pub(super) fn tables(&self) -> Vec<TableFacts> {
        facts(&self.catalog)
    }

    pub(super) fn schema(
        &self,
        name: &TableName,
        table: TableId,
        mapped: &[String],
        ids: &mut ColumnIds,
    ) -> Result<TableSchema, database::Error> {
        Ok(self.catalog.table(name)?.schema(table, mapped, ids)?)
    }

    pub(super) fn watch(&self) -> Watch {
        Watch(catalog::Watch::new(self.options.clone(), self.readings))
    }

    pub(super) fn renamed_columns(&self) -> Vec<(TableName, Vec<(String, String)>)> {
        let renamed = self.progress.take_renamed_columns();
        renamed.into_iter().map(|renamed| (renamed.table, renamed.columns)).collect()
    }

    pub(super) async fn open(
        &self,
        source: &Source,
        resume: Option<Position>,
    ) -> Result<(Opened, Option<LoadTask>), Ended> {
        let mut connection = sql::connect(&self.options).await?;
        if source.tables.are_remembered() {
            let names: Vec<TableName> = self.catalog.tables.iter().map(|table| table.name.clone()).collect();
            let now = catalog::read(&mut connection, &names, &self.readings).await?;
            if !now.agrees_with(&self.catalog) {
                return Err(Ended::Outdated);
            }
            source.tables.are_as_remembered();
        }
        let kept_history: Option<History> = source.history()?;
        // Without its history a checkpoint is that of a first start that was cut short.
        let resume = resume.filter(|_| kept_history.is_some());
        let checkpoint = resume.as_ref().and_then(|at| LogPosition::try_from(at).ok());
        let facts = match &checkpoint {
            Some(checkpoint) => history::facts_at(&mut connection, checkpoint).await?,
            None => history::facts(&mut connection).await?,
        };
        connection.close().await;
        let kept = Kept { history: kept_history.as_ref(), checkpoint: checkpoint.as_ref() };
        let refused = |why: HistoryRefusal| Ended::Refused(refusal(&why, &source.config.name));
        let (from, load) = match history::verify(kept, &facts).map_err(refused)? {
            Start::Begin => {
                let (from, load) = self.begin(source).await?;
                (from, Some(load))
            }
            Start::Resume { from } => (from, source.load_wanted().await?),
        };
        let history = History::of(&facts);
        let adoption = match &kept_history {
            Some(kept) if *kept != history => Some(Adoption {
                store: Arc::clone(&source.store),
                source: source.id,
                history: serde_json::to_string(&history).unwrap_or_default(),
                resumed: resume,
            }),
            Some(_) | None => {
                source.keep_history(&history)?;
                None
            }
        };
        let replication = Replication::connect(&self.options).await?;
        self.server_id.store(replication.server_id(), Relaxed);
        let stream = replication.start(&from, self.readings).await?;
        let wanted = source.tables.there().map(|table| {
            let facts = self.catalog.table(&table.facts.name)?;
            Ok(table.wanted(facts.wanted(table.id, &table.mapped)?))
        });
        let wanted = wanted.collect::<Result<Vec<_>, Error>>()?;
        let names_ignore_case = facts.server.names_ignore_case();
        let settings = decode::Settings { start: from, zero_dates: self.readings.zero_dates, names_ignore_case };
        let decoder = Decoder::new(wanted, self.catalog.known(), Arc::clone(&source.ids), settings);
        Ok((Opened { stream, decoder, progress: Arc::clone(&self.progress), adoption }, load))
    }

    /// The first start: where the reader of all tables stands, the log is entered.
    async fn begin(&self, source: &Source) -> Result<(LogPosition, LoadTask), Ended> {
        source.state(SourceState::Loading, None, None);
        let reader = snapshot::Reader::open(&self.options, &self.readings).await?;
        let from = reader.position().cloned().ok_or(Error::NoLog)?;
        let loads = source.begin(from.position()).await?;
        Ok((from, self.load_by(source, reader, loads)))
    }

    /// Reads tables as they are now, beside the stream.
    pub(super) async fn load(&self, source: &Source, wanted: Vec<(&Table, Load)>) -> Result<LoadTask, database::Error> {
        let reader = snapshot::Reader::open_now(&self.options, &self.readings).await?;
        Ok(self.load_by(source, reader, wanted))
    }

    /// What a reader sees may be newer than its position, and of an engine without transactions as new as the reading: only
    /// the log's end after it is certain to have told it all.
    fn load_by(&self, source: &Source, reader: snapshot::Reader, wanted: Vec<(&Table, Load)>) -> LoadTask {
        let reader = Reader { reader, catalog: Arc::clone(&self.catalog) };
        LoadTask::new(source, database::Reader::Mysql(reader), wanted, None)
    }

    pub(super) async fn reader(&self) -> Result<Reader, database::Error> {
        let reader = snapshot::Reader::open_now(&self.options, &self.readings).await?;
        Ok(Reader { reader, catalog: Arc::clone(&self.catalog) })
    }
}

impl Opened {
    pub(super) async fn run(
        self,
        out: mpsc::Sender<Batch>,
        durable: watch::Receiver<Durable>,
        cancel: CancellationToken,
    ) -> Result<(), database::Error> {
        let (tell, told) = watch::channel(durable.borrow().acknowledged.clone());
        let adopted = adopt(self.adoption, durable.clone());
        tokio::select! {
            ended = stream::run(self.stream, self.decoder, out, told, self.progress, cancel) => Ok(ended?),
            never = tell_of(durable, tell) => match never {},
            never = adopted => match never {},
        }
    }
}

impl Watch {
    pub(super) async fn look(&mut self, tables: &Tables) -> Result<Sight, database::Error> {
        let names: Vec<TableName> = tables.all.iter().map(|table| table.facts.name.clone()).collect();
        Ok(Sight { tables: facts(&self.0.read(&names).await?), untold: Vec::new() })
    }
}

impl Reader {
    pub(super) async fn copy(
        &mut self,
        table: &Table,
        rows: Rows<'_>,
        out: &mpsc::Sender<Batch>,
        cancel: &CancellationToken,
    ) -> Result<u64, database::Error> {
        let rows = match rows {
            Rows::All => snapshot::Rows::All,
            Rows::Of(keys) => snapshot::Rows::Of(keys),
        };
        let facts = self.catalog.table(&table.facts.name)?;
        Ok(self.reader.copy(facts, &table.schema, rows, out, cancel).await?)
    }

    pub(super) async fn seen_up_to(&mut self) -> Result<Position, database::Error> {
        Ok(self.reader.seen_up_to().await?.position())
    }
}

/// Names this source's connections.
fn our_options(config: &model::Source, settings: &model::Mysql) -> Options {
    options(config, settings, &format!("passerelle/{}", config.name))
}

fn refusal(refusal: &HistoryRefusal, source: &str) -> Refusal {
    Refusal {
        text: refusal.to_string(),
        code: refusal.code(),
        next: refusal.next_command(source),
        may_pass: refusal.may_pass(),
    }
}

async fn adopt(adoption: Option<Adoption>, mut durable: watch::Receiver<Durable>) -> std::convert::Infallible {
    if let Some(adoption) = adoption
        && durable.wait_for(|durable| durable.position != adoption.resumed).await.is_ok()
        && let Err(error) = adoption.store.set_history(adoption.source, &adoption.history)
    {
        // The next start compares by the GTIDs again.
        tracing::warn!(error = %chain(&error), "the name of the server that the log goes on at can't be kept yet");
    }
    std::future::pending().await
}

/// Tells the stream what capture has made durable.
async fn tell_of(
    mut durable: watch::Receiver<Durable>,
    tell: watch::Sender<Option<Position>>,
) -> std::convert::Infallible {
    loop {
        let at = durable.borrow_and_update().acknowledged.clone();
        tell.send_if_modified(|told| {
            let moved = at.is_some() && at != *told;
            if moved {
                *told = at;
            }
            moved
        });
        if durable.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
