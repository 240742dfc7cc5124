//! Names and numbers, checkpoints, columns, loads, cursors, days: the small facts, read at the start or now and then.

use std::sync::PoisonError;

use passerelle_change::{Column, Position, TableId, TableName};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::capture::generation_key;
use crate::error::StateError;
use crate::facts::{Checkpoint, Cursor, Edits, Figures, Hold, Load, Parked, Since, Table, Waiting};
use crate::keys::{Generation, Key, Kind, MappingId, Parts, SourceId};
use crate::store::{Durability, Family, Store};

/// What a number was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Numbered {
    Source = 1,
    Mapping = 2,
    Table = 3,
    Object = 4,
    Relation = 5,
}

impl Store {
    /// The number of a source, given now if it has none.
    pub fn source_id(&self, name: &str) -> Result<SourceId, StateError> {
        self.number(Numbered::Source, name).map(SourceId)
    }

    /// The number of a mapping.
    pub fn mapping_id(&self, name: &str) -> Result<MappingId, StateError> {
        self.number(Numbered::Mapping, name).map(MappingId)
    }

    /// The number of an object of a CRM.
    pub fn object_id(&self, crm: &str, object: &str) -> Result<u32, StateError> {
        self.number(Numbered::Object, &format!("{crm}/{object}"))
    }

    /// The number of a source's table.
    pub fn table_id(&self, source: SourceId, name: &TableName) -> Result<TableId, StateError> {
        let id = self.number(Numbered::Table, &format!("{}/{name}", source.0)).map(TableId)?;
        let table = Table { name: name.clone(), source: source.0 };
        self.put(Family::Meta, &Key::new(Kind::Table).u32(id.0).done(), &table, Durability::WithTheNext)?;
        Ok(id)
    }

    /// The tables of a source that were ever named.
    pub fn tables_of(&self, source: SourceId) -> Result<Vec<TableId>, StateError> {
        let mut tables = Vec::new();
        self.scan(Family::Meta, &Key::new(Kind::Table).done(), |key, table: Table| {
            tables.extend(Parts::of(key).u32().filter(|_| table.source == source.0).map(TableId));
            true
        })?;
        Ok(tables)
    }

    /// The next number of a relation: never given again, whatever becomes of it.
    pub(crate) fn next_relation(&self) -> Result<u32, StateError> {
        let _alone = self.numbering.lock().unwrap_or_else(PoisonError::into_inner);
        let last = Key::new(Kind::Name).u32(0).u32(Numbered::Relation as u32).done();
        let number = self.get::<u32>(Family::Meta, &last)?.unwrap_or_default() + 1;
        self.put(Family::Meta, &last, &number, Durability::Synced)?;
        Ok(number)
    }

    /// Numbers are given in order and never again: the last one of each sort is kept beside them. One at a time: sources
    /// are set up side by side, and two that had one number would take each other's state for theirs.
    fn number(&self, sort: Numbered, name: &str) -> Result<u32, StateError> {
        let _alone = self.numbering.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Key::new(Kind::Name).u32(sort as u32).bytes(name.as_bytes()).done();
        if let Some(number) = self.get(Family::Meta, &key)? {
            return Ok(number);
        }
        let last = Key::new(Kind::Name).u32(0).u32(sort as u32).done();
        let number = self.get::<u32>(Family::Meta, &last)?.unwrap_or_default() + 1;
        self.put(Family::Meta, &last, &number, Durability::WithTheNext)?;
        self.put(Family::Meta, &key, &number, Durability::Synced)?;
        Ok(number)
    }

    /// The checkpoint of a source; `None` before its first start.
    pub fn checkpoint(&self, source: SourceId) -> Result<Option<Checkpoint>, StateError> {
        self.meta(Kind::Checkpoint, source.0)
    }

    /// What the source was last told, or is about to be.
    pub fn acknowledged(&self, source: SourceId) -> Result<Option<Position>, StateError> {
        self.meta(Kind::Acknowledged, source.0)
    }

    /// The connector's own record of the server that it tails, opaque here.
    pub fn history(&self, source: SourceId) -> Result<Option<String>, StateError> {
        self.meta(Kind::History, source.0)
    }

    /// Sets the first checkpoint of a source: where its slot begins.
    pub fn set_checkpoint(&self, source: SourceId, checkpoint: &Checkpoint) -> Result<(), StateError> {
        self.put(Family::Meta, &Key::new(Kind::Checkpoint).u32(source.0).done(), checkpoint, Durability::Synced)
    }

