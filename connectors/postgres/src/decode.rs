//! pgoutput messages to events. Pure: no I/O, no clock.
//!
//! A table's `R` is resolved once into which columns become which cells and which make the key; a row is then packed
//! from the wire straight into the batch, without an allocation of its own.

mod table;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use passerelle_change::cells::push_cell;
use passerelle_change::{Batch, ColumnIds, Event, KeyBuf, Micros, Op, RowChange, Span, Suspicion, TableSchema};

use crate::types::{DynamicKind, DynamicType, is_built_in};
use crate::wire::{self, Field, Malformed, Message, Old, Tuple};
use crate::{Error, Lsn};
use table::{Relation, Table};

pub use passerelle_change::WantedTable;

/// Turns messages into events, in their order. Holds the state of one connection: a new connection has a new decoder.
#[derive(Debug)]
pub struct Decoder {
    wanted: Vec<WantedTable>,
    /// The schema last told of each wanted table.
    told: Vec<Option<TableSchema>>,
    types: HashMap<u32, DynamicType>,
    /// Those of them that the catalogue is to be asked for.
    unknown: BTreeSet<u32>,
    /// Those that it was to be asked for, by the names that the log gave them.
    asked: HashMap<u32, (String, String)>,
    ids: Arc<Mutex<ColumnIds>>,
    relations: HashMap<u32, usize>,
    /// The relations; those of tables that nobody wants are `None`.
    tables: Vec<Option<Relation>>,
    /// The relation of the last row: most rows are of the same table.
    last: Option<(u32, usize)>,
    transaction: Option<Transaction>,
    /// Wanted tables that were said to be suspect in the open transaction.
    suspected: BTreeSet<usize>,
    /// When the last transaction was committed.
    committed_at: Option<Micros>,
    /// The end of the last transaction that had something for us.
    ended: Lsn,
    /// The end of the last transaction, if it had nothing for us.
    quiet: Option<Lsn>,
    /// The fields of the row at hand, and of the row before it: kept for their room.
    new: Vec<Field>,
    old: Vec<Field>,
}

/// The open transaction.
#[derive(Clone, Copy, Debug)]
struct Transaction {
    number: Lsn,
    committed_at: Micros,
    /// Its `Begin` has been pushed: something in it is for us.
    told: bool,
}

impl Decoder {
    /// A decoder for a new connection. `types` are the catalogue's types that are not built in, by oid; `ids` gives out
    /// column ids for every reader of this state.
    pub fn new(wanted: Vec<WantedTable>, types: HashMap<u32, DynamicType>, ids: Arc<Mutex<ColumnIds>>) -> Self {
        Self {
            told: vec![None; wanted.len()],
            wanted,
            types,
            unknown: BTreeSet::new(),
            asked: HashMap::new(),
            ids,
            relations: HashMap::new(),
            tables: Vec::new(),
            last: None,
            transaction: None,
            suspected: BTreeSet::new(),
            committed_at: None,
            ended: Lsn::ZERO,
            quiet: None,
            new: Vec::new(),
            old: Vec::new(),
        }
    }

    /// The number of the open transaction.
    pub fn open_transaction(&self) -> Option<Lsn> {
        self.transaction.map(|open| open.number)
    }

    /// When the open transaction, or else the last one, was committed, by the server's clock.
    pub fn committed_at(&self) -> Option<Micros> {
        self.transaction.map(|open| open.committed_at).or(self.committed_at)
    }

    /// The end of the last transaction that produced events.
    pub fn ended(&self) -> Lsn {
        self.ended
    }

    /// The end of the last transaction if it produced no event, once: as good as an idle position.
    pub fn take_quiet(&mut self) -> Option<Lsn> {
        self.quiet.take()
    }

    /// Types that the log named and the catalogue, as it was read, did not have, or not by that name: what they are made of,
    /// the log does not say, and a domain has its base's name there. Until [`Decoder::know_types`] they go by what it does say.
    pub fn unknown_types(&self) -> impl Iterator<Item = u32> {
        self.unknown.iter().copied()
    }

