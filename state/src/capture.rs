//! What capture writes: rows, lane entries, moves, columns, the checkpoint, in one batch. What it writes besides, for
//! transactions that are not final and for what has to be read again, is beside: [`crate::spool`], [`crate::suspects`].

use std::collections::BTreeMap;

use passerelle_change::{Cells, Column, Micros, Op, Position, Seq, TableId};
use rocksdb::WriteBatch;

use crate::codec;
use crate::error::StateError;
use crate::facts::{Checkpoint, Load, Move, Since};
use crate::keys::{self, Generation, Key, Kind, MappingId, SourceId};
use crate::lanes::Gate;
use crate::rows::Row;
use crate::store::{Durability, Family, Store};

/// Room that a batch begins with, in bytes: more than most come to, so that none is copied as it grows. What is not used
/// takes no memory.
const CAPACITY: usize = 4 << 20;

/// One batch of capture's: everything in it becomes durable at once, or nothing.
pub struct CaptureBatch<'s> {
    store: &'s Store,
    gate: &'s Gate,
    batch: WriteBatch,
    generations: BTreeMap<MappingId, Generation>,
    /// Lanes whose generation has been given its position already.
    stamped: BTreeMap<MappingId, Generation>,
    key: Vec<u8>,
    value: Vec<u8>,
    used: Vec<MappingId>,
    /// Ranges of the spool that it empties.
    pub(crate) emptied: Vec<(Vec<u8>, Vec<u8>)>,
    rows: usize,
}

/// A batch that is complete and can be written from any thread.
pub struct SealedBatch {
    batch: WriteBatch,
    used: Vec<MappingId>,
    emptied: Vec<(Vec<u8>, Vec<u8>)>,
    /// Rows in it.
    pub rows: usize,
}

impl<'s> CaptureBatch<'s> {
    /// Begins a batch for the lanes behind `gate`. `stamped` are the generations whose position is written already;
    /// [`CaptureBatch::seal`] gives them back.
    pub fn begin(
        store: &'s Store,
        gate: &'s Gate,
        between_transactions: bool,
        stamped: BTreeMap<MappingId, Generation>,
    ) -> Self {
        Self {
            store,
            gate,
            batch: WriteBatch::with_capacity_bytes(CAPACITY),
            generations: gate.begin_batch(between_transactions),
            stamped,
            key: Vec::with_capacity(64),
            value: Vec::with_capacity(512),
            used: Vec::new(),
            emptied: Vec::new(),
            rows: 0,
        }
    }

