//! What delivery reads and writes: lanes through a snapshot; links, records, parked rows and dead letters directly.
//!
//! Delivery is the only writer of these, but for the puts in lanes, which the [`crate::lanes::Gate`] keeps apart.

use std::collections::HashMap;
use std::hash::Hasher;

use passerelle_change::{FieldValue, Seq, TableId};
use rocksdb::{DBPinnableSlice, Direction, IteratorMode, ReadOptions, Snapshot, WriteBatch};
use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher128};

use crate::capture::generation_key;
use crate::codec;
use crate::error::StateError;
use crate::facts::{Cursor, DeadLetter, Figures, Hope, Link, Load, Move, Parked, ParkedWhy, Record, Waiting};
use crate::keys::{self, Generation, Key, Kind, MappingId, Parts, RecordId, SourceId, after_prefix};
use crate::meta::figure_entry;
use crate::rows::{Row, RowBuf};
use crate::store::{Durability, Family, Store, read};

/// The store as it was at the end of a transaction.
pub struct View<'s> {
    store: &'s Store,
    snapshot: Snapshot<'s>,
}

/// A row named in a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The generation it stands in.
    pub generation: Generation,
    /// The encoded row key.
    pub row_key: Vec<u8>,
    /// The change that put it there.
    pub seq: Seq,
}

/// A row that is set aside, and when it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedRow {
    /// When it is due, microseconds since 1970.
    pub due: u64,
    /// The encoded row key.
    pub row_key: Vec<u8>,
    /// Why, and how often it was tried.
    pub parked: Parked,
}

