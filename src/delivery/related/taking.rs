//! A changed row of a related table → what the indexes keep of it.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use passerelle_state::{
    DeliveryBatch, Dependent, Durability, Indexed, JoinKey, MappingId, Queued, RelatedRow, Since, StateError, Store,
    View,
};

use super::reader::{Kept, Reader, there};
use super::{Indexes, Relation};
use crate::mapping::related::rollup::{Group, Rollup};
use crate::mapping::related::{Form, Made};

/// Groups in hand before a batch is written.
const GROUPS: usize = 500;

/// One batch of changes to indexes, and what it knows that the state does not show yet.
pub(super) struct Work<'s> {
    pub store: &'s Store,
    /// Microseconds since 1970.
    pub now: i64,
    pub batch: DeliveryBatch<'s>,
    groups: HashMap<JoinKey, Group>,
    /// Rows in the batch: one that comes again has to be read.
    rows: HashSet<(usize, u8, Vec<u8>)>,
    /// Groups with windows: when the next row leaves them is asked once their lines are written.
    windows: HashSet<(usize, JoinKey)>,
    /// Lane entries that are done once all of it is.
    done: Vec<(MappingId, Queued)>,
    /// Changes so far.
    changes: usize,
}

impl<'s> Work<'s> {
    pub(super) fn new(store: &'s Store, now: i64) -> Self {
        Self {
            store,
            now,
            batch: DeliveryBatch::new(store),
            groups: HashMap::new(),
            rows: HashSet::new(),
            windows: HashSet::new(),
            done: Vec::new(),
            changes: 0,
        }
    }

    /// An entry of a lane is done with this batch.
    pub(super) fn done(&mut self, lane: MappingId, queued: Queued) {
        self.done.push((lane, queued));
    }

    /// Writes what is in hand. When rows leave windows is written after their lines, in one batch with the entries that are
    /// done: a crash between makes them come again.
    pub(super) fn flush(&mut self, indexes: &mut Indexes) -> Result<(), StateError> {
        let mut batch = std::mem::replace(&mut self.batch, DeliveryBatch::new(self.store));
        for (at, group) in self.groups.drain() {
            batch.group(&at, (!Rollup::is_empty(&group)).then_some(&group));
        }
        if !batch.is_empty() {
            self.store.write_delivery(batch, Durability::WithTheNext)?;
        }
        self.rows.clear();
        self.changes = 0;
        let mut after = DeliveryBatch::new(self.store);
        for (relation, at) in self.windows.drain() {
            let Form::Rollup(rollup) = indexes.relations[relation].compiled().form() else { continue };
            let group = self.store.group::<Group>(&at)?;
            let next = match &group {
                Some(group) => rollup.next_expiry(group, &Kept { store: self.store, at: &at })?,
                None => None,
            };
            after.expiry(&at, self.store.expiry_of(&at)?, next);
            if let Some(next) = next {
                indexes.next_expiry = Some(indexes.next_expiry.map_or(next, |known| known.min(next)));
            }
        }
        for (lane, queued) in self.done.drain(..) {
            after.dequeue(lane, &queued);
        }
        if after.is_empty() { Ok(()) } else { self.store.write_delivery(after, Durability::WithTheNext) }
    }

    /// A group as it is with what is in hand, at the batch's time.
    pub(super) fn group(&mut self, at: &JoinKey) -> Result<Group, StateError> {
        match self.groups.get(at) {
            Some(group) => Ok(group.clone()),
            None => Ok(self.store.group(at)?.unwrap_or_default()),
        }
    }

    pub(super) fn keep_group(&mut self, relation: usize, at: &JoinKey, group: Group, has_windows: bool) {
        self.groups.insert(at.clone(), group);
        if has_windows {
            self.windows.insert((relation, at.clone()));
        }
    }
}

impl Indexes {
    /// Takes a row of a related table as the view shows it. False where it came in part, and has to be fetched.
    pub(super) fn take(
        &mut self,
        work: &mut Work<'_>,
        view: &View<'_>,
        (table, row_key): (usize, &[u8]),
        since: Option<&Since>,
    ) -> Result<bool, StateError> {
        let mut is_whole = true;
        for at in 0..self.tables[table].uses.len() {
            let (relation, branch) = self.tables[table].uses[at];
            is_whole &= self.take_into(work, view, relation, (branch, row_key), since)?;
        }
        Ok(is_whole)
    }

