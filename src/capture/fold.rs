//! From the connector's events to the state's batch: sequence numbers, lanes, moves, the checkpoint.

use std::collections::{BTreeMap, HashSet};

use passerelle_change::{
    Batch, Cells, ColumnId, Event, Micros, Op, Position, RowChange, Seq, Suspicion, TableId, TableSchema,
};
use passerelle_state::{
    CaptureBatch, Checkpoint, Gate, Generation, MappingId, Move, OpenTransaction, Row, RowBuf, SourceId, SpoolId,
    StateError, Store, Strange, Suspected, drift,
};

use super::group::Group;
use super::sieve::{Fate, Sieve};
use super::writer::{Turn, Writer};
use super::{Bounds, CaptureError, Durable, Fitting, Input, Lanes, Parts};

/// What capture knows between two events.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) source: SourceId,
    parts: Parts,
    pub(super) bounds: Bounds,
    pub(super) lanes: Lanes,
    pub(super) sieve: Sieve,
    fits: BTreeMap<TableId, Vec<Fitting>>,
    known_columns: HashSet<(TableId, ColumnId)>,
    pub(super) seq: Seq,
    /// The end of the last transaction, and when it was committed.
    position: Option<Position>,
    pub(super) committed_at: Micros,
    acknowledged: Option<Position>,
    /// The transaction that is being folded.
    transaction: Option<Transaction>,
    /// What a replay of a transaction skips.
    resume: Option<OpenTransaction>,
    /// The transaction of which nothing is folded, for it may be taken back.
    pub(super) group: Option<Group>,
    pub(super) next_spool: SpoolId,
    /// Distributed transactions that the one being folded has decided, by their names.
    pub(super) decided: Vec<(Vec<u8>, SpoolId)>,
    /// Tables that the transaction being folded has made suspect.
    pub(super) doubts: BTreeMap<TableId, Suspicion>,
    /// Tables that are to be read again.
    pub(super) suspected: BTreeMap<TableId, Suspected>,
    rows: u64,
    transactions: u64,
}

#[derive(Debug)]
struct Transaction {
    number: u64,
    committed_at: Micros,
    /// Row and truncate events of it that were seen, replayed ones too.
    ordinal: u64,
    /// How many of them were durable before.
    skip: u64,
}

impl Fold {
    /// Starts from a checkpoint, or before the first.
    pub(super) fn new(
        store: &Store,
        source: SourceId,
        (parts, bounds): (Parts, Bounds),
        (mut lanes, fits): (Lanes, BTreeMap<TableId, Vec<Fitting>>),
        checkpoint: Option<Checkpoint>,
    ) -> Result<Self, StateError> {
        let mut suspected = BTreeMap::new();
        for table in lanes.tables() {
            suspected.extend(store.suspected(table)?.map(|suspected| (table, suspected)));
        }
        let next_spool = match parts {
            Parts::Final => SpoolId::default(),
            Parts::Tentative => store.forget_spools(source)?,
        };
        let mut fold = Self {
            source,
            parts,
            bounds,
            sieve: Sieve::new(std::mem::take(&mut lanes.wanted)),
            lanes,
            fits,
            known_columns: HashSet::new(),
            seq: Seq::ZERO,
            position: None,
            committed_at: Micros(0),
            acknowledged: None,
            transaction: None,
            resume: None,
            group: None,
            next_spool,
            decided: Vec::new(),
            doubts: BTreeMap::new(),
            suspected,
            rows: 0,
            transactions: 0,
        };
        if let Some(checkpoint) = checkpoint {
            fold.start_at(checkpoint);
        }
        Ok(fold)
    }

    /// A batch closes at this size.
    pub(super) fn batch_bytes(&self) -> usize {
        self.bounds.batch_bytes
    }

    fn start_at(&mut self, checkpoint: Checkpoint) {
        self.seq = checkpoint.seq;
        self.position = Some(checkpoint.position);
        self.committed_at = checkpoint.committed_at;
        self.acknowledged = None;
        self.transaction = None;
        self.resume = checkpoint.open;
    }

