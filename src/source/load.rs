//! Reading tables into the row store, under the stream (STATE.md, rule 5).

use std::sync::Arc;
use std::time::Duration;

use passerelle_change::{Batch, Position, TableId, TableSchema};
use passerelle_postgres::catalog::TableFacts;
use passerelle_postgres::snapshot::{Reader, Rows};
use passerelle_postgres::{Error, Options};
use passerelle_state::{Load, LoadStage};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Source, chain, setup};
use crate::capture::Input;
use crate::control::board::Board;
use crate::control::model::{TableState, TableStatus};

/// Batches between COPY and capture.
const BATCHES: usize = 2;

/// Some tables that are read through one snapshot.
pub(super) struct LoadTask {
    source: String,
    reader: Reader,
    tables: Vec<(TableFacts, TableSchema, Load)>,
    high: Position,
    capture: mpsc::Sender<Input>,
    board: Arc<Board>,
    shared: Arc<setup::Tables>,
    cancel: CancellationToken,
}

impl LoadTask {
    /// Opens the transaction; the snapshot may go after that.
    pub(super) async fn open(
        source: &Source,
        options: &Options,
        snapshot: Option<&str>,
        tables: Vec<(&setup::Table, Load)>,
        high: Position,
    ) -> Result<Self, Error> {
        let reader = Reader::open(options, snapshot).await?;
        for (table, _) in &tables {
            source.tables.set_loading(table.id, true);
        }
        Ok(Self {
            source: source.config.name.clone(),
            reader,
            tables: tables.into_iter().map(|(table, load)| (table.facts.clone(), table.schema.clone(), load)).collect(),
            high,
            capture: source.capture.clone(),
            board: Arc::clone(&source.board),
            shared: Arc::clone(&source.tables),
            cancel: source.cancel.clone(),
        })
    }

    /// Reads them one after the other. One that fails is read again from the beginning later; the others are not
    /// held up.
    pub(super) async fn run(self) {
        for (facts, schema, load) in &self.tables {
            self.show(facts, TableState::Loading, 0);
            match self.table(facts, schema, load).await {
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
            self.shared.set_loading(schema.table, false);
        }
    }

    async fn table(&self, facts: &TableFacts, schema: &TableSchema, load: &Load) -> Result<u64, Error> {
        let (send, batches) = mpsc::channel(BATCHES);
        let shared = Arc::new(load.clone());
        let forwarding = self.forward(batches, &shared, facts, schema.table);
        let copying = async move { self.reader.copy(facts, schema, Rows::All, &send, &self.cancel).await };
        let (rows, ()) = tokio::join!(copying, forwarding);
        let rows = rows?;
        let done = Load { stage: LoadStage::Loaded { high: self.high.clone(), rows }, ..load.clone() };
        self.capture.send(Input::Load { table: schema.table, load: done }).await.map_err(|_| Error::Cancelled)?;
        Ok(rows)
    }

    async fn forward(&self, mut batches: mpsc::Receiver<Batch>, load: &Arc<Load>, facts: &TableFacts, table: TableId) {
        let mut rows = 0;
        let mut shown = tokio::time::Instant::now();
        while let Some(batch) = batches.recv().await {
            rows += batch.rows() as u64;
            if self.capture.send(Input::Loaded { load: Arc::clone(load), table, batch }).await.is_err() {
                return;
            }
            if shown.elapsed() > Duration::from_millis(500) {
                self.show(facts, TableState::Loading, rows);
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