    /// Notes a load that is wanted, before capture runs.
    pub fn set_load(&self, table: TableId, load: &Load) -> Result<(), StateError> {
        self.put(Family::Meta, &Key::new(Kind::Load).u32(table.0).done(), load, Durability::Synced)
    }

    /// Notes a column that a load is about to use, before capture runs.
    pub fn set_column(&self, table: TableId, column: &Column) -> Result<(), StateError> {
        let key = Key::new(Kind::Column).u32(table.0).u32(column.id.0).done();
        self.put(Family::Meta, &key, column, Durability::WithTheNext)
    }

    /// Keeps it.
    pub fn set_history(&self, source: SourceId, history: &str) -> Result<(), StateError> {
        self.put(Family::Meta, &Key::new(Kind::History).u32(source.0).done(), &history, Durability::Synced)
    }

    /// What the connector last read of the source's catalogue, opaque here.
    pub fn catalog(&self, source: SourceId) -> Result<Option<String>, StateError> {
        self.meta(Kind::Catalog, source.0)
    }

    /// Keeps it.
    pub fn set_catalog(&self, source: SourceId, catalog: &str) -> Result<(), StateError> {
        self.put(Family::Meta, &Key::new(Kind::Catalog).u32(source.0).done(), &catalog, Durability::Synced)
    }

    /// The load of a table.
    pub fn load(&self, table: TableId) -> Result<Option<Load>, StateError> {
        self.meta(Kind::Load, table.0)
    }

    /// Every column that is known, oldest first.
    pub fn columns(&self) -> Result<Vec<(TableId, Column)>, StateError> {
        let mut columns = Vec::new();
        self.scan(Family::Meta, &Key::new(Kind::Column).done(), |key, column: Column| {
            columns.extend(Parts::of(key).u32().map(|table| (TableId(table), column)));
            true
        })?;
        columns.sort_by_key(|(table, column)| (*table, column.id));
        Ok(columns)
    }

    /// The columns of one table, oldest first.
    pub fn columns_of(&self, table: TableId) -> Result<Vec<Column>, StateError> {
        let mut columns = Vec::new();
        self.scan(Family::Meta, &Key::new(Kind::Column).u32(table.0).done(), |_, column: Column| {
            columns.push(column);
            true
        })?;
        columns.sort_by_key(|column| column.id);
        Ok(columns)
    }

    /// The re-evaluation of a mapping.
    pub fn cursor(&self, mapping: MappingId) -> Result<Option<Cursor>, StateError> {
        self.meta(Kind::Cursor, mapping.0)
    }

    /// Begins a re-evaluation, or notes how far it is.
    pub fn set_cursor(&self, mapping: MappingId, cursor: &Cursor) -> Result<(), StateError> {
        self.put(Family::Meta, &Key::new(Kind::Cursor).u32(mapping.0).done(), cursor, Durability::WithTheNext)
    }

    /// The figures of a mapping.
    pub fn figures(&self, mapping: MappingId) -> Result<Figures, StateError> {
        Ok(self.meta(Kind::Figures, mapping.0)?.unwrap_or_default())
    }

    /// How far a mapping has looked for edits in the CRM.
    pub fn edits(&self, mapping: MappingId) -> Result<Option<Edits>, StateError> {
        self.meta(Kind::Edits, mapping.0)
    }

    /// Keeps it. Its loss is a second look at the same.
    pub fn set_edits(&self, mapping: MappingId, edits: &Edits) -> Result<(), StateError> {
        self.put(Family::Meta, &Key::new(Kind::Edits).u32(mapping.0).done(), edits, Durability::WithTheNext)
    }

    /// A CRM's count of its day, opaque here (the limiter's own form as JSON text).
    pub fn day(&self, crm: &str) -> Result<Option<String>, StateError> {
        self.get(Family::Meta, &Key::new(Kind::Day).bytes(crm.as_bytes()).done())
    }

    /// Keeps it, synced: a day's calls are reserved before they are used.
    pub fn set_day(&self, crm: &str, day: &str) -> Result<(), StateError> {
        self.put(Family::Meta, &Key::new(Kind::Day).bytes(crm.as_bytes()).done(), &day, Durability::Synced)
    }

