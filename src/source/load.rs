//! Reading tables into the row store, under the stream (STATE.md, rule 5).

use std::sync::Arc;
use std::time::Duration;

use passerelle_change::{Batch, Micros, Position, TableId};
use passerelle_state::{Checkpoint, Load, LoadStage, StateError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::database::{Error, Reader, Rows};
use super::setup::{Table, Tables};
use super::table::TableFacts;
use super::{Ended, Source, SourceError, chain};
use crate::capture::Input;
use crate::control::board::Board;
use crate::control::model::{TableState, TableStatus};

/// Batches between the reader and capture.
const BATCHES: usize = 2;

/// Some tables that are read as they were at one moment.
pub(super) struct LoadTask {
    reader: Reader,
    wanted: Vec<(TableId, Load)>,
    to: Destination,
}

/// Where a load goes.
struct Destination {
    source: String,
    /// A position by which the log has told everything that is read; without one it is asked for after the reading.
    high: Option<Position>,
    capture: mpsc::Sender<Input>,
    board: Arc<Board>,
    tables: Arc<Tables>,
    cancel: CancellationToken,
}

impl Source {
    /// The first start: capture begins at `position`, and every table is to be loaded.
    pub(super) async fn begin(&self, position: Position) -> Result<Vec<(&Table, Load)>, SourceError> {
        let mut loads = Vec::new();
        for table in self.tables.there() {
            let load = self.next_load(table)?;
            self.store.set_load(table.id, &load)?;
            loads.push((table, load));
        }
        let seq = self.durable.borrow().seq;
        let first = Checkpoint { position, committed_at: Micros(0), seq, open: None };
        self.capture.send(Input::Begin(first)).await.map_err(|_| SourceError::CaptureGone)?;
        self.announce(&loads).await?;
        self.settle().await?;
        Ok(loads)
    }

    /// Opens the reading of tables that are not loaded, or not all their columns, or that are suspect; `None` where there
    /// are none.
    pub(super) async fn load_wanted(&self) -> Result<Option<LoadTask>, Ended> {
        let wanted = self.loads_wanted()?;
        if wanted.is_empty() {
            return Ok(None);
        }
        self.announce(&wanted).await?;
        Ok(Some(self.tables.database.load(self, wanted).await?))
    }

    /// Capture knows of loads before they see anything: what it is told later may be newer than what they bring.
    async fn announce(&self, loads: &[(&Table, Load)]) -> Result<(), SourceError> {
        for (table, _) in loads {
            self.capture.send(Input::Loading(table.id)).await.map_err(|_| SourceError::CaptureGone)?;
        }
        Ok(())
    }

    /// Begins loads again that have failed. What stands in the way is tried again later.
    pub(super) async fn load_again(&self) {
        match self.load_wanted().await {
            Ok(load) => drop(load.map(|load| tokio::spawn(load.run()))),
            Err(Ended::Failed(error)) => {
                tracing::warn!(source = %self.config.name, error = %chain(&error), "a load can't begin yet");
            }
            Err(Ended::Stopped | Ended::Outdated | Ended::Refused(_) | Ended::Fatal(_)) => {}
        }
    }

    /// A table is to be read again, and nobody does.
    pub(super) fn is_suspecting(&self) -> Result<bool, StateError> {
        for table in self.tables.there() {
            if !self.tables.is_loading(table.id) && self.store.suspected(table.id)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn loads_wanted(&self) -> Result<Vec<(&Table, Load)>, StateError> {
        let mut wanted = Vec::new();
        for table in self.tables.there() {
            if self.tables.is_loading(table.id) {
                continue;
            }
            let known = self.store.load(table.id)?;
            let is_loaded = known.as_ref().is_some_and(|known| matches!(known.stage, LoadStage::Loaded { .. }));
            let has = |id: u32| known.as_ref().is_some_and(|known| known.columns.contains(&id));
            let is_whole = is_loaded && table.schema.columns.iter().all(|column| has(column.id.0));
            match self.store.suspected(table.id)? {
                Some(suspected) => {
                    tracing::warn!(source = %self.config.name, table = %table.facts.name, why = %suspected.why, "the table is read again");
                }
                None if is_whole => continue,
                None => {}
            }
            let load = self.next_load(table)?;
            // What an earlier load brought goes on being delivered while the rest is read.
            if !is_loaded {
                self.store.set_load(table.id, &load)?;
            }
            wanted.push((table, load));
        }
        Ok(wanted)
    }

    fn next_load(&self, table: &Table) -> Result<Load, StateError> {
        let number = self.store.next_load_number(table.id)?;
        let columns = table.schema.columns.iter().map(|column| column.id.0).collect();
        Ok(Load { number, low: self.durable.borrow().seq, columns, stage: LoadStage::Wanted })
    }
}

impl LoadTask {
    /// Tables that `reader` sees as they were at `high`; without it they may be as new as the reading.
    pub(super) fn new(source: &Source, reader: Reader, wanted: Vec<(&Table, Load)>, high: Option<Position>) -> Self {
        for (table, _) in &wanted {
            source.tables.set_loading(table.id, true);
        }
        Self {
            reader,
            wanted: wanted.into_iter().map(|(table, load)| (table.id, load)).collect(),
            to: Destination {
                source: source.config.name.clone(),
                high,
                capture: source.capture.clone(),
                board: Arc::clone(&source.board),
                tables: Arc::clone(&source.tables),
                cancel: source.cancel.clone(),
            },
        }
    }

    /// Reads them one after the other. One that fails is read again from the beginning later; the others are not
    /// held up.
    pub(super) async fn run(self) {
        let Self { mut reader, wanted, to } = self;
        for (id, load) in &wanted {
            if let Some(table) = to.tables.table(*id) {
                to.load(&mut reader, table, load).await;
            }
            to.tables.set_loading(*id, false);
        }
    }
}

impl Destination {
    async fn load(&self, reader: &mut Reader, table: &Table, load: &Load) {
        let facts = &table.facts;
        self.show(facts, TableState::Loading, 0);
        match self.read(reader, table, load).await {
            Ok(rows) => {
                tracing::info!(source = %self.source, table = %facts.name, rows, "loaded");
                self.show(facts, TableState::Streaming, rows);
            }
            Err(Error::Cancelled) => {}
            Err(error) => {
                tracing::warn!(source = %self.source, table = %facts.name, error = %chain(&error), "the load failed; it begins again soon");
                self.show(facts, TableState::Failed, 0);
            }
        }
    }

    async fn read(&self, reader: &mut Reader, table: &Table, load: &Load) -> Result<u64, Error> {
        let (send, batches) = mpsc::channel(BATCHES);
        let shared = Arc::new(load.clone());
        let forwarding = self.forward(batches, &shared, table);
        let copying = async {
            let rows = reader.copy(table, Rows::All, &send, &self.cancel).await;
            drop(send);
            rows
        };
        let (rows, ()) = tokio::join!(copying, forwarding);
        let rows = rows?;
        let high = match &self.high {
            Some(high) => high.clone(),
            None => reader.seen_up_to().await?,
        };
        let done = Load { stage: LoadStage::Loaded { high, rows }, ..load.clone() };
        self.capture.send(Input::Load { table: table.id, load: done }).await.map_err(|_| Error::Cancelled)?;
        Ok(rows)
    }

    async fn forward(&self, mut batches: mpsc::Receiver<Batch>, load: &Arc<Load>, table: &Table) {
        let mut rows = 0;
        let mut shown = tokio::time::Instant::now();
        while let Some(batch) = batches.recv().await {
            rows += batch.rows() as u64;
            if self.capture.send(Input::Loaded { load: Arc::clone(load), table: table.id, batch }).await.is_err() {
                return;
            }
            if shown.elapsed() > Duration::from_millis(500) {
                self.show(&table.facts, TableState::Loading, rows);
                shown = tokio::time::Instant::now();
            }
        }
    }

    fn show(&self, facts: &TableFacts, state: TableState, loaded: u64) {
        let name = facts.name.to_string();
        self.board.source(&self.source, |source| {
            let status =
                TableStatus { name: name.clone(), state, loaded, total: Some(facts.estimated_rows.max(loaded)) };
            match source.tables.iter_mut().find(|table| table.name == name) {
                Some(table) => *table = status,
                None => source.tables.push(status),
            }
        });
    }
}
