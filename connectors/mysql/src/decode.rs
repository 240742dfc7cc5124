//! Events of the log to changes. Pure: no I/O, no clock.
//!
//! A table map is resolved once into which columns become which cells and which make the key; a row is then packed from
//! the wire straight into the batch, without an allocation of its own.
//!
//! Rows are pushed as they come, and what a group said is tentative until its end: where the log takes it back (a
//! rollback, a savepoint, a server that crashed in the middle) it is dropped from the batch, and [`Event::Undo`] says so
//! of what was handed on before ([`Decoder::handed_on`]). A position is always the end of a group.

#![deny(clippy::indexing_slicing)]

mod everything;
mod group;
mod query;
mod row;
mod statement;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use passerelle_change::{Batch, ColumnIds, Event, Micros, Suspicion, TableName, TableSchema};

use crate::Error;
use crate::catalog::{KnownTable, KnownTables};
use crate::gtid::{MariadbGtid, MysqlGtid, Source};
use crate::position::{Gtids, LogPosition};
use crate::value::ZeroDates;
use crate::wire::{self, Alter, Body, Framing, Header, Malformed, NO_TABLE, PayloadEvents, Rows, TableMap, kind_name};
pub use everything::read_everything;
use group::{Group, number_of};
pub use passerelle_change::WantedTable;
use row::Scratch;
use statement::xid_name;
use table::{Knowledge, Table};

/// What a decoder starts from.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where the log is entered: the end of the last group that is not read again.
    pub start: LogPosition,
    /// What is made of dates that no calendar has.
    pub zero_dates: ZeroDates,
    /// Names of databases and tables are compared without regard to case (`lower_case_table_names` is not 0, MY-79).
    pub names_ignore_case: bool,
}

/// Whether an event was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decoded {
    /// It was.
    Whole,
    /// It holds a transaction that is too large for one batch: [`Decoder::more`] goes on with it.
    Partly,
}

/// A batch that has this much is handed on before a transaction's payload is read on.
const BATCH_BYTES: usize = 1 << 20;

/// More tables than a statement can lock.
const MAX_TABLES_OF_STATEMENT: usize = 100_000;

/// Columns of a wanted table that a statement in the log gave other names: not a guess (MY-42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenamedColumns {
    /// The table, as it is wanted.
    pub table: TableName,
    /// Names before and after; all at once, so that two can change places.
    pub columns: Vec<(String, String)>,
}

/// Turns events into changes, in their order. Holds the state of one connection: a new connection has a new decoder.
#[derive(Debug)]
pub struct Decoder {
    framing: Framing,
    settings: Settings,
    wanted: Vec<WantedTable>,
    slots: Vec<Slot>,
    known: KnownTables,
    ids: Arc<Mutex<ColumnIds>>,
    /// The tables of the open statement; those that nobody wants are `None`.
    mapped: BTreeMap<u64, Option<usize>>,
    /// Those of them that have had rows.
    with_rows: BTreeSet<u64>,
    group: Option<Group>,
    /// A transaction's payload that is not read to its end.
    payload: Option<PayloadEvents>,
    /// The end of the last group.
    ended: LogPosition,
    /// The end of the last event.
    here: LogPosition,
    /// When the last group was committed.
    committed_at: Option<Micros>,
    /// The end of the last group, or where the server is, if there was nothing for us since the last one that had.
    quiet: Option<LogPosition>,
    /// What statements said that nobody has taken yet.
    renamed_columns: Vec<RenamedColumns>,
    scratch: Scratch,
}

/// What is known of a wanted table.
#[derive(Debug, Default)]
struct Slot {
    /// The table map that it was resolved from, without its id.
    raw: Box<[u8]>,
    /// How its rows become changes, or why they cannot.
    table: Option<Result<Table, Suspicion>>,
    /// The schema last told.
    told: Option<TableSchema>,
    /// A statement changed it and the log does not say how: the catalogue is to be read again.
    stale: bool,
}

impl Decoder {
    /// A decoder for a new connection. `known` is what the catalogue says of the wanted tables; `ids` gives out column
    /// ids for every reader of this state.
    pub fn new(wanted: Vec<WantedTable>, known: KnownTables, ids: Arc<Mutex<ColumnIds>>, settings: Settings) -> Self {
        Self {
            framing: Framing::new(),
            slots: wanted.iter().map(|_| Slot::default()).collect(),
            wanted,
            known,
            ids,
            mapped: BTreeMap::new(),
            with_rows: BTreeSet::new(),
            group: None,
            payload: None,
            ended: settings.start.clone(),
            here: settings.start.clone(),
            committed_at: None,
            quiet: None,
            renamed_columns: Vec::new(),
            scratch: Scratch::default(),
            settings,
        }
    }

