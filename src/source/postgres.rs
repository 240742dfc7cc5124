//! A source of PostgreSQL: its slot, its publication, its snapshots.
//!
//! The first start stores the intent, makes the slot, and reads the tables through the slot's own snapshot. Tables that are
//! mapped later are read through the snapshot of a temporary slot, beside the stream.

mod offsets;

use std::sync::Arc;
use std::time::Duration;

use passerelle_change::{Batch, ColumnIds, Position, TableId, TableName, TableSchema};
use passerelle_postgres::catalog::{self, Catalog};
use passerelle_postgres::decode::Decoder;
use passerelle_postgres::history::{self, History, HistoryRefusal, Kept, Start};
use passerelle_postgres::publication::Lack;
use passerelle_postgres::replication::{Replication, SlotKind};
use passerelle_postgres::snapshot;
use passerelle_postgres::stream::{self, Progress};
use passerelle_postgres::{Error, Lsn, Options, publication, sql};
use passerelle_state::Load;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::database::{self, Refusal, Rows, Sight, Untold};
use super::load::LoadTask;
use super::setup::{Table, Tables};
use super::table::{ColumnFacts, Generated, TableFacts};
use super::{Ended, Source};
use crate::capture::Durable;
use crate::config::model;
use crate::control::model::SourceState;

pub(super) use offsets::ask;

/// How long the creation of a slot may wait for transactions that are open (PG-10).
const SLOT_WAIT: Duration = Duration::from_secs(60);

/// A database of PostgreSQL.
#[derive(Clone, Debug)]
pub struct Postgres {
    options: Options,
    settings: model::Postgres,
    catalog: Arc<Catalog>,
    progress: Arc<Progress>,
}

/// A stream, and what it is read with.
pub(super) struct Opened {
    stream: stream::Stream,
    decoder: Decoder,
    progress: Arc<Progress>,
}

/// A transaction that sees one moment.
pub(super) struct Reader {
    reader: snapshot::Reader,
    catalog: Arc<Catalog>,
}

/// What looks at the catalogue.
pub(super) struct Watch {
    watch: catalog::Watch,
    settings: model::Postgres,
}

/// How a source is reached; `application_name` is what its connections are called there.
pub(crate) fn options(config: &model::Source, application_name: &str) -> Options {
    Options {
        host: config.host.clone(),
        port: config.port,
        database: config.database.clone(),
        user: config.user.clone(),
        password: config.password.clone(),
        tls: config.tls,
        tls_ca: config.tls_ca.clone(),
        tls_cert: config.tls_cert.clone(),
        tls_key: config.tls_key.clone(),
        application_name: application_name.to_owned(),
    }
}

/// Which columns the publication has.
pub(crate) fn published(settings: &model::Postgres) -> publication::Columns {
    match settings.publish_columns {
        model::PublishColumns::All => publication::Columns::All,
        model::PublishColumns::Mapped => publication::Columns::Mapped,
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
        number: u32::from(column.attnum.cast_unsigned()),
        default: column.default.clone(),
        charset: None,
        collation: None,
        definition: column.definition,
        label_ids: column.label_ids.clone(),
    };
    let table = |table: &catalog::TableFacts| TableFacts {
        name: table.name.clone(),
        columns: table.columns.iter().map(column).collect(),
        row_key: table.row_key().map(<[String]>::to_vec).map_err(|error| error.to_string()),
        estimated_rows: table.estimated_rows,
        object: Some(table.oid),
        storage: table.storage,
        replica_identity: Some(table.identity.word().to_owned()),
        partitions: table.partitions.clone(),
    };
    catalog.tables.iter().map(table).collect()
}

/// PostgreSQL's own order.
pub(super) fn has_passed(at: &Position, mark: &Position) -> bool {
    matches!((Lsn::try_from(at), Lsn::try_from(mark)), (Ok(at), Ok(mark)) if at >= mark)
}

impl Postgres {
    pub(super) async fn read(
        config: &model::Source,
        settings: &model::Postgres,
        tables: &[TableName],
    ) -> Result<(Self, Option<Position>), database::Error> {
        let client = sql::connect(&our_options(config)).await?;
        let looked_at = snapshot::end_of_log(&client).await.ok().map(Lsn::position);
        Ok((Self::new(config, settings, catalog::read(&client, tables).await?), looked_at))
    }

    pub(super) fn remembered(config: &model::Source, settings: &model::Postgres, catalog: &str) -> Option<Self> {
        serde_json::from_str(catalog).ok().map(|catalog| Self::new(config, settings, catalog))
    }

