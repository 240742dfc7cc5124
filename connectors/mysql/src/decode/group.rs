//! A group of events: a transaction, or a statement that is one by itself.

use std::collections::BTreeSet;

use passerelle_change::{Batch, Event, Micros, Suspicion, TableId};

use super::Decoder;
use crate::Error;
use crate::gtid::{MariadbGtid, MariadbGtids, MysqlGtid, MysqlGtids};
use crate::position::{Gtids, LogPosition};
use crate::wire::Malformed;

/// More savepoints than a transaction can need at once.
const MAX_SAVEPOINTS: usize = 100_000;

/// The name of a group.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Mysql(MysqlGtid),
    Mariadb(MariadbGtid),
}

/// The open group.
#[derive(Debug)]
pub(super) struct Group {
    /// Tells it from others; the same when it is sent again.
    pub(super) number: u64,
    name: Option<Name>,
    pub(super) committed_at: Micros,
    /// It goes on until an event that ends it; otherwise its statement is all of it.
    pub(super) opened: bool,
    /// The first half of an ALTER, or one that did not happen (MY-27).
    pub(super) halved_alter: bool,
    /// Its `Begin` has been pushed: something in it is for us.
    told: bool,
    /// The events of the batch that are not its own.
    first: usize,
    /// Row, truncate and decided events pushed.
    rows: u64,
    /// How many of them were handed on.
    handed: u64,
    savepoints: Vec<(String, u64)>,
    /// Tables that had rows, and the number of the last.
    touched: Vec<(usize, TableId, u64)>,
    /// Tables that were suspected.
    suspected: BTreeSet<usize>,
}

impl Group {
    pub(super) fn new(number: u64, name: Option<Name>, committed_at: Micros, batch: &Batch) -> Self {
        Self {
            number,
            name,
            committed_at,
            opened: false,
            halved_alter: false,
            told: false,
            first: batch.events().len(),
            rows: 0,
            handed: 0,
            savepoints: Vec::new(),
            touched: Vec::new(),
            suspected: BTreeSet::new(),
        }
    }

    pub(super) fn handed_on(&mut self) {
        (self.handed, self.first) = (self.rows, 0);
    }

    /// Pushes its `Begin` before its first event.
    pub(super) fn tell(&mut self, batch: &mut Batch) {
        if !self.told {
            self.told = true;
            batch.push(Event::Begin { transaction: self.number, committed_at: self.committed_at });
        }
    }

    /// A row or truncate event of the table at that place was pushed.
    pub(super) fn pushed(&mut self, at: usize, table: TableId) {
        self.rows += 1;
        match self.touched.iter_mut().find(|(other, ..)| *other == at) {
            Some((.., last)) => *last = self.rows,
            None => self.touched.push((at, table, self.rows)),
        }
    }

    /// A decision about another transaction was pushed.
    pub(super) fn decided(&mut self) {
        self.rows += 1;
    }

    /// Says once that a table can't be trusted.
    pub(super) fn suspect(&mut self, at: usize, table: TableId, why: Suspicion, batch: &mut Batch) {
        if self.suspected.insert(at) {
            self.tell(batch);
            batch.push(Event::Suspect { table, key: None, why });
        }
    }

    pub(super) fn savepoint(&mut self, name: String) -> Result<(), Error> {
        self.savepoints.retain(|(other, _)| *other != name);
        if self.savepoints.len() >= MAX_SAVEPOINTS {
            return Err(Malformed("a transaction with more savepoints than there can be").into());
        }
        self.savepoints.push((name, self.rows));
        Ok(())
    }

    /// Back to a savepoint, or to the beginning where there is none of that name. It is only logged where tables without
    /// transactions had changes, which stay: which of the rows those were, the log does not say (MY-29, MY-30).
    pub(super) fn roll_back(&mut self, to: Option<&str>, batch: &mut Batch) {
        let at = to.and_then(|name| self.savepoints.iter().position(|(other, _)| other == name));
        let kept = at.and_then(|at| self.savepoints.get(at)).map_or(0, |(_, rows)| *rows);
        self.savepoints.truncate(at.map_or(0, |at| at + 1));
        let touched: Vec<_> = self.touched.iter().filter(|(.., last)| *last > kept).copied().collect();
        self.undo(kept, batch);
        for (at, table, _) in touched {
            self.suspect(at, table, Suspicion::RolledBack, batch);
        }
    }