    /// The number of the open transaction.
    pub fn open_transaction(&self) -> Option<u64> {
        self.group.as_ref().map(|group| group.number)
    }

    /// When the open transaction, or else the last one, was committed, by the server's clock.
    pub fn committed_at(&self) -> Option<Micros> {
        self.group.as_ref().map(|group| group.committed_at).or(self.committed_at)
    }

    /// The end of the last transaction, or of the log as far as it had nothing since.
    pub fn ended(&self) -> &LogPosition {
        &self.ended
    }

    /// The end of the last transaction, or of the log as far as the server has sent it, if that had nothing for us, once:
    /// as good as an idle position.
    pub fn take_quiet(&mut self) -> Option<LogPosition> {
        self.quiet.take()
    }

    /// The batch was handed on: what the open transaction has in it can only be taken back by saying so.
    pub fn handed_on(&mut self) {
        if let Some(group) = &mut self.group {
            group.handed_on();
        }
    }

    /// Tables that a statement changed since the catalogue was read. Until [`Decoder::know`], what the log itself does not
    /// say of their columns is as it was, and where it does not even name them their rows cannot be read.
    pub fn stale(&self) -> impl Iterator<Item = &TableName> {
        let is_stale = |(wanted, slot): (_, &Slot)| slot.stale.then_some(wanted);
        self.wanted.iter().zip(&self.slots).filter_map(is_stale).map(|wanted: &WantedTable| &wanted.name)
    }

    /// Columns that statements renamed since this was asked last, in the order of the log.
    pub fn take_renamed_columns(&mut self) -> Vec<RenamedColumns> {
        std::mem::take(&mut self.renamed_columns)
    }

    /// The catalogue was read again.
    pub fn know(&mut self, name: &TableName, known: KnownTable) {
        self.known.insert(name.clone(), known);
        for (wanted, slot) in self.wanted.iter().zip(&mut self.slots) {
            if wanted.name == *name {
                // The statement that is open goes on as it was described.
                (slot.stale, slot.raw) = (false, Box::default());
            }
        }
    }

    /// Appends what an event says to `batch`; `bytes` are all of it, with header and checksum. After an error the decoder
    /// and the batch are of no more use: the source must be read again from its checkpoint.
    pub fn event(&mut self, bytes: &[u8], batch: &mut Batch) -> Result<Decoded, Error> {
        if self.payload.is_some() {
            return Err(Malformed("an event before the one before it was read").into());
        }
        let event = self.framing.event(bytes)?;
        self.advance(&event.header, &event.body);
        self.body(&event, batch)
    }

    /// Goes on with an event that was read partly.
    pub fn more(&mut self, batch: &mut Batch) -> Result<Decoded, Error> {
        let Some(mut payload) = self.payload.take() else { return Ok(Decoded::Whole) };
        let mut inner = std::mem::take(&mut self.scratch.inner);
        while payload.next(&mut inner)? {
            let event = self.framing.inner(&inner)?;
            if matches!(event.body, Body::Payload(_)) {
                return Err(Malformed("a transaction inside a transaction").into());
            }
            // One that is not whole is only ever a payload.
            let _ = self.body(&event, batch)?;
            if batch.size_bytes() >= BATCH_BYTES {
                self.scratch.inner = inner;
                self.payload = Some(payload);
                return Ok(Decoded::Partly);
            }
        }
        self.scratch.inner = inner;
        Ok(Decoded::Whole)
    }