impl Store {
    /// A view of this moment. Call it within [`crate::lanes::Gate::between_transactions`].
    pub fn view(&self) -> View<'_> {
        View { store: self, snapshot: self.db().snapshot() }
    }

    /// A row as the last write left it: for capture, which knows what it has written.
    pub fn row_now(&self, table: TableId, row_key: &[u8]) -> Result<Option<RowBuf>, StateError> {
        let mut key = Vec::with_capacity(5 + row_key.len());
        keys::row_into(table, row_key, &mut key);
        let bytes = self.db().get_pinned_cf(self.family(Family::Rows), &key)?;
        bytes.map(|bytes| decode_row(&key, &bytes)).transpose()
    }

    /// Whether a row may be there, by what is in memory: a no is certain.
    pub fn may_have_row(&self, table: TableId, row_key: &[u8]) -> bool {
        let mut key = Vec::with_capacity(5 + row_key.len());
        keys::row_into(table, row_key, &mut key);
        self.db().key_may_exist_cf(self.family(Family::Rows), &key)
    }

    /// The keyed hash of a field's value, for "equal to what the CRM accepted".
    pub fn field_hash(&self, value: &FieldValue) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.hash_key.0, self.hash_key.1);
        std::hash::Hash::hash(value, &mut hasher);
        hasher.finish()
    }

    /// The address of a record: keys compare without case, as the vendor compares them.
    pub fn record_id(&self, object: u32, key: &str) -> RecordId {
        let mut hasher = SipHasher128::new_with_keys(self.hash_key.0, self.hash_key.1);
        hasher.write(key.to_lowercase().as_bytes());
        RecordId { object, hash: hasher.finish128().as_bytes() }
    }

    /// What delivery knows of a row.
    pub fn link(&self, mapping: MappingId, row_key: &[u8]) -> Result<Option<Link>, StateError> {
        self.get(Family::Crm, &link_key(mapping, row_key))
    }

    /// What the CRM accepted for a record.
    pub fn record(&self, id: RecordId) -> Result<Option<Record>, StateError> {
        self.get(Family::Crm, &Key::new(Kind::Record).record(id).done())
    }

    /// The first `limit` members of a record.
    pub fn members(&self, id: RecordId, limit: usize) -> Result<Vec<(MappingId, Vec<u8>)>, StateError> {
        let prefix = Key::new(Kind::Member).record(id).done();
        let mut members = Vec::new();
        self.scan(Family::Crm, &prefix, |key, (): ()| {
            let mut parts = Parts(key.get(prefix.len()..).unwrap_or_default());
            members.extend(parts.u32().map(|mapping| (MappingId(mapping), parts.rest().to_vec())));
            members.len() < limit
        })?;
        Ok(members)
    }

    /// The rows that refer to a parent row, after `after`, at most `limit`.
    pub fn children(&self, parent: (MappingId, &[u8]), limit: usize) -> Result<Vec<(MappingId, Vec<u8>)>, StateError> {
        let prefix = Key::new(Kind::Backref).u32(parent.0.0).sized(parent.1).done();
        let mut children = Vec::new();
        self.scan(Family::Crm, &prefix, |key, (): ()| {
            let mut parts = Parts(key.get(prefix.len()..).unwrap_or_default());
            children.extend(parts.u32().map(|mapping| (MappingId(mapping), parts.rest().to_vec())));
            children.len() < limit
        })?;
        Ok(children)
    }

    /// The parent that a row waits for.
    pub fn waiting(&self, mapping: MappingId, row_key: &[u8]) -> Result<Option<Waiting>, StateError> {
        self.get(Family::Crm, &waiting_key(mapping, row_key))
    }

    /// Every row of a mapping that waits for a parent.
    pub fn all_waiting(&self, mapping: MappingId) -> Result<Vec<(Vec<u8>, Waiting)>, StateError> {
        let mut rows = Vec::new();
        self.scan(Family::Crm, &Key::new(Kind::Waiting).u32(mapping.0).done(), |key, waiting| {
            rows.push((key.get(5..).unwrap_or_default().to_vec(), waiting));
            true
        })?;
        Ok(rows)
    }

    /// The parents that a row waits for, though nobody says that they come.
    pub fn hopes(&self, mapping: MappingId, row_key: &[u8]) -> Result<Vec<Hope>, StateError> {
        Ok(self.get(Family::Crm, &hope_key(mapping, row_key))?.unwrap_or_default())
    }

    /// How many rows of a mapping wait for a parent, counted up to `limit`.
    pub fn waiting_count(&self, mapping: MappingId, limit: u64) -> Result<u64, StateError> {
        let mut count = 0;
        self.scan(Family::Crm, &Key::new(Kind::Waiting).u32(mapping.0).done(), |_, _: Waiting| {
            count += 1;
            count < limit
        })?;
        Ok(count)
    }

    /// The rows set aside that are due at `now` (microseconds since 1970), at most `limit`, the earliest first.
    pub fn due(&self, mapping: MappingId, now: u64, limit: usize) -> Result<Vec<ParkedRow>, StateError> {
        let mut due = Vec::new();
        self.scan(Family::Crm, &Key::new(Kind::Parked).u32(mapping.0).done(), |key, parked: Parked| {
            let mut parts = Parts(key.get(5..).unwrap_or_default());
            match parts.u64() {
                Some(at) if at <= now => due.push(ParkedRow { due: at, row_key: parts.rest().to_vec(), parked }),
                _ => return false,
            }
            due.len() < limit
        })?;
        Ok(due)
    }

    /// Where a row is set aside, if it is.
    pub fn parked(&self, mapping: MappingId, row_key: &[u8]) -> Result<Option<Parked>, StateError> {
        Ok(self.parked_until(mapping, row_key)?.map(|(_, parked)| parked))
    }

    /// The same, and when it is due.
    pub fn parked_until(&self, mapping: MappingId, row_key: &[u8]) -> Result<Option<(u64, Parked)>, StateError> {
        let Some(due) = self.get::<u64>(Family::Crm, &parked_at_key(mapping, row_key))? else { return Ok(None) };
        let parked = self.get(Family::Crm, &parked_key(mapping, due, row_key))?;
        Ok(parked.map(|parked| (due, parked)))
    }

    /// Everything that is set aside under names with this beginning.
    pub fn parked_under(&self, mapping: MappingId, beginning: &[u8]) -> Result<Vec<ParkedRow>, StateError> {
        let mut names = Vec::new();
        self.scan(Family::Crm, &parked_at_key(mapping, beginning), |key, due: u64| {
            names.push((key.get(5..).unwrap_or_default().to_vec(), due));
            true
        })?;
        let mut rows = Vec::with_capacity(names.len());
        for (row_key, due) in names {
            let parked = self.get(Family::Crm, &parked_key(mapping, due, &row_key))?;
            rows.extend(parked.map(|parked| ParkedRow { due, row_key, parked }));
        }
        Ok(rows)
    }

    /// When the next row that is set aside is due.
    pub fn next_due(&self, mapping: MappingId) -> Result<Option<u64>, StateError> {
        let mut next = None;
        self.scan(Family::Crm, &Key::new(Kind::Parked).u32(mapping.0).done(), |key, _: Parked| {
            next = Parts(key.get(5..).unwrap_or_default()).u64();
            false
        })?;
        Ok(next)
    }

    /// Everything that is set aside, counted up to `limit`; without what waits for a parent, which is counted by itself.
    pub fn parked_count(&self, mapping: MappingId, limit: u64) -> Result<u64, StateError> {
        let (mut count, mut looked) = (0, 0);
        self.scan(Family::Crm, &Key::new(Kind::Parked).u32(mapping.0).done(), |_, parked: Parked| {
            count += u64::from(parked.why != ParkedWhy::Parent);
            looked += 1;
            looked < limit
        })?;
        Ok(count)
    }

    /// Queue entries of a lane, counted up to `limit`.
    pub fn queued_count(&self, lane: MappingId, limit: u64) -> Result<u64, StateError> {
        let mut count = 0;
        self.scan(Family::Queue, &Key::new(Kind::Queued).u32(lane.0).done(), |_, _: Seq| {
            count += 1;
            count < limit
        })?;
        Ok(count)
    }

    /// A dead letter.
    pub fn dead_letter(&self, mapping: MappingId, row_key: &[u8]) -> Result<Option<DeadLetter>, StateError> {
        self.get(Family::Crm, &dead_key(mapping, row_key))
    }

    /// The dead letters of a mapping, until `visit` says stop.
    pub fn dead_letters(
        &self,
        mapping: MappingId,
        mut visit: impl FnMut(&[u8], DeadLetter) -> bool,
    ) -> Result<(), StateError> {
        self.scan(Family::Crm, &Key::new(Kind::Dead).u32(mapping.0).done(), |key, letter| {
            visit(key.get(5..).unwrap_or_default(), letter)
        })
    }

    /// Writes a batch of delivery's. It rides the next sync unless it says otherwise: its loss is a harmless resend.
    pub fn write_delivery(&self, batch: DeliveryBatch<'_>, durability: Durability) -> Result<(), StateError> {
        self.write(batch.batch, durability)
    }
}