    /// No part of a transaction is folded without its end.
    pub(super) fn between_transactions(&self) -> bool {
        self.transaction.is_none() && self.resume.is_none()
    }

    pub(super) async fn input<'s>(
        &mut self,
        mut into: CaptureBatch<'s>,
        input: Input,
        writer: &Writer,
    ) -> Result<CaptureBatch<'s>, CaptureError> {
        match input {
            Input::Stream(batch) => match self.parts {
                Parts::Final => {
                    for event in batch.events() {
                        match event {
                            Event::Row(row) if row.old_key.is_some() => {
                                into = self.moved(into, &batch, row, writer).await?;
                            }
                            event => self.event(&mut into, &batch, event)?,
                        }
                    }
                }
                Parts::Tentative => into = self.tentative(into, batch, writer).await?,
            },
            Input::Loaded { load, table, batch } => {
                for event in batch.events() {
                    match event {
                        Event::Row(row) => {
                            if self.sieve.is_wanted(table, batch.cells(row)) {
                                into.loaded(table, batch.bytes(row.key), &load, batch.cells(row));
                            }
                        }
                        Event::Schema { schema, behind } => self.schema(&mut into, schema, behind.as_ref()),
                        Event::Begin { .. }
                        | Event::Truncate(_)
                        | Event::End { .. }
                        | Event::Undo { .. }
                        | Event::Suspect { .. }
                        | Event::Prepared { .. }
                        | Event::Decided { .. }
                        | Event::Idle { .. } => {}
                    }
                }
            }
            Input::Fetched { table, low, batch } => into = self.fetched(into, table, low, &batch, writer).await?,
            Input::Missing { table, low, keys } => into = self.missing(into, table, low, &keys, writer).await?,
            Input::Suspect { table, why } => self.suspect(&mut into, table, why),
            Input::Loading(table) => self.sieve.loading(table, true),
            Input::Load { table, load } => self.load(&mut into, table, &load),
            Input::Begin(checkpoint) => {
                into = self.forget_tentative(into, writer).await?;
                self.start_at(checkpoint);
            }
            Input::Reconnecting(reply) => {
                self.drop_group(&mut into);
                into = self.written(into, writer).await?;
                self.reconnecting();
                // Whoever asked has gone: the daemon stops.
                let _ = reply.send(self.position.clone());
            }
        }
        Ok(into)
    }

    /// Folds one event, unless its row changed its key.
    pub(super) fn event(
        &mut self,
        into: &mut CaptureBatch<'_>,
        batch: &Batch,
        event: &Event,
    ) -> Result<(), CaptureError> {
        match event {
            Event::Begin { transaction, committed_at } => self.begin(*transaction, *committed_at)?,
            Event::Row(row) => {
                if let Some(at) = self.step()? {
                    let key = batch.bytes(row.key);
                    match self.sieve.fate(into.store(), row.table, key, row.op, batch.cells(row)) {
                        Fate::Kept => into.row(row.table, key, row.op, self.seq, batch.cells(row)),
                        Fate::Gone => into.row(row.table, key, Op::Gone, self.seq, Cells::default()),
                        Fate::LeftOut => return Ok(()),
                    }
                    self.enqueue(into, row.table, key, at);
                }
            }
            Event::Truncate(table) => {
                if self.step()?.is_some() {
                    into.truncated(*table, self.seq);
                }
            }
            Event::Schema { schema, behind } => self.schema(into, schema, behind.as_ref()),
            Event::End { position, committed_at } => self.end(position, *committed_at)?,
            Event::Suspect { table, key: None, why } => self.suspect(into, *table, *why),
            Event::Suspect { table, key: Some(key), .. } => {
                into.suspected_row(*table, batch.bytes(*key), Some(self.seq));
            }
            Event::Undo { .. } | Event::Prepared { .. } | Event::Decided { .. } => {
                return Err(CaptureError::OutOfStep("a change that is not final"));
            }
            Event::Idle { position } => {
                if self.between_transactions() {
                    into.acknowledged(self.source, position);
                    self.acknowledged = Some(position.clone());
                }
            }
        }
        Ok(())
    }

    pub(super) fn begin(&mut self, number: u64, committed_at: Micros) -> Result<(), CaptureError> {
        if self.transaction.is_some() {
            return Err(CaptureError::OutOfStep("a transaction began inside another"));
        }
        let skip = match self.resume {
            Some(open) if open.transaction == number => open.ordinal,
            Some(_) | None => 0,
        };
        self.transaction = Some(Transaction { number, committed_at, ordinal: 0, skip });
        Ok(())
    }

    /// The next event is durable already.
    fn is_replayed(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.ordinal < transaction.skip)
    }

    /// Counts a row or truncate event and gives it the next sequence; `None` when it is durable already. The time is
    /// that of the commit.
    fn step(&mut self) -> Result<Option<Micros>, CaptureError> {
        let Some(transaction) = &mut self.transaction else {
            return Err(CaptureError::OutOfStep("a change outside a transaction"));
        };
        transaction.ordinal += 1;
        if transaction.ordinal <= transaction.skip {
            return Ok(None);
        }
        self.seq = self.seq.next();
        self.rows += 1;
        Ok(Some(transaction.committed_at))
    }

    pub(super) fn enqueue(&self, into: &mut CaptureBatch<'_>, table: TableId, key: &[u8], at: Micros) {
        let Some(position) = &self.position else { return };
        let lanes = [&self.lanes.mappings, &self.lanes.indexes].into_iter().filter_map(|lanes| lanes.get(&table));
        for &lane in lanes.flatten() {
            into.enqueue(lane, key, self.seq, (position, at));
        }
    }

    /// The same for the indexes of the table alone.
    pub(super) fn enqueue_for_indexes(&self, into: &mut CaptureBatch<'_>, table: TableId, key: &[u8], at: Micros) {
        let Some(position) = &self.position else { return };
        for &lane in self.lanes.indexes.get(&table).into_iter().flatten() {
            into.enqueue(lane, key, self.seq, (position, at));
        }
    }

    /// A row that changed its key: gone under the old one, whole under the new one, and a move between them. The old
    /// row is read only to fill cells that the log left out.
    pub(super) async fn moved<'s>(
        &mut self,
        mut into: CaptureBatch<'s>,
        batch: &Batch,
        row: &RowChange,
        writer: &Writer,
    ) -> Result<CaptureBatch<'s>, CaptureError> {
        let Some(old_span) = row.old_key else { return Ok(into) };
        let (old_key, key) = (batch.bytes(old_span), batch.bytes(row.key));
        let reads = row.op == Op::Partial && !self.is_replayed();
        if reads {
            // This row is not counted yet: what is written says up to where a replay skips.
            into = self.written(into, writer).await?;
        }
        let Some(at) = self.step()? else { return Ok(into) };
        if self.sieve.fate(into.store(), row.table, key, row.op, batch.cells(row)) != Fate::Kept {
            into.row(row.table, old_key, Op::Gone, self.seq, Cells::default());
            self.enqueue_for_indexes(&mut into, row.table, old_key, at);
            return Ok(into);
        }
        let mut new = RowBuf::from(Row::changed(row.op, self.seq, batch.cells(row)));
        if reads {
            let store = into.store();
            if let Some(old) = store.row_now(row.table, old_key)? {
                new = new.completed_by(&old.as_row());
            }
        }
        let gone = self.seq;
        // A mapping follows the move; an index knows rows by their keys.
        self.enqueue_for_indexes(&mut into, row.table, old_key, at);
        self.seq = self.seq.next();
        new.seq = self.seq;
        into.row(row.table, old_key, Op::Gone, gone, Cells::default());
        into.put_row(row.table, key, &new.as_row());
        into.moved(self.source, self.seq, &Move { table: row.table, old: old_key.to_vec(), new: key.to_vec() });
        self.enqueue(&mut into, row.table, key, at);
        Ok(into)
    }

    /// Everything up to here is written, so that it can be read.
    pub(super) async fn written<'s>(
        &mut self,
        batch: CaptureBatch<'s>,
        writer: &Writer,
    ) -> Result<CaptureBatch<'s>, CaptureError> {
        let (store, gate) = (batch.store(), batch.gate());
        let stamped = self.hand_over(batch, writer.turn().await?);
        writer.settled().await?;
        Ok(CaptureBatch::begin(store, gate, self.between_transactions(), stamped))
    }

    /// What the rows behind it are of. A mapping that was not accepted for it, or only for older log, is held from them on.
    pub(super) fn schema(&mut self, into: &mut CaptureBatch<'_>, schema: &TableSchema, behind: Option<&Position>) {
        for fitting in self.fits.get(&schema.table).into_iter().flatten() {
            let shown = drift::fingerprint(schema, &fitting.columns);
            if !fitting.is_known(shown, behind) {
                let columns = schema.columns.iter().map(|column| column.id).collect();
                let strange = Strange { schema: shown, columns, seq: self.seq, at: self.committed_at };
                into.strange(fitting.mapping, &strange);
            }
        }
        self.sieve.schema(schema);
        for column in &schema.columns {
            if self.known_columns.insert((schema.table, column.id)) {
                into.column(schema.table, column);
            }
        }
    }

    pub(super) fn end(&mut self, position: &Position, at: Micros) -> Result<(), CaptureError> {
        let Some(ended) = self.transaction.take() else {
            return Err(CaptureError::OutOfStep("a transaction ended that had not begun"));
        };
        self.resume = self.resume.filter(|open| open.transaction != ended.number);
        self.reached(position, at);
        Ok(())
    }

    /// The checkpoint moves to the end of a transaction.
    pub(super) fn reached(&mut self, position: &Position, at: Micros) {
        self.transactions += 1;
        self.position = Some(position.clone());
        self.committed_at = at;
        self.acknowledged = Some(position.clone());
    }

    /// The server begins the open transaction again; what is durable of it is skipped.
    fn reconnecting(&mut self) {
        if let Some(open) = self.transaction.take() {
            let ordinal = open.ordinal.max(open.skip);
            self.resume = (ordinal > 0).then_some(OpenTransaction { transaction: open.number, ordinal });
        }
    }

    /// Seals a batch with the checkpoint as it is now, and hands it to the writer.
    pub(super) fn hand_over(&mut self, mut batch: CaptureBatch<'_>, turn: Turn) -> BTreeMap<MappingId, Generation> {
        let open = match &self.transaction {
            Some(open) if open.ordinal > 0 => {
                Some(OpenTransaction { transaction: open.number, ordinal: open.ordinal.max(open.skip) })
            }
            Some(_) | None => self.resume,
        };
        if let Some(position) = self.position.clone() {
            let checkpoint = Checkpoint { position, committed_at: self.committed_at, seq: self.seq, open };
            batch.checkpoint(self.source, &checkpoint);
        }
        let durable = Durable {
            position: self.position.clone(),
            committed_at: self.committed_at,
            acknowledged: self.acknowledged.clone(),
            seq: self.seq,
            rows: self.rows,
            transactions: self.transactions,
            open: open.map(|open| open.transaction),
        };
        self.sieve.handed_over();
        let (sealed, stamped) = batch.seal();
        turn.hand_over(sealed, open.is_none(), durable);
        stamped
    }
}

/// The gate of a source with its lanes at their next generations.
pub fn gate_for(store: &Store, lanes: impl IntoIterator<Item = MappingId>) -> Result<Gate, StateError> {
    let gate = Gate::default();
    for lane in lanes {
        gate.add(lane, store.next_generation(lane)?);
    }
    Ok(gate)
}
