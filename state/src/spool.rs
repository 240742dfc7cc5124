//! Changes that may still be taken back: transactions that are too large to be held in memory until their end, and
//! distributed ones until they are decided (STATE.md, rule 3).
//!
//! A spool is a run of changes under a number. Capture appends to it blindly, takes back from its end by one range
//! deletion, and folds it once it is known what became of it. Three facts say what a spool is for:
//!
//! - none: its transaction is open. A start throws it away ([`Store::forget_spools`]), for the log says it all again;
//! - [`Folding`]: its transaction is committed and durable here as a whole. Whatever stops the folding, it goes on with
//!   that before the log is read on;
//! - [`Prepared`]: it is held under a name until it is decided. The checkpoint is past it.
//!
//! A change is found by its ordinal, the number of row, truncate and decided events up to it; what was suspected of single
//! rows stands behind the change that it came with. Writing is capture's alone, in its own batches.

use passerelle_change::{Batch, Event, Micros, Op, Position, RowChange, Suspicion, TableId};
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

use crate::capture::CaptureBatch;
use crate::codec;
use crate::error::StateError;
use crate::keys::{Key, Kind, Parts, SourceId, after_prefix};
use crate::store::{Durability, Family, Store};

/// A spool's number within its source. Given by capture, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SpoolId(pub u64);

/// Where an event stands in its spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The row, truncate and decided events up to it.
    pub ordinal: u64,
    /// 0 for such an event; what follows one of them counts on, and is never the same twice in a transaction.
    pub aside: u64,
}

/// A committed transaction that is in a spool as a whole, and is being folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folding {
    /// Where its changes are.
    pub spool: SpoolId,
    /// Its number in [`Event::Begin`].
    pub transaction: u64,
    /// The position after it.
    pub position: Position,
    /// When it was committed, by the source's clock.
    pub committed_at: Micros,
    /// Tables that it made suspect.
    pub suspects: Vec<(TableId, Suspicion)>,
}

/// A distributed transaction that is prepared and not decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Where its changes are.
    pub spool: SpoolId,
    /// Row, truncate and decided events of it.
    pub rows: u64,
    /// What they take, in bytes before compression.
    pub bytes: u64,
    /// The position after it.
    pub position: Position,
    /// When it was prepared, by the source's clock.
    pub prepared_at: Micros,
    /// Tables that it makes suspect once it is committed.
    pub suspects: Vec<(TableId, Suspicion)>,
}

/// A part of a spool, read back.
#[derive(Debug)]
pub struct SpoolPart {
    /// Its events.
    pub batch: Batch,
    /// The place of the last of them; `None` where there was none.
    pub last: Option<Place>,
}

/// An event as it stands in a spool.
#[derive(Serialize, Deserialize)]
enum Spooled<'a> {
    Row {
        table: TableId,
        op: Op,
        #[serde(borrow)]
        key: &'a Bytes,
        #[serde(borrow)]
        old_key: Option<&'a Bytes>,
        #[serde(borrow)]
        cells: &'a Bytes,
    },
    Truncate(TableId),
    Suspect {
        table: TableId,
        #[serde(borrow)]
        key: &'a Bytes,
        why: Suspicion,
    },
    Decided {
        #[serde(borrow)]
        name: &'a Bytes,
        committed: bool,
    },
}

impl<'a> Spooled<'a> {
    /// The event as it is kept; `None` for one that is no change.
    fn of(event: &Event, batch: &'a Batch) -> Option<Self> {
        let bytes = |span| Bytes::new(batch.bytes(span));
        match event {
            Event::Row(RowChange { table, op, key, old_key, cells }) => Some(Self::Row {
                table: *table,
                op: *op,
                key: bytes(*key),
                old_key: old_key.map(bytes),
                cells: bytes(*cells),
            }),
            Event::Truncate(table) => Some(Self::Truncate(*table)),
            Event::Suspect { table, key: Some(key), why } => {
                Some(Self::Suspect { table: *table, key: bytes(*key), why: *why })
            }
            Event::Decided { name, committed } => Some(Self::Decided { name: bytes(*name), committed: *committed }),
            Event::Begin { .. }
            | Event::Schema { .. }
            | Event::End { .. }
            | Event::Undo { .. }
            | Event::Suspect { key: None, .. }
            | Event::Prepared { .. }
            | Event::Idle { .. } => None,
        }
    }