    fn body(&mut self, event: &wire::Event<'_>, batch: &mut Batch) -> Result<Decoded, Error> {
        let header = &event.header;
        match &event.body {
            Body::Rows(rows) => self.rows(rows, batch)?,
            Body::Table(map) => self.table_map(map)?,
            Body::Commit { .. } => self.end(batch)?,
            Body::Query(query) => self.query(query, header, batch)?,
            Body::Gtid(gtid) => {
                let name = (gtid.number > 0).then(|| {
                    let tag = String::from_utf8_lossy(gtid.tag).into();
                    group::Name::Mysql(MysqlGtid { source: Source { uuid: gtid.uuid, tag }, number: gtid.number })
                });
                let committed_at = gtid.committed_micros.map_or(seconds(header), |micros| Micros(micros.cast_signed()));
                self.begin(name, committed_at, batch);
            }
            Body::MariadbGtid(gtid) => {
                let name = MariadbGtid { domain: gtid.domain, server: header.server_id, sequence: gtid.sequence };
                self.begin(Some(group::Name::Mariadb(name)), seconds(header), batch);
                if let Some(group) = &mut self.group {
                    group.opened = !gtid.standalone;
                    group.halved_alter = matches!(gtid.alter, Alter::Start | Alter::Rollback(_));
                }
            }
            Body::Prepare(prepare) => {
                if prepare.one_phase {
                    self.end(batch)?;
                } else {
                    let xid = prepare.xid;
                    self.prepared(&xid_name(xid.format, xid.global, xid.branch), batch)?;
                }
            }
            Body::Payload(payload) => {
                self.payload = Some(payload.open()?);
                return self.more(batch);
            }
            Body::Rotate(rotate) => {
                if !header.is_artificial() {
                    self.abandon(batch);
                }
                // One that is made up names where we are (MY-03): by GTIDs, that is before what we have seen of the file.
                let file = String::from_utf8_lossy(rotate.file);
                (self.here.file, self.here.offset) = (file.into_owned(), rotate.position);
            }
            // The server was started again: what was open then never ended (MY-04).
            Body::Format(format) if format.created != 0 && header.end != 0 => self.abandon(batch),
            Body::Stop => self.abandon(batch),
            Body::Heartbeat(heartbeat) => self.heartbeat(header, heartbeat),
            Body::PreviousGtids(previous) => self.previous(previous)?,
            Body::GtidList(list) => {
                if self.here.gtids == Gtids::None && !header.is_artificial() {
                    let mut gtids = crate::gtid::MariadbGtids::default();
                    for (domain, server, sequence) in list.iter() {
                        gtids.add(MariadbGtid { domain, server, sequence });
                    }
                    self.here.gtids = Gtids::Mariadb(gtids);
                }
            }
            Body::Incident(_) => self.suspect_all(Suspicion::LogLost, batch),
            Body::Statement { name } => match header.kind {
                // Parameters of the statement that follows, which names its tables itself.
                5 | 8..=11 | 13 | 14 | 17 => {}
                _ => return Err(Error::TooOld { name }),
            },
            Body::Format(_) | Body::Skipped => {}
            Body::Unknown if header.is_ignorable() => {}
            Body::Unknown => return Err(Error::UnknownEvent { kind: header.kind, name: kind_name(header.kind) }),
        }
        Ok(Decoded::Whole)
    }

    /// Moves on behind an event of the file (MY-11, MY-26).
    fn advance(&mut self, header: &Header, body: &Body<'_>) {
        let is_in_file = !header.is_artificial() && !matches!(body, Body::Heartbeat(_));
        // A format description that is sent again where we entered the file has no place.
        if !is_in_file || (header.end == 0 && matches!(body, Body::Format(_))) {
            return;
        }
        if header.end == 0 {
            self.here.offset += u64::from(header.size);
            return;
        }
        let (high, low) = (self.here.offset >> 32, self.here.offset & 0xffff_ffff);
        let end = u64::from(header.end);
        self.here.offset = (high + u64::from(end < low)) << 32 | end;
    }

    /// Between groups the server's own position is as good as ours (MY-06).
    fn heartbeat(&mut self, header: &Header, heartbeat: &wire::Heartbeat<'_>) {
        if self.group.is_some() || heartbeat.file != self.here.file.as_bytes() {
            return;
        }
        let offset = heartbeat.position.unwrap_or_else(|| u64::from(header.end));
        self.here.offset = self.here.offset.max(offset);
        // Also after nothing but a new file: the one before it may be thrown away. Not while the server looks for our place
        // from the beginning of a file on.
        let place = |at: &LogPosition| (at.file_number(), at.offset);
        if place(&self.here) > place(&self.ended) {
            self.ended.clone_from(&self.here);
            self.quiet = Some(self.here.clone());
        }
    }

    /// At the beginning of a file it says what is before it, to whoever does not know.
    fn previous(&mut self, previous: &wire::PreviousGtids<'_>) -> Result<(), Error> {
        if self.here.gtids != Gtids::None {
            return Ok(());
        }
        let mut gtids = crate::gtid::MysqlGtids::default();
        previous.each(|interval| {
            let tag = String::from_utf8_lossy(interval.tag).into();
            gtids.add_interval(Source { uuid: interval.uuid, tag }, interval.first, interval.end);
        })?;
        if !gtids.is_empty() {
            self.here.gtids = Gtids::Mysql(gtids);
        }
        Ok(())
    }