impl View<'_> {
    /// How far the load of a table is.
    pub fn load(&self, table: TableId) -> Result<Option<Load>, StateError> {
        self.meta(Kind::Load, table)
    }

    /// The sequence at which a table was truncated last.
    pub fn truncated(&self, table: TableId) -> Result<Option<Seq>, StateError> {
        self.meta(Kind::Truncated, table)
    }

    pub(crate) fn meta<T: serde::de::DeserializeOwned>(
        &self,
        kind: Kind,
        table: TableId,
    ) -> Result<Option<T>, StateError> {
        self.fact(&Key::new(kind).u32(table.0).done())
    }

    pub(crate) fn fact<T: serde::de::DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StateError> {
        let bytes = self.snapshot.get_pinned_cf(self.store.family(Family::Meta), key)?;
        bytes.map(|bytes: DBPinnableSlice<'_>| read(key, &bytes)).transpose()
    }

    /// The moves of a source after `after`, in order, at most `limit`.
    pub fn moves(&self, source: SourceId, after: Seq, limit: usize) -> Result<Vec<(Seq, Move)>, StateError> {
        let prefix = Key::new(Kind::Move).u32(source.0).done();
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(after_prefix(&prefix));
        let start = keys::move_key(source, after.next());
        let mode = IteratorMode::From(&start, Direction::Forward);
        let mut moves = Vec::new();
        for entry in self.snapshot.iterator_cf_opt(self.store.family(Family::Meta), options, mode).take(limit) {
            let (key, value) = entry?;
            if let Some(seq) = Parts(key.get(5..).unwrap_or_default()).u64() {
                moves.push((Seq(seq), read(&key, &value)?));
            }
        }
        Ok(moves)
    }

    /// A row, as it was. A row older than its table's last TRUNCATE is gone since then.
    pub fn row(&self, table: TableId, row_key: &[u8]) -> Result<Option<RowBuf>, StateError> {
        let mut key = Vec::with_capacity(5 + row_key.len());
        keys::row_into(table, row_key, &mut key);
        let bytes = self.snapshot.get_pinned_cf(self.store.family(Family::Rows), &key)?;
        bytes.map(|bytes: DBPinnableSlice<'_>| decode_row(&key, &bytes)).transpose()
    }

    /// The entries of a lane's generations up to `newest`, from after `after` on, at most `limit`.
    pub fn queued(
        &self,
        lane: MappingId,
        newest: Generation,
        after: Option<(Generation, &[u8])>,
        limit: usize,
    ) -> Result<Vec<Queued>, StateError> {
        let mut start = Key::new(Kind::Queued).u32(lane.0).done();
        if let Some((generation, row_key)) = after {
            start.clear();
            keys::queued_into(lane, generation, row_key, &mut start);
            start.push(0);
        }
        let end = Key::new(Kind::Queued).u32(lane.0).u64(newest.0 + 1).done();
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(end);
        let mut found = Vec::new();
        let mode = IteratorMode::From(&start, Direction::Forward);
        for entry in self.snapshot.iterator_cf_opt(self.store.family(Family::Queue), options, mode).take(limit) {
            let (key, value) = entry?;
            let mut parts = Parts(key.get(5..).unwrap_or_default());
            let Some(generation) = parts.u64().map(Generation) else { continue };
            found.push(Queued { generation, row_key: parts.rest().to_vec(), seq: read(&key, &value)? });
        }
        Ok(found)
    }

    /// Whether a row is named in a lane: in its generations up to `newest`, the newest closed one, looked for in the last
    /// few, or in the one that is open. Lanes close theirs each at their own time.
    pub fn is_queued(
        &self,
        lane: MappingId,
        oldest: Generation,
        newest: Generation,
        row_key: &[u8],
    ) -> Result<bool, StateError> {
        for generation in (oldest.0..=newest.0 + 1).rev().take(4) {
            let mut key = Vec::with_capacity(13 + row_key.len());
            keys::queued_into(lane, Generation(generation), row_key, &mut key);
            if self.snapshot.get_pinned_cf(self.store.family(Family::Queue), &key)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The rows of a table from after a key on, at most `limit`.
    pub fn rows(
        &self,
        table: TableId,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, RowBuf)>, StateError> {
        let prefix = keys::table_prefix(table);
        let mut start = prefix.clone();
        if let Some(after) = after {
            start.extend_from_slice(after);
            start.push(0);
        }
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(after_prefix(&prefix));
        options.fill_cache(false);
        let mut found = Vec::new();
        let mode = IteratorMode::From(&start, Direction::Forward);
        for entry in self.snapshot.iterator_cf_opt(self.store.family(Family::Rows), options, mode).take(limit) {
            let (key, value) = entry?;
            found.push((key.get(5..).unwrap_or_default().to_vec(), decode_row(&key, &value)?));
        }
        Ok(found)
    }
}

fn decode_row(key: &[u8], bytes: &[u8]) -> Result<RowBuf, StateError> {
    let row = Row::decode(bytes)
        .map_err(|damage| StateError::Damaged { kind: key.first().copied().unwrap_or_default(), damage })?;
    Ok(row.into())
}

/// The outcomes of requests, and what follows from them, in one batch.
pub struct DeliveryBatch<'s> {
    store: &'s Store,
    batch: WriteBatch,
    /// Where this batch has set rows aside, or taken them back from.
    parked: HashMap<(MappingId, Vec<u8>), Option<u64>>,
}

impl<'s> DeliveryBatch<'s> {
    /// An empty batch.
    pub fn new(store: &'s Store) -> Self {
        Self { store, batch: WriteBatch::default(), parked: HashMap::new() }
    }

    /// Nothing in it.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    pub(crate) fn store(&self) -> &'s Store {
        self.store
    }

    pub(crate) fn raw(&mut self) -> &mut WriteBatch {
        &mut self.batch
    }

    /// A lane entry is done, or stands elsewhere now.
    pub fn dequeue(&mut self, lane: MappingId, entry: &Queued) {
        let mut key = Vec::with_capacity(13 + entry.row_key.len());
        keys::queued_into(lane, entry.generation, &entry.row_key, &mut key);
        self.batch.delete_cf(self.store.family(Family::Queue), key);
    }

    /// Generations before `low` are drained: what they held back is not needed any more.
    pub fn drained(&mut self, lane: MappingId, low: Generation) {
        let (from, to) = (generation_key(lane, Generation(0)), generation_key(lane, low));
        self.batch.delete_range_cf(self.store.family(Family::Queue), from, to);
    }

    /// Keeps or forgets what is known of a row.
    pub fn link(&mut self, mapping: MappingId, row_key: &[u8], link: Option<&Link>) {
        self.crm(link_key(mapping, row_key), link);
    }

    /// Keeps or forgets a record.
    pub fn record(&mut self, id: RecordId, record: Option<&Record>) {
        self.crm(Key::new(Kind::Record).record(id).done(), record);
    }

    /// A row feeds a record, or does not any more.
    pub fn member(&mut self, id: RecordId, mapping: MappingId, row_key: &[u8], is_member: bool) {
        let key = Key::new(Kind::Member).record(id).u32(mapping.0).bytes(row_key).done();
        self.crm(key, is_member.then_some(&()));
    }

    /// A row refers to a parent row, or does not any more.
    pub fn backref(&mut self, parent: (MappingId, &[u8]), child: (MappingId, &[u8]), refers: bool) {
        let key = Key::new(Kind::Backref).u32(parent.0.0).sized(parent.1).u32(child.0.0).bytes(child.1).done();
        self.crm(key, refers.then_some(&()));
    }

    /// A row waits for a parent, or does not any more.
    pub fn waiting(&mut self, mapping: MappingId, row_key: &[u8], waiting: Option<&Waiting>) {
        self.crm(waiting_key(mapping, row_key), waiting);
    }

    /// The parents that a row waits for, though nobody says that they come: all of them.
    pub fn hopes(&mut self, mapping: MappingId, row_key: &[u8], hopes: &[Hope]) {
        self.crm(hope_key(mapping, row_key), (!hopes.is_empty()).then_some(&hopes));
    }

    /// Sets a row aside until `due`, microseconds since 1970. A row stands there once: what stood there before goes.
    pub fn park(&mut self, mapping: MappingId, due: u64, row_key: &[u8], parked: &Parked) -> Result<(), StateError> {
        if let Some(before) = self.parked_at(mapping, row_key)? {
            self.crm::<Parked>(parked_key(mapping, before, row_key), None);
        }
        self.crm(parked_key(mapping, due, row_key), Some(parked));
        self.crm(parked_at_key(mapping, row_key), Some(&due));
        self.parked.insert((mapping, row_key.to_vec()), Some(due));
        Ok(())
    }

    /// Takes a row back from where it was set aside until `due`; one that was set aside anew meanwhile stays there.
    pub fn unpark(&mut self, mapping: MappingId, due: u64, row_key: &[u8]) -> Result<(), StateError> {
        self.crm::<Parked>(parked_key(mapping, due, row_key), None);
        if self.parked_at(mapping, row_key)? == Some(due) {
            self.crm::<u64>(parked_at_key(mapping, row_key), None);
            self.parked.insert((mapping, row_key.to_vec()), None);
        }
        Ok(())
    }

    fn parked_at(&self, mapping: MappingId, row_key: &[u8]) -> Result<Option<u64>, StateError> {
        match self.parked.get(&(mapping, row_key.to_vec())) {
            Some(due) => Ok(*due),
            None => self.store.get(Family::Crm, &parked_at_key(mapping, row_key)),
        }
    }

    /// Keeps or forgets a dead letter.
    pub fn dead(&mut self, mapping: MappingId, row_key: &[u8], letter: Option<&DeadLetter>) {
        self.crm(dead_key(mapping, row_key), letter);
    }

    /// A move was applied.
    pub fn move_done(&mut self, source: SourceId, seq: Seq) {
        self.batch.delete_cf(self.store.family(Family::Meta), keys::move_key(source, seq));
    }

    /// How far a re-evaluation is.
    pub fn cursor(&mut self, mapping: MappingId, cursor: &Cursor) {
        let (key, value) = figure_entry(Kind::Cursor, mapping, cursor);
        self.batch.put_cf(self.store.family(Family::Meta), key, value);
    }

    /// The figures of a mapping.
    pub fn figures(&mut self, mapping: MappingId, figures: &Figures) {
        let (key, value) = figure_entry(Kind::Figures, mapping, figures);
        self.batch.put_cf(self.store.family(Family::Meta), key, value);
    }

    /// When the last deletions were sent, as seconds since 1970.
    pub fn deletions(&mut self, mapping: MappingId, times: &[u64]) {
        let (key, value) = figure_entry(Kind::Deletions, mapping, &times);
        self.batch.put_cf(self.store.family(Family::Meta), key, value);
    }

    pub(crate) fn crm<T: serde::Serialize>(&mut self, key: Vec<u8>, value: Option<&T>) {
        let family = self.store.family(Family::Crm);
        match value {
            Some(value) => self.batch.put_cf(family, key, codec::encode(value)),
            None => self.batch.delete_cf(family, key),
        }
    }
}

fn link_key(mapping: MappingId, row_key: &[u8]) -> Vec<u8> {
    Key::new(Kind::Link).u32(mapping.0).bytes(row_key).done()
}

fn waiting_key(mapping: MappingId, row_key: &[u8]) -> Vec<u8> {
    Key::new(Kind::Waiting).u32(mapping.0).bytes(row_key).done()
}

fn hope_key(mapping: MappingId, row_key: &[u8]) -> Vec<u8> {
    Key::new(Kind::Hope).u32(mapping.0).bytes(row_key).done()
}

fn dead_key(mapping: MappingId, row_key: &[u8]) -> Vec<u8> {
    Key::new(Kind::Dead).u32(mapping.0).bytes(row_key).done()
}

fn parked_key(mapping: MappingId, due: u64, row_key: &[u8]) -> Vec<u8> {
    Key::new(Kind::Parked).u32(mapping.0).u64(due).bytes(row_key).done()
}

fn parked_at_key(mapping: MappingId, row_key: &[u8]) -> Vec<u8> {
    Key::new(Kind::ParkedAt).u32(mapping.0).bytes(row_key).done()
}
