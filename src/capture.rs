//! Capture: changes become durable here, and only then is the source told.
//!
//! One thread a source folds what the connector decoded into a write batch, while another syncs the batch before it:
//! a batch closes when the last sync has returned, or at 3 MiB. So a lone change waits for nothing, and under load the
//! batches grow by themselves. Nothing here reads from disk for a plain change, and nothing awaits a CRM.
//!
//! A source's log is of final parts or of tentative ones ([`Parts`]). Final parts are folded as they come. Of a
//! tentative log nothing of a transaction is folded before its end: it is held in memory, in the batches that it came in,
//! and folded from there, so that nearly all cost not one copy more; one that is too large for that goes through a spool
//! in the state, and so does a distributed one until it is decided (`tentative`, `passerelle_state::spool`).
//!
//! Invariants: rows, lane entries and the checkpoint past them are one batch (2); positions move at transaction ends
//! only; `acknowledged` is stored before the source is told, and passes the checkpoint only over log that carried
//! nothing for us (STATE.md, 4); a transaction that the log has committed and that is durable here is folded to its end
//! whatever happens, and one that is not leaves nothing behind.

mod fold;
mod group;
mod reread;
mod sieve;
mod tentative;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use passerelle_change::{Batch, Micros, Position, Seq, Suspicion, TableId};
use passerelle_state::{CaptureBatch, Checkpoint, Gate, KnownSchema, Load, MappingId, SourceId, StateError, Store};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use fold::Fold;
pub use fold::gate_for;
pub use sieve::WantedRows;
use writer::Writer;

/// What bounds capture's memory.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// A batch closes at this size even when the last sync has not returned.
    batch_bytes: usize,
    /// More than this of a tentative transaction is not held in memory.
    held_bytes: usize,
    /// What is read of a spool at once.
    part_bytes: usize,
    /// How many batches are written before the writer ends, as if it had been killed: for tests.
    batches: u64,
}

const BOUNDS: Bounds = Bounds { batch_bytes: 3 << 20, held_bytes: 4 << 20, part_bytes: 1 << 20, batches: u64::MAX };

/// What a source's log says of a transaction before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// Nothing that is taken back: every transaction in it is committed (PostgreSQL, pgoutput v1).
    Final,
    /// It may be taken back: by savepoints, by a rollback, by a server that crashed, by a distributed transaction that is
    /// not committed in the end (the binary log of MySQL and MariaDB).
    Tentative,
}

/// The schemas that a mapping may be delivered by. Another one that the log shows holds it, in the batch of the first row
/// behind it (invariant 10).
#[derive(Clone, Debug)]
pub struct Fitting {
    /// The mapping.
    pub mapping: MappingId,
    /// The columns that it depends on, by every name that they go by.
    pub columns: BTreeSet<String>,
    /// The newest is good wherever the log is, an older one for the log before its end.
    pub known: Vec<KnownSchema>,
    /// Whether one position of the source's log is at or past another.
    pub has_passed: fn(&Position, &Position) -> bool,
}

impl Fitting {
    /// Whether the mapping may be delivered by a schema that the log has shown `behind` this position; that of rows from
    /// elsewhere is of no certain time.
    fn is_known(&self, schema: u64, behind: Option<&Position>) -> bool {
        let is_over = |known: &KnownSchema| match (behind, &known.until) {
            (Some(behind), Some(until)) => (self.has_passed)(behind, until),
            (None, _) | (_, None) => false,
        };
        self.known.iter().any(|known| known.schema == schema && !is_over(known))
    }
}

/// Who is told of a table's changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lanes {
    /// The lanes of mappings, by their tables.
    pub mappings: BTreeMap<TableId, Vec<MappingId>>,
    /// The lanes of indexes, by the tables whose rows they have.
    pub indexes: BTreeMap<TableId, Vec<MappingId>>,
    /// Of these tables only some rows are wanted.
    pub wanted: BTreeMap<TableId, WantedRows>,
}

impl Lanes {
    /// The tables that somebody is told of; one may come twice.
    fn tables(&self) -> impl Iterator<Item = TableId> {
        self.mappings.keys().chain(self.indexes.keys()).copied()
    }
}