    /// The store it is for.
    pub fn store(&self) -> &'s Store {
        self.store
    }

    /// The gate it was begun at.
    pub fn gate(&self) -> &'s Gate {
        self.gate
    }

    /// Folds a row that was put together here: one that changed its key.
    pub fn put_row(&mut self, table: TableId, row_key: &[u8], row: &Row<'_>) {
        self.fold(table, row_key, row);
    }

    /// Folds a change into a row.
    pub fn row(&mut self, table: TableId, row_key: &[u8], op: Op, seq: Seq, cells: Cells<'_>) {
        self.fold(table, row_key, &Row::changed(op, seq, cells));
    }

    /// Folds a row that a load has read.
    pub fn loaded(&mut self, table: TableId, row_key: &[u8], load: &Load, cells: Cells<'_>) {
        self.fold(table, row_key, &Row::loaded(load.number, load.low, cells));
    }

    /// What replaces a row whatever it was is put: RocksDB needs not fold it.
    fn fold(&mut self, table: TableId, row_key: &[u8], row: &Row<'_>) {
        self.key.clear();
        self.value.clear();
        keys::row_into(table, row_key, &mut self.key);
        row.encode_into(&mut self.value);
        let family = self.store.family(Family::Rows);
        if row.replaces() {
            self.batch.put_cf(family, &self.key, &self.value);
        } else {
            self.batch.merge_cf(family, &self.key, &self.value);
        }
        self.rows += 1;
    }

    /// Names a row in a lane. `since` is the checkpoint before this change: what the lane's generation, if this is the
    /// first in it, holds `delivered` back to.
    pub fn enqueue(&mut self, lane: MappingId, row_key: &[u8], seq: Seq, since: (&Position, Micros)) {
        let Some(&generation) = self.generations.get(&lane) else { return };
        if !self.used.contains(&lane) {
            self.used.push(lane);
        }
        if self.stamped.get(&lane) != Some(&generation) {
            self.stamped.insert(lane, generation);
            let key = generation_key(lane, generation);
            self.batch.put_cf(
                self.store.family(Family::Queue),
                key,
                codec::encode(&Since { seq, position: since.0.clone(), committed_at: since.1 }),
            );
        }
        self.key.clear();
        self.value.clear();
        keys::queued_into(lane, generation, row_key, &mut self.key);
        codec::encode_into(&seq, &mut self.value);
        self.batch.put_cf(self.store.family(Family::Queue), &self.key, &self.value);
    }

    /// Notes that a row changed its key.
    pub fn moved(&mut self, source: SourceId, seq: Seq, moved: &Move) {
        self.batch.put_cf(self.store.family(Family::Meta), keys::move_key(source, seq), codec::encode(moved));
    }

    /// Notes that every row of a table older than `seq` is gone.
    pub fn truncated(&mut self, table: TableId, seq: Seq) {
        self.put_meta(Key::new(Kind::Truncated).u32(table.0).done(), &seq);
    }

    /// Notes a column and its id.
    pub fn column(&mut self, table: TableId, column: &Column) {
        self.put_meta(Key::new(Kind::Column).u32(table.0).u32(column.id.0).done(), column);
    }

    /// Notes how far a load is.
    pub fn load(&mut self, table: TableId, load: &Load) {
        self.put_meta(Key::new(Kind::Load).u32(table.0).done(), load);
    }

    /// Moves the checkpoint.
    pub fn checkpoint(&mut self, source: SourceId, checkpoint: &Checkpoint) {
        self.put_meta(Key::new(Kind::Checkpoint).u32(source.0).done(), checkpoint);
    }

    /// Stores what the source is going to be told.
    pub fn acknowledged(&mut self, source: SourceId, position: &Position) {
        self.put_meta(Key::new(Kind::Acknowledged).u32(source.0).done(), position);
    }

    fn put_meta<T: serde::Serialize>(&mut self, key: Vec<u8>, value: &T) {
        self.batch.put_cf(self.store.family(Family::Meta), key, codec::encode(value));
    }

    /// Keeps a fact, or forgets it.
    pub(crate) fn set_meta<T: serde::Serialize>(&mut self, key: Vec<u8>, value: Option<&T>) {
        match value {
            Some(value) => self.put_meta(key, value),
            None => self.batch.delete_cf(self.store.family(Family::Meta), key),
        }
    }

    /// Keeps an event of a spool; gives the bytes that it takes.
    pub(crate) fn put_spooled<T: serde::Serialize>(&mut self, key: &[u8], event: &T) -> usize {
        self.value.clear();
        codec::encode_into(event, &mut self.value);
        self.batch.put_cf(self.store.family(Family::Spool), key, &self.value);
        key.len() + self.value.len()
    }

    pub(crate) fn delete_spooled(&mut self, from: &[u8], to: &[u8]) {
        self.batch.delete_range_cf(self.store.family(Family::Spool), from, to);
    }

    /// Bytes so far.
    pub fn size_bytes(&self) -> usize {
        self.batch.size_in_bytes()
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Ends the batch. Gives back which generations have their position.
    pub fn seal(self) -> (SealedBatch, BTreeMap<MappingId, Generation>) {
        let Self { batch, used, emptied, rows, stamped, .. } = self;
        (SealedBatch { batch, used, emptied, rows }, stamped)
    }
}

impl Store {
    /// Writes a sealed batch of capture's, synced, and tells the gate. `ends_transaction`: the batch ends between
    /// transactions.
    pub fn write_capture(&self, sealed: SealedBatch, gate: &Gate, ends_transaction: bool) -> Result<(), StateError> {
        if !ends_transaction {
            gate.writing_part();
        }
        self.write(sealed.batch, Durability::Synced)?;
        gate.batch_written(&sealed.used, ends_transaction);
        self.free_spools(&sealed.emptied);
        Ok(())
    }
}

pub(crate) fn generation_key(lane: MappingId, generation: Generation) -> Vec<u8> {
    Key::new(Kind::Generation).u32(lane.0).u64(generation.0).done()
}