    fn begin(&mut self, name: Option<group::Name>, committed_at: Micros, batch: &mut Batch) {
        self.abandon(batch);
        let number = number_of(name.as_ref(), &self.here);
        self.group = Some(Group::new(number, name, committed_at, batch));
    }

    fn table_map(&mut self, map: &TableMap<'_>) -> Result<(), Error> {
        if self.mapped.len() >= MAX_TABLES_OF_STATEMENT {
            return Err(Malformed("a statement over more tables than there can be").into());
        }
        let at = self.find(map.database, map.table);
        self.mapped.insert(map.id, at);
        let Some((wanted, slot)) = at.and_then(|at| Some((self.wanted.get(at)?, self.slots.get_mut(at)?))) else {
            return Ok(());
        };
        if slot.table.is_some() && *slot.raw == *map.raw {
            return Ok(());
        }
        let known = Knowledge { table: self.known.get(&wanted.name), is_stale: slot.stale };
        slot.table =
            Some(Table::resolve(wanted, map, self.framing.is_mariadb(), known, self.settings.zero_dates, &self.ids)?);
        slot.raw = map.raw.into();
        Ok(())
    }

    /// The place of a wanted table.
    fn find(&self, database: &[u8], table: &[u8]) -> Option<usize> {
        let same = |a: &str, b: &[u8]| {
            a.as_bytes() == b
                || (self.settings.names_ignore_case && a.to_lowercase() == String::from_utf8_lossy(b).to_lowercase())
        };
        self.wanted.iter().position(|wanted| same(&wanted.name.name, table) && same(&wanted.name.schema, database))
    }

    fn rows(&mut self, rows: &Rows<'_>, batch: &mut Batch) -> Result<(), Error> {
        if rows.table != NO_TABLE {
            let at = *self.mapped.get(&rows.table).ok_or(Malformed("rows of a table that was not described"))?;
            self.with_rows.insert(rows.table);
            if let Some(at) = at {
                self.rows_of(at, rows, batch)?;
            }
        }
        if rows.ends_statement {
            self.end_statement(batch);
        }
        Ok(())
    }

    fn rows_of(&mut self, at: usize, rows: &Rows<'_>, batch: &mut Batch) -> Result<(), Error> {
        let (Some(slot), Some(wanted)) = (self.slots.get_mut(at), self.wanted.get(at)) else { return Ok(()) };
        let group = self.group.as_mut().ok_or(Malformed("a change outside a transaction"))?;
        group.tell(batch);
        match &slot.table {
            Some(Ok(table)) => {
                if slot.told.as_ref() != Some(&table.schema) {
                    slot.told = Some(table.schema.clone());
                    let behind = Some(self.here.position());
                    batch.push(Event::Schema { schema: table.schema.clone(), behind });
                }
                row::push_all(table, rows, &mut self.scratch, group, at, batch)
            }
            Some(Err(why)) => {
                // Once a group: whoever holds the table holds it until it was read again (MY-52).
                group.suspect(at, wanted.table, *why, batch);
                Ok(())
            }
            None => Err(Malformed("rows of a table that was not described").into()),
        }
    }

    /// Table maps are valid no more (MY-50). One without rows is of a table that a foreign key may have changed (MY-31).
    fn end_statement(&mut self, batch: &mut Batch) {
        for (id, at) in &self.mapped {
            let Some(wanted) = at.and_then(|at| self.wanted.get(at)) else { continue };
            let cascades = self.known.get(&wanted.name).is_some_and(|known| known.cascades);
            if cascades
                && !self.with_rows.contains(id)
                && let (Some(group), Some(at)) = (&mut self.group, at)
            {
                group.tell(batch);
                group.suspect(*at, wanted.table, Suspicion::ForeignKey, batch);
            }
        }
        self.mapped.clear();
        self.with_rows.clear();
    }

    fn suspect_all(&mut self, why: Suspicion, batch: &mut Batch) {
        for wanted in &self.wanted {
            batch.push(Event::Suspect { table: wanted.table, key: None, why });
        }
    }
}

/// When the statement began, which is all that the header says.
fn seconds(header: &Header) -> Micros {
    Micros(i64::from(header.timestamp) * 1_000_000)
}

#[cfg(test)]
mod tests;
