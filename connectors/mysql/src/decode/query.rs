//! Statements in the log: what they mean for the group that is open, and for the tables that are captured.

use passerelle_change::{Batch, Event, Suspicion};

use super::group::{Group, number_of};
use super::statement::{self, Named, Statement};
use super::{Decoder, RenamedColumns, seconds};
use crate::Error;
use crate::wire::{Header, Query};

/// More statements of that kind than anybody runs while nobody looks.
const MAX_RENAMES: usize = 1000;

impl Decoder {
    pub(super) fn query(&mut self, query: &Query<'_>, header: &Header, batch: &mut Batch) -> Result<(), Error> {
        let mut room = std::mem::take(&mut self.scratch.data);
        let text = query.text.open(&mut room)?;
        let statement = statement::read(text, &query.status);
        self.scratch.data = room;
        if self.group.is_none() {
            // A log without GTIDs: the statement opens a group, or is one.
            let number = number_of(None, &self.here);
            self.group = Some(Group::new(number, None, seconds(header), batch));
        }
        let Some(group) = &mut self.group else { return Ok(()) };
        match statement {
            Statement::Begin => {
                group.opened = true;
                return Ok(());
            }
            Statement::Savepoint(name) => return group.savepoint(name),
            Statement::RollbackTo(name) => {
                group.roll_back(Some(&name), batch);
                return Ok(());
            }
            Statement::Rollback => {
                group.roll_back(None, batch);
                return self.end(batch);
            }
            Statement::Commit | Statement::XaCommit { one_phase: true, .. } => return self.end(batch),
            Statement::XaCommit { name, one_phase: false } => self.decided(&name, true, batch),
            Statement::XaRollback { name } => self.decided(&name, false, batch),
            _ if group.halved_alter => {}
            definition => self.definition(definition, query.database, batch),
        }
        // A data definition inside an open group does not end it (MY-34).
        if self.group.as_ref().is_some_and(|group| group.opened) { Ok(()) } else { self.end(batch) }
    }

    fn decided(&mut self, name: &[u8], committed: bool, batch: &mut Batch) {
        let Some(group) = &mut self.group else { return };
        group.tell(batch);
        let name = batch.pack(|out| out.extend_from_slice(name));
        batch.push(Event::Decided { name, committed });
        group.decided();
    }

    fn definition(&mut self, statement: Statement, database: &[u8], batch: &mut Batch) {
        match statement {
            Statement::Truncate(table) => {
                if let Some(at) = self.named(&table, database) {
                    self.truncated(at, batch);
                }
            }
            Statement::Altered { table, columns } => {
                if let Some(at) = self.named(&table, database) {
                    self.changed(at);
                    self.columns_renamed(at, columns);
                }
            }
            Statement::Replaced(tables) => {
                for table in &tables {
                    if let Some(at) = self.named(table, database) {
                        self.changed(at);
                        self.suspect(at, Suspicion::Replaced, batch);
                    }
                }
            }
            Statement::Renamed(pairs) => {
                let mut gone: Vec<usize> = pairs.iter().filter_map(|(from, _)| self.named(from, database)).collect();
                for (_, to) in &pairs {
                    let Some(at) = self.named(to, database) else { continue };
                    self.changed(at);
                    // Another table in its place, in one step: a copy that took over (MY-39). Else it is a new one.
                    if let Some(swapped) = gone.iter().position(|&other| other == at) {
                        gone.swap_remove(swapped);
                    } else {
                        self.suspect(at, Suspicion::Replaced, batch);
                    }
                }
                for at in gone {
                    self.changed(at);
                    self.suspect(at, Suspicion::Replaced, batch);
                }
            }
            Statement::DroppedDatabase(dropped) => {
                for at in 0..self.wanted.len() {
                    if self.wanted.get(at).is_some_and(|wanted| wanted.name.schema == dropped) {
                        self.changed(at);
                        self.suspect(at, Suspicion::Replaced, batch);
                    }
                }
            }
            Statement::Rows(tables) => {
                for table in &tables {
                    if let Some(at) = self.named(table, database) {
                        self.suspect(at, Suspicion::LoggedAsText, batch);
                    }
                }
            }
            Statement::Begin
            | Statement::Commit
            | Statement::Rollback
            | Statement::Savepoint(_)
            | Statement::RollbackTo(_)
            | Statement::XaCommit { .. }
            | Statement::XaRollback { .. }
            | Statement::Nothing => {}
        }
    }

    fn truncated(&mut self, at: usize, batch: &mut Batch) {
        let (Some(group), Some(wanted)) = (&mut self.group, self.wanted.get(at)) else { return };
        group.tell(batch);
        batch.push(Event::Truncate(wanted.table));
        group.pushed(at, wanted.table);
    }

    /// Its columns may be others: what the catalogue said is not true any more.
    fn changed(&mut self, at: usize) {
        if let Some(slot) = self.slots.get_mut(at) {
            (slot.stale, slot.raw) = (true, Box::default());
        }
    }

    fn columns_renamed(&mut self, at: usize, columns: Vec<(String, String)>) {
        let Some(wanted) = self.wanted.get(at) else { return };
        // Whoever does not take them has the catalogue to guess by.
        if !columns.is_empty() && self.renamed_columns.len() < MAX_RENAMES {
            self.renamed_columns.push(RenamedColumns { table: wanted.name.clone(), columns });
        }
    }

    fn suspect(&mut self, at: usize, why: Suspicion, batch: &mut Batch) {
        if let (Some(group), Some(wanted)) = (&mut self.group, self.wanted.get(at)) {
            group.suspect(at, wanted.table, why, batch);
        }
    }

    /// The place of a table that a statement names.
    fn named(&self, table: &Named, database: &[u8]) -> Option<usize> {
        let database = table.database.as_deref().map_or(database, str::as_bytes);
        self.find(database, table.table.as_bytes())
    }
}