    /// The catalogue was asked for the [unknown types](Self::unknown_types); those that are not in the answer are gone, and
    /// keep the names that the log gave them. To be called before the next message, which describes a table by them.
    pub fn know_types(&mut self, types: HashMap<u32, DynamicType>) {
        if types.iter().any(|(oid, now)| self.types.get(oid) != Some(now)) {
            // A relation that is described again in the same words may mean something else by them.
            self.tables.iter_mut().flatten().for_each(|relation| relation.raw = Box::default());
        }
        self.types.extend(types);
        self.unknown.clear();
    }

    /// Appends what a message of pgoutput says to `batch`. After an error the decoder and the batch are of no more use:
    /// the source must be read again from its checkpoint.
    pub fn message(&mut self, bytes: &[u8], batch: &mut Batch) -> Result<(), Error> {
        match wire::message(bytes)? {
            Message::Insert { relation, new } => self.change(relation, None, Some(new), batch),
            Message::Update { relation, old, new } => self.change(relation, old, Some(new), batch),
            Message::Delete { relation, old } => self.change(relation, Some(old), None, batch),
            Message::Begin { final_lsn, committed_at, .. } => self.begin(final_lsn, committed_at),
            Message::Commit { end_lsn, committed_at, .. } => self.commit(end_lsn, committed_at, batch),
            Message::Relation(relation) => self.relation(bytes, &relation, batch),
            Message::Type { oid, schema, name } => {
                self.name_type(oid, schema, name);
                Ok(())
            }
            Message::Truncate { relations, .. } => relations.iter().try_for_each(|oid| self.truncate(oid, batch)),
            // Origins do not matter to us (PG-31); messages may stand outside any transaction (PG-32).
            Message::Origin { .. } | Message::Logical { .. } => Ok(()),
        }
    }

    fn begin(&mut self, number: Lsn, committed_at: Micros) -> Result<(), Error> {
        if self.transaction.is_some() {
            return Err(Malformed("a transaction inside a transaction").into());
        }
        self.transaction = Some(Transaction { number, committed_at, told: false });
        self.suspected.clear();
        Ok(())
    }

    fn commit(&mut self, end: Lsn, committed_at: Micros, batch: &mut Batch) -> Result<(), Error> {
        let open = self.transaction.take().ok_or(Malformed("a commit outside a transaction"))?;
        self.committed_at = Some(committed_at);
        if open.told {
            (self.ended, self.quiet) = (end, None);
            batch.push(Event::End { position: end.position(), committed_at });
        } else {
            self.quiet = Some(end);
        }
        Ok(())
    }

    /// `R`: identical ones are sent again and again (PG-19).
    fn relation(&mut self, raw: &[u8], relation: &wire::Relation<'_>, batch: &mut Batch) -> Result<(), Error> {
        let at = *self.relations.entry(relation.oid).or_insert_with(|| {
            self.tables.push(None);
            self.tables.len() - 1
        });
        let Some(slot) = self.tables.get_mut(at) else { return Ok(()) };
        if slot.as_ref().is_some_and(|relation| *relation.raw == *raw) {
            return Ok(());
        }
        let is_it = |wanted: &WantedTable| {
            wanted.name.schema.as_bytes() == relation.schema && wanted.name.name.as_bytes() == relation.name
        };
        let Some(index) = self.wanted.iter().position(is_it) else {
            *slot = None;
            return Ok(());
        };
        let (Some(wanted), Some(told)) = (self.wanted.get(index), self.told.get_mut(index)) else { return Ok(()) };
        let resolved = Table::resolve(wanted, relation, &self.types, &self.ids)?;
        let table = match resolved {
            Ok((table, schema)) => {
                if told.as_ref() != Some(&schema) {
                    *told = Some(schema.clone());
                    tell(&mut self.transaction, batch)?;
                    // Its commit, of which nothing older is to come.
                    let behind = self.transaction.map(|open| open.number.position());
                    batch.push(Event::Schema { schema, behind });
                }
                Ok(table)
            }
            Err(why) => Err(why),
        };
        *slot = Some(Relation { wanted: index, id: wanted.table, table, raw: raw.into() });
        Ok(())
    }