    fn new(config: &model::Source, settings: &model::Postgres, catalog: Catalog) -> Self {
        Self {
            options: our_options(config),
            settings: settings.clone(),
            catalog: Arc::new(catalog),
            progress: Arc::default(),
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
        Watch { watch: catalog::Watch::new(self.options.clone()), settings: self.settings.clone() }
    }

    pub(super) async fn called_now(&self, objects: &[u32]) -> Result<Vec<(u32, TableName)>, database::Error> {
        Ok(catalog::Watch::new(self.options.clone()).names(objects).await?)
    }

    pub(super) async fn open(
        &self,
        source: &Source,
        resume: Option<Position>,
    ) -> Result<(Opened, Option<LoadTask>), Ended> {
        let Self { options, settings, .. } = self;
        let client = sql::connect(options).await?;
        if source.tables.are_remembered() {
            let names: Vec<TableName> = self.catalog.tables.iter().map(|table| table.name.clone()).collect();
            let now = catalog::read(&client, &names).await?;
            if !now.agrees_with(&self.catalog) {
                return Err(Ended::Outdated);
            }
            source.tables.are_as_remembered();
        }
        let mut facts = history::facts(&client, &settings.slot).await?;
        let kept_history: Option<History> = source.history()?;
        if facts.switches.is_empty() && kept_history.as_ref().is_some_and(|kept| kept.timeline != facts.timeline) {
            facts.switches = history::switches(options, facts.timeline).await?;
        }
        let acknowledged = source.store.acknowledged(source.id)?.as_ref().and_then(|at| Lsn::try_from(at).ok());
        let checkpoint = source.store.checkpoint(source.id)?.filter(|_| kept_history.is_some());
        let resume = resume.filter(|_| checkpoint.is_some());
        let kept = Kept {
            history: kept_history.as_ref(),
            checkpoint: resume.as_ref().and_then(|at| Lsn::try_from(at).ok()),
            acknowledged,
        };
        let refused = |why: HistoryRefusal| Ended::Refused(refusal(&why, &source.config.name));
        let start = history::verify(kept, &facts, &settings.slot, &options.application_name).map_err(refused)?;
        let wanted = self.published(&source.tables, facts.version)?;
        if matches!(start, Start::Resume { .. }) {
            let untold = publication::lacking(&client, &settings.publication, &wanted, facts.version).await?;
            source.suspect_untold(&untold_of(untold)).await?;
        }
        publication::ensure(&client, &settings.publication, &wanted, true).await?;
        let mut replication = Replication::connect(options).await?;
        let (from, load) = match start {
            Start::Create | Start::Recreate => {
                if start == Start::Recreate {
                    replication.drop_slot(&settings.slot).await?;
                }
                let (from, load) = self.create(source, &mut replication, &facts).await?;
                (from, Some(load))
            }
            Start::Resume { from, stale } => {
                if let Some(pid) = stale {
                    self.end_stale(source, &client, facts.version, pid).await?;
                }
                let history = History {
                    timeline: facts.timeline,
                    ..kept_history.unwrap_or_else(|| history::intent(&facts, &settings.slot))
                };
                source.keep_history(&history)?;
                (from, source.load_wanted().await?)
            }
        };
        let stream = replication.start(&settings.slot, &settings.publication, from).await?;
        // START forwards in silence to what the slot has confirmed: look after it, too (PG-05).
        if matches!(start, Start::Resume { .. }) {
            let slot = history::slot_facts(&client, facts.version, &settings.slot).await?;
            let confirmed = slot.and_then(|slot| slot.confirmed_flush_lsn);
            history::no_gap(&settings.slot, confirmed, from, acknowledged).map_err(refused)?;
        }
        let wanted = source.tables.there().map(|table| {
            let facts = self.catalog.table(&table.facts.name)?;
            Ok(table.wanted(facts.wanted(table.id, &table.mapped)?))
        });
        let wanted = wanted.collect::<Result<Vec<_>, Error>>()?;
        let decoder = Decoder::new(wanted, self.catalog.types.clone(), Arc::clone(&source.ids));
        Ok((Opened { stream, decoder, progress: Arc::clone(&self.progress) }, load))
    }

    /// What is to be published.
    fn published(&self, tables: &Tables, server_version: u32) -> Result<Vec<publication::Wanted>, Error> {
        wanted(&self.catalog, &self.settings, tables, server_version)
    }

    /// Ends a walsender of ours that has not noticed that we were gone (PG-12), and waits until the slot is free.
    async fn end_stale(
        &self,
        source: &Source,
        client: &tokio_postgres::Client,
        version: u32,
        pid: i32,
    ) -> Result<(), Error> {
        tracing::info!(source = %source.config.name, pid, "ending our own walsender that was left behind");
        client.execute("SELECT pg_terminate_backend($1)", &[&pid]).await?;
        for _ in 0..50 {
            let slot = history::slot_facts(client, version, &self.settings.slot).await?;
            if slot.is_none_or(|slot| slot.active.is_none_or(|reader| reader.pid != pid)) {
                break;
            }
            source.wait(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// The first start: the slot, and with it the snapshot that the tables are read through.
    async fn create(
        &self,
        source: &Source,
        replication: &mut Replication,
        facts: &history::ServerFacts,
    ) -> Result<(Lsn, LoadTask), Ended> {
        let intent = history::intent(facts, &self.settings.slot);
        source.state(SourceState::Loading, None, None);
        source.keep_history(&intent)?;
        let slot = replication.create_slot(&self.settings.slot, SlotKind::Durable, SLOT_WAIT).await?;
        crate::failpoint::hit("source.slot_created");
        let position = slot.consistent_point.position();
        let loads = source.begin(position.clone()).await?;
        source.keep_history(&History { slot_consistent_point: Some(slot.consistent_point), ..intent })?;
        let reader = self.reader(Some(&slot.snapshot)).await?;
        Ok((slot.consistent_point, LoadTask::new(source, database::Reader::Postgres(reader), loads, Some(position))))
    }

    /// Reads tables through the snapshot of a slot made for it.
    pub(super) async fn load(&self, source: &Source, wanted: Vec<(&Table, Load)>) -> Result<LoadTask, database::Error> {
        let mut replication = Replication::connect(&self.options).await?;
        let name = format!("{}_load_{}", &self.settings.slot.chars().take(40).collect::<String>(), std::process::id());
        let slot = replication.create_slot(&name, SlotKind::Temporary, SLOT_WAIT).await?;
        let position = slot.consistent_point.position();
        // The snapshot may go once the reader has it.
        let reader = self.reader(Some(&slot.snapshot)).await?;
        replication.close().await;
        Ok(LoadTask::new(source, database::Reader::Postgres(reader), wanted, Some(position)))
    }

    pub(super) async fn reader(&self, snapshot: Option<&str>) -> Result<Reader, database::Error> {
        let reader = snapshot::Reader::open(&self.options, snapshot).await?;
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
        let (tell, told) = watch::channel(acknowledged(&durable.borrow()));
        tokio::select! {
            ended = stream::run(self.stream, self.decoder, out, told, self.progress, cancel) => Ok(ended?),
            never = tell_of(durable, tell) => match never {},
        }
    }
}

impl Watch {
    pub(super) async fn look(&mut self, tables: &Tables) -> Result<Sight, database::Error> {
        let names: Vec<TableName> = tables.all.iter().map(|table| table.facts.name.clone()).collect();
        let catalog = self.watch.read(&names).await?;
        let version = self.watch.server_version().await?;
        // Of a table that is not what it was more is to be said than that.
        let wanted = wanted(&catalog, &self.settings, tables, version).unwrap_or_default();
        let untold = self.watch.lacking(&self.settings.publication, &wanted).await?;
        Ok(Sight { tables: facts(&catalog), untold: untold_of(untold) })
    }
}

impl Reader {
    pub(super) async fn copy(
        &self,
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

    pub(super) async fn seen_up_to(&self) -> Result<Position, database::Error> {
        Ok(self.reader.seen_up_to().await?.position())
    }
}

/// The tables as they are to be published.
fn wanted(
    catalog: &Catalog,
    settings: &model::Postgres,
    tables: &Tables,
    server_version: u32,
) -> Result<Vec<publication::Wanted>, Error> {
    let wanted = |table: &Table| {
        let facts = catalog.table(&table.facts.name)?;
        publication::Wanted::new(facts, &table.mapped, published(settings), server_version)
    };
    tables.there().map(wanted).collect()
}

/// What of the tables the publication leaves out. Where it lists columns and all are wanted, nothing is: those that are
/// mapped come in part, and what they lack is fetched.
fn untold_of(lacking: Vec<publication::Lacking>) -> Vec<Untold> {
    let untold = |publication::Lacking { table, what }| match what {
        Lack::Table | Lack::Options => Some(Untold { table, columns: None }),
        Lack::Columns(columns) if columns.is_empty() => None,
        Lack::Columns(columns) => Some(Untold { table, columns: Some(columns) }),
    };
    lacking.into_iter().filter_map(untold).collect()
}

/// Names this source's connections, so that a walsender of ours that was left behind is known as ours (PG-12).
fn our_options(config: &model::Source) -> Options {
    options(config, &format!("passerelle/{}", config.name))
}

fn refusal(refusal: &HistoryRefusal, source: &str) -> Refusal {
    Refusal {
        text: refusal.to_string(),
        code: refusal.code(),
        next: refusal.next_command(source),
        may_pass: refusal.may_pass(),
    }
}

/// Tells the stream what capture has made durable.
async fn tell_of(mut durable: watch::Receiver<Durable>, tell: watch::Sender<Option<Lsn>>) -> std::convert::Infallible {
    loop {
        let at = acknowledged(&durable.borrow_and_update());
        tell.send_if_modified(|told| {
            let moved = at > *told;
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

fn acknowledged(durable: &Durable) -> Option<Lsn> {
    durable.acknowledged.as_ref().and_then(|at| Lsn::try_from(at).ok())
}