/// What comes to capture.
#[derive(Debug)]
pub enum Input {
    /// From the log.
    Stream(Batch),
    /// Rows that a load has read.
    Loaded {
        /// Which load.
        load: Arc<Load>,
        /// Their table.
        table: TableId,
        /// The rows, as [`passerelle_change::Op::Full`].
        batch: Batch,
    },
    /// Rows that were fetched by their keys, and that the checkpoint has passed: they fill what is absent. One that is
    /// suspected is replaced, if it has not changed since; nothing else changes.
    Fetched {
        /// Their table.
        table: TableId,
        /// The newest change that was durable when they were asked for.
        low: Seq,
        /// The rows, as [`passerelle_change::Op::Full`].
        batch: Batch,
    },
    /// Rows that were to be fetched and are not in the source. Those that are suspected, and have not changed since, are
    /// gone.
    Missing {
        /// Their table.
        table: TableId,
        /// The newest change that was durable when they were asked for.
        low: Seq,
        /// Their encoded keys.
        keys: Vec<Vec<u8>>,
    },
    /// The log has left out changes of a table.
    Suspect {
        /// The table.
        table: TableId,
        /// Why.
        why: Suspicion,
    },
    /// A load of a table is about to begin: it brings no row as it was before this was said.
    Loading(TableId),
    /// How far a load is.
    Load {
        /// The table.
        table: TableId,
        /// The load as it is now.
        load: Load,
    },
    /// The first checkpoint of a source: where its slot begins.
    Begin(Checkpoint),
    /// The connection to the source is about to be made anew. Answered once everything before is durable, with where
    /// the log goes on; a transaction that was open comes again then.
    Reconnecting(oneshot::Sender<Option<Position>>),
}

/// What is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// The checkpoint.
    pub position: Option<Position>,
    /// The commit time of the checkpoint, by the source's clock.
    pub committed_at: Micros,
    /// What the source may be told: the checkpoint, or further over log that carried nothing for us.
    pub acknowledged: Option<Position>,
    /// The last sequence number.
    pub seq: Seq,
    /// Rows captured since the start.
    pub rows: u64,
    /// Transactions captured since the start.
    pub transactions: u64,
    /// The transaction that is partly written: its number.
    pub open: Option<u64>,
}

/// What a source's capture works with.
pub struct Capture {
    /// The state.
    pub store: Arc<Store>,
    /// The source.
    pub source: SourceId,
    /// Who is told of its changes.
    pub lanes: Lanes,
    /// The schemas that its mappings may be delivered by, by table.
    pub fits: BTreeMap<TableId, Vec<Fitting>>,
    /// What its log says of a transaction before its end.
    pub parts: Parts,
    /// Who may add to which generation.
    pub gate: Arc<Gate>,
    /// What comes in.
    pub input: mpsc::Receiver<Input>,
    /// What is durable, for the acknowledgement, for delivery and for status.
    pub durable: watch::Sender<Durable>,
    /// Ends it between two batches.
    pub cancel: CancellationToken,
}

/// Why capture ended.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The state can't be written: nothing more is acknowledged.
    #[error(transparent)]
    State(#[from] StateError),
    /// The connector and the state do not agree on what was said: a defect, and nothing more is acknowledged.
    #[error("the source's log does not follow on what is durable: {0}")]
    OutOfStep(&'static str),
    /// The thread that writes has ended.
    #[error("the writer of the state has stopped")]
    WriterGone,
}

impl Capture {
    /// Runs until `cancel`, the input's end, or an error. Blocks its thread: call it on one of its own.
    pub fn run(self) -> Result<(), CaptureError> {
        self.run_within(BOUNDS)
    }

    fn run_within(self, bounds: Bounds) -> Result<(), CaptureError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|_| CaptureError::WriterGone)?;
        runtime.block_on(self.capture(bounds))
    }

    async fn capture(mut self, bounds: Bounds) -> Result<(), CaptureError> {
        let checkpoint = self.store.checkpoint(self.source)?;
        if checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.open.is_some()) {
            self.gate.reopen_inside_transaction();
        }
        let mappings = (std::mem::take(&mut self.lanes), std::mem::take(&mut self.fits));
        let mut fold = Fold::new(&self.store, self.source, (self.parts, bounds), mappings, checkpoint)?;
        let writer = Writer::start(&self.store, &self.gate, self.durable.clone(), bounds.batches);
        let result = self.batches(&mut fold, &writer).await;
        // What was handed over is written before we end, so that the next start finds it.
        let last = writer.finish();
        result.and(last)
    }

    async fn batches(&mut self, fold: &mut Fold, writer: &Writer) -> Result<(), CaptureError> {
        let store = Arc::clone(&self.store);
        let gate = Arc::clone(&self.gate);
        let mut stamped = fold.finish_folding(&store, &gate, writer).await?;
        loop {
            let Some(first) = self.next_input().await else { return Ok(()) };
            let mut batch = CaptureBatch::begin(&store, &gate, fold.between_transactions(), stamped);
            let mut input = Some(first);
            loop {
                if let Some(input) = input.take() {
                    batch = fold.input(batch, input, writer).await?;
                }
                tokio::select! {
                    biased;
                    // Cancel-safe: a permit that is not used is given back, an input that is not received stays.
                    turn = writer.turn() => {
                        stamped = fold.hand_over(batch, turn?);
                        break;
                    }
                    next = self.input.recv(), if batch.size_bytes() < fold.batch_bytes() => {
                        let Some(next) = next else {
                            fold.hand_over(batch, writer.turn().await?);
                            return Ok(());
                        };
                        input = Some(next);
                    }
                }
            }
        }
    }

    async fn next_input(&mut self) -> Option<Input> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => None,
            input = self.input.recv() => input,
        }
    }
}

#[cfg(test)]
mod tests;