    /// Takes back all but the first `kept` of its row, truncate and decided events.
    fn undo(&mut self, kept: u64, batch: &mut Batch) {
        let mut seen = self.handed;
        batch.retain_from(self.first, |event| match event {
            Event::Row(_) | Event::Truncate(_) | Event::Decided { .. } => {
                seen += 1;
                seen <= kept
            }
            _ => true,
        });
        if kept < self.handed {
            batch.push(Event::Undo { kept });
        }
        self.rows = self.rows.min(kept);
        self.handed = self.handed.min(kept);
        self.touched.retain(|(.., last)| *last <= kept);
    }
}

impl Decoder {
    /// The open group is committed.
    pub(super) fn end(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let group = self.close()?;
        if group.told {
            batch.push(Event::End { position: self.ended.position(), committed_at: group.committed_at });
        }
        Ok(())
    }

    /// The open group is the first half of a distributed transaction (MY-28).
    pub(super) fn prepared(&mut self, name: &[u8], batch: &mut Batch) -> Result<(), Error> {
        // One that has nothing for us is told, too: its name must be known when it is decided.
        if let Some(group) = &mut self.group {
            group.tell(batch);
        }
        let group = self.close()?;
        let name = batch.pack(|out| out.extend_from_slice(name));
        batch.push(Event::Prepared { name, position: self.ended.position(), committed_at: group.committed_at });
        Ok(())
    }

    /// The position moves on behind the open group (MY-20).
    fn close(&mut self) -> Result<Group, Error> {
        let group = self.group.take().ok_or(Malformed("the end of a transaction outside one"))?;
        self.committed_at = Some(group.committed_at);
        match &group.name {
            Some(Name::Mysql(gtid)) => {
                if !matches!(self.here.gtids, Gtids::Mysql(_)) {
                    self.here.gtids = Gtids::Mysql(MysqlGtids::default());
                }
                if let Gtids::Mysql(gtids) = &mut self.here.gtids {
                    gtids.add(gtid);
                }
            }
            Some(Name::Mariadb(gtid)) => {
                if !matches!(self.here.gtids, Gtids::Mariadb(_)) {
                    self.here.gtids = Gtids::Mariadb(MariadbGtids::default());
                }
                if let Gtids::Mariadb(gtids) = &mut self.here.gtids {
                    gtids.add(*gtid);
                }
            }
            // A transaction without a name is in no set of names (MY-22): from here on the place is the file and the offset.
            None if matches!(self.here.gtids, Gtids::Mysql(_)) => self.here.gtids = Gtids::None,
            None => {}
        }
        self.ended.clone_from(&self.here);
        self.quiet = (!group.told).then(|| self.ended.clone());
        Ok(group)
    }

    /// The open group will never end: the server crashed while it wrote it (MY-04). It is as if it had not begun.
    pub(super) fn abandon(&mut self, batch: &mut Batch) {
        let Some(mut group) = self.group.take() else { return };
        self.mapped.clear();
        self.with_rows.clear();
        group.undo(0, batch);
        if group.told {
            batch.push(Event::End { position: self.ended.position(), committed_at: group.committed_at });
        }
    }
}

/// A number for a group: of its name, or of where it begins on this server.
pub(super) fn number_of(name: Option<&Name>, here: &LogPosition) -> u64 {
    let text = match name {
        Some(Name::Mysql(gtid)) => gtid.to_string(),
        Some(Name::Mariadb(gtid)) => gtid.to_string(),
        None => format!("{}:{}", here.file, here.offset),
    };
    // FNV-1a: it only tells one open transaction from another.
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
