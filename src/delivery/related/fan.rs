//! A changed join key → whoever was evaluated with it.
//!
//! Few dependents are marked with the change, in its batch. Many are told little by little, behind a cursor in the state, and
//! never so many at once that what else is marked would wait behind them.

use std::time::Instant;

use passerelle_state::{Dependent, FanOut, JoinKey, MappingId, Since, StateError, Store, View};

use super::reader::Kept;
use super::taking::{Work, has_windows};
use super::{Indexes, Pace};
use crate::mapping::related::Form;
use crate::mapping::related::rollup::Group;

/// So many dependents are marked with the change itself.
const FEW: usize = 100;
/// Dependents that are told at a time.
const TOLD: usize = 200;
/// While so many rows of a mapping are marked, those of many wait.
const MOST_MARKED: u64 = 400;
/// Rows marked since they were last asked for, of which urgent fields are looked at first.
const MOST_HINTS: usize = 1_000;
/// Groups that rows have left, at a time.
const EXPIRED: usize = 200;

impl Indexes {
    /// A join key of a relation has other rows, or they hold something else.
    pub(super) fn touch(
        &mut self,
        work: &mut Work<'_>,
        (relation, mapping): (usize, MappingId),
        at: &JoinKey,
        since: Option<&Since>,
    ) -> Result<(), StateError> {
        // A record's own key is not noted: where the join key is one, it is asked of what is in memory.
        if work.store.may_have_row(self.relations[relation].main, &at.1) {
            self.mark(work, mapping, &at.1, since)?;
        }
        let dependents = work.store.dependents(at, None, FEW + 1)?;
        let are_few = dependents.len() <= FEW
            && dependents.iter().all(|(_, dependent)| matches!(dependent, Dependent::Record { .. }));
        if !are_few {
            let known = work.store.fan_out(at)?.and_then(|known| known.since);
            let since = match (known, since.cloned()) {
                (Some(known), Some(new)) => Some(if known.seq <= new.seq { known } else { new }),
                (known, new) => known.or(new),
            };
            work.batch.fan_out(at, Some(&FanOut { since, after: None }));
            self.fans = true;
            return Ok(());
        }
        for (_, dependent) in dependents {
            if let Dependent::Record { mapping, row_key } = dependent {
                self.mark(work, mapping, &row_key, since)?;
            }
        }
        Ok(())
    }

    fn mark(
        &mut self,
        work: &mut Work<'_>,
        mapping: MappingId,
        row_key: &[u8],
        since: Option<&Since>,
    ) -> Result<(), StateError> {
        work.batch.mark(mapping, row_key, since, work.now.max(0).unsigned_abs())?;
        let hints = self.marked.entry(mapping).or_default();
        if hints.len() < MOST_HINTS {
            hints.push(row_key.to_vec());
        }
        Ok(())
    }

    /// Tells the next of many dependents.
    pub(super) fn tell(
        &mut self,
        store: &Store,
        view: &View<'_>,
        now: i64,
        until: Instant,
    ) -> Result<Pace, StateError> {
        if !self.fans {
            return Ok(Pace::Done);
        }
        let mut pace = Pace::Done;
        for relation in 0..self.relations.len() {
            for (at, fan_out) in store.fan_outs(self.relations[relation].id, 8)? {
                if store.marked_count(self.relations[relation].mapping, MOST_MARKED)? >= MOST_MARKED {
                    pace = pace.max(Pace::Waits);
                    continue;
                }
                pace = Pace::More;
                let told = store.dependents(&at, fan_out.after.as_deref(), TOLD)?;
                let mut work = Work::new(store, now);
                for (_, dependent) in &told {
                    self.tell_one(&mut work, view, dependent, fan_out.since.as_ref())?;
                }
                let rest = told.last().filter(|_| told.len() == TOLD);
                let rest = rest.map(|(last, _)| FanOut { since: fan_out.since.clone(), after: Some(last.clone()) });
                work.batch.fan_out(&at, rest.as_ref());
                work.flush(self)?;
                if Instant::now() >= until {
                    return Ok(Pace::More);
                }
            }
        }
        self.fans = pace != Pace::Done;
        Ok(pace)
    }

    fn tell_one(
        &mut self,
        work: &mut Work<'_>,
        view: &View<'_>,
        dependent: &Dependent,
        since: Option<&Since>,
    ) -> Result<(), StateError> {
        match dependent {
            Dependent::Record { mapping, row_key } => self.mark(work, *mapping, row_key, since),
            Dependent::Entry { relation, branch, row_key } => {
                let Some(at) = self.relations.iter().position(|known| known.id == *relation) else { return Ok(()) };
                // One that came in part is asked for when its own change is looked at.
                self.take_into(work, view, at, (*branch, row_key), since).map(drop)
            }
        }
    }

    /// Rows leave windows of time.
    pub(super) fn expire(&mut self, store: &Store, now: i64, until: Instant) -> Result<Pace, StateError> {
        if self.next_expiry.is_none_or(|next| next > now) {
            return Ok(Pace::Done);
        }
        let mut next_of_all: Option<i64> = None;
        for relation in 0..self.relations.len() {
            let known = &self.relations[relation];
            let (id, mapping, compiled) = (known.id, known.mapping, std::sync::Arc::clone(&known.compiled));
            let Form::Rollup(rollup) = compiled.relations()[known.number].form() else { continue };
            if !has_windows(rollup) {
                continue;
            }
            loop {
                let (due, next) = store.expired(id, now, EXPIRED)?;
                let mut work = Work::new(store, now);
                for at in &due {
                    let mut group: Group = work.group(at)?;
                    let moved = rollup.advance(&mut group, now, &Kept { store, at })?;
                    work.keep_group(relation, at, group, true);
                    if moved {
                        self.touch(&mut work, (relation, mapping), at, None)?;
                    }
                }
                work.flush(self)?;
                if due.len() < EXPIRED {
                    next_of_all = [next_of_all, next].into_iter().flatten().min();
                    break;
                }
                if Instant::now() >= until {
                    return Ok(Pace::More);
                }
            }
        }
        self.next_expiry = next_of_all;
        Ok(Pace::Done)
    }
}
