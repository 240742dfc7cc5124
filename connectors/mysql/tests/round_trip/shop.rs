//! A server with a shop's tables, followed and loaded as the daemon does it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use passerelle_change::{Batch, ColumnIds, Event, Position, TableId, TableName};
use passerelle_mysql::catalog::{self, Catalog, Readings, TableFacts, Tinyint1};
use passerelle_mysql::decode::{Decoder, Settings};
use passerelle_mysql::replication::Replication;
use passerelle_mysql::snapshot::{Reader, Rows};
use passerelle_mysql::stream::{self, Progress};
use passerelle_mysql::value::ZeroDates;
use passerelle_mysql::{Error, Flavor, LogPosition, Options, TlsMode, sql};
use passerelle_test_servers::MariadbServer;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::log::Held;

/// Longer than anything takes on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// A server, and how it is read.
pub(crate) struct Shop {
    pub(crate) server: MariadbServer,
    pub(crate) options: Options,
    pub(crate) readings: Readings,
    /// Shared by stream and catalogue, as the daemon has it.
    pub(crate) ids: Arc<Mutex<ColumnIds>>,
}

impl Shop {
    /// A server with these settings and an empty database `shop`.
    pub(crate) fn open(settings: &[(&str, &str)]) -> Self {
        let mut builder = MariadbServer::builder();
        for (name, value) in settings {
            builder = builder.setting(name, value);
        }
        let server = builder.start().unwrap();
        server.sql("", "create database shop").unwrap();
        let options = Options {
            flavor: Flavor::Mariadb,
            host: "127.0.0.1".into(),
            port: server.port(),
            database: "shop".into(),
            user: "root".into(),
            password: None,
            tls: TlsMode::Prefer,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            server_id: None,
            application_name: "passerelle".into(),
        };
        let readings = Readings { zero_dates: ZeroDates::DeadLetter, tinyint1: Tinyint1::Int };
        Self { server, options, readings, ids: Arc::default() }
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.sql("shop", sql).unwrap()
    }

    /// The last transaction of the log.
    pub(crate) fn gtid(&self) -> String {
        self.server.sql("", "select @@gtid_binlog_pos").unwrap()
    }

    /// The beginning of the log.
    pub(crate) fn beginning() -> LogPosition {
        "mbin.000001:4".parse().unwrap()
    }

    /// The end of the log.
    pub(crate) fn end(&self) -> LogPosition {
        let status = self.server.sql("", "show master status").unwrap();
        let words: Vec<_> = status.split('\t').collect();
        format!("{}:{} {}", words[0], words[1], self.gtid()).parse().unwrap()
    }

    /// What the catalogue says of these tables of the shop.
    pub(crate) async fn catalogue(&self, tables: &[&str]) -> Catalog {
        let names: Vec<_> = tables.iter().map(|name| named(name)).collect();
        let mut connection = sql::connect(&self.options).await.unwrap();
        catalog::read(&mut connection, &names, &self.readings).await.unwrap()
    }

    pub(crate) async fn facts(&self, table: &str) -> TableFacts {
        self.catalogue(&[table]).await.table(&named(table)).unwrap().clone()
    }

    /// Follows these columns of a table.
    pub(crate) async fn follow(&self, table: &str, columns: &[&str], from: &LogPosition) -> Follower {
        let replication = Replication::connect(&self.options).await.unwrap();
        self.follow_by(replication, &[(table, columns)], from).await
    }

    /// The same of several tables, numbered from 1 on.
    pub(crate) async fn follow_by(
        &self,
        replication: Replication,
        tables: &[(&str, &[&str])],
        from: &LogPosition,
    ) -> Follower {
        let names: Vec<_> = tables.iter().map(|(name, _)| *name).collect();
        let catalogue = self.catalogue(&names).await;
        let wanted = tables.iter().zip(1..).map(|((table, columns), id)| {
            let facts = catalogue.table(&named(table)).unwrap();
            facts.wanted(TableId(id), &owned(columns)).unwrap()
        });
        let settings = Settings { start: from.clone(), zero_dates: self.readings.zero_dates, names_ignore_case: false };
        let decoder = Decoder::new(wanted.collect(), catalogue.known(), Arc::clone(&self.ids), settings);
        let stream = replication.start(from, self.readings).await.unwrap();
        let (out, batches) = mpsc::channel(2);
        let (acknowledged, told) = watch::channel(None);
        let (progress, cancel) = (Arc::new(Progress::default()), CancellationToken::new());
        let task = tokio::spawn(stream::run(stream, decoder, out, told, Arc::clone(&progress), cancel.clone()));
        Follower {
            held: Held::default(),
            position: from.position(),
            batches,
            acknowledged,
            progress,
            cancel,
            task,
            largest: 0,
        }
    }