    /// The same for one relation.
    pub(super) fn take_into(
        &mut self,
        work: &mut Work<'_>,
        view: &View<'_>,
        relation: usize,
        (branch, row_key): (u8, &[u8]),
        since: Option<&Since>,
    ) -> Result<bool, StateError> {
        let name = (relation, branch, row_key.to_vec());
        if work.changes >= super::TAKEN || work.groups.len() >= GROUPS || work.rows.contains(&name) {
            work.flush(self)?;
        }
        work.rows.insert(name);
        work.changes += 1;
        let known = &self.relations[relation];
        if !self.can_make(known) || self.held.contains_key(&known.mapping) {
            // Its rows are taken all together, once what they are made with is there, or the mapping goes on.
            return Ok(true);
        }
        let asked = RefCell::new(Vec::new());
        let reader = Reader { store: work.store, view, indexes: self, asked: &asked };
        let Some(Evaluated { indexed: now, needs }) = evaluated(&reader, known, branch, row_key)? else {
            return Ok(false);
        };
        let (id, mapping) = (known.id, known.mapping);
        let before = work.store.indexed(id, branch, row_key)?;
        if let Form::Rollup(rollup) = known.compiled().form() {
            let reads_lines = has_windows(rollup) || rollup.figures.iter().any(|figure| figure.distinct);
            let in_hand = |indexed: &Indexed| work.groups.contains_key(&(id, indexed.key.clone()));
            if reads_lines && [&before, &now].into_iter().flatten().any(in_hand) {
                work.flush(self)?;
                work.rows.insert((relation, branch, row_key.to_vec()));
            }
        }
        let known = &self.relations[relation];
        if !known.compiled().branches()[usize::from(branch)].scope().asks().is_empty() {
            let dependent = Dependent::Entry { relation: id, branch, row_key: row_key.to_vec() };
            let before = work.store.needs(&dependent)?;
            if before != needs {
                work.batch.needs(&dependent, &before, &needs);
            }
        }
        if before == now {
            self.refresh_window(work, relation, now.as_ref());
            return Ok(true);
        }
        work.batch.indexed(id, branch, row_key, now.as_ref());
        self.write_rows(work, relation, (branch, row_key), [before.as_ref(), now.as_ref()])?;
        if self.relations[relation].is_built() {
            let mut keys: Vec<&Vec<u8>> = [&before, &now].into_iter().flatten().map(|indexed| &indexed.key).collect();
            keys.dedup();
            for key in keys {
                self.touch(work, (relation, mapping), &(id, key.clone()), since)?;
            }
        }
        Ok(true)
    }

    /// A crash may have come between a row's lines and the time that its window moves at.
    fn refresh_window(&self, work: &mut Work<'_>, relation: usize, now: Option<&Indexed>) {
        let known = &self.relations[relation];
        if let (Form::Rollup(rollup), Some(now)) = (known.compiled().form(), now)
            && has_windows(rollup)
        {
            work.windows.insert((relation, (known.id, now.key.clone())));
        }
    }

    /// What a relation keeps of a row besides what the row gave: entries of a join key, or what its group comes to.
    fn write_rows(
        &mut self,
        work: &mut Work<'_>,
        relation: usize,
        (branch, row_key): (u8, &[u8]),
        [before, now]: [Option<&Indexed>; 2],
    ) -> Result<(), StateError> {
        let id = self.relations[relation].id;
        let compiled = std::sync::Arc::clone(&self.relations[relation].compiled);
        match compiled.relations()[self.relations[relation].number].form() {
            Form::One { by_row_key: true, .. } => Ok(()),
            form @ (Form::One { by_row_key: false, .. } | Form::Pivot) => {
                let of = |indexed: &Indexed| RelatedRow {
                    branch,
                    row_key: row_key.to_vec(),
                    holds: if matches!(form, Form::Pivot) { indexed.holds.clone() } else { Vec::new() },
                };
                if let Some(before) = before {
                    work.batch.related_row(id, before, &of(before), false);
                }
                if let Some(now) = now {
                    work.batch.related_row(id, now, &of(now), true);
                }
                Ok(())
            }
            Form::Rollup(rollup) => {
                for (indexed, comes) in [(before, false), (now, true)] {
                    let Some(indexed) = indexed else { continue };
                    let at = (id, indexed.key.clone());
                    let mut group = work.group(&at)?;
                    let lines = Others { kept: Kept { store: work.store, at: &at }, branch, row_key };
                    rollup.advance(&mut group, work.now, &lines.kept)?;
                    rollup.change(&mut group, &indexed.holds, comes, &lines)?;
                    for line in rollup.lines(&indexed.holds) {
                        let value = comes.then_some(line.value.as_slice());
                        work.batch.line(&at, (line.figure, &line.sort), (branch, row_key), value);
                    }
                    work.keep_group(relation, &at, group, has_windows(rollup));
                }
                Ok(())
            }
        }
    }
}

/// What a row gives to a relation now, and the join keys that this was evaluated with.
struct Evaluated {
    indexed: Option<Indexed>,
    needs: Vec<JoinKey>,
}

/// What a row gives to a relation now; `None` where it came in part.
fn evaluated(
    reader: &Reader<'_>,
    relation: &Relation,
    branch: u8,
    row_key: &[u8],
) -> Result<Option<Evaluated>, StateError> {
    let table = &reader.indexes.tables[relation.tables[usize::from(branch)]];
    let Some(row) = there(reader.view, table, row_key)? else {
        return Ok(Some(Evaluated { indexed: None, needs: Vec::new() }));
    };
    let of = &relation.compiled().branches()[usize::from(branch)];
    let (found, needs) = reader.gather(relation.mapping, of.scope(), row.cells(), Relation::is_built)?;
    Ok(match of.entry(row.cells(), &found) {
        Made::In(entry) => {
            let indexed = Indexed { key: entry.key, order: entry.order, holds: entry.holds };
            Some(Evaluated { indexed: Some(indexed), needs })
        }
        Made::Out => Some(Evaluated { indexed: None, needs }),
        Made::Incomplete { .. } => None,
    })
}

pub(super) fn has_windows(rollup: &Rollup) -> bool {
    rollup.figures.iter().any(|figure| figure.within.is_some())
}

/// The lines of a group but those of one row.
struct Others<'a> {
    kept: Kept<'a>,
    branch: u8,
    row_key: &'a [u8],
}

impl crate::mapping::related::rollup::Lines for Others<'_> {
    type Error = StateError;

    fn scan(
        &self,
        figure: u8,
        from: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        let (at, but) = (self.kept.at, (self.branch, self.row_key));
        self.kept.store.lines_but(at, figure, (from, backwards), Some(but), visit)
    }
}