    /// `Y`. What the catalogue knows goes before: it has labels and bases, and of a domain `Y` has the base's name. What
    /// the catalogue knows under another name is asked for again, once.
    fn name_type(&mut self, oid: u32, schema: &[u8], name: &[u8]) {
        let schema = if schema.is_empty() { b"pg_catalog" } else { schema };
        let (schema, name) = (String::from_utf8_lossy(schema), String::from_utf8_lossy(name));
        let is_it = |known: &DynamicType| known.schema == schema && known.name == name;
        let is_known = |known: &DynamicType| is_it(known) || matches!(known.kind, DynamicKind::Domain { .. });
        if is_built_in(oid) || self.types.get(&oid).is_some_and(is_known) {
            return;
        }
        if !self.types.contains_key(&oid) {
            let known = self.types.values().find(|known| is_it(known)).cloned();
            let fresh = || DynamicType {
                schema: schema.clone().into_owned(),
                name: name.clone().into_owned(),
                kind: DynamicKind::Other,
            };
            self.types.insert(oid, known.unwrap_or_else(fresh));
        }
        let named = (schema.into_owned(), name.into_owned());
        if self.asked.get(&oid) != Some(&named) {
            self.unknown.insert(oid);
            self.asked.insert(oid, named);
        }
    }

    fn truncate(&mut self, oid: u32, batch: &mut Batch) -> Result<(), Error> {
        let at = self.find(oid)?;
        if let Some(Some(relation)) = self.tables.get(at) {
            tell(&mut self.transaction, batch)?;
            batch.push(Event::Truncate(relation.id));
        }
        Ok(())
    }

    fn find(&mut self, oid: u32) -> Result<usize, Malformed> {
        match self.last {
            Some((last, at)) if last == oid => Ok(at),
            _ => {
                let at = *self.relations.get(&oid).ok_or(Malformed("a row of a table that was not described"))?;
                self.last = Some((oid, at));
                Ok(at)
            }
        }
    }

    /// One row: insert (no old), update, delete (no new).
    fn change(
        &mut self,
        oid: u32,
        old: Option<Old<'_>>,
        new: Option<Tuple<'_>>,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let at = self.find(oid)?;
        let Some(Some(relation)) = self.tables.get(at) else { return Ok(()) };
        let table = match &relation.table {
            Ok(table) => table,
            // Its rows cannot be told apart: whoever holds it holds it until it was read again, and nothing else.
            Err(why) => {
                tell(&mut self.transaction, batch)?;
                suspect(&mut self.suspected, relation, *why, batch);
                return Ok(());
            }
        };
        let (old_tuple, old_is_full) = match old {
            Some(Old::Key(tuple)) => (Some(tuple), false),
            Some(Old::Full(tuple)) => (Some(tuple), true),
            None => (None, false),
        };
        let old = read(old_tuple, &mut self.old, table.width)?;
        let new = read(new, &mut self.new, table.width)?;
        tell(&mut self.transaction, batch)?;
        let change = match (new, old) {
            (Some(new), old) => upsert(table, new, old, old_is_full, batch),
            (None, Some(old)) => pack_key(table, old, None, batch).map(|key| RowChange {
                table: table.id,
                op: Op::Gone,
                key,
                old_key: None,
                cells: Span::default(),
            }),
            (None, None) => return Err(Malformed("a change without a row").into()),
        };
        match change {
            Some(change) => batch.push(Event::Row(change)),
            None => suspect(&mut self.suspected, relation, Suspicion::NoKeyValue, batch),
        }
        Ok(())
    }
}