    /// Loads these columns of a table, and says where the stream goes on.
    pub(crate) async fn load(&self, table: &str, columns: &[&str]) -> (Held, LogPosition) {
        let mut reader = Reader::open(&self.options, &self.readings).await.unwrap();
        let position = reader.position().unwrap().clone();
        (self.read(&mut reader, table, columns, Rows::All).await.unwrap(), position)
    }

    /// Rows of a table through a reader.
    pub(crate) async fn read(
        &self,
        reader: &mut Reader,
        table: &str,
        columns: &[&str],
        rows: Rows<'_>,
    ) -> Result<Held, Error> {
        let facts = self.facts(table).await;
        let schema = facts.schema(TableId(1), &owned(columns), &mut self.ids.lock().unwrap()).unwrap();
        let (out, mut batches) = mpsc::channel::<Batch>(2);
        let cancel = CancellationToken::new();
        let mut held = Held::default();
        let copying = async {
            let copied = reader.copy(&facts, &schema, rows, &out, &cancel).await;
            drop(out);
            copied
        };
        let taking = async {
            while let Some(batch) = batches.recv().await {
                assert!(batch.size_bytes() < 2 << 20 || batch.rows() == 1, "{}", batch.size_bytes());
                held.load(&batch);
            }
        };
        let (copied, ()) = tokio::join!(copying, taking);
        assert_eq!(copied? as usize, held.rows.len());
        Ok(held)
    }
}

/// A stream, and what is held of it.
pub(crate) struct Follower {
    pub(crate) held: Held,
    /// The last end of a transaction, or idle position.
    pub(crate) position: Position,
    pub(crate) progress: Arc<Progress>,
    /// The bytes of the largest batch.
    pub(crate) largest: usize,
    batches: mpsc::Receiver<Batch>,
    acknowledged: watch::Sender<Option<Position>>,
    cancel: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Follower {
    /// Takes what comes until it has come to this place, or past it.
    pub(crate) async fn until(&mut self, gtids: &str) {
        self.until_at(|position| position.as_str().ends_with(&format!(" {gtids}"))).await;
    }

    /// Takes what comes until its place is as said.
    pub(crate) async fn until_at(&mut self, is_there: impl Fn(&Position) -> bool) {
        while !is_there(&self.position) {
            let next = tokio::time::timeout(LIMIT, self.batches.recv()).await;
            match next.unwrap_or_else(|_| panic!("nothing more came after {}", self.position)) {
                Some(batch) => self.take(&batch),
                None => panic!("the stream ended at {}", self.position),
            }
        }
    }

    fn take(&mut self, batch: &Batch) {
        self.largest = self.largest.max(batch.size_bytes());
        for event in batch.events() {
            if let Event::End { position, .. } | Event::Prepared { position, .. } | Event::Idle { position } = event {
                self.position = position.clone();
                self.acknowledged.send_replace(Some(position.clone()));
            }
        }
        self.held.apply(batch);
    }

    /// Takes what comes until the stream ends by itself: what is held, where it is, and why it ended.
    pub(crate) async fn failed(mut self) -> (Held, LogPosition, Error) {
        loop {
            let next = tokio::time::timeout(LIMIT, self.batches.recv()).await;
            let Some(batch) = next.unwrap_or_else(|_| panic!("it goes on at {}", self.position)) else { break };
            self.take(&batch);
        }
        let ended = tokio::time::timeout(LIMIT, self.task).await.unwrap().unwrap();
        (self.held, LogPosition::try_from(&self.position).unwrap(), ended.unwrap_err())
    }

    /// Stops it in good order: what is held, and where it is.
    pub(crate) async fn stop(mut self) -> (Held, LogPosition) {
        self.cancel.cancel();
        while let Some(batch) = tokio::time::timeout(LIMIT, self.batches.recv()).await.unwrap() {
            self.take(&batch);
        }
        tokio::time::timeout(LIMIT, self.task).await.unwrap().unwrap().unwrap();
        assert_eq!(self.progress.acknowledged().as_ref(), self.acknowledged.borrow().as_ref());
        (self.held, LogPosition::try_from(&self.position).unwrap())
    }
}

/// A table of the shop.
pub(crate) fn named(table: &str) -> TableName {
    TableName { schema: "shop".into(), name: table.into() }
}

pub(crate) fn owned(columns: &[&str]) -> Vec<String> {
    columns.iter().map(ToString::to_string).collect()
}

/// The rows that are held of columns, one a line in the order of an integer key, as the server's client prints them.
pub(crate) fn printed(held: &Held, columns: &[&str]) -> String {
    let cell = |cells: &crate::log::Cells, column: &str| match cells.get(column) {
        None => "absent".into(),
        Some(None) => "NULL".into(),
        Some(Some(text)) => text.clone(),
    };
    let line = |(key, cells): (&String, &crate::log::Cells)| {
        let line = columns.iter().map(|column| cell(cells, column)).collect::<Vec<_>>().join("\t");
        (key.parse::<i64>().unwrap(), line)
    };
    let mut lines: Vec<(i64, String)> = held.rows.iter().map(line).collect();
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}
