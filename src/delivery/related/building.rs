//! Rows that are there already: after a load, after a TRUNCATE, and for a relation that is new.

use std::time::Instant;

use passerelle_change::Seq;
use passerelle_state::{BuiltBranch, StateError, Store, View};

use super::taking::Work;
use super::{Indexes, Pace, Relation, TAKEN};

impl Indexes {
    /// Whether all relations that the entries of this one are made with are built.
    pub(super) fn can_make(&self, relation: &Relation) -> bool {
        let of = self.of.get(&relation.mapping).map_or(&[][..], Vec::as_slice);
        let asks = relation.compiled().branches().iter().flat_map(|branch| branch.scope().asks());
        asks.into_iter().all(|ask| of.get(ask.relation).is_some_and(|&at| self.relations[at].is_built()))
    }

    /// Goes on with what is to be built.
    pub(super) fn build(
        &mut self,
        store: &Store,
        view: &View<'_>,
        now: i64,
        until: Instant,
    ) -> Result<Pace, StateError> {
        for relation in 0..self.relations.len() {
            let known = &self.relations[relation];
            if !self.can_make(known) || self.held.contains_key(&known.mapping) {
                continue;
            }
            for branch in 0..self.relations[relation].tables.len() {
                while self.is_due(relation, branch) {
                    let after = self.relations[relation].built.branches[branch].after.clone();
                    let table = self.relations[relation].tables[branch];
                    let rows = view.rows(self.tables[table].id, after.as_deref(), TAKEN)?;
                    let mut work = Work::new(store, now);
                    for (row_key, _) in &rows {
                        if !self.take_into(&mut work, view, relation, (branch as u8, row_key), None)? {
                            self.incomplete.entry((table, row_key.clone())).or_default();
                        }
                    }
                    let of = &mut self.relations[relation].built.branches[branch];
                    of.after = rows.last().map(|(last, _)| last.clone());
                    of.done = rows.len() < TAKEN;
                    of.was_done |= of.done;
                    work.batch.built(self.relations[relation].id, &self.relations[relation].built);
                    work.flush(self)?;
                    self.know(self.relations[relation].mapping);
                    if Instant::now() >= until {
                        return Ok(Pace::More);
                    }
                }
            }
        }
        Ok(Pace::Done)
    }

    /// Whether there are rows of a table to take that are there already.
    fn is_due(&mut self, relation: usize, branch: usize) -> bool {
        let table = &self.tables[self.relations[relation].tables[branch]];
        if !table.loaded || table.suspected {
            return false;
        }
        let (load, truncated) = (table.load, table.swept.truncated.unwrap_or(Seq::ZERO));
        let built = &mut self.relations[relation].built.branches;
        built.resize_with(built.len().max(branch + 1), BuiltBranch::default);
        let known = &mut built[branch];
        if known.load != load || known.truncated != truncated {
            *known = BuiltBranch { load, truncated, was_done: known.was_done, ..BuiltBranch::default() };
        }
        !known.done
    }

    /// Whether a relation has every row of its tables as they were loaded.
    pub(super) fn has_all(&self, relation: &Relation) -> bool {
        let branches = relation.compiled().branches().len();
        (relation.built.branches.len(), relation.tables.len()) == (branches, branches)
            && relation.built.branches.iter().zip(&relation.tables).all(|(built, &table)| {
                let table = &self.tables[table];
                let truncated = table.swept.truncated.unwrap_or(Seq::ZERO);
                built.done && built.load == table.load && built.truncated == truncated
            })
    }
}
