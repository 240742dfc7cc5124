//! A server with a publication and a slot, and a stream of it.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use passerelle_change::{Batch, ColumnIds, Event, TableId, TableName};
use passerelle_postgres::decode::{Decoder, WantedTable};
use passerelle_postgres::replication::{Replication, SlotKind};
use passerelle_postgres::stream::{self, Progress};
use passerelle_postgres::types::DynamicType;
use passerelle_postgres::{Error, Lsn, Options, TlsMode, catalog, sql};
use passerelle_test_servers::PgServer;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::printed::Printer;

pub(crate) const SLOT: &str = "tail";
pub(crate) const PUBLICATION: &str = "Tail \"1\"";

/// Fails a test that waits too long.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("what was waited for within 30 s")
}

/// A server and what is wanted of it.
pub(crate) struct Rig {
    pub(crate) server: PgServer,
    /// How the streams connect.
    pub(crate) options: Options,
    pub(crate) wanted: Vec<WantedTable>,
    types: HashMap<u32, DynamicType>,
    /// Shared by stream and catalogue, as the daemon has it.
    pub(crate) ids: Arc<Mutex<ColumnIds>>,
    created: Lsn,
}

impl Rig {
    /// Runs `sql` on a fresh server, makes publication and slot. `tables` are `name key column column …`.
    pub(crate) async fn new(sql: &str, tables: &[&str]) -> Self {
        Self::of(PgServer::start().unwrap(), sql, tables).await
    }

    pub(crate) async fn of(server: PgServer, sql: &str, tables: &[&str]) -> Self {
        server.psql("postgres", sql).unwrap();
        let mut wanted: Vec<_> = tables.iter().zip(1..).map(|(table, id)| wanted(table, id)).collect();
        let tables: Vec<_> = wanted.iter().map(|wanted| wanted.name.clone()).collect();
        let catalog = catalog::read(&sql::connect(&options(&server)).await.unwrap(), &tables).await.unwrap();
        for wanted in &mut wanted {
            wanted.known = catalog.table(&wanted.name).unwrap().known_names();
        }
        let names: Vec<_> = wanted.iter().map(|table| format!("\"{}\"", table.name.name)).collect();
        // Roots are published from 13 on.
        let via_root = if server.major_version() >= 13 { "with (publish_via_partition_root = true)" } else { "" };
        let publish = format!("create publication \"Tail \"\"1\"\"\" for table {} {via_root}", names.join(", "));
        server.psql("postgres", &publish).unwrap();
        let mut replication = Replication::connect(&options(&server)).await.unwrap();
        let slot = replication.create_slot(SLOT, SlotKind::Durable, Duration::from_secs(5)).await.unwrap();
        replication.close().await;
        let created = slot.consistent_point;
        Self { options: options(&server), server, wanted, types: catalog.types, ids: Arc::default(), created }
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.psql("postgres", sql).unwrap()
    }

    /// Streams from the slot's beginning.
    pub(crate) async fn tail(&self) -> Tail {
        self.tail_from(self.created, 64).await
    }

    /// Streams from `from` through a channel of `room` batches.
    pub(crate) async fn tail_from(&self, from: Lsn, room: usize) -> Tail {
        let decoder = Decoder::new(self.wanted.clone(), self.types.clone(), Arc::clone(&self.ids));
        let replication = Replication::connect(&self.options).await.unwrap();
        let stream = replication.start(SLOT, PUBLICATION, from).await.unwrap();
        let (out, batches) = mpsc::channel(room);
        let (acknowledge, acknowledged) = watch::channel(None);
        let (progress, cancel) = (Arc::new(Progress::default()), CancellationToken::new());
        let running = stream::run(stream, decoder, out, acknowledged, progress.clone(), cancel.clone());
        // On a thread of its own, as it wants to be.
        let handle = tokio::runtime::Handle::current();
        let task = tokio::task::spawn_blocking(move || handle.block_on(running));
        Tail { batches, acknowledge, progress, cancel, task, printer: Printer::default() }
    }

    pub(crate) fn confirmed(&self) -> Lsn {
        self.sql("select confirmed_flush_lsn from pg_replication_slots").parse().unwrap()
    }

    pub(crate) fn head(&self) -> Lsn {
        self.sql("select pg_current_wal_lsn()").parse().unwrap()
    }

    /// Waits until `done` is, asking again and again.
    pub(crate) async fn until(&self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let asking = async {
            while !done(self) {
                tokio::time::sleep(Duration::from_millis(20)).await; // looked at again and again, within a limit
            }
        };
        tokio::time::timeout(Duration::from_secs(30), asking)
            .await
            .unwrap_or_else(|_| panic!("{what}: not within 30 s"));
    }
}

pub(crate) fn options(server: &PgServer) -> Options {
    Options {
        host: "127.0.0.1".into(),
        port: server.port(),
        database: "postgres".into(),
        user: "postgres".into(),
        password: None,
        tls: TlsMode::Disable,
        tls_ca: None,
        tls_cert: None,
        tls_key: None,
        application_name: "passerelle test".into(),
    }
}

fn wanted(text: &str, id: u32) -> WantedTable {
    let mut words = text.split(' ').map(str::to_owned);
    let name = words.next().unwrap();
    let key = words.next().unwrap().split(',').map(str::to_owned).collect();
    let columns: BTreeSet<_> = words.collect();
    WantedTable::new(TableId(id), TableName { schema: "public".into(), name }, columns, key)
}

/// A running stream.
pub(crate) struct Tail {
    pub(crate) batches: mpsc::Receiver<Batch>,
    pub(crate) acknowledge: watch::Sender<Option<Lsn>>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) cancel: CancellationToken,
    pub(crate) task: tokio::task::JoinHandle<Result<(), Error>>,
    pub(crate) printer: Printer,
}

impl Tail {
    /// The events of the next `transactions` transactions, as lines, and where the last one ended. Idle positions are
    /// left out.
    pub(crate) async fn transactions(&mut self, transactions: usize) -> (Vec<String>, Lsn) {
        let (mut lines, mut ends, mut last) = (Vec::new(), 0, Lsn::ZERO);
        while ends < transactions {
            let batch = within(self.batches.recv()).await.expect("the stream goes on");
            for event in batch.events() {
                if let Event::End { position, .. } = event {
                    ends += 1;
                    last = position.as_str().parse().unwrap();
                }
            }
            lines.extend(self.printer.lines(&batch).into_iter().filter(|line| line != "idle"));
        }
        assert_eq!(ends, transactions, "{lines:#?}");
        (lines, last)
    }

    /// Checks the events of the next transactions; the ends of `want` are counted.
    pub(crate) async fn check(&mut self, want: &[&str]) -> Lsn {
        let ends = want.iter().filter(|line| **line == "end").count();
        let (lines, last) = self.transactions(ends).await;
        assert_eq!(lines, want);
        last
    }

    /// The next idle position.
    pub(crate) async fn idle(&mut self) -> Lsn {
        loop {
            let batch = within(self.batches.recv()).await.expect("the stream goes on");
            match batch.events() {
                [] => {}
                [.., Event::Idle { position }] => return position.as_str().parse().unwrap(),
                others => panic!("unexpected {others:?}"),
            }
        }
    }

    /// Cancels and waits for the end. Nothing more will be acknowledged.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        self.cancel.cancel();
        drop(self.acknowledge);
        within(self.task).await.unwrap()
    }

    /// Waits for the end, which is an error.
    pub(crate) async fn fails(mut self) -> Error {
        while within(self.batches.recv()).await.is_some() {}
        drop(self.acknowledge);
        within(self.task).await.unwrap().expect_err("the stream fails")
    }
}