    /// What is held, by the name of the thing (`mapping/contacts`, `crm/sales`, `writes`).
    pub fn holds(&self) -> Result<Vec<(String, Hold)>, StateError> {
        let mut holds = Vec::new();
        self.scan(Family::Meta, &Key::new(Kind::Hold).done(), |key, hold: Hold| {
            holds.push((String::from_utf8_lossy(Parts::of(key).rest()).into_owned(), hold));
            true
        })?;
        Ok(holds)
    }

    /// Holds a thing, or lets it go.
    pub fn set_hold(&self, name: &str, hold: Option<&Hold>) -> Result<(), StateError> {
        let key = Key::new(Kind::Hold).bytes(name.as_bytes()).done();
        match hold {
            Some(hold) => self.put(Family::Meta, &key, hold, Durability::Synced),
            None => self.delete(Family::Meta, &key, Durability::Synced),
        }
    }

    /// When the mapping's last deletions were sent, as seconds since 1970, for the guard.
    pub fn deletions(&self, mapping: MappingId) -> Result<Vec<u64>, StateError> {
        Ok(self.meta(Kind::Deletions, mapping.0)?.unwrap_or_default())
    }

    /// The generation after the newest in a lane.
    pub fn next_generation(&self, lane: MappingId) -> Result<Generation, StateError> {
        let newest = |kind: Kind| -> Result<u64, StateError> {
            let prefix = Key::new(kind).u32(lane.0).done();
            let end = crate::keys::after_prefix(&prefix);
            let mut entries = self.db().raw_iterator_cf(self.family(Family::Queue));
            entries.seek_for_prev(&end);
            entries.status()?;
            let key = entries.key().filter(|key| key.starts_with(&prefix));
            Ok(key.and_then(|key| Parts(key.get(5..)?).u64()).unwrap_or_default())
        };
        Ok(Generation(newest(Kind::Queued)?.max(newest(Kind::Generation)?) + 1))
    }

    /// What a generation holds `delivered` back to: the moment before its first change.
    pub fn generation_since(&self, lane: MappingId, generation: Generation) -> Result<Option<Since>, StateError> {
        self.get(Family::Queue, &generation_key(lane, generation))
    }

    /// What a mapping holds `delivered` back to: the oldest of its queued, parked (the first 10,000), waiting and marked rows.
    pub fn mapping_since(&self, mapping: MappingId) -> Result<Option<Since>, StateError> {
        let mut oldest = match self.oldest_generation(mapping)? {
            Some(generation) => self.generation_since(mapping, generation)?,
            None => None,
        };
        let mut older = |since: Option<Since>| {
            let is_older = |new: &Since| oldest.as_ref().is_none_or(|known| new.seq < known.seq);
            if let Some(since) = since.filter(is_older) {
                oldest = Some(since);
            }
        };
        let mut left = 10_000;
        self.scan(Family::Crm, &Key::new(Kind::Parked).u32(mapping.0).done(), |_, parked: Parked| {
            older(parked.since);
            left -= 1;
            left > 0
        })?;
        self.scan(Family::Crm, &Key::new(Kind::Waiting).u32(mapping.0).done(), |_, waiting: Waiting| {
            older(waiting.since);
            left -= 1;
            left > 0
        })?;
        older(self.related_since(mapping)?);
        Ok(oldest)
    }

    fn oldest_generation(&self, lane: MappingId) -> Result<Option<Generation>, StateError> {
        let prefix = Key::new(Kind::Queued).u32(lane.0).done();
        let mut entries = self.db().raw_iterator_cf(self.family(Family::Queue));
        entries.seek(&prefix);
        entries.status()?;
        let key = entries.key().filter(|key| key.starts_with(&prefix));
        Ok(key.and_then(|key| Parts(key.get(5..)?).u64()).map(Generation))
    }

    fn meta<T: DeserializeOwned>(&self, kind: Kind, number: u32) -> Result<Option<T>, StateError> {
        self.get(Family::Meta, &Key::new(kind).u32(number).done())
    }
}

/// A key and a value of the meta family, for a delivery batch.
pub(crate) fn figure_entry<T: Serialize>(kind: Kind, mapping: MappingId, value: &T) -> (Vec<u8>, Vec<u8>) {
    (Key::new(kind).u32(mapping.0).done(), crate::codec::encode(value))
}