/// A row as it was read: its fields and the bytes they point into.
#[derive(Clone, Copy)]
struct Row<'a> {
    tuple: Tuple<'a>,
    fields: &'a [Field],
}

impl<'a> Row<'a> {
    fn field(&self, column: usize) -> Field {
        // Checked once a row by `read`; a column outside it would be one that was not sent.
        self.fields.get(column).copied().unwrap_or(Field::Unchanged)
    }

    fn text(&self, column: usize) -> Option<&'a [u8]> {
        self.tuple.text(self.field(column))
    }
}

fn read<'a>(tuple: Option<Tuple<'a>>, fields: &'a mut Vec<Field>, width: usize) -> Result<Option<Row<'a>>, Malformed> {
    let Some(tuple) = tuple else { return Ok(None) };
    tuple.read(fields)?;
    if fields.len() != width {
        return Err(Malformed("a row with another number of columns than its table"));
    }
    Ok(Some(Row { tuple, fields }))
}

/// Says once a transaction that a table can't be trusted.
fn suspect(suspected: &mut BTreeSet<usize>, relation: &Relation, why: Suspicion, batch: &mut Batch) {
    if suspected.insert(relation.wanted) {
        batch.push(Event::Suspect { table: relation.id, key: None, why });
    }
}

/// Pushes the open transaction's `Begin` before its first event.
fn tell(transaction: &mut Option<Transaction>, batch: &mut Batch) -> Result<(), Malformed> {
    let open = transaction.as_mut().ok_or(Malformed("a change outside a transaction"))?;
    if !open.told {
        open.told = true;
        batch.push(Event::Begin { transaction: open.number.0, committed_at: open.committed_at });
    }
    Ok(())
}

/// An insert or update: what is not sent (PG-15) is taken from the row before where that is whole (PG-16), else the
/// change is partial, as it is where the table on the wire lacks a wanted column. None without a value for the key.
fn upsert(
    table: &Table,
    new: Row<'_>,
    old: Option<Row<'_>>,
    old_is_full: bool,
    batch: &mut Batch,
) -> Option<RowChange> {
    let whole = old.filter(|_| old_is_full);
    let mut op = if table.is_whole { Op::Full } else { Op::Partial };
    let cells = batch.pack(|out| {
        for &(column, id) in &table.cells {
            match (new.field(column), whole) {
                (Field::Text { .. } | Field::Null, _) => push_cell(out, id, new.text(column)),
                (Field::Unchanged, Some(old)) if old.field(column) != Field::Unchanged => {
                    push_cell(out, id, old.text(column));
                }
                (Field::Unchanged, _) => op = Op::Partial,
            }
        }
    });
    let key = pack_key(table, new, old, batch)?;
    let old_key = match old {
        Some(old) if moved(table, new, old) => Some(pack_key(table, old, None, batch)?),
        _ => None,
    };
    Some(RowChange { table: table.id, op, key, old_key, cells })
}

/// Whether the key of the row changed. A part that is not sent did not (PG-14 is about the other columns).
fn moved(table: &Table, new: Row<'_>, old: Row<'_>) -> bool {
    table.key.iter().any(|part| new.text(part.column).is_some_and(|text| old.text(part.column) != Some(text)))
}

/// Packs the key of `row`; parts that are TOASTed and unchanged are in the row before it.
fn pack_key(table: &Table, row: Row<'_>, before: Option<Row<'_>>, batch: &mut Batch) -> Option<Span> {
    let mut whole = true;
    let span = batch.pack(|out| {
        for part in &table.key {
            let unchanged = row.field(part.column) == Field::Unchanged;
            let text =
                if unchanged { before.and_then(|before| before.text(part.column)) } else { row.text(part.column) };
            match text {
                Some(text) => KeyBuf(out).push(part.is_integer, text),
                None => whole = false,
            }
        }
    });
    whole.then_some(span)
}

#[cfg(test)]
mod tests;