    fn push_into(self, batch: &mut Batch) {
        let event = match self {
            Self::Row { table, op, key, old_key, cells } => Event::Row(RowChange {
                table,
                op,
                key: batch.pack(|out| out.extend_from_slice(key)),
                old_key: old_key.map(|old| batch.pack(|out| out.extend_from_slice(old))),
                cells: batch.pack(|out| out.extend_from_slice(cells)),
            }),
            Self::Truncate(table) => Event::Truncate(table),
            Self::Suspect { table, key, why } => {
                Event::Suspect { table, key: Some(batch.pack(|out| out.extend_from_slice(key))), why }
            }
            Self::Decided { name, committed } => {
                Event::Decided { name: batch.pack(|out| out.extend_from_slice(name)), committed }
            }
        };
        batch.push(event);
    }
}

impl CaptureBatch<'_> {
    /// Appends an event of `batch` to a spool. Gives the bytes that it takes; 0 for one that is no change.
    pub fn spool(&mut self, source: SourceId, spool: SpoolId, place: Place, event: &Event, batch: &Batch) -> usize {
        let Some(spooled) = Spooled::of(event, batch) else { return 0 };
        self.put_spooled(&place_key(source, spool, place), &spooled)
    }

    /// Takes back every change of a spool after the first `kept`.
    pub fn unspool(&mut self, source: SourceId, spool: SpoolId, kept: u64) {
        let from = place_key(source, spool, Place { ordinal: kept + 1, aside: 0 });
        self.delete_spooled(&from, &after_prefix(&spool_prefix(source, spool)));
    }

    /// Throws a spool away. Once that is written its files go, too.
    pub fn drop_spool(&mut self, source: SourceId, spool: SpoolId) {
        let from = spool_prefix(source, spool);
        let to = after_prefix(&from);
        self.delete_spooled(&from, &to);
        self.emptied.push((from, to));
    }

    /// Notes that a transaction is committed and in a spool as a whole, or that it is folded.
    pub fn folding(&mut self, source: SourceId, folding: Option<&Folding>) {
        self.set_meta(folding_key(source), folding);
    }

    /// Holds what is in a spool under a name, or not any more.
    pub fn prepared(&mut self, source: SourceId, name: &[u8], prepared: Option<&Prepared>) {
        self.set_meta(prepared_key(source, name), prepared);
    }
}

impl Store {
    /// The transaction of a source that is committed and not folded to its end.
    pub fn folding(&self, source: SourceId) -> Result<Option<Folding>, StateError> {
        self.get(Family::Meta, &folding_key(source))
    }

    /// The distributed transaction of that name, if it is prepared and not decided.
    pub fn prepared(&self, source: SourceId, name: &[u8]) -> Result<Option<Prepared>, StateError> {
        self.get(Family::Meta, &prepared_key(source, name))
    }

    /// The first `limit` distributed transactions of a source that are prepared and not decided, with their names: for
    /// status, and for whoever wonders what takes room.
    pub fn all_prepared(&self, source: SourceId, limit: usize) -> Result<Vec<(Vec<u8>, Prepared)>, StateError> {
        let prefix = prepared_key(source, b"");
        let mut found = Vec::new();
        self.scan(Family::Meta, &prefix, |key, prepared| {
            found.push((key.get(prefix.len()..).unwrap_or_default().to_vec(), prepared));
            found.len() < limit
        })?;
        Ok(found)
    }

    /// Reads a spool on from after a place, until there are `bytes` of it. Only what is written is seen.
    pub fn spool_part(
        &self,
        source: SourceId,
        spool: SpoolId,
        after: Option<Place>,
        bytes: usize,
    ) -> Result<SpoolPart, StateError> {
        let prefix = spool_prefix(source, spool);
        let mut options = rocksdb::ReadOptions::default();
        options.set_iterate_upper_bound(after_prefix(&prefix));
        options.fill_cache(false);
        let mut entries = self.db().raw_iterator_cf_opt(self.family(Family::Spool), options);
        entries.seek(after.map_or(prefix, |at| place_key(source, spool, Place { aside: at.aside + 1, ..at })));
        let mut part = SpoolPart { batch: Batch::new(), last: None };
        while let Some((key, value)) = entries.item().filter(|_| part.batch.size_bytes() < bytes) {
            let spooled: Spooled<'_> =
                codec::decode(value).map_err(|damage| StateError::Damaged { kind: Kind::Spool as u8, damage })?;
            spooled.push_into(&mut part.batch);
            let mut parts = Parts(key.get(13..).unwrap_or_default());
            part.last = parts.u64().zip(parts.u64()).map(|(ordinal, aside)| Place { ordinal, aside });
            entries.next();
        }
        entries.status()?;
        Ok(part)
    }

    /// At a start: throws away what is in spools of transactions that were open. Gives the number of the next spool.
    pub fn forget_spools(&self, source: SourceId) -> Result<SpoolId, StateError> {
        let mut used: Vec<SpoolId> = self.folding(source)?.iter().map(|folding| folding.spool).collect();
        self.scan(Family::Meta, &prepared_key(source, b""), |_, prepared: Prepared| {
            used.push(prepared.spool);
            true
        })?;
        used.sort_unstable();
        let (mut batch, mut emptied) = (rocksdb::WriteBatch::default(), Vec::new());
        for spool in self.spools(source)?.into_iter().filter(|spool| used.binary_search(spool).is_err()) {
            let from = spool_prefix(source, spool);
            let to = after_prefix(&from);
            batch.delete_range_cf(self.family(Family::Spool), &from, &to);
            emptied.push((from, to));
        }
        if !batch.is_empty() {
            self.write(batch, Durability::Synced)?;
            self.free_spools(&emptied);
        }
        Ok(SpoolId(used.last().map_or(0, |last| last.0) + 1))
    }

    /// The spools of a source in which something is.
    pub fn spools(&self, source: SourceId) -> Result<Vec<SpoolId>, StateError> {
        let all = Key::new(Kind::Spool).u32(source.0).done();
        let mut options = rocksdb::ReadOptions::default();
        options.set_iterate_upper_bound(after_prefix(&all));
        let mut entries = self.db().raw_iterator_cf_opt(self.family(Family::Spool), options);
        let mut found = Vec::new();
        entries.seek(&all);
        while let Some(spool) = entries.key().and_then(|key| Parts(key.get(5..)?).u64()).map(SpoolId) {
            found.push(spool);
            entries.seek(after_prefix(&spool_prefix(source, spool)));
        }
        entries.status()?;
        Ok(found)
    }

    /// Lets go of files that hold nothing but what was deleted: else it would take room until something else is spooled.
    pub(crate) fn free_spools(&self, emptied: &[(Vec<u8>, Vec<u8>)]) {
        for (from, to) in emptied {
            // What is not freed now is freed by a compaction.
            let _ = self.db().delete_file_in_range_cf(self.family(Family::Spool), from, to);
        }
    }
}

fn spool_prefix(source: SourceId, spool: SpoolId) -> Vec<u8> {
    Key::new(Kind::Spool).u32(source.0).u64(spool.0).done()
}

fn place_key(source: SourceId, spool: SpoolId, place: Place) -> Vec<u8> {
    Key::new(Kind::Spool).u32(source.0).u64(spool.0).u64(place.ordinal).u64(place.aside).done()
}

fn folding_key(source: SourceId) -> Vec<u8> {
    Key::new(Kind::Folding).u32(source.0).done()
}

fn prepared_key(source: SourceId, name: &[u8]) -> Vec<u8> {
    Key::new(Kind::Prepared).u32(source.0).bytes(name).done()
}
